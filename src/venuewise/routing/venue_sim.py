"""Venues that play themselves: child orders meet replayed market data by the backtest's rules, fills come back.

A child order arrives at its decision's time plus the latency. If the market has not come so far, it waits, and meets
the book as it stands before the first row of a later time; if the market has come so far already, it meets the
newest book at once. Shares taken are not offered again until the venue's quote changes, whichever order took them.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import numpy as np

from venuewise.data.events import Events
from venuewise.data.sessions import begins_session
from venuewise.errors import ConfigError
from venuewise.kafka.processing import DeadLetter, Incoming, Outgoing, Processed
from venuewise.market.venues import VenueTable
from venuewise.messages import orders as messages
from venuewise.messages.market import MAX_LEVELS, Decoder
from venuewise.messages.orders import ChildOrder, Fill, dollars, nano
from venuewise.routing.ladder import SIDES, Ladder, quote_of
from venuewise.simulation.fills import execute
from venuewise.simulation.state import (
    FILL_FEES,
    FILL_LEVEL,
    FILL_PRICE,
    FILL_SHARES,
    FILLS,
    NS_PER_MS,
    Frictions,
)

MOST_WAITING: Final = 100_000
"""Child orders of a partition that wait for the market at once; those beyond come back unfilled."""

END_OF_TIME: Final = int(np.iinfo(np.int64).max)

HEADERS: Final = (*messages.headers_of(messages.FILL_SCHEMA), messages.SIMULATED_HEADER)


class Waiting(NamedTuple):
    """A child order on its way, in the order of arrival."""

    arrival: int
    number: int
    child: ChildOrder


@dataclass(slots=True)
class Symbol:
    """Book and waiting child orders of one symbol.

    `now` is the time of its newest row, -1 before the first; `since` that of its session's first row, -1 before the
    first session that was seen to begin.
    """

    ladder: Ladder
    now: int = -1
    since: int = -1
    waiting: list[Waiting] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)


class VenueSim:
    """Processor of one partition of market data and child orders; see `venuewise.kafka.processing`.

    Parameters
    ----------
    frictions : Frictions
        Latency, queue priority, slippage, adverse moves, refill rule; as in a backtest.
    table : VenueTable
    seed : int
        Draws the adverse moves.
    max_age_ms : float, optional
        A venue silent for longer fills nothing, as it is offered by no router with the same setting.
    """

    def __init__(
        self, frictions: Frictions, table: VenueTable, seed: int = 0, max_age_ms: float | None = None
    ) -> None:
        self.conditions, self.table = frictions.conditions(seed), table
        self.max_age = None if max_age_ms is None else round(max_age_ms * NS_PER_MS)
        self.decoder = Decoder(MAX_LEVELS)
        self.symbols: dict[str, Symbol] = {}
        self.waiting: set[str] = set()
        self._numbers = 0
        self._outputs: list[Outgoing] = []
        self._counts: dict[str, float] = {}
        self._changed: dict[bytes, bytes | None] = {}
        self._stale: set[str] = set()

    def process(self, role: str, incoming: Sequence[Incoming]) -> Processed:
        """Take in messages of one input: "children" or "market"."""
        if role == "market":
            batch = self.decoder.decode([m.value for m in incoming], [m.headers for m in incoming])
            done = self.route(batch.events)
            if len(batch.events):
                done.counts["ts_recv"] = float(batch.events.ts_recv[-1])
            dead = [DeadLetter(poison.index, poison.reason) for poison in batch.poison]
            return Processed(done.outputs, dead, done.counts)
        dead = []
        for index, message in enumerate(incoming):
            child = messages.parse(messages.read_child, message.value, message.headers, messages.CHILD_SCHEMA)
            problem = child if isinstance(child, str) else self._take_in(child)
            if problem is not None:
                dead.append(DeadLetter(index, problem))
        return self._processed(dead)

    def route(self, events: Events) -> Processed:
        """Take in rows of market data, in order."""
        present = {int(code): events.symbols[code] for code in np.unique(events.symbol)}
        for row, code in enumerate(events.symbol.tolist()):
            name = present[code]
            symbol, quote = self._symbol(name), quote_of(events, row)
            self._deliver(symbol, quote.ts)
            if symbol.now >= 0 and begins_session(symbol.now, quote.ts):
                self._begin_session(symbol, quote.ts)
            symbol.ladder.apply(quote)
            symbol.now = quote.ts
            symbol.changed.add(quote.publisher)
            self._stale.add(name)
        self._count(rows=len(events))
        return self._processed([])

    def arrive_before(self, events: Events) -> Processed:
        """Let child orders meet the book that they find before the rows of market data that come next.

        One moment of each symbol at a time: what is answered to its fills may arrive before other child orders. Nothing
        is said once none is left.
        """
        if self.waiting:
            codes, rows = np.unique(events.symbol, return_index=True)
            for code, row in zip(codes.tolist(), rows.tolist(), strict=True):
                self._deliver_next(self._symbol(events.symbols[code]), int(events.ts[row]))
        return self._processed([])

    def close(self) -> Processed:
        """End of all data, as a file has one: what waits arrives, one moment of each symbol at a time."""
        for symbol in self.symbols.values():
            self._deliver_next(symbol, END_OF_TIME)
        return self._processed([])

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state entries that changed since the last call."""
        for name in self._stale:
            symbol = self.symbols[name]
            self._changed[f"symbol|{name}".encode()] = msgspec.json.encode((symbol.now, symbol.since))
            for publisher in symbol.changed:
                self._changed[f"book|{name}|{publisher}".encode()] = symbol.ladder.entry(publisher)
            symbol.changed.clear()
        self._stale.clear()
        changed, self._changed = list(self._changed.items()), {}
        return changed

    def restore(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Take over saved state entries."""
        try:
            for key, value in entries:
                kind, _, name = key.decode().partition("|")
                if kind == "symbol":
                    symbol = self._symbol(name)
                    symbol.now, symbol.since = msgspec.json.decode(value, type=tuple[int, int])
                elif kind == "book":
                    self._symbol(name.rpartition("|")[0]).ladder.restore(value)
                elif kind == "waiting":
                    arrival, number, child = msgspec.json.decode(value, type=tuple[int, int, ChildOrder])
                    insort(self._symbol(child.symbol).waiting, Waiting(arrival, number, child))
                    self.waiting.add(child.id)
                    self._numbers = max(self._numbers, number + 1)
                else:
                    raise ConfigError(f"saved state: found entries of {kind}; expected another group")
        except (msgspec.MsgspecError, ValueError) as error:
            raise ConfigError(
                f"saved state: found {error}; expected that of simulated venues: another group"
            ) from None

    def _take_in(self, child: ChildOrder) -> str | None:
        """Let a child order wait or arrive; return why it is none, if so."""
        if child.id in self.waiting:
            return f"child order {child.id} is here already"
        symbol = self._symbol(child.symbol)
        # The purchase at an order's end is made at once, as in a backtest.
        arrival = child.ts + (0 if child.sweep else self.conditions.latency)
        self._count(children=1)
        if child.ts < symbol.since:  # decided in a session that is over
            self._say(child, 0, 0, done=True, ts=symbol.now)
        elif symbol.now >= arrival:
            self._fill(symbol, child, symbol.now)
        elif len(self.waiting) >= MOST_WAITING:
            self._say(child, 0, 0, done=True, ts=max(symbol.now, 0))
        else:
            waiting = Waiting(arrival, self._numbers, child)
            self._numbers += 1
            insort(symbol.waiting, waiting)
            self.waiting.add(child.id)
            self._changed[f"waiting|{child.id}".encode()] = messages.encode(waiting)
        return None

    def _begin_session(self, symbol: Symbol, now: int) -> None:
        """Forget the books of the session before, and send back what is still on its way."""
        symbol.since = now
        symbol.ladder.forget()
        symbol.changed.update(symbol.ladder.publishers)
        for waiting in symbol.waiting:
            self._drop(waiting)
            self._say(waiting.child, 0, 0, done=True, ts=now)
        symbol.waiting.clear()

    def _drop(self, waiting: Waiting) -> None:
        self.waiting.remove(waiting.child.id)
        self._changed[f"waiting|{waiting.child.id}".encode()] = None

    def _deliver_next(self, symbol: Symbol, now: int) -> None:
        """Let the child orders that arrive next, all at one time, meet the book, if that is before `now`."""
        if symbol.waiting:
            self._deliver(symbol, min(symbol.waiting[0].arrival + 1, now))

    def _deliver(self, symbol: Symbol, now: int) -> None:
        """Let the child orders that arrive before `now` meet the book."""
        arrived = 0
        for waiting in symbol.waiting:
            if waiting.arrival >= now:
                break
            arrived += 1
            self._drop(waiting)
            self._fill(symbol, waiting.child, waiting.arrival)
        del symbol.waiting[:arrived]

    def _fill(self, symbol: Symbol, child: ChildOrder, ts: int) -> None:
        """Fill a child order against its venue's book, best level first; say what comes back."""
        ladder, side = symbol.ladder, SIDES.index(child.side)
        if child.venue_id not in ladder.publishers:
            self._say(child, 0, 0, done=True, ts=ts)
            return
        market, state = ladder.markets[side], ladder.states[side]
        state.totals[:] = 0
        venue = ladder.publishers.index(child.venue_id)
        moment = int(market.ts[venue]) if child.sweep else child.ts  # what luck is drawn by, as in a backtest
        execute(
            market, state, self.conditions, venue, child.quantity,
            nano(child.limit_price, "limit_price", low=0), ts, symbol.now, moment,
        )  # fmt: skip
        symbol.changed.add(child.venue_id)
        self._stale.add(child.symbol)
        lines = state.fills[: state.totals[FILLS]].tolist()
        filled = 0
        for number, line in enumerate(lines, 1):
            filled += line[FILL_SHARES]
            self._say(
                child, line[FILL_SHARES], filled, done=number == len(lines), ts=ts, number=number,
                price=line[FILL_PRICE], quote=int(market.take_px[venue, line[FILL_LEVEL]]), fee=line[FILL_FEES],
            )  # fmt: skip
        if not lines:
            self._say(child, 0, 0, done=True, ts=ts)

    def _say(
        self, child: ChildOrder, shares: int, cumulative: int, *, done: bool, ts: int, number: int = 1,
        price: int | None = None, quote: int | None = None, fee: int = 0,
    ) -> None:  # fmt: skip
        fill = Fill(
            f"{child.id}.{number}", child.id, child.symbol, child.venue_id, shares, cumulative, done, ts,
            None if price is None else dollars(price), None if quote is None or quote == price else dollars(quote),
            dollars(fee),
        )  # fmt: skip
        self._count(
            fills=1 if shares else 0, shares_filled=shares, shares_wanted=child.quantity if done else 0
        )
        self._outputs.append(Outgoing("fills", child.symbol.encode(), messages.encode(fill), HEADERS))

    def _symbol(self, name: str) -> Symbol:
        if name not in self.symbols:
            self.symbols[name] = Symbol(
                Ladder(self.table, self.conditions.refill_on_any_change, self.max_age)
            )
        return self.symbols[name]

    def _count(self, **counts: float) -> None:
        for what, count in counts.items():
            self._counts[what] = self._counts.get(what, 0.0) + count

    def _processed(self, dead: list[DeadLetter]) -> Processed:
        outputs, self._outputs = self._outputs, []
        counts, self._counts = self._counts, {}
        return Processed(outputs, dead, counts)
