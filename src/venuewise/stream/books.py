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
from venuewise.model.allocation_kernels import allocate_kernel, scratch, split_cost
from venuewise.strategies.kernels import Float64, Room, decide, take_best

DOLLARS: Final = 1.0 / PRICE_SCALE
DECIDED: Final = 0
NO_QUOTE: Final = 1
WAITING: Final = 2
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
    """What to decide, and how."""

    order_size: int
    kind: int
    problem: int
    parameters: Float64
    depth: int
    interval: int
    max_age: int
    sign: int


class Decisions(NamedTuple):
    """What was decided at each row (n), by venue (n x V) where it says so.

    Attributes
    ----------
    status : ndarray of uint8
        `DECIDED`, `NO_QUOTE` or `WAITING`.
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

    status: UInt8
    known: UInt8
    price: Int64
    size: Int64
    shares: Int64
    cost: Float64
    cash: Float64
    mid: Float64
    best_ask_cost: Float64
    executed: Int64


@kernel
def decide_rows(
    rows: Rows, row_of: Int64, decided_at: Int64, first: int, plan: Plan, fee: Int64, rebate: Int64,
    room: Room, into: Decisions,
) -> None:  # fmt: skip
    """Bring the books up to each row from `first` on, and decide there.

    `row_of` (symbol x venue) and `decided_at` (symbol, ns of the last decision) are brought up to date.
    """
    venues = row_of.shape[1]
    depth = plan.depth
    ts, symbol_of, venue_of = rows.ts, rows.symbol, rows.venue
    take_px, take_sz, far_px = rows.take_px, rows.take_sz, rows.far_px
    nothing = np.zeros((venues, depth), np.int64)
    price, size = np.empty((venues, depth), np.int64), np.empty((venues, depth), np.int64)
    near_price, near_size = np.empty((venues, depth), np.int64), np.empty((venues, depth), np.int64)
    in_dollars = np.empty((venues, depth), np.float64)
    near = np.empty(venues, np.int64)
    near_fee, near_rebate = np.empty(venues, np.float64), np.empty(venues, np.float64)
    shares, limit = np.empty(venues, np.int64), np.empty(venues, np.int64)
    for row in range(first, len(ts)):
        at = row - first
        symbol, now = symbol_of[row], ts[row]
        row_of[symbol, venue_of[row]] = row
        book = row_of[symbol]
        take, far = view_quotes(
            take_px, take_sz, far_px, ts, book, nothing, nothing[:, 0], 1.0, now, plan.max_age, plan.sign,
            price, size,
        )  # fmt: skip
        k = 0
        for venue in range(venues):
            into.known[at, venue] = book[venue] != NO_ROW
            into.price[at, venue] = price[venue, 0]
            total = 0
            for level in range(depth):
                total += size[venue, level]
            into.size[at, venue] = total
            if total > 0:
                near[k] = venue
                near_fee[k], near_rebate[k] = fee[venue] * DOLLARS, rebate[venue] * DOLLARS
                for level in range(depth):
                    near_price[k, level], near_size[k, level] = price[venue, level], size[venue, level]
                    in_dollars[k, level] = price[venue, level] * DOLLARS if size[venue, level] > 0 else np.nan
                k += 1
        if plan.interval > 0 and decided_at[symbol] >= 0 and now < decided_at[symbol] + plan.interval:
            into.status[at] = WAITING
            continue
        if k == 0:
            into.status[at] = NO_QUOTE
            continue
        into.status[at] = DECIDED
        decided_at[symbol] = now
        reference = reference_price(take, far)
        mid = reference / PRICE_SCALE
        over, under, theta = plan.parameters[0], plan.parameters[1], plan.parameters[2]
        if plan.kind == MODEL:
            allocate_kernel(
                plan.order_size, in_dollars[:k], near_size[:k], near_fee[:k], near_rebate[:k], over, under,
                theta, mid, plan.problem, float(plan.sign), shares[:k], room.ints, room.floats,
            )  # fmt: skip
        else:
            near_room = Room(room.price[:k], near_fee[:k], near_rebate[:k], room.ints, room.floats)
            decide(
                plan.kind, plan.parameters, near_price[:k], near_size[:k], reference, plan.sign,
                plan.order_size, plan.order_size, now, now, now, shares[:k], limit[:k], near_room,
            )  # fmt: skip
        cost, cash, executed = split_cost(
            plan.order_size, in_dollars[:k], near_size[:k], near_fee[:k], near_rebate[:k], under + theta,
            over + theta, mid, float(plan.sign), shares[:k],
        )  # fmt: skip
        into.cost[at], into.cash[at], into.executed[at], into.mid[at] = cost, cash, executed, mid
        shares_best = shares[:k]
        for j in range(k):
            into.shares[at, near[j]] = shares[j]
            shares_best[j] = 0
        take_best(near_price[:k], near_size[:k], plan.sign, plan.order_size, shares_best, limit[:k])
        # The rest goes to the first venue at the best price, as the model's own surplus goes somewhere.
        shares_best[np.argmax(shares_best > 0)] += plan.order_size - shares_best.sum()
        into.best_ask_cost[at] = split_cost(
            plan.order_size, in_dollars[:k], near_size[:k], near_fee[:k], near_rebate[:k], under + theta,
            over + theta, mid, float(plan.sign), shares_best,
        )[0]  # fmt: skip


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
        np.zeros(rows, np.uint8), np.zeros((rows, venues), np.uint8), by_venue(), by_venue(), by_venue(),
        np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros(rows, np.int64),
    )  # fmt: skip
