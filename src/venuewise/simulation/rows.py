"""What one row of the market changes, compiled.

The book is never copied: a venue's book is the last row it sent (`State.row_of`). What we took from a level is
kept beside it (`State.taken`) and carried from row to row while the level stands, so that no share is
bought twice. Nothing of it outlives its session (see `venuewise.data.sessions`): no quote, no share taken, no child
order on its way.
"""

from __future__ import annotations

import numpy as np

from venuewise._jit import kernel
from venuewise.data.events import Int64, UInt8
from venuewise.data.sessions import begins_session
from venuewise.market.book import NO_ROW, reference_price, view_quotes
from venuewise.simulation.state import (
    FLIGHT_HEAD,
    FLIGHT_TAIL,
    IN_FLIGHT,
    OPEN,
    Market,
    State,
)


@kernel
def last_rows(ts: Int64, venue: Int64, clears: UInt8, before: int, row_of: Int64) -> None:
    """Fill `row_of` with the last row of each venue in the session of the row before `before`.

    -1 stands for none, or a cleared book.
    """
    row_of[:] = NO_ROW
    missing = len(row_of)
    known = np.zeros(len(row_of), np.uint8)
    row = before - 1
    while row >= 0 and missing > 0:
        if known[venue[row]] == 0:
            known[venue[row]] = 1
            missing -= 1
            if clears[row] == 0:
                row_of[venue[row]] = row
        if row > 0 and begins_session(ts[row - 1], ts[row]):
            break
        row -= 1


@kernel
def find_arrival(market: Market, row_of: Int64, first: int, last: int) -> tuple[int, float]:
    """Return the first row from `first` on after which there is a reference price, and that price.

    The price is in 1e-9 dollars (see `venuewise.market.book.reference_price`). Row -1 stands for none. `row_of` is
    brought up to the row before the one returned.
    """
    venues = len(row_of)
    nothing = np.zeros((venues, 1), np.int64)
    price, size = np.empty((venues, 1), np.int64), np.empty((venues, 1), np.int64)
    for row in range(first, last):
        if row > 0 and begins_session(market.ts[row - 1], market.ts[row]):
            row_of[:] = NO_ROW
        venue = market.venue[row]
        before = row_of[venue]
        row_of[venue] = NO_ROW if market.clears[row] else row
        if row + 1 < last and market.ts[row + 1] == market.ts[row]:
            continue
        take, far = view_quotes(
            market.take_px, market.take_sz, market.far_px, market.ts, row_of, nothing, nothing[:, 0],
            1.0, market.ts[row], market.max_age, market.sign, price, size,
        )  # fmt: skip
        arrival_price = reference_price(take, far, market.one_sided)
        if not np.isnan(arrival_price):
            row_of[venue] = before
            return row, arrival_price
    return -1, 0.0


@kernel
def carry_taken(market: Market, state: State, venue: int, row: int, refill_on_any_change: bool) -> None:
    """Carry what we took at a venue over to its new row, level by level at the same price.

    A level that is gone is forgotten. One that stands with another size is offered anew in full, or (the
    stricter rule) less all that we took, as far as that much is still displayed.
    """
    old = state.row_of[venue]
    levels = market.take_px.shape[1]
    before = state.taken[venue].copy()
    touched = False
    at = 0
    for level in range(levels):
        state.taken[venue, level] = 0
        size = market.take_sz[row, level]
        if size <= 0 or old < 0:
            continue
        price = market.take_px[row, level]
        while (
            at < levels
            and market.take_sz[old, at] > 0
            and market.sign * market.take_px[old, at] < market.sign * price
        ):
            at += 1
        if at < levels and market.take_sz[old, at] > 0 and market.take_px[old, at] == price:
            if size == market.take_sz[old, at]:
                state.taken[venue, level] = before[at]
            elif not refill_on_any_change:
                state.taken[venue, level] = min(before[at], size)
            touched = touched or state.taken[venue, level] > 0
    state.touched[venue] = touched


@kernel
def apply_row(market: Market, state: State, row: int, refill_on_any_change: bool) -> None:
    """Let a row replace its venue's book."""
    venue = market.venue[row]
    if market.clears[row]:
        state.row_of[venue] = NO_ROW  # what we took there is forgotten with the next row: no level stands
        return
    if state.touched[venue]:
        carry_taken(market, state, venue, row, refill_on_any_change)
    state.row_of[venue] = row


@kernel
def end_session(state: State) -> None:
    """Forget the books, and cancel what is on its way: a new session begins."""
    state.row_of[:] = NO_ROW
    state.taken[:] = 0
    state.touched[:] = 0
    cancel_flights(state)


@kernel
def cancel_flights(state: State) -> None:
    """Let the child orders on their way come back unfilled."""
    totals = state.totals
    totals[OPEN] += totals[IN_FLIGHT]
    totals[IN_FLIGHT] = 0
    totals[FLIGHT_HEAD] = totals[FLIGHT_TAIL]
    state.pending[:] = 0
