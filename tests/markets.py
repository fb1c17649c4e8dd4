"""Small random markets for tests."""

from __future__ import annotations

import numpy as np

from venuewise.data.events import ACTION_ADD, ACTION_CLEAR, ACTION_TRADE, UNDEFINED_PRICE, Events

TICK = 10_000_000
START = 1_729_519_200_000_000_000
HOUR = 3600 * 10**9


def events_of(
    ts: list[int] | np.ndarray,
    venue: list[int] | np.ndarray,
    ask: list[list[tuple[int, int]]],
    bid: list[list[tuple[int, int]]] | None = None,
    action: list[int] | np.ndarray | None = None,
    venues: int | None = None,
    size: list[int] | np.ndarray | None = None,
) -> Events:
    """Return events from (ticks, shares) pairs, best level first; rows may have different depths.

    `size` are the shares of the rows' own events, as trades print them.
    """
    n = len(ts)
    bid = bid if bid is not None else [[] for _ in range(n)]
    levels = max([1, *(len(row) for row in ask), *(len(row) for row in bid)])

    def side(rows: list[list[tuple[int, int]]]) -> tuple[np.ndarray, np.ndarray]:
        px = np.full((n, levels), UNDEFINED_PRICE, np.int64)
        sz = np.zeros((n, levels), np.int64)
        for i, row in enumerate(rows):
            for level, (ticks, shares) in enumerate(row):
                px[i, level], sz[i, level] = ticks * TICK, shares
        return px, sz

    ask_px, ask_sz = side(ask)
    bid_px, bid_sz = side(bid)
    times = START + np.asarray(ts, np.int64)
    zeros = np.zeros(n, np.int64)
    count = max(np.asarray(venue, np.int64).max() + 1, venues or 0)
    return Events(
        ts_event=times,
        ts_recv=times,
        venue=np.asarray(venue, np.int16),
        action=np.full(n, ACTION_ADD, np.uint8) if action is None else np.asarray(action, np.uint8),
        side=np.full(n, ord("A"), np.uint8),
        depth=np.zeros(n, np.uint8),
        price=zeros,
        size=zeros if size is None else np.asarray(size, np.int64),
        sequence=np.arange(n, dtype=np.int64),
        symbol=np.zeros(n, np.int32),
        bid_px=bid_px,
        ask_px=ask_px,
        bid_sz=bid_sz,
        ask_sz=ask_sz,
        bid_ct=np.zeros((n, 0), np.int64),
        ask_ct=np.zeros((n, 0), np.int64),
        publishers=tuple(range(1, int(count) + 1)),
        symbols=("TEST",),
    )


def random_events(
    seed: int, rows: int = 60, venues: int = 3, levels: int = 3, nights: bool = False
) -> Events:
    """Return a rough little market: quotes that jump, vanish, lock, repeat, share times and clear, and some trades.

    With `nights`, it has silences of just an hour, which end no session, and of longer ones, which do.
    """
    rng = np.random.default_rng(seed)
    waits: np.ndarray = rng.choice([0, 1, 1_000_000, 40_000_000], rows)
    if nights:
        waits[rng.integers(1, rows, 5)] = np.array([HOUR, HOUR + 1, HOUR + 1, 16 * HOUR, 16 * HOUR])
    ts = np.cumsum(waits)
    venue = rng.integers(0, venues, rows)
    action = np.where(rng.random(rows) < 0.03, ACTION_CLEAR, ACTION_ADD)
    ask: list[list[tuple[int, int]]] = []
    bid: list[list[tuple[int, int]]] = []
    last: dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}
    for row in range(rows):
        before = last.get(int(venue[row]))
        if before is not None and rng.random() < 0.6:
            a, b = list(before[0]), list(before[1])
            book = a if rng.random() < 0.8 else b
            if book and rng.random() < 0.8:
                at = int(rng.integers(len(book)))
                book[at] = (book[at][0], int(rng.integers(1, 60)))
            elif book:
                book.pop(0)
        else:
            middle = 1000 + int(rng.integers(-3, 4))
            a = [(middle + 1 + j + int(rng.integers(0, 2)), int(rng.integers(1, 60))) for j in range(levels)]
            b = [(middle - 1 - j, int(rng.integers(1, 60))) for j in range(levels)]
            a = sorted(dict(a).items())
            if rng.random() < 0.1:
                b = [(middle + 2, 5), *b[1:]]
            if rng.random() < 0.1:
                a = []
            if rng.random() < 0.05:
                b = []
        last[int(venue[row])] = (a, b)
        ask.append(a)
        bid.append(sorted(b, reverse=True))
    action = np.where((action == ACTION_ADD) & (rng.random(rows) < 0.3), ACTION_TRADE, action)
    return events_of(ts, venue, ask, bid, action, venues, rng.integers(0, 400, rows))
