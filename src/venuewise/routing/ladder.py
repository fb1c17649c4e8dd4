"""The live book of one symbol, venue by venue, with the shares that were taken from it.

Each venue has one row of arrays, its last quote; a new row passes through a spare row at the end, so that the
backtest's kernels carry the shares taken over from the old quote to the new one. Venues are in order of their publisher
ids: decisions depend on the symbol's own messages alone, not on what else a partition holds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import numpy as np

from venuewise.data.events import ACTION_CLEAR, ACTION_TRADE, UNDEFINED_PRICE, Events, Int64
from venuewise.market.book import NO_AGE_LIMIT, NO_ROW, view_quotes
from venuewise.market.venues import Venue, VenueTable, fees
from venuewise.messages.market import MAX_LEVELS
from venuewise.simulation.rows import carry_taken
from venuewise.simulation.state import FILL_COLUMNS, FLIGHT_COLUMNS, TOTALS, Market, State

SIDES: Final = ("buy", "sell")
NOTHING: Final = np.empty(0, np.int64)
"""The levels of an empty book."""


class Quote(NamedTuple):
    """One row of market data, as a ladder takes it in; `printed` are the shares that it prints as a trade."""

    publisher: int
    ts: int
    printed: int
    bid_px: Int64
    ask_px: Int64
    bid_sz: Int64
    ask_sz: Int64

    def copied(self) -> Quote:
        """Return the same on arrays of its own."""
        return Quote(*self[:3], *(levels.copy() for levels in self[3:]))


class SavedQuote(msgspec.Struct, frozen=True, array_like=True):
    """A quote, and what was taken of it on each side, as state entries hold them."""

    publisher: int
    ts: int
    bid_px: list[int]
    ask_px: list[int]
    bid_sz: list[int]
    ask_sz: list[int]
    taken: list[list[int]] = []
    printed: int = 0


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(SavedQuote).decode


def quote_of(events: Events, row: int) -> Quote:
    """Return one row of events; a row that clears the book shows nothing."""
    publisher, ts = events.publishers[events.venue[row]], int(events.ts[row])
    if events.action[row] == ACTION_CLEAR:
        return Quote(publisher, ts, 0, NOTHING, NOTHING, NOTHING, NOTHING)
    printed = int(events.size[row]) if events.action[row] == ACTION_TRADE else 0
    return Quote(
        publisher, ts, printed, events.bid_px[row], events.ask_px[row], events.bid_sz[row], events.ask_sz[row]
    )


def save_quote(quote: Quote, taken: list[list[int]] | None = None) -> SavedQuote:
    """Return a quote as state entries hold it."""
    bid_px, ask_px, bid_sz, ask_sz = (levels.tolist() for levels in quote[3:])
    return SavedQuote(quote.publisher, quote.ts, bid_px, ask_px, bid_sz, ask_sz, taken or [], quote.printed)


def saved_quote(saved: SavedQuote) -> Quote:
    """Return the quote that was saved."""
    levels = (saved.bid_px, saved.ask_px, saved.bid_sz, saved.ask_sz)
    return Quote(saved.publisher, saved.ts, saved.printed, *(np.array(level, np.int64) for level in levels))


class Ladder:
    """Book of one symbol.

    Parameters
    ----------
    table : VenueTable
        Names and fees of the venues.
    refill_on_any_change : bool
        When shares taken are offered again; see `venuewise.simulation.state.Frictions`.
    max_age : int, optional
        Nanoseconds after which a silent venue takes no part.

    Attributes
    ----------
    publishers : tuple of int
        Venues that have quoted the symbol, in order.
    venues : tuple of Venue
    """

    def __init__(self, table: VenueTable, refill_on_any_change: bool, max_age: int | None = None) -> None:
        self.table, self.refill_on_any_change = table, refill_on_any_change
        self.max_age = NO_AGE_LIMIT if max_age is None else max_age
        self.publishers: tuple[int, ...] = ()
        self.venues: tuple[Venue, ...] = ()
        self.states: tuple[State, ...] = ()
        self._lay_out(())

    def apply(self, quote: Quote) -> None:
        """Let a row replace its venue's book."""
        if quote.publisher not in self.publishers:
            self._lay_out((*self.publishers, quote.publisher))
        venue = self.publishers.index(quote.publisher)
        if any(state.touched[venue] for state in self.states):
            spare = len(self.publishers)
            self._write(spare, quote)
            for market, state in zip(self.markets, self.states, strict=True):
                if state.touched[venue]:
                    carry_taken(market, state, venue, spare, self.refill_on_any_change)
        self._write(venue, quote)
        self.row_of[venue] = venue

    def forget(self) -> None:
        """Empty all books: a new session begins."""
        for venue, publisher in enumerate(self.publishers):
            self._write(venue, Quote(publisher, int(self.ts[venue]), 0, NOTHING, NOTHING, NOTHING, NOTHING))
        for state in self.states:
            state.taken[:] = 0
            state.touched[:] = 0

    def take(self, side: str, publisher: int, price: int, shares: int) -> None:
        """Note that shares were taken from the level at this price, if it still stands."""
        if publisher not in self.publishers:
            return
        venue, state = self.publishers.index(publisher), self.states[SIDES.index(side)]
        market = self.markets[SIDES.index(side)]
        for level in range(MAX_LEVELS):
            if market.take_sz[venue, level] > 0 and market.take_px[venue, level] == price:
                state.taken[venue, level] += shares
                state.touched[venue] = 1

    def view(
        self, side: str, now: int, pending: Int64, depth: int, queue_priority: float
    ) -> tuple[Int64, Int64, int, int]:
        """Return prices and sizes that may be taken now (venues x depth), and the best prices of both sides."""
        market, state = self.markets[SIDES.index(side)], self.states[SIDES.index(side)]
        shape = (len(self.publishers), depth)
        price, size = np.empty(shape, np.int64), np.empty(shape, np.int64)
        take, far = view_quotes(
            market.take_px, market.take_sz, market.far_px, market.ts, self.row_of, state.taken, pending,
            queue_priority, now, self.max_age, market.sign, price, size,
        )  # fmt: skip
        return price, size, int(take), int(far)

    def entry(self, publisher: int) -> bytes:
        """Return a venue's book as a state entry."""
        venue = self.publishers.index(publisher)
        levels = (self.bid_px, self.ask_px, self.bid_sz, self.ask_sz)
        quote = Quote(publisher, int(self.ts[venue]), 0, *(level[venue] for level in levels))
        touched = any(state.touched[venue] for state in self.states)
        return _encode(save_quote(quote, [s.taken[venue].tolist() for s in self.states] if touched else None))

    def restore(self, entry: bytes) -> None:
        """Take a venue's book back from a state entry."""
        saved = _decode(entry)
        self.apply(saved_quote(saved))
        venue = self.publishers.index(saved.publisher)
        for state, levels in zip(self.states, saved.taken or [[], []], strict=True):
            state.taken[venue, : len(levels)] = levels
            state.touched[venue] = any(levels)

    def _write(self, row: int, quote: Quote) -> None:
        self.ts[row] = quote.ts
        for into, levels in (
            (self.bid_px, quote.bid_px), (self.ask_px, quote.ask_px), (self.bid_sz, quote.bid_sz),
            (self.ask_sz, quote.ask_sz),
        ):  # fmt: skip
            shown = levels[:MAX_LEVELS]
            into[row, : len(shown)] = shown
            into[row, len(shown) :] = UNDEFINED_PRICE if into is self.bid_px or into is self.ask_px else 0
        for best, px, sz in (
            (self.best_bid, self.bid_px, self.bid_sz), (self.best_ask, self.ask_px, self.ask_sz),
        ):  # fmt: skip
            best[row] = px[row, 0] if sz[row, 0] > 0 else UNDEFINED_PRICE

    def _lay_out(self, publishers: tuple[int, ...]) -> None:
        """Make room for these venues, in order, and move what is known to its new place."""
        known = self.publishers
        self.publishers = tuple(sorted(publishers))
        self.venues = self.table.resolve(self.publishers)
        rows, places = len(publishers) + 1, [self.publishers.index(publisher) for publisher in known]

        def moved(name: str, empty: int, shape: tuple[int, ...]) -> Int64:
            array = np.full(shape, empty, np.int64)
            if known:
                array[places] = getattr(self, name)[: len(known)]
            return array

        levels = (rows, MAX_LEVELS)
        self.ts = moved("ts", 0, (rows,))
        self.bid_px, self.ask_px = (moved(n, UNDEFINED_PRICE, levels) for n in ("bid_px", "ask_px"))
        self.bid_sz, self.ask_sz = (moved(n, 0, levels) for n in ("bid_sz", "ask_sz"))
        self.best_bid, self.best_ask = (moved(n, UNDEFINED_PRICE, (rows,)) for n in ("best_bid", "best_ask"))
        self.row_of = np.full(rows - 1, NO_ROW, np.int64)
        self.row_of[places] = places
        former = self.states
        self.fee, self.rebate = fees(self.venues)
        self.markets = tuple(
            Market(
                ts=self.ts, venue=np.arange(rows), clears=np.zeros(rows, np.uint8), take_px=px, take_sz=sz,
                far_px=far, printed=np.zeros(rows, np.int64), fee=self.fee, rebate=self.rebate, sign=sign,
                max_age=self.max_age, one_sided=False,
            )
            for px, sz, far, sign in (
                (self.ask_px, self.ask_sz, self.best_bid, 1), (self.bid_px, self.bid_sz, self.best_ask, -1),
            )
        )  # fmt: skip
        self.states = tuple(self._state(rows - 1) for _ in SIDES)
        for state, old in zip(self.states, former, strict=False):  # none before the first time
            state.taken[places], state.touched[places] = old.taken, old.touched

    def _state(self, venues: int) -> State:
        return State(
            row_of=self.row_of, taken=np.zeros((venues, MAX_LEVELS), np.int64),
            touched=np.zeros(venues, np.uint8), pending=np.zeros(venues, np.int64),
            flight=np.zeros((0, FLIGHT_COLUMNS), np.int64), totals=np.zeros(TOTALS, np.int64),
            fills=np.zeros((venues * MAX_LEVELS, FILL_COLUMNS), np.int64),
        )  # fmt: skip
