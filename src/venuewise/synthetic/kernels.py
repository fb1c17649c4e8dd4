"""The event loop of the synthetic market (docs/synthetic.md states the model).

One efficient price per symbol moves by small jumps; every venue sees it after its own delay and keeps its own
book. Competing Poisson events add, cancel and trade; a venue whose view of the efficient price passes its
quotes has them cancelled or hit, then requotes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.data.events import ACTION_CANCEL, ACTION_TRADE, NS_PER_SECOND, Int16, Int32, Int64, UInt8
from venuewise.synthetic.books import (
    ASK,
    BID,
    CLOCK,
    LEVELS,
    ORDERS,
    ROWS_WRITTEN,
    SHARES,
    Books,
    Rows,
    add,
    advance,
    cancel,
    refresh,
    take,
)
from venuewise.synthetic.random import UInt64, below, exponential, normal, order_size, uniform

Float64 = npt.NDArray[np.float64]

STALE_TOLERANCE = 0.5  # ticks a quote may fall behind the distance at which it would be placed
HIT_SHARE = 0.1  # stale levels that are traded against, the rest are cancelled
REJOIN_SHARE = 0.7  # reactions that quote the new price at once
IMPROVE_SHARE = 0.5  # adds that go inside when the spread is wider than it need be
JOIN_BEST_SHARE = 0.25  # other adds and cancels: at the best
FAR_SHARE = 0.15  # spread evenly over the ticks below, the rest geometric
FAR_TICKS = 30
GEOMETRIC_STAY = 0.75
DEPTH_GROWTH = 0.12  # queue target grows by this share a tick, over the first ten
SWEEP_LEVELS = 3
OPENING_TICKS = 64  # filled on each side at the start
BIG_MOVE_SHARE, BIG_MOVE = 0.02, 5.0  # share of jumps that are larger, and by how much


class News(NamedTuple):
    """The efficient price: ns after the start and ticks above `Quoting.base` after each jump, `first` before them."""

    time: Int64
    price: Float64
    first: float


class Venues(NamedTuple):
    """By venue: cumulative share of the draws, mean shares queued at the best, mean delay to the news (ns)."""

    shares: Float64
    queues: Float64
    delays_ns: Float64


class Flow(NamedTuple):
    """Draws of add, cancel or trade a second, and trades for each add drawn.

    Two cancels are drawn for each add and about half of them happen.
    """

    draw_rate: float
    trade_weight: float


class Quoting(NamedTuple):
    """How makers quote, and on which grid.

    Ticks between efficient price and quotes; share of odd lots; longest gap in a burst (ns); tick number of index 0;
    tick in 1e-9 dollars.
    """

    half_spread: float
    odd_lots: float
    gap_ns: float
    base: int
    tick: int


@kernel
def efficient_price(
    random: UInt64,
    times: Int64,
    prices: Float64,
    first: float,
    low: float,
    high: float,
    step: float,
    rate: float,
) -> None:
    """Fill jump times (ns after the start) and the price in ticks after each; reflect at the bounds."""
    now = 0.0
    price = first
    for i in range(len(times)):
        now += exponential(random) / rate * NS_PER_SECOND
        move = step * normal(random)
        if uniform(random) < BIG_MOVE_SHARE:
            move *= BIG_MOVE
        price += move
        if price < low:
            price = min(2.0 * low - price, high)
        elif price > high:
            price = max(2.0 * high - price, low)
        times[i] = int(now)
        prices[i] = price


@kernel
def _nearest(view: float, half_spread: float, side: int) -> int:
    """Return the tick nearest to the efficient price at which makers quote."""
    if side == BID:
        return math.floor(view - half_spread)
    return math.ceil(view + half_spread)


@kernel
def _quote_inside(
    rows: Rows, books: Books, state: Int64, v: int, side: int, target: int, size: int, base: int, tick: int
) -> bool:
    """Add at the target where the best is further away, short of the venue's own other side. Tell whether."""
    best = books.best[v, side]
    other = books.best[v, 1 - side]
    if other >= 0:
        target = min(target, other - 1) if side == BID else max(target, other + 1)
    if best >= 0 and (best >= target if side == BID else best <= target):
        return False
    add(rows, books, state, v, side, target, size, base, tick)
    return True


@kernel
def _react(
    random: UInt64, rows: Rows, books: Books, state: Int64, v: int, view: float, quoting: Quoting
) -> None:
    """Bring a venue's quotes in line with a new view of the efficient price."""
    half_spread, odd_lots, gap_ns, base, tick = quoting
    for side in range(2):
        limit = view + half_spread - STALE_TOLERANCE if side == ASK else view - half_spread + STALE_TOLERANCE
        while True:
            best = books.best[v, side]
            if best < 0 or (best >= limit if side == ASK else best <= limit):
                break
            advance(state, state[CLOCK] + int(gap_ns * uniform(random)))
            if uniform(random) < HIT_SHARE:
                take(rows, books, state, v, side, books.ticks[SHARES, v, side, best], base, tick)
            else:
                cancel(rows, books, state, v, side, best, order_size(random, odd_lots), base, tick)
    for side in range(2):
        if uniform(random) < REJOIN_SHARE:
            size = order_size(random, odd_lots)
            advance(state, state[CLOCK] + int(gap_ns * uniform(random)))
            _quote_inside(rows, books, state, v, side, _nearest(view, half_spread, side), size, base, tick)


@kernel
def _distance(random: UInt64) -> int:
    """Draw the ticks from the best at which an order is added or cancelled."""
    u = uniform(random)
    if u < JOIN_BEST_SHARE:
        return 0
    if u < JOIN_BEST_SHARE + FAR_SHARE:
        return below(random, FAR_TICKS)
    distance = 1
    while distance < FAR_TICKS and uniform(random) < GEOMETRIC_STAY:
        distance += 1
    return distance


@kernel
def queue_target(mean_queue: float, distance: int) -> float:
    """Return the shares around which the queue settles at a distance from the best."""
    return mean_queue * (1.0 + DEPTH_GROWTH * min(distance, LEVELS))


@kernel
def _best_venue(books: Books, v: int, side: int) -> int:
    """Return the venue, `v` first, that shows the best price of all; -1 where no venue quotes the side."""
    venues = books.best.shape[0]
    chosen = -1
    for i in range(venues):
        candidate = (v + i) % venues
        price = books.best[candidate, side]
        if price < 0:
            continue
        if chosen < 0 or (
            price > books.best[chosen, side] if side == BID else price < books.best[chosen, side]
        ):
            chosen = candidate
    return chosen


@kernel
def _open_books(random: UInt64, books: Books, view: float, queues: Float64, quoting: Quoting) -> None:
    """Fill every venue's ticks around the first efficient price."""
    half_spread, odd_lots, _, base, tick = quoting
    for v in range(len(queues)):
        for side in range(2):
            nearest = _nearest(view, half_spread, side)
            if side == ASK:  # a price on the grid with no half spread would lock the book
                nearest = max(nearest, books.best[v, BID] + 1)
            for distance in range(OPENING_TICKS):
                at = nearest - distance if side == BID else nearest + distance
                if distance > 0 and (at < 0 or at >= books.ticks.shape[3] or uniform(random) < 0.1):
                    continue
                wanted = queue_target(queues[v], distance) * (0.25 + uniform(random))
                while books.ticks[SHARES, v, side, at] < wanted:
                    books.ticks[SHARES, v, side, at] += order_size(random, odd_lots)
                    books.ticks[ORDERS, v, side, at] += 1
            books.best[v, side] = nearest
            refresh(books, v, side, base, tick)


@kernel
def simulate(
    random: UInt64,
    rows: Rows,
    books: Books,
    news: News,
    by_venue: Venues,
    flow: Flow,
    quoting: Quoting,
    start_ns: int,
    end_ns: int,
) -> int:
    """Run the market of one symbol.

    Parameters
    ----------
    random : ndarray of uint64, shape (4,)
        State of the generator.
    rows, books : Rows, Books
        Written; `books` starts out empty.
    news, by_venue, flow, quoting : News, Venues, Flow, Quoting
    start_ns, end_ns : int
        Span of the rows.

    Returns
    -------
    int
        Rows of the whole run; where it exceeds the columns' length, the rest was not written.
    """
    news_time, news_price, first = news
    shares, queues, delays_ns = by_venue
    draw_rate, trade_weight = flow
    half_spread, odd_lots, _, base, tick = quoting
    venues = len(shares)
    state = np.zeros(2, np.int64)
    state[CLOCK] = start_ns
    views = np.full(venues, first)
    seen = np.zeros(venues, np.int64)  # next news of each venue
    due = np.empty(venues, np.int64)  # and when it gets there
    for v in range(venues):
        due[v] = start_ns + news_time[0] + int(delays_ns[v] * (0.5 + uniform(random)))
    _open_books(random, books, first, queues, quoting)
    next_draw = exponential(random) / draw_rate * NS_PER_SECOND
    total = trade_weight + 3.0
    while True:
        reacting = int(np.argmin(due))
        draw_time = start_ns + int(next_draw)
        if min(due[reacting], draw_time) >= end_ns or state[CLOCK] >= end_ns - 1:
            return int(state[ROWS_WRITTEN])
        if due[reacting] <= draw_time:
            v = reacting
            advance(state, due[v])
            views[v] = news_price[seen[v]]
            seen[v] += 1
            if seen[v] < len(news_time):
                arrival = start_ns + news_time[seen[v]] + int(delays_ns[v] * (0.5 + uniform(random)))
                due[v] = max(due[v], arrival)
            else:
                due[v] = end_ns
            _react(random, rows, books, state, v, views[v], quoting)
            continue
        next_draw += exponential(random) / draw_rate * NS_PER_SECOND
        u = uniform(random)
        v = 0
        while v < venues - 1 and u >= shares[v]:
            v += 1
        side = below(random, 2)
        kind = uniform(random) * total
        size = order_size(random, odd_lots)
        advance(state, draw_time)
        if kind < trade_weight:
            v = _best_venue(books, v, side)
            if v >= 0:
                for _ in range(SWEEP_LEVELS):
                    size -= take(rows, books, state, v, side, size, base, tick)
                    if size == 0 or books.best[v, side] < 0:
                        break
        elif kind < trade_weight + 1.0:
            nearest = _nearest(views[v], half_spread, side)
            improving = uniform(random) < IMPROVE_SHARE or books.best[v, side] < 0
            if improving and _quote_inside(rows, books, state, v, side, nearest, size, base, tick):
                continue
            distance = _distance(random)
            at = books.best[v, side] + (-distance if side == BID else distance)
            add(rows, books, state, v, side, at, size, base, tick)
        elif books.best[v, side] >= 0:
            distance = _distance(random)
            at = books.best[v, side] + (-distance if side == BID else distance)
            shown = books.ticks[SHARES, v, side, at] if 0 <= at < books.ticks.shape[3] else 0
            # cancels come at a rate in proportion to what is queued, up to twice the target
            if uniform(random) * 2.0 * queue_target(queues[v], distance) < shown:
                cancel(rows, books, state, v, side, at, size, base, tick)


@kernel
def stamp(
    random: UInt64, ts_recv: Int64, venue: Int16, symbol: Int32, action: UInt8, feed_delay_ns: Float64,
    ts_event: Int64, sequence: Int64,
) -> None:  # fmt: skip
    """Give received rows their event times and each venue's sequence numbers.

    Rows of one event (same venue, symbol and time of receipt) share the event time; a trade and the cancel
    that completes it share the sequence number. Both never go backwards within a venue.
    """
    venues = len(feed_delay_ns)
    last_recv = np.full(venues, -1, np.int64)
    last_event = np.full(venues, -1, np.int64)
    last_symbol = np.full(venues, -1, np.int64)
    last_action = np.zeros(venues, np.int64)
    last_sequence = np.zeros(venues, np.int64)
    for i in range(len(ts_recv)):
        v = venue[i]
        same_event = ts_recv[i] == last_recv[v] and symbol[i] == last_symbol[v]
        if not same_event:
            delay = feed_delay_ns[v] + 700.0 * exponential(random)
            last_event[v] = max(last_event[v] + 1, ts_recv[i] - int(delay))
        if not (same_event and action[i] == ACTION_CANCEL and last_action[v] == ACTION_TRADE):
            last_sequence[v] += 1
        ts_event[i] = last_event[v]
        sequence[i] = last_sequence[v]
        last_recv[v] = ts_recv[i]
        last_symbol[v] = symbol[i]
        last_action[v] = action[i]
