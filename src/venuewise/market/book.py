"""The consolidated book: who shows what, on one side, right now.

A venue's book is the last row that the venue sent, so the consolidated book is one row number for each venue
(`row_of`, -1 where a venue has said nothing yet or has cleared its book). The same kernels read it from the
rows of a whole day, in a backtest, and from the few arrays of a live `Book`, which holds just the last row
of each venue: there is one way to see a market, not two.

Who takes part (`takes_part`). A venue does not take part before its first row in the session (see
`venuewise.data.sessions`), after it has cleared its book, while its last row is older than `max_age`, or while its own
bid is at or above its own ask (an auction, a halt, a broken feed). Venues may well lock or cross each other for a
moment: all of them take part.

The mid is the midpoint of the best bid and the best ask over these venues. Where one of the two is missing there is no
mid, and what needs one does not decide. Only data that never show the side opposite to the one we take from are
measured against the price to take instead (`reference_price`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.data.events import ACTION_CLEAR, PRICE_SCALE, UNDEFINED_PRICE, Events, Int16, Int64, UInt8
from venuewise.data.sessions import begins_session
from venuewise.errors import ConfigError

Float64 = npt.NDArray[np.float64]
Side = Literal["buy", "sell"]
"""Side of an order: a buy takes asks, a sell takes bids."""

NO_ROW: Final = -1
NO_AGE_LIMIT: Final = np.iinfo(np.int64).max


def sign_of(side: str) -> int:
    """Return +1 for a buy and -1 for a sell: `sign * price` is what an order wants to be small.

    Raises
    ------
    ConfigError
        If `side` is neither "buy" nor "sell".
    """
    if side == "buy":
        return 1
    if side == "sell":
        return -1
    raise ConfigError(f"side: found {side!r}; expected buy or sell")


@kernel
def mid_price(bid: int, ask: int) -> float:
    """Return the midpoint of two best prices in 1e-9 dollars, NaN where one of them is missing."""
    if bid == UNDEFINED_PRICE or ask == UNDEFINED_PRICE:
        return np.nan
    return 0.5 * (float(bid) + float(ask))


@kernel
def mid_prices(bid: Int64, ask: Int64) -> Float64:
    """Return the mid of each pair of best prices."""
    mid = np.empty(len(bid))
    for row in range(len(bid)):
        mid[row] = mid_price(bid[row], ask[row])
    return mid


@kernel
def reference_price(take: int, far: int, one_sided: bool) -> float:
    """Return what an order is measured against, in 1e-9 dollars: the mid, NaN where there is none.

    It is the best price to take in data that are `one_sided`: that never show the other side at all.
    """
    if one_sided:
        return np.nan if take == UNDEFINED_PRICE else float(take)
    return mid_price(take, far)


@kernel
def takes_part(take_px: int, take_sz: int, far_px: int, age: int, max_age: int, sign: int) -> bool:
    """Tell whether a venue with these best prices, `age` ns old, takes part in the consolidated book."""
    if age > max_age:
        return False
    return take_sz <= 0 or far_px == UNDEFINED_PRICE or sign * (take_px - far_px) > 0


@kernel
def view_quotes(
    take_px: Int64,
    take_sz: Int64,
    far_px: Int64,
    ts: Int64,
    row_of: Int64,
    taken: Int64,
    pending: Int64,
    queue_priority: float,
    now: int,
    max_age: int,
    sign: int,
    price: Int64,
    size: Int64,
) -> tuple[int, int]:
    """Fill `price` and `size` (venue x depth) with what an order may take now; return the best prices.

    The size is the share `queue_priority` of what is displayed, less what we took from that level before
    (`taken`, venue x level), less our own shares still on their way to the venue (`pending`, best level first).
    The prices returned are the best one to take and the best one of the other side, over the venues that take
    part, whoever's shares they are; `UNDEFINED_PRICE` stands for a side that no venue shows. `row_of` has rows of the
    session of `now` alone.
    """
    best_take = best_far = UNDEFINED_PRICE
    depth = price.shape[1]
    for venue in range(price.shape[0]):
        row = row_of[venue]
        present = row >= 0 and takes_part(
            take_px[row, 0], take_sz[row, 0], far_px[row], now - ts[row], max_age, sign
        )
        if present:
            take, far = take_px[row, 0], far_px[row]
            if take_sz[row, 0] > 0 and (best_take == UNDEFINED_PRICE or sign * take < sign * best_take):
                best_take = take
            if far != UNDEFINED_PRICE and (best_far == UNDEFINED_PRICE or sign * far > sign * best_far):
                best_far = far
        on_the_way = pending[venue]
        for level in range(depth):
            if not present or take_sz[row, level] <= 0:
                price[venue, level] = UNDEFINED_PRICE
                size[venue, level] = 0
                continue
            shares = max(int(take_sz[row, level] * queue_priority) - taken[venue, level], 0)
            gone = min(shares, on_the_way)
            on_the_way -= gone
            price[venue, level] = take_px[row, level]
            size[venue, level] = shares - gone
    return best_take, best_far


@kernel
def follow_best(
    ts: Int64,
    venue: Int16,
    clears: UInt8,
    bid_px: Int64,
    ask_px: Int64,
    ask_sz: Int64,
    venues: int,
    best_bid: Int64,
    best_ask: Int64,
) -> None:
    """Write the consolidated best bid and best ask after each of one symbol's rows; see `best_prices`."""
    nothing = np.zeros((venues, 0), np.int64)
    row_of, pending = np.full(venues, NO_ROW, np.int64), np.zeros(venues, np.int64)
    for row in range(len(ts)):
        if row > 0 and begins_session(ts[row - 1], ts[row]):
            row_of[:] = NO_ROW
        row_of[venue[row]] = NO_ROW if clears[row] else row
        best_ask[row], best_bid[row] = view_quotes(
            ask_px, ask_sz, bid_px, ts, row_of, nothing, pending, 1.0, ts[row], NO_AGE_LIMIT, 1, nothing, nothing,
        )  # fmt: skip


def best_prices(events: Events) -> tuple[Int64, Int64]:
    """Return the consolidated best bid and best ask after each row of one symbol.

    Returns
    -------
    bid, ask : ndarray of int64, shape (n,)
        In 1e-9 dollars, over the venues that take part; `UNDEFINED_PRICE` for a side that none of them shows.
    """
    n = len(events)
    bid, ask = np.empty(n, np.int64), np.empty(n, np.int64)
    follow_best(
        np.ascontiguousarray(events.ts), events.venue, (events.action == ACTION_CLEAR).astype(np.uint8),
        shown(events.bid_px, events.bid_sz),
        np.ascontiguousarray(events.ask_px[:, :1]), np.ascontiguousarray(events.ask_sz[:, :1]),
        len(events.publishers), bid, ask,
    )  # fmt: skip
    return bid, ask


def shown(price: Int64, size: Int64) -> Int64:
    """Return the best price of each row, `UNDEFINED_PRICE` where no shares stand there."""
    return np.where(size[:, 0] > 0, price[:, 0], UNDEFINED_PRICE)


@dataclass(frozen=True, slots=True)
class Quotes:
    """What one side of the market offers a parent order at one moment.

    Attributes
    ----------
    side : {"buy", "sell"}
        Side of the order: a buy sees asks, a sell sees bids.
    price : ndarray of int64, shape (venues, depth)
        Prices to take in 1e-9 dollars, best first; `UNDEFINED_PRICE` where there is none.
    size : ndarray of int64, shape (venues, depth)
        Shares that may be taken; 0 where there are none.
    fee, rebate : ndarray of int64, shape (venues,)
        Taker fee and maker rebate in 1e-9 dollars a share.
    bid, ask : int
        National best bid and offer in 1e-9 dollars over the venues that take part.
    one_sided : bool
        Whether the data never show the side opposite to the one we take from.
    """

    side: Side
    price: Int64
    size: Int64
    fee: Int64
    rebate: Int64
    bid: int
    ask: int
    one_sided: bool = False

    @property
    def best(self) -> int | None:
        """Index of the venue with the best price to take (lower index first), None if there is none."""
        sign = sign_of(self.side)
        offered = [v for v in range(len(self.price)) if self.size[v, 0] > 0]
        return min(offered, key=lambda v: sign * int(self.price[v, 0]), default=None)

    @property
    def mid(self) -> float | None:
        """Midpoint of the best bid and offer in dollars; None where a side is missing."""
        mid = float(mid_price(self.bid, self.ask))
        return None if np.isnan(mid) else mid / PRICE_SCALE

    @property
    def reference(self) -> float:
        """What an order is measured against, in 1e-9 dollars (see `reference_price`); NaN where there is nothing."""
        take, far = (self.ask, self.bid) if self.side == "buy" else (self.bid, self.ask)
        return float(reference_price(take, far, self.one_sided))

    @property
    def spread(self) -> float | None:
        """Best offer less best bid in dollars: 0 when locked, negative when crossed, None if one-sided."""
        if UNDEFINED_PRICE in (self.bid, self.ask):
            return None
        return (self.ask - self.bid) / PRICE_SCALE


class Book:
    """Consolidated book of one symbol, kept up to date event by event.

    Parameters
    ----------
    fee, rebate : ndarray of int64, shape (venues,)
        Taker fee and maker rebate of each venue, in 1e-9 dollars a share.
    levels : int
        Levels held on each side.
    max_age : int, optional
        Nanoseconds after which a venue that has said nothing no longer takes part. Default: no limit.

    Attributes
    ----------
    bid_px, ask_px, bid_sz, ask_sz : ndarray of int64, shape (venues, levels)
    updated : ndarray of int64, shape (venues,)
        Time of each venue's last row, ns.

    Examples
    --------
    >>> import numpy as np, venuewise as vw
    >>> events = vw.generate(venues=3, duration="1s", seed=1)
    >>> book = vw.Book(np.zeros(3, np.int64), np.zeros(3, np.int64), levels=events.levels)
    >>> for row in range(100):
    ...     book.update(events, row)
    >>> quotes = book.quotes("buy")
    >>> quotes.price.shape, quotes.bid < quotes.ask or "locked or crossed"
    ((3, 10), True)
    """

    def __init__(self, fee: Int64, rebate: Int64, levels: int = 10, max_age: int | None = None) -> None:
        venues = len(fee)
        self.fee, self.rebate = fee, rebate
        self.max_age = NO_AGE_LIMIT if max_age is None else max_age
        self.bid_px = np.full((venues, levels), UNDEFINED_PRICE, np.int64)
        self.ask_px = np.full((venues, levels), UNDEFINED_PRICE, np.int64)
        self.bid_sz = np.zeros((venues, levels), np.int64)
        self.ask_sz = np.zeros((venues, levels), np.int64)
        self.updated = np.zeros(venues, np.int64)
        self.now = 0
        self._row_of = np.full(venues, NO_ROW, np.int64)
        self._shown_bid = self._shown_ask = False
        self._nothing = np.zeros((venues, levels), np.int64)

    def update(self, events: Events, row: int) -> None:
        """Take over one row: the venue's book becomes what the row shows; action R clears it.

        A row that begins a session leaves no other venue with a book.
        """
        venue = int(events.venue[row])
        if begins_session(self.now, int(events.ts[row])):
            self._row_of[:] = NO_ROW
        levels = min(events.levels, self.ask_px.shape[1])
        self.bid_px[venue, :levels] = events.bid_px[row, :levels]
        self.ask_px[venue, :levels] = events.ask_px[row, :levels]
        self.bid_sz[venue, :levels] = events.bid_sz[row, :levels]
        self.ask_sz[venue, :levels] = events.ask_sz[row, :levels]
        self.updated[venue] = self.now = int(events.ts[row])
        cleared = events.action[row] == ACTION_CLEAR
        self._row_of[venue] = NO_ROW if cleared else venue
        self._shown_bid = self._shown_bid or (not cleared and self.bid_sz[venue, 0] > 0)
        self._shown_ask = self._shown_ask or (not cleared and self.ask_sz[venue, 0] > 0)

    def quotes(self, side: Side, depth: int | None = None, now: int | None = None) -> Quotes:
        """Return what an order of this side may take at time `now` (ns; default: the last update)."""
        sign = sign_of(side)
        now = self.now if now is None else now
        take_px, take_sz, far = (
            (self.ask_px, self.ask_sz, self.bid_px) if sign > 0 else (self.bid_px, self.bid_sz, self.ask_px)
        )
        far_px = shown(far, self.bid_sz if sign > 0 else self.ask_sz)
        row_of = np.full_like(self._row_of, NO_ROW) if begins_session(self.now, now) else self._row_of
        shape = (len(self.fee), self.ask_px.shape[1] if depth is None else depth)
        price, size = np.empty(shape, np.int64), np.empty(shape, np.int64)
        take, other = view_quotes(
            take_px, take_sz, far_px, self.updated, row_of, self._nothing, self._nothing[:, 0].copy(),
            1.0, now, self.max_age, sign, price, size,
        )  # fmt: skip
        bid, ask = (other, take) if sign > 0 else (take, other)
        one_sided = not (self._shown_bid if sign > 0 else self._shown_ask)
        return Quotes(side, price, size, self.fee, self.rebate, bid, ask, one_sided)
