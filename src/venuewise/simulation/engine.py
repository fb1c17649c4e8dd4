"""Work a parent order through recorded market data and account for every share.

`run` is the whole of it: find the arrival price, let the strategy decide at each book update while shares are
open, fill what it sends, buy what is left at the end, check the books. Built-in strategies run compiled;
any other `Strategy` is called from Python on the same kernels, so both meet the same market.

Assumptions about fills, stated: orders take displayed liquidity only, best level first, and nothing rests;
taking shares does not move other people's quotes; shares taken are not offered again until the venue's
quote at that price changes (`Frictions.refill` has the stricter rule); what is open at the end is bought
at once through the whole book, and what exceeds its depth stays open. A child order meets a venue by the rule
that a decision sees it by (`venuewise.market.book.takes_part`), and no book outlives its session.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from venuewise.data.events import PRICE_SCALE, Int64
from venuewise.errors import AccountingError, ConfigError, NoQuotesError
from venuewise.market.book import Quotes, Side, view_quotes
from venuewise.simulation.fills import submit, sweep, worse
from venuewise.simulation.kernels import look, simulate
from venuewise.simulation.rows import find_arrival, last_rows
from venuewise.simulation.state import (
    CHILD_ORDERS,
    DECISIONS,
    FEES,
    FILL_COLUMNS,
    FILL_FEES,
    FILL_LEVEL,
    FILL_PRICE,
    FILL_ROW,
    FILL_SHARES,
    FILL_VENUE,
    FILLED,
    FILLS,
    IN_FLIGHT,
    MOST_MONEY,
    NOTIONAL,
    OPEN,
    SWEPT,
    TOO_MUCH,
    Conditions,
    Market,
    State,
    new_state,
    nothing_yet,
)
from venuewise.strategies import BuiltIn, ParentOrder, Strategy
from venuewise.strategies.kernels import room_for

MOST_SHARES = 10**9
"""Shares of a parent order at most: products with times and sizes then are int64."""
MOST_IN_FLIGHT = 65_536


@dataclass(frozen=True, slots=True)
class Task:
    """A parent order to be worked.

    Attributes
    ----------
    side : {"buy", "sell"}
    quantity : int
        Shares.
    start, end : int
        Nanoseconds UTC.
    first, last : int
        Rows worked: `first` is the row of arrival, `last` is exclusive.
    row_of : ndarray of int64, shape (venues,)
        Last row of each venue before `first`, of its session.
    arrival_price : float
        Mid at arrival in 1e-9 dollars; the best price to take in data that never show the other side.
    printed_before : int
        Shares of `Market.printed` that were printed before the start.
    """

    side: Side
    quantity: int
    start: int
    end: int
    first: int
    last: int
    row_of: Int64
    arrival_price: float
    printed_before: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a parent order. Money in 1e-9 dollars, exact.

    Attributes
    ----------
    strategy : str
    quantity, filled, open, swept : int
        Shares ordered, filled, left open, and filled by the purchase at the end (part of `filled`).
    notional, fees : int
        Sum of price times shares, sum of taker fees.
    arrival_price : float
    open_price : int
        What a share left open is valued at (1e-9 dollars; 0 where none is open): the worst price at which the whole
        order could have been bought at arrival, or any share at the end, fee and unlucky moves included. It is the
        same for all strategies, and none paid more for a share at the end: whoever has shares open then has
        bought all that was shown.
    child_orders, decisions : int
    fills : ndarray of int64, shape (n, 7)
        Blotter (columns in `venuewise.simulation.state`); empty where it was not asked for.
    """

    strategy: str
    side: Side
    quantity: int
    filled: int
    open: int
    swept: int
    notional: int
    fees: int
    arrival_price: float
    open_price: int
    child_orders: int
    decisions: int
    fills: Int64

    @property
    def cash(self) -> int:
        """Money paid for a buy (fees added) or received for a sell (fees taken off)."""
        return self.notional + self.fees if self.side == "buy" else self.notional - self.fees

    @property
    def cash_of_all(self) -> int:
        """Return `cash` with the shares left open at `open_price`: what the whole order comes to."""
        return self.cash + self.open * self.open_price

    @property
    def shortfall(self) -> float:
        """Money lost against the arrival price on the whole order, fees included (1e-9 dollars)."""
        gain = self.arrival_price * self.quantity - self.cash_of_all
        return -gain if self.side == "buy" else gain

    @property
    def cost_bps(self) -> float:
        """Implementation shortfall of the whole order in basis points of the arrival price."""
        return 1e4 * self.shortfall / (self.arrival_price * self.quantity)


def make_task(market: Market, side: Side, quantity: int, start: int, end: int) -> Task:
    """Find where a parent order starts and what it is measured against.

    Parameters
    ----------
    quantity : int
        Shares, at least 1.
    start, end : int
        Nanoseconds UTC; the order is worked at the rows from `start` up to and including `end`.

    Raises
    ------
    ConfigError
        If the order has no shares, or too many.
    NoQuotesError
        If there is nothing to trade with between start and end, or no mid to measure it against.
    """
    if not 1 <= quantity <= MOST_SHARES:
        raise ConfigError(
            f"order size: found {quantity} shares; expected 1 to {MOST_SHARES}, so that money stays exact"
        )
    first = int(np.searchsorted(market.ts, start, side="left"))
    last = int(np.searchsorted(market.ts, end, side="right"))
    printed_before = int(market.printed[first - 1]) if first else 0
    row_of = nothing_yet(len(market.fee))
    last_rows(market.ts, market.venue, market.clears, first, row_of)
    first, arrival_price = find_arrival(market, row_of, first, last)
    if first < 0:
        raise NoQuotesError(
            "order: found no moment with a usable quote and a mid between its start and end; expected one from "
            f"{np.datetime64(start, 'ns')} to {np.datetime64(end, 'ns')}"
        )
    return Task(side, quantity, start, end, first, last, row_of, arrival_price, printed_before)


def run(
    market: Market, task: Task, strategy: Strategy, conditions: Conditions, depth: int, record: bool = True
) -> Outcome:
    """Work one parent order with one strategy.

    Parameters
    ----------
    depth : int
        Levels of each venue that the strategy sees. The purchase at the end goes through all levels.
    record : bool
        Keep the blotter, and check it.

    Raises
    ------
    ConfigError
        If the order comes to more money than can be counted exactly.
    AccountingError
        If shares or money do not reconcile.
    """
    fills = 0
    if record:  # The length of the blotter is known once the order has run; runs repeat exactly.
        fills = int(_work(market, task, strategy, conditions, depth, 0).totals[FILLS])
    state = _work(market, task, strategy, conditions, depth, fills)
    totals = [int(value) for value in state.totals]
    if totals[TOO_MUCH]:
        raise ConfigError(
            f"order size: found {task.quantity} shares that come to more money than is counted; expected at most "
            f"{MOST_MONEY / PRICE_SCALE:.3g} dollars in all, so that money stays exact"
        )
    outcome = Outcome(
        strategy=strategy.name,
        side=task.side,
        quantity=task.quantity,
        filled=totals[FILLED],
        open=totals[OPEN],
        swept=totals[SWEPT],
        notional=totals[NOTIONAL],
        fees=totals[FEES],
        arrival_price=task.arrival_price,
        open_price=_open_price(market, task, conditions) if totals[OPEN] else 0,
        child_orders=totals[CHILD_ORDERS],
        decisions=totals[DECISIONS],
        fills=state.fills if record else np.empty((0, FILL_COLUMNS), np.int64),
    )
    reconcile(market, outcome, conditions, totals[IN_FLIGHT], record)
    return outcome


def reconcile(
    market: Market, outcome: Outcome, conditions: Conditions, in_flight: int = 0, record: bool = True
) -> None:
    """Check that shares and money add up, and that no quote was taken beyond what it showed.

    Raises
    ------
    AccountingError
        With what was found and what was expected.
    """

    def require(found: int, expected: int, what: str) -> None:
        if found != expected:
            raise AccountingError(f"{outcome.strategy}: {what}: found {found}, expected {expected}")

    require(outcome.filled + outcome.open + in_flight, outcome.quantity, "filled + open")
    require(in_flight, 0, "shares on their way after the end")
    if not record:
        return
    fills = outcome.fills
    shares, price, venue = fills[:, FILL_SHARES], fills[:, FILL_PRICE], fills[:, FILL_VENUE]
    require(int(shares.sum()), outcome.filled, "sum of fills in shares")
    require(sum(int(p) * int(s) for p, s in zip(price, shares, strict=True)), outcome.notional, "notional")
    require(int(fills[:, FILL_FEES].sum()), outcome.fees, "sum of fees")
    require(int((market.fee[venue] * shares).sum()), outcome.fees, "fees by venue")
    require(int(np.count_nonzero(shares <= 0)), 0, "fills without shares")
    # Lexicographic order groups the fills of one quote: a row, a level.
    place = fills[:, [FILL_ROW, FILL_LEVEL]]
    quotes, group = np.unique(place, axis=0, return_inverse=True)
    taken = np.bincount(group.ravel(), weights=shares, minlength=len(quotes))
    displayed = market.take_sz[quotes[:, 0], quotes[:, 1]]
    require(int(np.count_nonzero(taken > displayed)), 0, "quotes taken beyond their size")


def _open_price(market: Market, task: Task, conditions: Conditions) -> int:
    """Return what a share left open is valued at: see `Outcome.open_price`."""
    arrived, ended = task.row_of.copy(), nothing_yet(len(market.fee))
    arrived[market.venue[task.first]] = task.first
    last_rows(market.ts, market.venue, market.clears, task.last, ended)
    moments = ((arrived, int(market.ts[task.first]), task.quantity), (ended, task.end, None))
    # Queue priority may leave not a share of what is displayed; its price still is known.
    for priority in (conditions.queue_priority, 1.0):
        paid = [price for moment in moments for price in _prices(market, conditions, priority, *moment)]
        if paid:
            break
    return max(paid) if market.sign > 0 else min(paid)


def _prices(
    market: Market, conditions: Conditions, queue_priority: float, row_of: Int64, now: int, wanted: int | None
) -> list[int]:
    """Return what a share costs, fee and bad luck included, on the levels that `wanted` shares (None: all) reach."""
    venues, levels = len(market.fee), market.take_px.shape[1]
    price, size = np.empty((venues, levels), np.int64), np.empty((venues, levels), np.int64)
    view_quotes(
        market.take_px, market.take_sz, market.far_px, market.ts, row_of,
        np.zeros((venues, levels), np.int64), np.zeros(venues, np.int64),
        queue_priority, now, market.max_age, market.sign, price, size,
    )  # fmt: skip
    move = conditions.slippage + (conditions.adverse_move if conditions.adverse_probability > 0 else 0.0)
    paid = []
    for venue, level in sorted(np.argwhere(size > 0).tolist(), key=lambda at: market.sign * int(price[*at])):
        if wanted is not None and wanted <= 0:
            break
        paid.append(worse(int(price[venue, level]), move, market.sign) + market.sign * int(market.fee[venue]))
        wanted = None if wanted is None else wanted - int(size[venue, level])
    return paid


def _work(
    market: Market, task: Task, strategy: Strategy, conditions: Conditions, depth: int, fills: int
) -> State:
    in_flight = min(task.quantity, MOST_IN_FLIGHT) if conditions.latency else 0
    state = new_state(market, task.quantity, task.row_of, fills, in_flight)
    depth = min(depth, market.take_px.shape[1])
    if isinstance(strategy, BuiltIn):
        simulate(
            market, state, conditions, task.first, task.last, task.start, task.end, task.printed_before,
            strategy.kind, strategy.parameters, depth, room_for(market.fee, market.rebate, depth),
        )  # fmt: skip
    else:
        _work_in_python(market, state, task, strategy, conditions, depth)
    return state


def _work_in_python(
    market: Market, state: State, task: Task, strategy: Strategy, conditions: Conditions, depth: int
) -> None:
    venues = len(market.fee)
    shares, limit = np.empty(venues, np.int64), np.empty(venues, np.int64)
    for row in range(task.first, task.last):
        price, size = np.empty((venues, depth), np.int64), np.empty((venues, depth), np.int64)
        take, far = look(market, state, conditions, row, price, size)
        still_open = int(state.totals[OPEN])
        if still_open == 0:
            if state.totals[IN_FLIGHT] == 0:
                break
            continue
        now = int(market.ts[row])
        if row + 1 < task.last and market.ts[row + 1] == now:
            continue
        bid, ask = (far, take) if market.sign > 0 else (take, far)
        children = strategy.decide(
            Quotes(task.side, price, size, market.fee, market.rebate, bid, ask, market.one_sided),
            ParentOrder(
                task.side,
                task.quantity,
                still_open,
                task.start,
                task.end,
                task.arrival_price / PRICE_SCALE,
                int(market.printed[row]) - task.printed_before,
            ),
            now,
        )
        state.totals[DECISIONS] += 1
        if not children:
            continue
        shares[:] = 0
        for child in children:
            if not (0 <= child.venue < venues and child.shares >= 0) or shares[child.venue]:
                raise ConfigError(
                    f"strategy {strategy.name}: found child order {child}; expected a venue from 0 to "
                    f"{venues - 1}, at most once, and shares of 0 or more"
                )
            shares[child.venue], limit[child.venue] = child.shares, child.limit
        if shares.sum() > still_open:
            raise ConfigError(
                f"strategy {strategy.name}: found child orders of {shares.sum()} shares; expected at most "
                f"the {still_open} that are open"
            )
        submit(market, state, conditions, row, shares, limit)
    sweep(market, state, conditions, int(market.ts[task.last - 1]), task.end)
