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
    Int64,
)

LEVELS = 10
"""Book levels in a row."""
BID, ASK = 0, 1
SHARES, ORDERS = 0, 1  # first axis of `Books.ticks`
ROWS_WRITTEN, CLOCK = 0, 1  # entries of `state`


class Rows(NamedTuple):
    """Rows being written. Few arrays, because a kernel counts references to each one on every call.

    `fields` is (7, rows): time of receipt, venue, action, side, depth, price, size. `levels` is
    (6, rows, 10): prices of bids and asks, then shares, then orders, so that each is one block of memory.
    """

    fields: Int64
    levels: Int64


class Books(NamedTuple):
    """Books of all venues.

    `ticks` is (2, venues, 2, ticks): shares and orders by venue, side and tick. `best` is (venues, 2), -1
    where a side is empty. `top` is (6, venues, 10): the levels that show, as in `Rows.levels`.
    """

    ticks: Int64
    best: Int64
    top: Int64


@kernel
def refresh(books: Books, v: int, side: int, base: int, tick: int) -> None:
    """Rebuild the top levels of one side from the ticks."""
    step = -1 if side == BID else 1
    at = books.best[v, side]
    level = 0
    while 0 <= at < books.ticks.shape[3] and level < LEVELS:
        if books.ticks[SHARES, v, side, at] > 0:
            books.top[side, v, level] = (base + at) * tick
            books.top[2 + side, v, level] = books.ticks[SHARES, v, side, at]
            books.top[4 + side, v, level] = books.ticks[ORDERS, v, side, at]
            level += 1
        at += step
    for rest in range(level, LEVELS):
        books.top[side, v, rest] = UNDEFINED_PRICE
        books.top[2 + side, v, rest] = 0
        books.top[4 + side, v, rest] = 0


@kernel
def _emit(
    rows: Rows, books: Books, state: Int64, v: int, action: int, side: int, depth: int, price: int, size: int
) -> None:
    """Write one row; past the end of the columns rows are only counted."""
    n = state[ROWS_WRITTEN]
    state[ROWS_WRITTEN] = n + 1
    if n >= rows.fields.shape[1]:
        return
    rows.fields[0, n] = state[CLOCK]
    rows.fields[1, n] = v
    rows.fields[2, n] = action
    rows.fields[3, n] = side
    rows.fields[4, n] = depth
    rows.fields[5, n] = price
    rows.fields[6, n] = size
    for block in range(6):
        for level in range(LEVELS):
            rows.levels[block, n, level] = books.top[block, v, level]


@kernel
def _depth(books: Books, v: int, side: int, at: int) -> int:
    """Count levels better than a tick, up to those that show."""
    best = books.best[v, side]
    better = 0
    for i in range(abs(at - best)):
        here = best - i if side == BID else best + i
        if books.ticks[SHARES, v, side, here] > 0:
            better += 1
            if better == LEVELS:
                break
    return better


@kernel
def add(
    rows: Rows, books: Books, state: Int64, v: int, side: int, at: int, size: int, base: int, tick: int
) -> None:
    """Add one order; a level beyond those that show changes the book without a row."""
    if at < 0 or at >= books.ticks.shape[3]:
        return
    best = books.best[v, side]
    books.ticks[SHARES, v, side, at] += size
    books.ticks[ORDERS, v, side, at] += 1
    if best < 0 or (at > best if side == BID else at < best):
        books.best[v, side] = at
    depth = _depth(books, v, side, at)
    if depth < LEVELS:
        refresh(books, v, side, base, tick)
        code = SIDE_BID if side == BID else SIDE_ASK
        _emit(rows, books, state, v, ACTION_ADD, code, depth, (base + at) * tick, size)


@kernel
def _remove(books: Books, v: int, side: int, at: int, size: int, orders: int) -> None:
    """Take shares and orders off a tick, and find the new best where the level is gone."""
    books.ticks[SHARES, v, side, at] -= size
    books.ticks[ORDERS, v, side, at] -= orders
    if books.ticks[SHARES, v, side, at] > 0 or books.best[v, side] != at:
        return
    step = -1 if side == BID else 1
    while 0 <= at < books.ticks.shape[3] and books.ticks[SHARES, v, side, at] == 0:
        at += step
    books.best[v, side] = at if 0 <= at < books.ticks.shape[3] else -1


@kernel
def cancel(
    rows: Rows, books: Books, state: Int64, v: int, side: int, at: int, drawn: int, base: int, tick: int
) -> None:
    """Cancel one order at a tick: the last one in full, else `drawn` shares that leave one share an order."""
    size = books.ticks[SHARES, v, side, at]
    orders = books.ticks[ORDERS, v, side, at]
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
    shown = books.ticks[SHARES, v, side, at]
    orders = books.ticks[ORDERS, v, side, at]
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
