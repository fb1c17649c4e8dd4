"""Books of the synthetic market by tick, and the rows that their changes write.

Each venue has shares and orders per tick and side, and its top levels ready as a row shows them. A change
writes the row that the real feed would: an add or cancel over the book after it, a trade over the book before
it and then a cancel over the book after it.
"""

from __future__ import annotations

from typing import NamedTuple

from venuewise._jit import kernel
from venuewise.data.events import (
    ACTION_ADD,
    ACTION_CANCEL,
    ACTION_TRADE,
    SIDE_ASK,
    SIDE_BID,
    UNDEFINED_PRICE,
    Int16,
    Int64,
    UInt8,
)

LEVELS = 10
"""Book levels in a row."""
BID, ASK = 0, 1
ROWS_WRITTEN, CLOCK = 0, 1  # entries of `state`
SCAN_TICKS = 64  # a level further than this from the best does not show


class Rows(NamedTuple):
    """Columns being written, one entry a row."""

    ts_recv: Int64
    venue: Int16
    action: UInt8
    side: UInt8
    depth: UInt8
    price: Int64
    size: Int64
    bid_px: Int64
    ask_px: Int64
    bid_sz: Int64
    ask_sz: Int64
    bid_ct: Int64
    ask_ct: Int64


class Books(NamedTuple):
    """Books of all venues: by tick (venue, side, tick), and the top levels as they go into a row."""

    size: Int64
    orders: Int64
    best: Int64
    top_px: Int64
    top_sz: Int64
    top_ct: Int64


@kernel
def refresh(books: Books, v: int, side: int, base: int, tick: int) -> None:
    """Rebuild the top levels of one side from the ticks."""
    step = -1 if side == BID else 1
    at = books.best[v, side]
    level = 0
    if at >= 0:
        for _ in range(SCAN_TICKS):
            if at < 0 or at >= books.size.shape[2] or level == LEVELS:
                break
            if books.size[v, side, at] > 0:
                books.top_px[v, side, level] = (base + at) * tick
                books.top_sz[v, side, level] = books.size[v, side, at]
                books.top_ct[v, side, level] = books.orders[v, side, at]
                level += 1
            at += step
    for rest in range(level, LEVELS):
        books.top_px[v, side, rest] = UNDEFINED_PRICE
        books.top_sz[v, side, rest] = 0
        books.top_ct[v, side, rest] = 0


@kernel
def _emit(
    rows: Rows, books: Books, state: Int64, v: int, action: int, side: int, depth: int, price: int, size: int
) -> None:
    """Write one row; past the end of the columns rows are only counted."""
    n = state[ROWS_WRITTEN]
    state[ROWS_WRITTEN] = n + 1
    if n >= len(rows.ts_recv):
        return
    rows.ts_recv[n] = state[CLOCK]
    rows.venue[n] = v
    rows.action[n] = action
    rows.side[n] = side
    rows.depth[n] = depth
    rows.price[n] = price
    rows.size[n] = size
    for level in range(LEVELS):
        rows.bid_px[n, level] = books.top_px[v, BID, level]
        rows.ask_px[n, level] = books.top_px[v, ASK, level]
        rows.bid_sz[n, level] = books.top_sz[v, BID, level]
        rows.ask_sz[n, level] = books.top_sz[v, ASK, level]
        rows.bid_ct[n, level] = books.top_ct[v, BID, level]
        rows.ask_ct[n, level] = books.top_ct[v, ASK, level]


@kernel
def _depth(books: Books, v: int, side: int, at: int) -> int:
    """Count levels better than a tick, up to those that show."""
    best = books.best[v, side]
    better = 0
    for i in range(min(abs(at - best), SCAN_TICKS)):
        here = best - i if side == BID else best + i
        if books.size[v, side, here] > 0:
            better += 1
            if better == LEVELS:
                break
    return better if abs(at - best) < SCAN_TICKS else LEVELS


@kernel
def add(
    rows: Rows, books: Books, state: Int64, v: int, side: int, at: int, size: int, base: int, tick: int
) -> None:
    """Add one order; a level beyond those that show changes the book without a row."""
    if at < 0 or at >= books.size.shape[2]:
        return
    best = books.best[v, side]
    books.size[v, side, at] += size
    books.orders[v, side, at] += 1
    if best < 0 or (at > best if side == BID else at < best):
        books.best[v, side] = at
    depth = _depth(books, v, side, at)
    if depth < LEVELS:
        refresh(books, v, side, base, tick)
        _emit(
            rows,
            books,
            state,
            v,
            ACTION_ADD,
            SIDE_BID if side == BID else SIDE_ASK,
            depth,
            (base + at) * tick,
            size,
        )


@kernel
def _remove(books: Books, v: int, side: int, at: int, size: int, orders: int) -> None:
    """Take shares and orders off a tick, and find the new best where the level is gone."""
    books.size[v, side, at] -= size
    books.orders[v, side, at] -= orders
    if books.size[v, side, at] > 0 or books.best[v, side] != at:
        return
    step = -1 if side == BID else 1
    while 0 <= at < books.size.shape[2] and books.size[v, side, at] == 0:
        at += step
    books.best[v, side] = at if 0 <= at < books.size.shape[2] else -1


@kernel
def cancel(
    rows: Rows, books: Books, state: Int64, v: int, side: int, at: int, drawn: int, base: int, tick: int
) -> None:
    """Cancel one order at a tick: the last one in full, else `drawn` shares that leave one share an order."""
    size = books.size[v, side, at]
    orders = books.orders[v, side, at]
    cancelled = size if orders == 1 else min(drawn, size - (orders - 1))
    depth = _depth(books, v, side, at)
    _remove(books, v, side, at, cancelled, 1)
    if depth < LEVELS:
        refresh(books, v, side, base, tick)
        code = SIDE_BID if side == BID else SIDE_ASK
        _emit(rows, books, state, v, ACTION_CANCEL, code, depth, (base + at) * tick, cancelled)


@kernel
def take(rows: Rows, books: Books, state: Int64, v: int, side: int, size: int, base: int, tick: int) -> int:
    """Trade against the best level, as a trade and a cancel row. Return the shares."""
    at = books.best[v, side]
    shown = books.size[v, side, at]
    orders = books.orders[v, side, at]
    filled = int(min(size, shown))
    price = (base + at) * tick
    aggressor, resting = (SIDE_BID, SIDE_ASK) if side == ASK else (SIDE_ASK, SIDE_BID)
    _emit(rows, books, state, v, ACTION_TRADE, aggressor, 0, price, filled)
    if filled == shown:
        gone = orders
    else:  # orders of equal size, first in first out; what is left keeps a share an order
        gone = max(min(orders * filled // shown, orders - 1), orders - (shown - filled))
    _remove(books, v, side, at, filled, gone)
    refresh(books, v, side, base, tick)
    _emit(rows, books, state, v, ACTION_CANCEL, resting, 0, price, filled)
    return filled


@kernel
def advance(state: Int64, time: int) -> None:
    """Move the clock to a time, or by 1 ns where it is already past it: every event has a time of its own."""
    state[CLOCK] = max(state[CLOCK] + 1, time)
