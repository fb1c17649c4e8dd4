"""How one child order fills, compiled: on its way, at the venue, and in the purchase at the end of its parent.

A child order arrives after its latency and meets the book of that moment, under the frictions and the luck of that
moment. Every fill is booked in one place, to the share and to 1e-9 dollars.
"""

from __future__ import annotations

import numpy as np

from venuewise._jit import kernel
from venuewise.data.events import Int64
from venuewise.data.sessions import begins_session
from venuewise.market.book import takes_part, view_quotes
from venuewise.simulation.rows import (
    cancel_flights,
)
from venuewise.simulation.state import (
    CHILD_ORDERS,
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
