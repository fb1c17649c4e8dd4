"""One symbol in a router of parent orders: its book, the row that waits, its orders, and what is said of each row.

Rows with the same time are one update, as in a backtest: only the next row tells that an update is complete. So the
newest row of a symbol is held back until the next one comes; then it enters the book, and if the time has moved on,
the orders decide. That is what lets a live router decide what the backtest decides.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec
import numpy as np

from venuewise.data.events import PRICE_SCALE, UNDEFINED_PRICE, Int64
from venuewise.data.sessions import begins_session
from venuewise.market.book import Quotes, sign_of
from venuewise.market.venues import VenueTable
from venuewise.routing.ladder import Ladder, Quote, SavedQuote, save_quote, saved_quote
from venuewise.routing.parent_state import Parent, Working


class ChildLine(msgspec.Struct, frozen=True):
    """A child order that was sent."""

    id: str
    venue_id: int
    venue: str
    shares: int
    limit_price: Decimal


class OrderLine(msgspec.Struct, frozen=True):
    """What was decided for one parent order; `note` says why nothing was, where there is a reason to give."""

    order: str
    strategy: str
    side: str
    quantity: int
    filled: int
    in_flight: int
    open: int
    children: list[ChildLine]
    note: str


class OrdersDecision(msgspec.Struct, frozen=True):
    """What `route --orders` publishes for a row that completes an update at which orders decide."""

    symbol: str
    timestamp: str
    decided_at: str
    orders: list[OrderLine]
    synthetic: bool


class OrdersRefusal(msgspec.Struct, frozen=True):
    """What `route --orders` publishes for any other row."""

    symbol: str
    timestamp: str
    refused: str
    synthetic: bool


class SavedDesk(msgspec.Struct, frozen=True):
    """What a desk remembers beside its book and its orders."""

    rows: int
    now: int
    seen_bid: bool
    seen_ask: bool
    held: SavedQuote | None
    printed: int = 0
    printed_earlier: int = 0


_encode: Final = msgspec.json.Encoder().encode
_read_desk: Final = msgspec.json.Decoder(SavedDesk).decode


class Desk:
    """State of one symbol.

    Attributes
    ----------
    ladder : Ladder
    held : Quote or None
        The newest row, not in the book yet.
    rows : int
        Rows in the book so far.
    now : int
        Time of the last of them, ns.
    seen_bid, seen_ask : bool
        Whether any of them showed that side: data that have not are measured against the price to take.
    printed, printed_earlier : int
        Shares that trades have printed up to the last of them, and before the update that it belongs to.
    orders : dict of str to Working
        Open orders by id, in the order of their acceptance.
    pending : dict of (side, publisher) to int
        Shares in flight to each venue.
    changed : set of int
        Venues whose book changed since the last saving.
    """

    def __init__(
        self, symbol: str, table: VenueTable, refill_on_any_change: bool, max_age: int | None
    ) -> None:
        self.symbol = symbol
        self.ladder = Ladder(table, refill_on_any_change, max_age)
        self.held: Quote | None = None
        self.rows = self.now = self.printed = self.printed_earlier = 0
        self.seen_bid = self.seen_ask = False
        self.orders: dict[str, Working] = {}
        self.pending: dict[tuple[str, int], int] = {}
        self.changed: set[int] = set()

    @property
    def clock(self) -> int | None:
        """Market time of the newest row, None before the first."""
        return None if self.held is None else self.held.ts

    def take_in(self) -> None:
        """Let the held row enter the book; where it begins a session, it finds no book of another venue."""
        assert self.held is not None
        quote = self.held
        if self.rows and begins_session(self.now, quote.ts):
            self.ladder.forget()
            self.changed.update(self.ladder.publishers)
        self.ladder.apply(quote)
        self.changed.add(quote.publisher)
        self.rows += 1
        if quote.ts != self.now:
            self.printed_earlier = self.printed
        self.printed += quote.printed
        self.now = quote.ts
        self.seen_bid = self.seen_bid or bool(len(quote.bid_sz) and quote.bid_sz[0] > 0)
        self.seen_ask = self.seen_ask or bool(len(quote.ask_sz) and quote.ask_sz[0] > 0)

    def add_pending(self, side: str, publisher: int, shares: int) -> None:
        """Note shares sent to a venue, or (negative) answered for."""
        key = (side, publisher)
        self.pending[key] = self.pending.get(key, 0) + shares
        if not self.pending[key]:
            del self.pending[key]

    def quotes(self, parent: Parent, now: int, depth: int, queue_priority: float) -> Quotes:
        """Return what a parent order may take now within its limit; the best bid and ask are the market's."""
        side = parent.order.side
        on_the_way = [self.pending.get((side, publisher), 0) for publisher in self.ladder.publishers]
        price, size, take, far = self.ladder.view(
            side, now, np.array(on_the_way, np.int64), depth, queue_priority
        )
        if parent.limit is not None:
            within_limit(price, size, parent.limit, sign_of(side))
        bid, ask, seen = (far, take, self.seen_bid) if side == "buy" else (take, far, self.seen_ask)
        return Quotes(side, price, size, self.ladder.fee, self.ladder.rebate, bid, ask, one_sided=not seen)

    def arrive(self, parent: Parent, quotes: Quotes) -> bool:
        """Measure an order's arrival price once there is one; say whether there is."""
        if parent.arrival_price is None and not np.isnan(quotes.reference):
            parent.arrival_price = quotes.reference / PRICE_SCALE
        return parent.arrival_price is not None

    def save(self) -> bytes:
        """Return the state entry of the desk."""
        held = None if self.held is None else save_quote(self.held)
        return _encode(
            SavedDesk(
                self.rows, self.now, self.seen_bid, self.seen_ask, held, self.printed, self.printed_earlier
            )
        )

    def restore(self, entry: bytes) -> None:
        """Take the state back from its entry."""
        saved = _read_desk(entry)
        self.rows, self.now, self.seen_bid, self.seen_ask = (
            saved.rows, saved.now, saved.seen_bid, saved.seen_ask
        )  # fmt: skip
        self.printed, self.printed_earlier = saved.printed, saved.printed_earlier
        self.held = None if saved.held is None else saved_quote(saved.held)


def within_limit(price: Int64, size: Int64, limit: int, sign: int) -> None:
    """Empty the levels that are worse than a limit."""
    beyond = (price != UNDEFINED_PRICE) & (sign * price > sign * limit)
    price[beyond], size[beyond] = UNDEFINED_PRICE, 0
