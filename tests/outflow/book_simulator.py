"""Order books by hand: events built row by row, and a venue whose queue has known Poisson flows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from venuewise.data.events import UNDEFINED_PRICE, Events

CENT = 10_000_000
SECOND = 1_000_000_000


@dataclass
class Tape:
    """Rows of one or more venues, written by the tests; two levels a side."""

    rows: list[tuple[int, int, str, str, int, int, tuple[int, ...], tuple[int, ...]]] = field(
        default_factory=list
    )

    def add(
        self,
        seconds: float,
        action: str,
        side: str,
        price: int,
        size: int,
        bids: list[tuple[int, int]],
        asks: list[tuple[int, int]] | None = None,
        venue: int = 0,
    ) -> None:
        """Append a row; prices in cents, books as (price, size), best first."""
        asks = [(103, 500), (104, 500)] if asks is None else asks
        levels = []
        for book in (bids, asks):
            padded = [(p * CENT, s) for p, s in book] + [(UNDEFINED_PRICE, 0)] * (2 - len(book))
            levels.append(padded[:2])
        px = tuple(p for book in levels for p, _ in book)
        sz = tuple(s for book in levels for _, s in book)
        self.rows.append((round(seconds * SECOND), venue, action, side, price * CENT, size, px, sz))

    def events(self, venues: int = 1) -> Events:
        """Return the rows as `Events`."""
        rows = sorted(self.rows, key=lambda row: row[0])
        ts = np.array([row[0] for row in rows], np.int64)
        px = np.array([row[6] for row in rows], np.int64).reshape(-1, 4)
        sz = np.array([row[7] for row in rows], np.int64).reshape(-1, 4)
        return Events(
            ts_event=ts, ts_recv=ts, venue=np.array([row[1] for row in rows], np.int16),
            action=np.array([ord(row[2]) for row in rows], np.uint8),
            side=np.array([ord(row[3]) for row in rows], np.uint8),
            depth=np.zeros(len(rows), np.uint8), price=np.array([row[4] for row in rows], np.int64),
            size=np.array([row[5] for row in rows], np.int64), sequence=np.arange(len(rows), dtype=np.int64),
            symbol=np.zeros(len(rows), np.int32), bid_px=px[:, :2].copy(), ask_px=px[:, 2:].copy(),
            bid_sz=sz[:, :2].copy(), ask_sz=sz[:, 2:].copy(), bid_ct=np.empty((len(rows), 0), np.int64),
            ask_ct=np.empty((len(rows), 0), np.int64), publishers=tuple(range(2, 2 + venues)), symbols=("TEST",),
        )  # fmt: skip


def mirrored(events: Events) -> Events:
    """The same day with bids and asks exchanged (prices p become 1000 dollars - p)."""

    def turn(px: np.ndarray) -> np.ndarray:
        return np.where(px == UNDEFINED_PRICE, px, 100_000 * CENT - px)

    from dataclasses import replace

    swap = np.arange(256, dtype=np.uint8)
    swap[ord("A")], swap[ord("B")] = ord("B"), ord("A")
    return replace(
        events, price=turn(events.price), side=swap[events.side], bid_px=turn(events.ask_px),
        ask_px=turn(events.bid_px), bid_sz=events.ask_sz, ask_sz=events.bid_sz,
    )  # fmt: skip


ORDER = 10
"""Shares of each order in the simulated queue."""


def poisson_queue(
    seconds: float, queue: int, sells: float, cancels: float, seed: int, venue: int = 0
) -> Tape:
    """A bid of `queue` shares that sellers hit and whose owners cancel, at rates per second, 10 shares a time.

    Every share that leaves is replaced at once by one at the back, so the size shown stays within an order of
    `queue`. A cancelled order is any of those in the queue, with equal chances.
    """
    rng = np.random.default_rng(seed)
    count = rng.poisson((sells + cancels) * seconds)
    times = np.sort(rng.uniform(0.0, seconds, count))
    tape = Tape()
    full, less = [(100, queue), (99, 900)], [(100, queue - ORDER), (99, 900)]
    tape.add(0.0, "A", "B", 100, queue, full, venue=venue)
    for at, is_sell in zip(times, rng.uniform(size=count) < sells / (sells + cancels), strict=True):
        if is_sell:
            tape.add(at, "T", "A", 100, ORDER, full, venue=venue)
        tape.add(at, "C", "B", 100, ORDER, less, venue=venue)
        tape.add(at + 1e-6, "A", "B", 100, ORDER, full, venue=venue)
    tape.add(seconds, "A", "B", 99, 1, full, venue=venue)
    return tape


def true_outflow(
    queue: int, sells: float, cancels: float, horizon: float, seed: int, runs: int
) -> np.ndarray:
    """Outflow from the front of such a queue, following every single order; shape (runs,)."""
    rng = np.random.default_rng(seed)
    outflows = np.empty(runs)
    orders = queue // ORDER
    for run in range(runs):
        ahead, left = orders, 0
        for _ in range(rng.poisson((sells + cancels) * horizon)):
            if rng.uniform() < sells / (sells + cancels):
                left += 1
                ahead = max(ahead - 1, 0)
            elif rng.integers(orders) < ahead:
                left += 1
                ahead -= 1
        outflows[run] = left * ORDER
    return outflows
