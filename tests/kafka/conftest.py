"""Everything here needs the kafka extra."""

from __future__ import annotations

import pytest

pytest.importorskip("confluent_kafka", reason="needs the kafka extra: pip install venuewise[kafka]")
