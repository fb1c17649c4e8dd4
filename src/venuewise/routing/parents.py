"""The router of parent orders: requests and fills in, child orders and reports out, one message a market row.

An order decides at every complete update of its symbol between its start and its end, with the same strategy object as
in a backtest; shares in flight count as spent. At its end it waits for what is in flight, then sweeps the book or
expires. After every batch, filled + in flight + open = ordered, order by order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np

from venuewise.data.events import ACTION_CLEAR, NS_PER_SECOND, Events
from venuewise.data.reader import iso
from venuewise.data.sessions import begins_session
from venuewise.errors import ConfigError
from venuewise.kafka.processing import DeadLetter, Incoming, Processed
from venuewise.market.venues import VenueTable
from venuewise.messages import orders as messages
from venuewise.messages.market import MAX_LEVELS, SYNTHETIC_HEADER, Decoder
from venuewise.messages.orders import (
    MAX_QUANTITY,
    Cancel,
    ChildOrder,
    NewOrder,
    Replace,
    dollars,
    nano,
)
from venuewise.routing.child_choice import ask_for_order, choose_sweep
from venuewise.routing.desk import (
    ChildLine,
    Desk,
    OrderLine,
    OrdersDecision,
    OrdersRefusal,
)
from venuewise.routing.ladder import quote_of
from venuewise.routing.order_ledger import KINDS, Ledger
from venuewise.routing.parent_state import (
    Child,
    Working,
    accept,
    rejection,
)
from venuewise.routing.strategy_names import StrategyBook
from venuewise.simulation.state import (
    NS_PER_MS,
    Frictions,
)
from venuewise.strategies import Static, Twap, VwapSchedule

MOST_IN_FLIGHT: Final = 10_000
"""Child orders of one parent on their way at once; beyond them it waits for fills."""
END_OF_TIME: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class ParentsSettings:
    """How a router of parent orders sees the market.

    Attributes
    ----------
    depth : int
        Levels of each venue that strategies see; a sweep goes through all ten.
    queue_priority : float
        Share of the displayed size that is counted on.
    refill : {"update", "added"}
        When shares taken count as offered again; see `venuewise.simulation.state.Frictions`.
    max_age_ms : float or None
        A venue silent for longer takes no part.
    """

    depth: int = 1
    queue_priority: float = 1.0
    refill: Literal["update", "added"] = "update"
    max_age_ms: float | None = None


class Parents:
    """Processor of one partition of market data, orders and fills; see `venuewise.kafka.processing`.

    Parameters
    ----------
    settings : ParentsSettings
    table : VenueTable
    strategies : StrategyBook
    """

    def __init__(self, settings: ParentsSettings, table: VenueTable, strategies: StrategyBook) -> None:
        frictions = Frictions(queue_priority=settings.queue_priority, refill=settings.refill)
        self.settings, self.table, self.strategies = settings, table, strategies
        self.conditions = frictions.conditions(seed=0)
        self.max_age = None if settings.max_age_ms is None else round(settings.max_age_ms * NS_PER_MS)
        self.decoder = Decoder(MAX_LEVELS)
        self.desks: dict[str, Desk] = {}
        self.ledger = Ledger()
        self._stale: dict[str, Desk] = {}

    def process(self, role: str, incoming: Sequence[Incoming]) -> Processed:
        """Take in messages of one input: "orders", "fills" or "market"."""
        if role == "market":
            batch = self.decoder.decode([m.value for m in incoming], [m.headers for m in incoming])
            flags = [_is_synthetic(incoming[row]) for row in batch.rows.tolist()]
            done = self.route(batch.events, flags)
            if len(batch.events):
                done.counts["ts_recv"] = float(batch.events.ts_recv[-1])
            return Processed(
                done.outputs,
                [DeadLetter(poison.index, poison.reason) for poison in batch.poison],
                done.counts,
            )
        dead = []
        for index, message in enumerate(incoming):
            problem = self._request(message) if role == "orders" else self._fill(message)
            if problem is not None:
                dead.append(DeadLetter(index, problem))
        return self.ledger.hand_over(dead)

    def route(self, events: Events, synthetic: Sequence[bool] | bool) -> Processed:
        """Take in rows of market data, in order."""
        present = {int(code): self._desk(events.symbols[code]) for code in np.unique(events.symbol)}
        for row, code in enumerate(events.symbol.tolist()):
            self._row(
                present[code], events, row, synthetic if isinstance(synthetic, bool) else synthetic[row]
            )
        for desk in present.values():
            if desk.held is not None:  # its arrays are the batch's: keep the row, not the batch
                desk.held = desk.held.copied()
        return self.ledger.hand_over([])

    def foresee_sides(self, events: Events) -> None:
        """Note which sides recorded data will show, as a backtest knows it; on a topic, it is what has come so far."""
        for code in np.unique(events.symbol).tolist():
            desk, rows = (
                self._desk(events.symbols[code]),
                (events.symbol == code) & (events.action != ACTION_CLEAR),
            )
            desk.seen_bid = desk.seen_bid or bool(np.any(events.bid_sz[rows, 0] > 0))
            desk.seen_ask = desk.seen_ask or bool(np.any(events.ask_sz[rows, 0] > 0))

    def close(self) -> Processed:
        """End of all data, as a file has one: complete the last updates, and end every order."""
        for desk in self.desks.values():
            if desk.held is not None:
                desk.take_in()
                self._decide(desk)
            self._end(desk, END_OF_TIME)
        return self.ledger.hand_over([])

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state entries that changed since the last call."""
        changed: list[tuple[bytes, bytes | None]] = []
        for symbol, desk in self._stale.items():
            changed.append((f"symbol|{symbol}".encode(), desk.save()))
            for publisher in sorted(desk.changed):
                changed.append((f"book|{symbol}|{publisher}".encode(), desk.ladder.entry(publisher)))
            desk.changed.clear()
        self._stale.clear()
        return changed + self.ledger.changes()

    def restore(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Take over saved state entries."""
        saved: dict[str, list[tuple[str, bytes]]] = {kind: [] for kind in ("symbol", "book", *KINDS)}
        try:
            for key, value in entries:
                kind, _, name = key.decode().partition("|")
                saved[kind].append((name, value))
            for name, value in saved["symbol"]:
                self._desk(name).restore(value)
            for name, value in saved["book"]:
                self._desk(name.rpartition("|")[0]).ladder.restore(value)
            self.ledger.restore(saved, self._desk, self.strategies)
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            raise ConfigError(
                f"saved state: found {error}; expected that of a router of orders: another group"
            ) from None

    # Market data

    def _row(self, desk: Desk, events: Events, row: int, synthetic: bool) -> None:
        self._stale[desk.symbol] = desk
        now = int(events.ts[row])
        lines: list[OrderLine] = []
        if desk.held is None:
            why = "first row of its symbol: the next one tells whether the update is complete"
        else:
            desk.take_in()
            if now == desk.now:
                why = "rows of one time are one update: not complete yet"
            else:
                why = "no order decides: not started yet, at its end, or all shares on their way"
                lines = self._decide(desk)
                self._end(desk, now)
        if not desk.orders:
            why = f"no open order for {desk.symbol}"
        desk.held = quote_of(events, row)
        message: OrdersDecision | OrdersRefusal
        if lines:
            message = OrdersDecision(desk.symbol, iso(now), iso(desk.now), lines, synthetic)
        else:
            message = OrdersRefusal(desk.symbol, iso(now), why, synthetic)
        self.ledger.count(rows=1, decisions=bool(lines), refusals=not lines)
        self.ledger.say("decisions", desk.symbol, message)

    def _decide(self, desk: Desk) -> list[OrderLine]:
        """Let the orders whose time it is decide on the complete update."""
        lines = []
        for working in tuple(desk.orders.values()):
            parent = working.parent
            if parent.stage != "working" or not parent.open:
                continue
            if parent.start is None:
                parent.start = desk.now
                self.ledger.touch(working)
            if parent.printed_before is None and parent.start <= desk.now:
                parent.printed_before = desk.printed_earlier
                self.ledger.touch(working)
            if parent.start <= desk.now <= parent.end:
                lines.append(self._decide_for(desk, working))
        return lines

    def _decide_for(self, desk: Desk, working: Working) -> OrderLine:
        parent, order = working.parent, working.parent.order
        quotes = desk.quotes(parent, desk.now, self.settings.depth, self.settings.queue_priority)
        sent: list[ChildLine] = []
        note = ""
        first = parent.arrival_price is None
        if not desk.arrive(parent, quotes):
            note = "waiting for a quote to take, and for one on the other side"
        elif len(working.children) >= MOST_IN_FLIGHT:
            note = f"waiting for fills: {MOST_IN_FLIGHT} child orders are on their way"
        else:
            if first:
                self.ledger.touch(working)
            chosen = ask_for_order(working, quotes, desk.now, desk.printed - (parent.printed_before or 0))
            if isinstance(chosen, str):
                note = chosen
            else:
                sent = [self._send(desk, working, *choice, ts=desk.now) for choice in chosen]
                if isinstance(working.strategy, Static) and np.isnan(quotes.reference):
                    note = "waiting for a mid: one side of the market is missing"
        return OrderLine(
            order.id, order.strategy, order.side, parent.quantity, parent.filled, working.in_flight, parent.open,
            sent, note,
        )  # fmt: skip

    def _send(
        self,
        desk: Desk,
        working: Working,
        venue: int,
        shares: int,
        limit: int,
        *,
        ts: int,
        swept: bool = False,
    ) -> ChildLine:
        parent, order = working.parent, working.parent.order
        parent.sent += 1
        parent.open -= shares
        publisher, name = desk.ladder.publishers[venue], desk.ladder.venues[venue].name
        child = ChildOrder(
            f"{order.id}-{parent.sent}", order.id, order.symbol, order.side, publisher, name, shares,
            dollars(limit), ts, desk.rows - 1, swept,
        )  # fmt: skip
        working.children[child.id] = Child(child)
        self.ledger.children[child.id] = working
        desk.add_pending(order.side, publisher, shares)
        self.ledger.touch(working, child.id)
        self.ledger.count(child_orders=1)
        self.ledger.say("children", order.symbol, child)
        return ChildLine(child.id, publisher, name, shares, child.limit_price)

    # Ends

    def _end(self, desk: Desk, now: int) -> None:
        """Take the orders whose end has passed out of work."""
        for working in tuple(desk.orders.values()):
            if working.parent.stage == "working" and working.parent.end < now:
                working.parent.stage = "ending"
                self.ledger.touch(working)
                self._settle(desk, working)

    def _settle(self, desk: Desk, working: Working) -> None:
        """Where nothing is in flight, take the step that the order's stage asks for."""
        parent = working.parent
        if working.children:
            return
        if parent.open and parent.stage == "ending" and parent.order.at_end == "sweep":
            self._sweep(desk, working)
        if working.children:
            return
        if not parent.open:
            self.ledger.finish(desk, working, "filled")
        elif parent.stage == "ending":
            self.ledger.finish(desk, working, "expired")
        elif parent.stage == "cancelling":
            self.ledger.finish(desk, working, "cancelled")

    def _sweep(self, desk: Desk, working: Working) -> None:
        """Send what is open through the whole book, again and again until nothing is offered any more."""
        parent = working.parent
        now = max(parent.end, desk.now)
        if begins_session(desk.now, now):
            return  # the books are those of a session that is over
        quotes = desk.quotes(parent, now, MAX_LEVELS, self.settings.queue_priority)
        for venue, publisher in enumerate(desk.ladder.publishers):
            if publisher in parent.dry:
                quotes.size[venue] = 0
        for choice in choose_sweep(quotes, parent.open):
            self._send(desk, working, *choice, ts=now, swept=True)

    # Requests

    def _request(self, message: Incoming) -> str | None:
        """Work a request; return why it cannot be read, if so."""
        request = messages.parse(messages.read_request, message.value, message.headers, messages.ORDER_SCHEMA)
        if isinstance(request, str):
            return request
        desk = self.desks.get(request.symbol) or self._new_desk(
            request.symbol
        )  # kept if an order is accepted
        if isinstance(request, NewOrder):
            problem = self._new(desk, request)
        else:
            problem = self._amend(desk, request)
        if problem is not None:
            name = type(request).__name__.removesuffix("Order").lower()
            working = self.ledger.orders.get(request.id)
            if working is not None and not isinstance(request, NewOrder):
                report = working.report("rejected", name, problem, desk.clock)
                self.ledger.touch(working)
            else:
                quantity = request.quantity if isinstance(request, NewOrder) else 0
                report = rejection(request.id, request.symbol, name, problem, quantity, desk.clock)
            self.ledger.count(requests_rejected=1)
            self.ledger.say("reports", request.symbol, report)
        return None

    def _new(self, desk: Desk, order: NewOrder) -> str | None:
        """Accept an order, or return why not."""
        if order.id in self.ledger.orders or order.id in self.ledger.closed:
            return f"duplicate id: {order.id} is {self.ledger.closed.get(order.id, 'open')}"
        end = messages.nanoseconds(order.end, "end")
        start = None if order.start is None else messages.nanoseconds(order.start, "start")
        if start is not None and start > end:
            return "start: found it after end"
        if desk.clock is not None and end < desk.clock:
            return f"end: found {iso(end)}, which is past; market time is {iso(desk.clock)}"
        try:
            strategy = self.strategies.make(order.strategy, order.params)
        except ConfigError as error:
            return str(error)
        if isinstance(strategy, Twap | VwapSchedule) and strategy.slice_seconds is not None:
            # shares times slices have to stay within int64
            span = end - (start if start is not None else desk.clock or 0)
            if strategy.slice_seconds < MAX_QUANTITY * (span // NS_PER_SECOND + 1) / 2**62:
                return f"slice_seconds: found {strategy.slice_seconds}; the order's time is {span / 1e9:g} seconds"
        working = Working(accept(order, self.ledger.next_number, start, end), strategy)
        self.desks[desk.symbol] = desk
        self.ledger.open(desk, working)
        self.ledger.touch(working)
        self.ledger.count(orders_accepted=1)
        self.ledger.say("reports", order.symbol, working.report("accepted", "new", "", desk.clock))
        return None

    def _amend(self, desk: Desk, request: Cancel | Replace) -> str | None:
        """Cancel or replace an order, or return why not."""
        working = desk.orders.get(request.id)
        if working is None:
            return f"no such open order for {desk.symbol}: {self.ledger.closed.get(request.id, 'id unknown')}"
        parent = working.parent
        if parent.stage != "working":
            return "too late: the order is " + (
                "being cancelled" if parent.stage == "cancelling" else "at its end"
            )
        if isinstance(request, Cancel):
            parent.stage = "cancelling"
        else:
            committed = parent.filled + working.in_flight
            if request.quantity is not None:
                if request.quantity < committed:
                    return f"quantity: found {request.quantity}; {committed} shares are filled or in flight"
                parent.quantity, parent.open = request.quantity, request.quantity - committed
            if request.limit_price is not None:
                parent.limit = nano(request.limit_price, "limit_price")
            self.ledger.say("reports", desk.symbol, working.report("replaced", "replace", "", desk.clock))
        self.ledger.touch(working)
        self._settle(desk, working)
        return None

    # Fills

    def _fill(self, message: Incoming) -> str | None:
        """Book a fill; return why it cannot be, if so."""
        fill = messages.parse(messages.read_fill, message.value, message.headers, messages.FILL_SCHEMA)
        if isinstance(fill, str):
            return fill
        working = self.ledger.children.get(fill.child)
        if working is None:
            return f"child order {fill.child!r} is unknown, or over"
        child = working.children[fill.child]
        problem = child.misfit(fill)
        if problem is not None:
            return problem
        order = child.order
        desk = self._desk(order.symbol)
        if fill.shares:
            assert fill.price is not None
            price = nano(fill.price, "price")
            working.book(child, fill.shares, price, nano(fill.fee, "fee", -(2**62), 2**62))
            quote = price if fill.quote is None else nano(fill.quote, "quote")
            desk.ladder.take(order.side, order.venue_id, quote, fill.shares)
            desk.changed.add(order.venue_id)
            self._stale[desk.symbol] = desk
            desk.add_pending(order.side, order.venue_id, -fill.shares)
            self.ledger.count(fills=1)
        if fill.done or not child.rest:
            desk.add_pending(order.side, order.venue_id, -child.rest)
            working.parent.open += child.rest
            if order.sweep and child.rest:
                working.parent.dry.append(order.venue_id)
            del working.children[fill.child], self.ledger.children[fill.child]
            self.ledger.count(shares_wanted=order.quantity, shares_filled=child.filled)
        self.ledger.touch(working, fill.child)
        self._settle(desk, working)
        return None

    # What all share

    def _desk(self, symbol: str) -> Desk:
        if symbol not in self.desks:
            self.desks[symbol] = self._new_desk(symbol)
        return self.desks[symbol]

    def _new_desk(self, symbol: str) -> Desk:
        return Desk(symbol, self.table, self.conditions.refill_on_any_change, self.max_age)


def _is_synthetic(message: Incoming) -> bool:
    return message.headers is not None and SYNTHETIC_HEADER in message.headers
