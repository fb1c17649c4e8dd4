"""The matching engine, compiled: what one row changes, how one child order fills, how a parent order runs.

Rows with the same time are one update: strategies decide after the last of them. A trade row shows the book
before the trade, and the cancel that follows at the same time takes the shares away; deciding in between
would buy shares that are gone.

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
from venuewise.market.book import NO_ROW, reference_price, takes_part, view_quotes
from venuewise.simulation.state import (
    CHILD_ORDERS,
    DECISIONS,
    FEES,
    FILL_FEES,
    FILL_LEVEL,
    FILL_PRICE,
    FILL_ROW,
    FILL_SHARES,
    FILL_TS,
    FILL_VENUE,
    FILLED,
    FILLS,
    FLIGHT_ARRIVAL,
    FLIGHT_HEAD,
    FLIGHT_LIMIT,
    FLIGHT_SHARES,
    FLIGHT_TAIL,
    FLIGHT_VENUE,
    IN_FLIGHT,
    MOST_MONEY,
    NOTIONAL,
    OPEN,
    SWEPT,
    TOO_MUCH,
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
def uniform(seed: int, moment: int, venue: int) -> float:
    """Return a number in [0, 1) that depends on nothing but its arguments (splitmix64 finaliser).

    Strategies that meet the same venue at the same moment (ns) draw the same luck, so comparisons are paired; and as
    rows are not counted, no row before or beside an order changes its luck.
    """
    state = (
        np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
        + np.uint64(moment) * np.uint64(0xD1342543DE82EF95)
        + np.uint64(venue + 1) * np.uint64(0xAF251AF3B0F025B5)
    )
    for _ in range(2):
        state ^= state >> np.uint64(30)
        state *= np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(27)
        state *= np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return float(state >> np.uint64(11)) * 2.0**-53


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


@kernel
def worse(price: int, share: float, sign: int) -> int:
    """Return a price moved against the order by a share of itself, to the nearest 1e-9 dollars."""
    if price * (1.0 + share) >= MOST_MONEY:
        return MOST_MONEY  # `record_fill` refuses it
    return int(price + sign * int(np.rint(price * share)))


@kernel
def record_fill(
    market: Market, state: State, ts: int, row: int, venue: int, level: int, price: int, shares: int
) -> None:
    """Book one fill: shares, money, fees, and the line in the blotter while there is room.

    A fill that makes more money than can be counted is not booked but marked (`TOO_MUCH`).
    """
    totals = state.totals
    if (
        abs(totals[NOTIONAL] + float(price) * shares) >= MOST_MONEY
        or abs(totals[FEES] + float(market.fee[venue]) * shares) >= MOST_MONEY
    ):
        totals[TOO_MUCH] = 1
        return
    totals[FILLED] += shares
    totals[NOTIONAL] += price * shares
    totals[FEES] += market.fee[venue] * shares
    state.taken[venue, level] += shares
    state.touched[venue] = 1
    line = totals[FILLS]
    totals[FILLS] += 1
    if line < len(state.fills):
        fill = state.fills[line]
        fill[FILL_TS] = ts
        fill[FILL_ROW] = row
        fill[FILL_VENUE] = venue
        fill[FILL_LEVEL] = level
        fill[FILL_PRICE] = price
        fill[FILL_SHARES] = shares
        fill[FILL_FEES] = market.fee[venue] * shares


@kernel
def draw_luck(conditions: Conditions, moment: int, venue: int) -> tuple[float, float]:
    """Return the share of the size that is left for a child order, and how much worse its price is."""
    left, move = 1.0, conditions.slippage
    if conditions.adverse_probability > 0.0 and (
        uniform(conditions.seed, moment, venue) < conditions.adverse_probability
    ):
        left = conditions.adverse_left
        move += conditions.adverse_move
    return left, move


@kernel
def execute(
    market: Market,
    state: State,
    conditions: Conditions,
    venue: int,
    shares: int,
    limit: int,
    ts: int,
    heard: int,
    moment: int,
) -> int:
    """Fill a child order that arrives at `ts` against its venue's book, best level first; return the shares filled.

    A venue fills what it would offer to a decision at `ts`: nothing while it takes no part, and nothing once
    the session of the symbol's last row, at `heard`, is over. Levels beyond `limit` are left alone. Nothing rests: what
    does not fill is cancelled. `moment` is the time that its luck is drawn by: that of its decision.
    """
    row = state.row_of[venue]
    if row < 0 or begins_session(heard, ts):
        return 0
    if not takes_part(
        market.take_px[row, 0], market.take_sz[row, 0], market.far_px[row], ts - market.ts[row], market.max_age,
        market.sign,
    ):  # fmt: skip
        return 0
    left, move = draw_luck(conditions, moment, venue)
    filled = 0
    for level in range(market.take_px.shape[1]):
        displayed = market.take_sz[row, level]
        price = market.take_px[row, level]
        if displayed <= 0 or filled == shares or market.sign * price > market.sign * limit:
            break
        offered = int(int(displayed * conditions.queue_priority) * left) - state.taken[venue, level]
        got = min(offered, shares - filled)
        if got > 0:
            record_fill(market, state, ts, row, venue, level, worse(price, move, market.sign), got)
            filled += got
    return filled


@kernel
def deliver(market: Market, state: State, conditions: Conditions, heard: int, now: int) -> None:
    """Let the child orders that arrive before `now` meet the book, whose last row came at `heard`."""
    totals = state.totals
    while totals[FLIGHT_HEAD] < totals[FLIGHT_TAIL]:
        child = state.flight[totals[FLIGHT_HEAD] % len(state.flight)]
        if child[FLIGHT_ARRIVAL] >= now:
            break
        totals[FLIGHT_HEAD] += 1
        venue, shares = child[FLIGHT_VENUE], child[FLIGHT_SHARES]
        state.pending[venue] -= shares
        totals[IN_FLIGHT] -= shares
        totals[OPEN] += shares - execute(
            market, state, conditions, venue, shares, child[FLIGHT_LIMIT],
            child[FLIGHT_ARRIVAL], heard, child[FLIGHT_ARRIVAL] - conditions.latency,
        )  # fmt: skip


@kernel
def submit(
    market: Market, state: State, conditions: Conditions, row: int, shares: Int64, limit: Int64
) -> None:
    """Send the child orders decided at `row`: at once without latency, else onto their way.

    Shares beyond what is open are not sent (lower venue index first).
    """
    totals = state.totals
    now = market.ts[row]
    for venue in range(len(shares)):
        wanted = min(shares[venue], totals[OPEN])
        if wanted <= 0:
            continue
        if conditions.latency > 0 and totals[FLIGHT_TAIL] - totals[FLIGHT_HEAD] == len(state.flight):
            break
        totals[CHILD_ORDERS] += 1
        if conditions.latency == 0:
            totals[OPEN] -= execute(market, state, conditions, venue, wanted, limit[venue], now, now, now)
            continue
        child = state.flight[totals[FLIGHT_TAIL] % len(state.flight)]
        child[FLIGHT_ARRIVAL] = now + conditions.latency
        child[FLIGHT_VENUE] = venue
        child[FLIGHT_SHARES] = wanted
        child[FLIGHT_LIMIT] = limit[venue]
        totals[FLIGHT_TAIL] += 1
        totals[OPEN] -= wanted
        totals[IN_FLIGHT] += wanted
        state.pending[venue] += wanted


@kernel
def sweep(market: Market, state: State, conditions: Conditions, heard: int, end: int) -> None:
    """End of the order: late child orders are cancelled, what is open is bought through the whole book.

    If the session of the last row, at `heard`, is over by then, there is no book. The best price goes first, over all
    venues and levels. What exceeds the displayed depth stays open. A venue's adverse moves strike here too (drawn by
    the time of the row that it shows): waiting for the end is no way around them.
    """
    deliver(market, state, conditions, heard, end + 1)
    cancel_flights(state)
    if begins_session(heard, end):
        return
    totals = state.totals
    venues, levels = state.taken.shape
    price, size = np.empty((venues, levels), np.int64), np.empty((venues, levels), np.int64)
    view_quotes(
        market.take_px, market.take_sz, market.far_px, market.ts, state.row_of, state.taken, state.pending,
        conditions.queue_priority, end, market.max_age, market.sign, price, size,
    )  # fmt: skip
    move = np.zeros(venues)
    for venue in range(venues):
        row = state.row_of[venue]
        if row < 0:
            continue
        left, move[venue] = draw_luck(conditions, market.ts[row], venue)
        for level in range(levels):
            if size[venue, level] > 0:
                shown = int(int(market.take_sz[row, level] * conditions.queue_priority) * left)
                size[venue, level] = max(shown - state.taken[venue, level], 0)
    at = np.zeros(venues, np.int64)
    while totals[OPEN] > 0:
        best = -1
        for venue in range(venues):
            while at[venue] < levels and size[venue, at[venue]] == 0:
                at[venue] += 1
            if at[venue] < levels and (
                best < 0 or market.sign * price[venue, at[venue]] < market.sign * price[best, at[best]]
            ):
                best = venue
        if best < 0:
            break
        level = at[best]
        got = min(size[best, level], totals[OPEN])
        paid = worse(price[best, level], move[best], market.sign)
        record_fill(market, state, end, state.row_of[best], best, level, paid, got)
        size[best, level] -= got
        totals[OPEN] -= got
        totals[SWEPT] += got


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
