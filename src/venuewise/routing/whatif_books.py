"""Books of many symbols, fed batch by batch, and the what-if decision at every row.

A batch is processed as arrays: the last row of every venue from earlier batches stands before the new rows, so a
venue's book is a row number (`row_of`, symbol x venue) and nothing is copied level by level. Venues are in order of
their publisher ids, whatever the order they were first heard of: a router that starts anew from saved rows
decides as one that never stopped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np

from venuewise._jit import kernel
from venuewise.allocation.optimum import allocate_kernel
from venuewise.allocation.pieces import scratch
from venuewise.allocation.split import split_cost
from venuewise.data.events import (
    ACTION_CLEAR,
    PRICE_SCALE,
    ROW_COLUMNS,
    UNDEFINED_PRICE,
    Events,
    Int64,
    UInt8,
)
from venuewise.market.book import NO_ROW, reference_price, view_quotes
from venuewise.strategies.kernels import Float64, Room, decide, take_best

DECIDED: Final = 0
NO_QUOTE: Final = 1
WAITING: Final = 2
NO_MID: Final = 3
FAILED: Final = 4
MODEL: Final = -1
"""Kind of decision that solves the static model; other kinds are those of the built-in strategies."""


class Rows(NamedTuple):
    """The rows of earlier batches' books and of this batch, as one side sees them."""

    ts: Int64
    symbol: Int64
    venue: Int64
    take_px: Int64
    take_sz: Int64
    far_px: Int64


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
    """What was decided at each row (n), by venue (n x V) where it says so.

    Attributes
    ----------
    status : ndarray of int64
        `DECIDED`, `NO_QUOTE`, `WAITING` or `NO_MID`; from `FAILED` on, what is wrong with a strategy of the user's own.
    known : ndarray of uint8, shape (n, V)
        1 where the venue has ever quoted the symbol.
    price, size : ndarray of int64, shape (n, V)
        Best price, and shares shown over the levels looked at.
    shares : ndarray of int64, shape (n, V)
        Shares sent to the venue.
    cost, cash, mid, best_ask_cost : ndarray of float64
        Dollars; the last is what sending everything to the best price would cost.
    executed : ndarray of int64
        Shares that fill at once.
    """

    status: Int64
    known: UInt8
    price: Int64
    size: Int64
    shares: Int64
    cost: Float64
    cash: Float64
    mid: Float64
    best_ask_cost: Float64
    executed: Int64


class View(NamedTuple):
    """What stands to be taken at one row: of all venues (V), and of the k that show anything, in their order.

    Attributes
    ----------
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
        np.zeros((venues, depth), np.int64),
        np.empty((venues, depth), np.int64), np.empty((venues, depth), np.int64), np.empty(venues, np.int64),
        np.empty((venues, depth), np.int64), np.empty((venues, depth), np.int64),
        np.empty((venues, depth), np.float64), np.empty(venues, np.float64), np.empty(venues, np.float64),
        np.empty(venues, np.int64), np.empty(venues, np.int64),
    )  # fmt: skip


@kernel
def look(
    rows: Rows, row_of: Int64, decided_at: Int64, far_seen: UInt8, row: int, first: int, plan: Plan, fee: Int64,
    rebate: Int64, view: View, into: Decisions,
) -> tuple[int, int, int, float]:  # fmt: skip
    """Bring the book up to a row, view it, and note whether to decide there.

    `row_of` (symbol x venue), `decided_at` (symbol, ns of the last decision) and `far_seen` (symbol, whether the side
    opposite to the one to take was ever shown) are brought up to date.

    Returns
    -------
    k, take, far : int
        How many venues show anything, 0 where nothing is to be decided; best price to take and of the other side.
    reference : float
        What costs are measured against, 1e-9 dollars; see `venuewise.market.book.reference_price`.
    """
    venues, depth = view.price.shape
    at, symbol, now = row - first, rows.symbol[row], rows.ts[row]
    row_of[symbol, rows.venue[row]] = row
    book = row_of[symbol]
    far_seen[symbol] |= rows.far_px[row] != UNDEFINED_PRICE
    take, far = view_quotes(
        rows.take_px, rows.take_sz, rows.far_px, rows.ts, book, view.taken, view.taken[:, 0], 1.0, now,
        plan.max_age, plan.sign, view.price, view.size,
    )  # fmt: skip
    reference = reference_price(take, far, not far_seen[symbol])
    k = 0
    for venue in range(venues):
        into.known[at, venue] = book[venue] != NO_ROW
        into.price[at, venue] = view.price[venue, 0]
        total = 0
        for level in range(depth):
            total += view.size[venue, level]
        into.size[at, venue] = total
        if total > 0:
            view.near[k] = venue
            view.fee[k], view.rebate[k] = fee[venue] / PRICE_SCALE, rebate[venue] / PRICE_SCALE
            for level in range(depth):
                price, size = view.price[venue, level], view.size[venue, level]
                view.near_price[k, level], view.near_size[k, level] = price, size
                view.in_dollars[k, level] = price / PRICE_SCALE if size > 0 else np.nan
            k += 1
    if plan.interval > 0 and decided_at[symbol] >= 0 and now < decided_at[symbol] + plan.interval:
        into.status[at] = WAITING
        return 0, take, far, reference
    if k == 0 or np.isnan(reference):
        into.status[at] = NO_QUOTE if k == 0 else NO_MID
        return 0, take, far, reference
    into.status[at] = DECIDED
    decided_at[symbol] = now
    return k, take, far, reference


@kernel
def note_split(at: int, k: int, mid: float, plan: Plan, view: View, into: Decisions) -> None:
    """Note what was sent to the k venues of a view, and what it costs."""
    price, size, shares, sign = view.in_dollars[:k], view.near_size[:k], view.shares[:k], float(plan.sign)
    fee, rebate = view.fee[:k], view.rebate[:k]
    over, under = plan.penalties[0] + plan.penalties[2], plan.penalties[1] + plan.penalties[2]
    cost, cash, executed = split_cost(
        plan.order_size, price, size, fee, rebate, under, over, mid, sign, shares
    )
    into.cost[at], into.cash[at], into.executed[at], into.mid[at] = cost, cash, executed, mid
    for j in range(k):
        into.shares[at, view.near[j]] = shares[j]
        shares[j] = 0
    take_best(view.near_price[:k], size, plan.sign, plan.order_size, shares, view.limit[:k])
    # The rest goes to the first venue at the best price, as the model's own surplus goes somewhere.
    shares[np.argmax(shares > 0)] += plan.order_size - shares.sum()
    into.best_ask_cost[at] = split_cost(
        plan.order_size, price, size, fee, rebate, under, over, mid, sign, shares
    )[0]


@kernel
def decide_rows(
    rows: Rows, row_of: Int64, decided_at: Int64, far_seen: UInt8, first: int, plan: Plan, fee: Int64, rebate: Int64,
    room: Room, into: Decisions,
) -> None:  # fmt: skip
    """Bring the books up to each row from `first` on, and decide there; see `look`."""
    view = new_view(row_of.shape[1], plan.depth)
    for row in range(first, len(rows.ts)):
        k, _, _, reference = look(
            rows, row_of, decided_at, far_seen, row, first, plan, fee, rebate, view, into
        )
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
        note_split(row - first, k, mid, plan, view, into)


class Books:
    """The last row of every venue for every symbol.

    Parameters
    ----------
    levels : int
        Levels held.
    """

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.publishers: tuple[int, ...] = ()
        self.symbols: list[str] = []
        self.rows: Events | None = None
        self.row_of = np.empty((0, 0), np.int64)
        self.decided_at = np.empty(0, np.int64)
        self.far_seen = np.empty(0, np.uint8)

    def join(self, batch: Events) -> tuple[Events, int]:
        """Put the known rows before a batch, in this object's codes; return both, and where the batch begins.

        Rows that clear a book come out empty, whatever they show.
        """
        seen = sorted(
            {*self.publishers, *(batch.publishers[code] for code in np.unique(batch.venue).tolist())}
        )
        for code in np.unique(batch.symbol).tolist():
            if batch.symbols[code] not in self.symbols:
                self.symbols.append(batch.symbols[code])
        self._grow(tuple(seen))
        place = {publisher: code for code, publisher in enumerate(self.publishers)}
        venue_code = np.array([place.get(p, 0) for p in batch.publishers], np.int16)
        symbol_place = {symbol: code for code, symbol in enumerate(self.symbols)}
        symbol_code = np.array([symbol_place.get(s, 0) for s in batch.symbols], np.int32)
        clears = (batch.action == ACTION_CLEAR)[:, None]
        batch = replace(
            batch,
            venue=venue_code[batch.venue],
            symbol=symbol_code[batch.symbol],
            bid_px=np.where(clears, UNDEFINED_PRICE, batch.bid_px),
            ask_px=np.where(clears, UNDEFINED_PRICE, batch.ask_px),
            bid_sz=np.where(clears, 0, batch.bid_sz),
            ask_sz=np.where(clears, 0, batch.ask_sz),
            publishers=self.publishers,
            symbols=tuple(self.symbols),
        )
        if self.rows is None:
            return batch, 0
        known = self.rows
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(known, name), getattr(batch, name)])
            for name in ROW_COLUMNS
            if name not in ("bid_ct", "ask_ct")
        }
        empty = np.empty((len(known) + len(batch), 0), np.int64)
        return replace(batch, **joined, bid_ct=empty, ask_ct=empty), len(known)

    def keep(self, joined: Events, first: int) -> Events:
        """Keep the rows that `row_of` points at; return those of them that came with the batch."""
        here = self.row_of[self.row_of != NO_ROW]
        order = np.sort(here)
        position = np.full(len(joined), NO_ROW, np.int64)
        position[order] = np.arange(len(order))
        self.row_of = np.where(self.row_of == NO_ROW, NO_ROW, position[self.row_of])
        self.rows = joined.take(order)
        return joined.take(order[order >= first])

    def _grow(self, publishers: tuple[int, ...]) -> None:
        symbols = len(self.symbols)
        if publishers == self.publishers and symbols == len(self.decided_at):
            return
        places = [publishers.index(p) for p in self.publishers]
        row_of = np.full((symbols, len(publishers)), NO_ROW, np.int64)
        row_of[: len(self.row_of), places] = self.row_of
        if self.rows is not None:
            code = np.array(places, np.int16)
            self.rows = replace(self.rows, venue=code[self.rows.venue], publishers=publishers)
        decided_at = np.full(symbols, -1, np.int64)
        decided_at[: len(self.decided_at)] = self.decided_at
        self.far_seen = np.pad(self.far_seen, (0, symbols - len(self.far_seen)))
        self.publishers, self.row_of, self.decided_at = publishers, row_of, decided_at


def room_for(venues: int, depth: int) -> Room:
    """Return the arrays that the kernels work in."""
    ints, floats = scratch(venues, depth)
    return Room(np.empty((venues, depth)), np.empty(venues), np.empty(venues), ints, floats)


def no_decisions(rows: int, venues: int) -> Decisions:
    """Return room for the decisions of a batch."""

    def by_venue() -> Int64:
        return np.zeros((rows, venues), np.int64)

    return Decisions(
        np.zeros(rows, np.int64), np.zeros((rows, venues), np.uint8), by_venue(), by_venue(), by_venue(),
        np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros(rows, np.int64),
    )  # fmt: skip
