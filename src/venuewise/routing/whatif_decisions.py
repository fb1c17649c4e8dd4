"""The what-if decision at every row of a batch: what an order would send right now, and what it would cost."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.allocation.optimum import allocate_kernel
from venuewise.allocation.pieces import scratch
from venuewise.allocation.split import split_cost
from venuewise.data.events import PRICE_SCALE, Int64
from venuewise.market.book import reference_price, view_quotes
from venuewise.routing.whatif_books import NEVER, UNHEARD, Pool, Rows, forget_if_over, hear
from venuewise.strategies.kernels import Float64, Room, decide, take_best

DECIDED: Final = 0
NO_QUOTE: Final = 1
WAITING: Final = 2
NO_MID: Final = 3
FAILED: Final = 4
MODEL: Final = -1
"""Kind of decision that solves the static model; other kinds are those of the built-in strategies."""


class Plan(NamedTuple):
    """What to decide, and how.

    Attributes
    ----------
    order_size : int
        Shares.
    kind : int
        `MODEL`, or the kind of a built-in strategy.
    problem : int
        Which of the model's problems is solved; see `venuewise.allocation.optimum`.
    penalties : ndarray of float64
        `lambda_over`, `lambda_under`, `theta_queue` in dollars a share.
    parameters : ndarray of float64
        Settings of the built-in strategy.
    depth : int
        Levels of each venue's book that may be taken.
    horizon, interval, max_age : int
        Nanoseconds: what the order has for its execution, from one decision to the next, and what venues may be
        silent.
    sign : int
        1 for a buy, -1 for a sell.
    """

    order_size: int
    kind: int
    problem: int
    penalties: Float64
    parameters: Float64
    depth: int
    horizon: int
    interval: int
    max_age: int
    sign: int


class Decisions(NamedTuple):
    """What was decided at each row (n), and by venue, the venues of a row one after the other.

    Attributes
    ----------
    status : ndarray of int64
        `DECIDED`, `NO_QUOTE`, `WAITING` or `NO_MID`; from `FAILED` on, what is wrong with a strategy of the user's own.
    begins : ndarray of bool
        Whether the row begins a session of its symbol.
    first, venues : ndarray of int64
        Where the venues of a row begin, and how many they are: those that have quoted the symbol in its session.
    cost, cash, mid, best_ask_cost : ndarray of float64
        Dollars; the last is what sending everything to the best price would cost.
    executed : ndarray of int64
        Shares that fill at once.
    venue : ndarray of int64
        By venue: its code.
    price, size : ndarray of int64
        By venue: best price, and shares shown over the levels looked at.
    shares : ndarray of int64
        By venue: shares sent to it.
    """

    status: Int64
    begins: npt.NDArray[np.bool_]
    first: Int64
    venues: Int64
    cost: Float64
    cash: Float64
    mid: Float64
    best_ask_cost: Float64
    executed: Int64
    venue: Int64
    price: Int64
    size: Int64
    shares: Int64


class View(NamedTuple):
    """What stands to be taken at one row: of all venues of the symbol, and of the k that show anything, in their order.

    Attributes
    ----------
    slot : ndarray of int64, shape (V,)
        Where the pool has the venue's quote, for those that were heard of.
    taken : ndarray of int64, shape (V, depth)
        Zeros: a what-if takes nothing from the book, and has nothing on its way.
    price, size : ndarray of int64, shape (V, depth)
    near : ndarray of int64
        Which venues show anything: the first k entries, as in all that follow.
    near_price, near_size, in_dollars, fee, rebate
        Their levels, and their fees in dollars.
    shares, limit : ndarray of int64
        What is sent to them.
    """

    slot: Int64
    taken: Int64
    price: Int64
    size: Int64
    near: Int64
    near_price: Int64
    near_size: Int64
    in_dollars: Float64
    fee: Float64
    rebate: Float64
    shares: Int64
    limit: Int64


@kernel
def new_view(venues: int, depth: int) -> View:
    """Return the arrays of a view, not filled."""
    return View(
        np.empty(venues, np.int64), np.zeros((venues, depth), np.int64),
        np.empty((venues, depth), np.int64), np.empty((venues, depth), np.int64), np.empty(venues, np.int64),
        np.empty((venues, depth), np.int64), np.empty((venues, depth), np.int64),
        np.empty((venues, depth), np.float64), np.empty(venues, np.float64), np.empty(venues, np.float64),
        np.empty(venues, np.int64), np.empty(venues, np.int64),
    )  # fmt: skip


@kernel
def look(
    pool: Pool, rows: Rows, row: int, plan: Plan, fee: Int64, rebate: Int64, view: View, into: Decisions
) -> tuple[int, int, int, float]:
    """Bring the book up to a row, view it, and note whether to decide there.

    Returns
    -------
    k, take, far : int
        How many venues show anything, 0 where nothing is to be decided; best price to take and of the other side.
    reference : float
        What costs are measured against, 1e-9 dollars; see `venuewise.market.book.reference_price`.
    """
    depth = view.price.shape[1]
    symbol, now, first = rows.symbol[row], rows.ts[row], into.first[row]
    into.begins[row] = forget_if_over(pool, symbol, now)
    hear(pool, rows, row)
    heard = 0
    for slot in range(pool.first[symbol], pool.first[symbol] + pool.venues[symbol]):
        if pool.ts[slot] != UNHEARD:
            view.slot[heard] = slot
            heard += 1
    into.venues[row] = heard
    take, far = view_quotes(
        pool.take_px, pool.take_sz, pool.far_px, pool.ts, view.slot[:heard], view.taken, view.taken[:, 0], 1.0, now,
        plan.max_age, plan.sign, view.price[:heard], view.size[:heard],
    )  # fmt: skip
    reference = reference_price(take, far, pool.far_seen[symbol] == 0)
    k = 0
    for venue in range(heard):
        code = pool.venue[view.slot[venue]]
        into.venue[first + venue] = code
        into.price[first + venue] = view.price[venue, 0]
        into.shares[first + venue] = 0
        total = 0
        for level in range(depth):
            total += view.size[venue, level]
        into.size[first + venue] = total
        if total > 0:
            view.near[k] = venue
            view.fee[k], view.rebate[k] = fee[code] / PRICE_SCALE, rebate[code] / PRICE_SCALE
            for level in range(depth):
                price, size = view.price[venue, level], view.size[venue, level]
                view.near_price[k, level], view.near_size[k, level] = price, size
                view.in_dollars[k, level] = price / PRICE_SCALE if size > 0 else np.nan
            k += 1
    decided_at = pool.decided_at[symbol]
    if plan.interval > 0 and decided_at != NEVER and now < decided_at + plan.interval:
        into.status[row] = WAITING
        return 0, take, far, reference
    if k == 0 or np.isnan(reference):
        into.status[row] = NO_QUOTE if k == 0 else NO_MID
        return 0, take, far, reference
    into.status[row] = DECIDED
    pool.decided_at[symbol] = now
    return k, take, far, reference


@kernel
def note_split(row: int, k: int, mid: float, plan: Plan, view: View, into: Decisions) -> None:
    """Note what was sent to the k venues of a view, and what it costs."""
    price, size, shares, sign = view.in_dollars[:k], view.near_size[:k], view.shares[:k], float(plan.sign)
    fee, rebate = view.fee[:k], view.rebate[:k]
    over, under = plan.penalties[0] + plan.penalties[2], plan.penalties[1] + plan.penalties[2]
    cost, cash, executed = split_cost(
        plan.order_size, price, size, fee, rebate, under, over, mid, sign, shares
    )
    into.cost[row], into.cash[row], into.executed[row], into.mid[row] = cost, cash, executed, mid
    for j in range(k):
        into.shares[into.first[row] + view.near[j]] = shares[j]
        shares[j] = 0
    take_best(view.near_price[:k], size, plan.sign, plan.order_size, shares, view.limit[:k])
    # The rest goes to the first venue at the best price, as the model's own surplus goes somewhere.
    shares[np.argmax(shares > 0)] += plan.order_size - shares.sum()
    into.best_ask_cost[row] = split_cost(
        plan.order_size, price, size, fee, rebate, under, over, mid, sign, shares
    )[0]


@kernel
def decide_rows(
    pool: Pool, rows: Rows, plan: Plan, fee: Int64, rebate: Int64, room: Room, into: Decisions
) -> None:
    """Bring the books up to each row, and decide there; see `look`."""
    view = new_view(len(room.fee), plan.depth)
    for row in range(len(rows.ts)):
        k, _, _, reference = look(pool, rows, row, plan, fee, rebate, view, into)
        if k == 0:
            continue
        now = rows.ts[row]
        mid = reference / PRICE_SCALE
        if plan.kind == MODEL:
            allocate_kernel(
                plan.order_size, view.in_dollars[:k], view.near_size[:k], view.fee[:k], view.rebate[:k],
                plan.penalties[0], plan.penalties[1], plan.penalties[2], mid, plan.problem,
                float(plan.sign), view.shares[:k], room.ints, room.floats,
            )  # fmt: skip
        else:
            near_room = Room(room.price[:k], view.fee[:k], view.rebate[:k], room.ints, room.floats)
            decide(
                plan.kind, plan.parameters, view.near_price[:k], view.near_size[:k], reference, plan.sign,
                plan.order_size, plan.order_size, now, now, now + plan.horizon, 0, view.shares[:k],
                view.limit[:k], near_room,
            )  # fmt: skip
        note_split(row, k, mid, plan, view, into)


def room_for(venues: int, depth: int) -> Room:
    """Return the arrays that the kernels work in, for books of up to this many venues and levels."""
    ints, floats = scratch(venues, depth)
    return Room(np.empty((venues, depth)), np.empty(venues), np.empty(venues), ints, floats)


def no_decisions(venues: Int64) -> Decisions:
    """Return room for the decisions of a batch, whose rows have up to so many venues."""
    n, ends = len(venues), np.cumsum(venues)
    total = int(ends[-1]) if n else 0
    by_venue = [np.empty(total, np.int64) for _ in range(4)]
    return Decisions(
        np.zeros(n, np.int64), np.zeros(n, np.bool_), ends - venues, np.zeros(n, np.int64), np.zeros(n), np.zeros(n),
        np.zeros(n), np.zeros(n), np.zeros(n, np.int64), *by_venue,
    )  # fmt: skip
