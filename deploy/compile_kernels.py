"""Compile every kernel that the live services run, by deciding over the first rows of CSV_FILE as they do.

An image is built with this, so that no container spends its first ten seconds, nor 100 MB, on compiling.
"""

from __future__ import annotations

import os

import venuewise as vw
from venuewise.kafka.processing import Incoming
from venuewise.market.venues import load_venues
from venuewise.messages.market import encode
from venuewise.routing.whatif import WhatIf, WhatIfSettings

ROWS = 100

events = vw.read(os.environ["CSV_FILE"]).take(slice(0, ROWS))
messages = [Incoming(value, None) for value in encode(events)]
for settings in (WhatIfSettings(), WhatIfSettings(algorithm="greedy", levels=10)):
    router = WhatIf(settings, load_venues())
    router.process("market", messages)
    saved = [(key, value) for key, value in router.changes() if value is not None]
    WhatIf(settings, load_venues()).restore(saved)
