"""How a parent order runs, compiled: row by row with a built-in strategy, and what a strategy of the user's own sees.

Rows with the same time are one update: strategies decide after the last of them. A trade row shows the book
before the trade, and the cancel that follows at the same time takes the shares away; deciding in between
would buy shares that are gone.
"""

from __future__ import annotations

import numpy as np

from venuewise._jit import kernel
from venuewise.data.events import Int64
from venuewise.data.sessions import begins_session
from venuewise.market.book import reference_price, view_quotes
from venuewise.simulation.fills import deliver, submit, sweep
from venuewise.simulation.rows import (
    apply_row,
    end_session,
)
from venuewise.simulation.state import (
    DECISIONS,
    IN_FLIGHT,
    OPEN,
    Conditions,
    Market,
    State,
)
from venuewise.strategies.kernels import (
    AT_ONCE,
    BY_VOLUME,
    SCHEDULE,
    STATIC,
    Float64,
    Room,
    decide,
    shares_due,
    slice_length,
    worth_taking,
)


@kernel
def look(
    market: Market, state: State, conditions: Conditions, row: int, price: Int64, size: Int64
) -> tuple[int, int]:
    """Bring the market up to `row`; fill `price` and `size` with what may be taken; return the best prices."""
    now = market.ts[row]
    heard = market.ts[row - 1] if row > 0 else now
    deliver(market, state, conditions, heard, now)
    if begins_session(heard, now):
        end_session(state)
    apply_row(market, state, row, conditions.refill_on_any_change)
    return view_quotes(
        market.take_px, market.take_sz, market.far_px, market.ts, state.row_of, state.taken, state.pending,
        conditions.queue_priority, now, market.max_age, market.sign, price, size,
    )  # fmt: skip


@kernel
def simulate(
    market: Market,
    state: State,
    conditions: Conditions,
    first: int,
    last: int,
    start: int,
    end: int,
    printed_before: int,
    kind: int,
    parameters: Float64,
    depth: int,
    room: Room,
) -> None:
    """Work one parent order with a built-in strategy over rows `first` to `last` (exclusive), then sweep.

    `printed_before` are the shares of `Market.printed` that were printed before the order's start.
    """
    # Arrays leave their tuples here: calls that pass whole tuples cost more than the work of most rows.
    ts, venue_of, clears = market.ts, market.venue, market.clears
    take_px, take_sz, far_px, printed = market.take_px, market.take_sz, market.far_px, market.printed
    sign, max_age, queue_priority = market.sign, market.max_age, conditions.queue_priority
    row_of, taken, touched, pending, totals = (
        state.row_of, state.taken, state.touched, state.pending, state.totals
    )  # fmt: skip
    room_fee = room.fee
    venues = len(market.fee)
    quantity = totals[OPEN]
    price = np.empty((venues, depth), np.int64)
    size = np.empty((venues, depth), np.int64)
    shares = np.empty(venues, np.int64)
    limit = np.empty(venues, np.int64)
    schedule, slice_ns = int(parameters[SCHEDULE]), slice_length(parameters, start, end)
    next_release = start
    heard = ts[first - 1] if first > 0 else ts[first]
    for row in range(first, last):
        now = ts[row]
        if totals[IN_FLIGHT] > 0:
            deliver(market, state, conditions, heard, now)
        if begins_session(heard, now):
            end_session(state)
        heard = now
        venue = venue_of[row]
        if touched[venue] or clears[row]:
            apply_row(market, state, row, conditions.refill_on_any_change)
        else:
            row_of[venue] = row
        if totals[OPEN] == 0:
            if totals[IN_FLIGHT] == 0:
                break
            continue
        if row + 1 < last and ts[row + 1] == now:
            continue
        seen = printed[row] - printed_before
        if schedule != AT_ONCE:
            if now < next_release:
                continue
            if shares_due(parameters, quantity, totals[OPEN], now, start, end, seen) <= 0:
                # Shares on their way may come back unfilled at any moment: look again.
                if totals[IN_FLIGHT] == 0 and schedule != BY_VOLUME:
                    next_release = start + ((now - start) // slice_ns + 1) * slice_ns
                continue
        take, far = view_quotes(
            take_px, take_sz, far_px, ts, row_of, taken, pending, queue_priority, now, max_age, sign,
            price, size,
        )  # fmt: skip
        totals[DECISIONS] += 1
        reference = reference_price(take, far, market.one_sided)
        if kind == STATIC and not worth_taking(
            parameters[1] + parameters[2], parameters[3], price, size, room_fee, reference, sign
        ):  # fmt: skip
            continue
        decide(
            kind, parameters, price, size, reference, sign, quantity,
            totals[OPEN], now, start, end, seen, shares, limit, room,
        )  # fmt: skip
        submit(market, state, conditions, row, shares, limit)
    sweep(market, state, conditions, heard, end)
