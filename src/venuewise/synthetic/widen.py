"""Widen one venue's data to several synthetic venues.

Real multi-venue data are dear, and a router has nothing to decide on one venue. Each synthetic venue shows the
real book a moment later, with sizes of its own, and at times one tick worse on both sides. It is good for
trying things out and for nothing else: whatever comes of it says `synthetic: true`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from venuewise.data.events import ACTION_CLEAR, ROW_COLUMNS, UNDEFINED_PRICE, Events, Int64
from venuewise.errors import ConfigError

SYNTHETIC_PUBLISHERS: Final = (2, 6, 8, 5, 15, 16, 9, 3, 7, 4, 11, 12, 10)
"""Publishers whose fees the synthetic venues take, the source's own first."""
MOST_VENUES: Final = len(SYNTHETIC_PUBLISHERS)
DELAY_STEP_NS: Final = 400_000
"""Venue j lags the real one by j steps, and a random part of one more."""
WORSE_SHARE: Final = 0.2
"""Share of quarter seconds during which a synthetic venue shows a quote one tick worse."""
WORSE_NS: Final = 250_000_000
TICK: Final = 10_000_000


def widen(events: Events, venues: int, seed: int = 0) -> Events:
    """Return the events of `venues` venues made from those of one.

    Parameters
    ----------
    events : Events
        Rows of a single venue.
    venues : int
        2 to 13, the real one included.
    seed : int
        Draws delays, sizes and the moments of worse quotes.

    Raises
    ------
    ConfigError
        If the data have more than one venue already, or `venues` is out of range.
    """
    if len(events.publishers) != 1:
        raise ConfigError(
            f"venues: found data of {len(events.publishers)} venues; expected one venue to widen"
        )
    if not 2 <= venues <= MOST_VENUES:
        raise ConfigError(
            f"venues: found synthetic:{venues}; expected synthetic:2 to synthetic:{MOST_VENUES}"
        )
    own = events.publishers[0]
    publishers = (own, *(p for p in SYNTHETIC_PUBLISHERS if p != own))[:venues]
    copies = [events] + [_copy(events, j, np.random.default_rng([seed, j])) for j in range(1, venues)]
    order = np.argsort(np.concatenate([copy.ts for copy in copies]), kind="stable")

    merged: dict[str, Any] = {
        name: np.ascontiguousarray(np.concatenate([getattr(copy, name) for copy in copies])[order])
        for name in ROW_COLUMNS
    }
    merged["venue"] = np.repeat(np.arange(venues, dtype=np.int16), len(events))[order]
    return replace(
        events,
        publishers=publishers,
        synthetic=True,
        notes=(*events.notes, f"one venue widened to {venues} synthetic venues (seed {seed})"),
        **merged,
    )


def _copy(events: Events, j: int, rng: np.random.Generator) -> Events:
    """Return the events as synthetic venue `j` would show them."""
    rows = len(events)
    delay = DELAY_STEP_NS * j + rng.integers(0, DELAY_STEP_NS, rows)
    # A venue's own rows keep their order whatever their delays.
    delayed = np.maximum.accumulate(events.ts + delay) - events.ts
    worse = rng.random(int(np.ptp(events.ts)) // WORSE_NS + 1 if rows else 0) < WORSE_SHARE
    shift = np.where(worse[(events.ts - events.ts[0]) // WORSE_NS], TICK, 0)[:, None]
    share = 0.3 + 0.9 * rng.random(997)

    def sizes(px: Int64, sz: Int64) -> Int64:
        # The same price level keeps its share of the real size as long as it stands.
        scaled = np.rint(sz * share[(px // TICK) % len(share)]).astype(np.int64)
        return np.where(sz > 0, np.maximum(scaled, 1), 0)

    def moved(px: Int64, by: Int64) -> Int64:
        return np.where(px == UNDEFINED_PRICE, px, px + by)

    clears = events.action == ACTION_CLEAR
    return replace(
        events,
        ts_event=events.ts_event + delayed,
        ts_recv=events.ts_recv + delayed,
        bid_px=moved(events.bid_px, -shift * ~clears[:, None]),
        ask_px=moved(events.ask_px, shift * ~clears[:, None]),
        bid_sz=sizes(events.bid_px, events.bid_sz),
        ask_sz=sizes(events.ask_px, events.ask_sz),
    )
