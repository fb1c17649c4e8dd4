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

from venuewise.data.events import UNDEFINED_PRICE, Events
from venuewise.data.reader import iso
from venuewise.errors import ConfigError
from venuewise.market.book import Quotes
from venuewise.market.venues import VenueTable
from venuewise.simulation.kernels import sweep
from venuewise.simulation.state import (
    FILL_PRICE,
    FILL_SHARES,
    FILL_VENUE,
    FILLS,
    NS_PER_MS,
    Frictions,
    new_state,
)
from venuewise.strategies import ParentOrder
from venuewise.stream import order_messages as messages
from venuewise.stream.codec import MAX_LEVELS, SYNTHETIC_HEADER, Decoder
from venuewise.stream.desk import (
    ChildLine,
    Desk,
    OrderLine,
    OrdersDecision,
    OrdersRefusal,
    within_limit,
)
from venuewise.stream.ladder import SIDES, quote_of
from venuewise.stream.order_messages import (
    Cancel,
    ChildOrder,
    Fill,
    NewOrder,
    Replace,
    dollars,
    nano,
)
from venuewise.stream.order_strategies import StrategyBook
from venuewise.stream.parent_state import (
    Child,
    Working,
    accept,
    read_child_state,
    read_parent,
    rejection,
)
from venuewise.stream.processing import DeadLetter, Incoming, Outgoing, Processed

MOST_IN_FLIGHT: Final = 10_000
"""Child orders of one parent on their way at once; beyond them it waits for fills."""
CLOSED_KEPT: Final = 10_000
"""Closed orders of a partition whose ids are remembered, so that they are not used again."""
_NOTE: Final = 200
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
    """Processor of one partition of market data, orders and fills; see `venuewise.stream.processing`.

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
        self.orders: dict[str, Working] = {}
        self.children: dict[str, Working] = {}
        self.closed: dict[str, str] = {}
        self._numbers = self._closings = 0
        self._outputs: list[Outgoing] = []
        self._counts: dict[str, float] = {}
        self._touched: dict[str, Working] = {}
        self._changed: dict[bytes, bytes | None] = {}
        self._stale: set[str] = set()
        self._stale_children: dict[str, Working] = {}

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
        return self._processed(dead)

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
        return self._processed([])

    def close(self) -> Processed:
        """End of all data, as a file has one: complete the last updates, and end every order."""
        for desk in self.desks.values():
            if desk.held is not None:
                desk.take_in()
                self._decide(desk)
            self._end(desk, END_OF_TIME)
        return self._processed([])

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state entries that changed since the last call."""
        for symbol in self._stale:
            desk = self.desks[symbol]
            self._changed[f"symbol|{symbol}".encode()] = desk.save()
            for publisher in desk.changed:
                self._changed[f"book|{symbol}|{publisher}".encode()] = desk.ladder.entry(publisher)
            desk.changed.clear()
        self._stale.clear()
        changed, self._changed = list(self._changed.items()), {}
        return changed

    def restore(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Take over saved state entries."""
        saved: dict[str, list[tuple[str, bytes]]] = {}
        for key, value in entries:
            kind, _, name = key.decode().partition("|")
            saved.setdefault(kind, []).append((name, value))
        try:
            for name, value in saved.pop("symbol", []):
                self._desk(name).restore(value)
            for name, value in saved.pop("book", []):
                self._desk(name.rpartition("|")[0]).ladder.restore(value)
            for parent in sorted((read_parent(v) for _, v in saved.pop("order", [])), key=lambda p: p.number):
                order = parent.order
                working = Working(parent, self.strategies.make(order.strategy, order.params))
                self._desk(order.symbol).orders[order.id] = self.orders[order.id] = working
                self._numbers = parent.number + 1
            children = [read_child_state(v) for _, v in saved.pop("child", [])]
            for child in sorted(children, key=lambda c: int(c.order.id.rpartition("-")[2])):
                working = self.children[child.order.id] = self.orders[child.order.order]
                working.children[child.order.id] = child
                self._desk(child.order.symbol).add_pending(child.order.side, child.order.venue_id, child.rest)
            closed = [(*msgspec.json.decode(v, type=tuple[int, str]), n) for n, v in saved.pop("closed", [])]
            for number, status, name in sorted(closed):
                self.closed[name], self._closings = status, number + 1
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            raise ConfigError(f"saved state cannot be read: {error}") from None
        if saved:
            raise ConfigError(
                f"saved state cannot be read: entries of {', '.join(saved)}; expected another group"
            )

    # Market data

    def _row(self, desk: Desk, events: Events, row: int, synthetic: bool) -> None:
        self._stale.add(desk.symbol)
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
        self._count(rows=1, decisions=bool(lines), refusals=not lines)
        self._say("decisions", desk.symbol, message)

    def _decide(self, desk: Desk) -> list[OrderLine]:
        """Let the orders whose time it is decide on the complete update."""
        lines = []
        for working in tuple(desk.orders.values()):
            parent = working.parent
            if parent.stage != "working" or not parent.open:
                continue
            if parent.start is None:
                parent.start = desk.now
                self._touch(working)
            if parent.start <= desk.now <= parent.end:
                lines.append(self._decide_for(desk, working))
        return lines

    def _decide_for(self, desk: Desk, working: Working) -> OrderLine:
        parent, order = working.parent, working.parent.order
        quotes, best = desk.quotes(parent, desk.now, self.settings.depth, self.settings.queue_priority)
        sent: list[ChildLine] = []
        note = ""
        first = parent.arrival_price is None
        if not desk.arrive(parent, *best):
            note = "waiting for a quote to take, and for one on the other side"
        elif len(working.children) >= MOST_IN_FLIGHT:
            note = f"waiting for fills: {MOST_IN_FLIGHT} child orders are on their way"
        else:
            if first:
                self._touch(working)
            chosen = self._ask(working, quotes, desk.now)
            if isinstance(chosen, str):
                note = chosen
            else:
                sent = [self._send(desk, working, *choice, ts=desk.now) for choice in chosen]
        return OrderLine(
            order.id, order.strategy, order.side, parent.quantity, parent.filled, working.in_flight, parent.open,
            sent, note,
        )  # fmt: skip

    def _ask(self, working: Working, quotes: Quotes, now: int) -> list[tuple[int, int, int]] | str:
        """Ask the strategy; return (venue, shares, limit) of each child order, or what is wrong with them.

        A strategy may be anyone's: what it does wrong is said on the order's line, and stops nothing else.
        """
        parent = working.parent
        assert parent.start is not None
        assert parent.arrival_price is not None
        order = ParentOrder(
            parent.order.side, parent.quantity, parent.open, parent.start, parent.end, parent.arrival_price
        )
        try:
            decided = working.strategy.decide(quotes, order, now)
            chosen = sorted((int(c.venue), int(c.shares), int(c.limit)) for c in decided if c.shares)
        except Exception as error:
            return f"strategy {parent.order.strategy} failed: {type(error).__name__}: {error}"[:_NOTE]
        venues = [venue for venue, _, _ in chosen]
        if len(set(venues)) != len(venues) or any(
            not (0 <= venue < len(quotes.price) and shares > 0 and 0 <= limit <= UNDEFINED_PRICE)
            for venue, shares, limit in chosen
        ):
            return f"strategy {parent.order.strategy}: found child orders {chosen}; expected each venue once"[
                :_NOTE
            ]
        total = sum(shares for _, shares, _ in chosen)
        if total > parent.open:
            return f"strategy {parent.order.strategy}: found {total} shares; expected at most {parent.open}"
        if parent.limit is not None:
            nearer = min if parent.order.side == "buy" else max
            chosen = [(venue, shares, nearer(limit, parent.limit)) for venue, shares, limit in chosen]
        return chosen

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
        self.children[child.id] = working
        desk.add_pending(order.side, publisher, shares)
        self._touch(working, child.id)
        self._count(child_orders=1)
        self._say("children", order.symbol, child)
        return ChildLine(child.id, publisher, name, shares, child.limit_price)

    # Ends

    def _end(self, desk: Desk, now: int) -> None:
        """Take the orders whose end has passed out of work."""
        for working in tuple(desk.orders.values()):
            if working.parent.stage == "working" and working.parent.end < now:
                working.parent.stage = "ending"
                self._touch(working)
                self._settle(desk, working)

    def _settle(self, desk: Desk, working: Working) -> None:
        """Where nothing is in flight, take the step that the order's stage asks for."""
        parent = working.parent
        if working.children:
            return
        if not parent.open:
            self._finish(desk, working, "filled")
        elif parent.stage == "ending" and parent.order.at_end == "sweep":
            parent.stage = "swept"
            self._sweep(desk, working)
            self._settle(desk, working)
        elif parent.stage in ("ending", "swept"):
            self._finish(desk, working, "expired")
        elif parent.stage == "cancelling":
            self._finish(desk, working, "cancelled")

    def _sweep(self, desk: Desk, working: Working) -> None:
        """Send what is open through the whole book, the best price first, by the rule of the backtest."""
        parent, side = working.parent, SIDES.index(working.parent.order.side)
        market, known = desk.ladder.markets[side], desk.ladder.states[side]
        price, size = market.take_px.copy(), market.take_sz.copy()
        if parent.limit is not None:
            within_limit(price, size, parent.limit, market.sign)
        # Sizes beyond the limit are left out; the prices stay, so that a crossed venue is seen as one.
        market = market._replace(take_sz=np.where(size > 0, market.take_sz, 0))
        venues = len(desk.ladder.publishers)
        state = new_state(market, parent.open, desk.ladder.row_of, venues * MAX_LEVELS, 0)
        state = state._replace(taken=known.taken.copy())
        now = max(parent.end, desk.now)
        sweep(market, state, self.conditions, now)
        shares: dict[int, tuple[int, int]] = {}
        for fill in state.fills[: state.totals[FILLS]].tolist():
            before = shares.get(fill[FILL_VENUE], (0, 0))[0]
            shares[fill[FILL_VENUE]] = before + fill[FILL_SHARES], fill[FILL_PRICE]
        for venue, (wanted, limit) in sorted(shares.items()):
            self._send(desk, working, venue, wanted, limit, ts=now, swept=True)

    def _finish(
        self, desk: Desk, working: Working, status: Literal["filled", "expired", "cancelled"]
    ) -> None:
        order = working.parent.order
        self._touch(working)
        self._say("reports", order.symbol, working.report(status, "", "", desk.clock))
        del desk.orders[order.id], self.orders[order.id]
        self._count(**{f"orders_{status}": 1})
        self.closed[order.id] = status
        self._changed[f"order|{order.id}".encode()] = None
        self._changed[f"closed|{order.id}".encode()] = msgspec.json.encode((self._closings, status))
        self._closings += 1
        if len(self.closed) > CLOSED_KEPT:
            oldest = next(iter(self.closed))
            del self.closed[oldest]
            self._changed[f"closed|{oldest}".encode()] = None

    # Requests

    def _request(self, message: Incoming) -> str | None:
        """Work a request; return why it cannot be read, if so."""
        request = messages.parse(messages.read_request, message.value, message.headers, messages.ORDER_SCHEMA)
        if isinstance(request, str):
            return request
        desk = self._desk(request.symbol)
        if isinstance(request, NewOrder):
            problem = self._new(desk, request)
        else:
            problem = self._amend(desk, request)
        if problem is not None:
            name = type(request).__name__.removesuffix("Order").lower()
            working = self.orders.get(request.id)
            if working is not None and not isinstance(request, NewOrder):
                report = working.report("rejected", name, problem, desk.clock)
                self._touch(working)
            else:
                quantity = request.quantity if isinstance(request, NewOrder) else 0
                report = rejection(request.id, request.symbol, name, problem, quantity, desk.clock)
            self._count(requests_rejected=1)
            self._say("reports", request.symbol, report)
        return None

    def _new(self, desk: Desk, order: NewOrder) -> str | None:
        """Accept an order, or return why not."""
        if order.id in self.orders or order.id in self.closed:
            return f"duplicate id: {order.id} is {self.closed.get(order.id, 'open')}"
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
        working = Working(accept(order, self._numbers, start, end), strategy)
        self._numbers += 1
        desk.orders[order.id] = self.orders[order.id] = working
        self._touch(working)
        self._count(orders_accepted=1)
        self._say("reports", order.symbol, working.report("accepted", "new", "", desk.clock))
        return None

    def _amend(self, desk: Desk, request: Cancel | Replace) -> str | None:
        """Cancel or replace an order, or return why not."""
        working = desk.orders.get(request.id)
        if working is None:
            return f"no such open order for {desk.symbol}: {self.closed.get(request.id, 'id unknown')}"
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
            self._say("reports", desk.symbol, working.report("replaced", "replace", "", desk.clock))
        self._touch(working)
        self._settle(desk, working)
        return None

    # Fills

    def _fill(self, message: Incoming) -> str | None:
        """Book a fill; return why it cannot be, if so."""
        fill = messages.parse(messages.read_fill, message.value, message.headers, messages.FILL_SCHEMA)
        if isinstance(fill, str):
            return fill
        working = self.children.get(fill.child)
        if working is None:
            return f"child order {fill.child!r} is unknown, or over"
        child = working.children[fill.child]
        problem = _misfit(child, fill)
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
            self._stale.add(order.symbol)
            desk.add_pending(order.side, order.venue_id, -fill.shares)
            self._count(fills=1)
        if fill.done or not child.rest:
            desk.add_pending(order.side, order.venue_id, -child.rest)
            working.parent.open += child.rest
            del working.children[fill.child], self.children[fill.child]
            self._count(shares_wanted=order.quantity, shares_filled=child.filled)
        self._touch(working, fill.child)
        self._settle(desk, working)
        return None

    # What all share

    def _desk(self, symbol: str) -> Desk:
        if symbol not in self.desks:
            self.desks[symbol] = Desk(symbol, self.table, self.conditions.refill_on_any_change, self.max_age)
        return self.desks[symbol]

    def _touch(self, working: Working, *children: str) -> None:
        """Note an order, and child orders, whose state entries are to be written."""
        self._touched[working.parent.order.id] = working
        for child in children:
            self._stale_children[child] = working

    def _say(self, role: str, symbol: str, message: msgspec.Struct) -> None:
        self._outputs.append(Outgoing(role, symbol.encode(), messages.encode(message)))

    def _count(self, **counts: float) -> None:
        for what, count in counts.items():
            self._counts[what] = self._counts.get(what, 0.0) + count

    def _processed(self, dead: list[DeadLetter]) -> Processed:
        """Check the accounts of all orders touched, write their entries, hand over what is to be sent."""
        for name, working in self._touched.items():
            working.check()
            if name in self.orders:
                self._changed[f"order|{name}".encode()] = messages.encode(working.parent)
        for child, working in self._stale_children.items():
            there = working.children.get(child)
            self._changed[f"child|{child}".encode()] = None if there is None else messages.encode(there)
        self._touched.clear()
        self._stale_children.clear()
        outputs, self._outputs = self._outputs, []
        counts, self._counts = self._counts, {}
        return Processed(outputs, dead, counts)


def _misfit(child: Child, fill: Fill) -> str | None:
    """Return why a fill cannot be one of this child order's, None if it can."""
    order = child.order
    if (fill.symbol, fill.venue_id) != (order.symbol, order.venue_id):
        return f"child order {order.id} is for {order.symbol} at venue {order.venue_id}"
    expected = child.filled + fill.shares
    if fill.cumulative < expected:
        return f"child order {order.id}: already filled {child.filled}: a fill up to {fill.cumulative} is applied"
    if fill.cumulative > expected:
        return (
            f"child order {order.id}: filled {child.filled}; a fill of {fill.shares} up to {fill.cumulative} "
            "comes before another"
        )
    if fill.shares > child.rest:
        return f"child order {order.id}: found {fill.shares} shares; {child.rest} are on their way"
    return None


def _is_synthetic(message: Incoming) -> bool:
    return message.headers is not None and SYNTHETIC_HEADER in message.headers
