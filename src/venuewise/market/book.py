"""The consolidated book: who shows what, on one side, right now.

A venue's book is the last row that the venue sent, so the consolidated book is one row number for each venue
(`row_of`, -1 where a venue has said nothing yet or has cleared its book). The same kernels read it from the
rows of a whole day, in a backtest, and from the few arrays of a live `Book`, which holds just the last row
of each venue: there is one way to see a market, not two.

Who takes part. A venue does not take part while it has no quote on the side we would take, while its last row is
older than `max_age`, or while its own bid is at or above its own ask (an auction, a halt, a broken feed).
Venues may well lock or cross each other for a moment: all of them take part, and the mid stays the
midpoint of the best bid and the best ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from venuewise._jit import kernel
from venuewise.data.events import ACTION_CLEAR, PRICE_SCALE, UNDEFINED_PRICE, Events, Int64
from venuewise.errors import ConfigError

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
def reference_price(take: int, far: int) -> float:
    """Return the mid in 1e-9 dollars; the one price there is where a side is missing; 0 where both are."""
    if take == UNDEFINED_PRICE:
        return 0.0 if far == UNDEFINED_PRICE else float(far)
    return float(take) if far == UNDEFINED_PRICE else 0.5 * (float(take) + float(far))


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
    part, whoever's shares they are; `UNDEFINED_PRICE` stands for a side that no venue shows.
    """
    best_take = best_far = UNDEFINED_PRICE
    depth = price.shape[1]
    for venue in range(price.shape[0]):
        row = row_of[venue]
        present = row >= 0 and now - ts[row] <= max_age
        if present:
            has_take = take_sz[row, 0] > 0
            has_far = far_px[row] != UNDEFINED_PRICE
            if has_take and has_far and sign * (take_px[row, 0] - far_px[row]) <= 0:
                present = False
            else:
                if has_take and (best_take == UNDEFINED_PRICE or sign * take_px[row, 0] < sign * best_take):
                    best_take = take_px[row, 0]
                if has_far and (best_far == UNDEFINED_PRICE or sign * far_px[row] > sign * best_far):
                    best_far = far_px[row]
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
    """

    side: Side
    price: Int64
    size: Int64
    fee: Int64
    rebate: Int64
    bid: int
    ask: int

    @property
    def best(self) -> int | None:
        """Index of the venue with the best price to take (lower index first), None if there is none."""
        sign = sign_of(self.side)
        offered = [v for v in range(len(self.price)) if self.size[v, 0] > 0]
        return min(offered, key=lambda v: sign * int(self.price[v, 0]), default=None)

    @property
    def mid(self) -> float | None:
        """Midpoint of the best bid and offer in dollars; None where a side is missing."""
        if UNDEFINED_PRICE in (self.bid, self.ask):
            return None
        return (self.bid + self.ask) / 2 / PRICE_SCALE

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
        self._nothing = np.zeros((venues, levels), np.int64)

    def update(self, events: Events, row: int) -> None:
        """Take over one row: the venue's book becomes what the row shows; action R clears it."""
        venue = int(events.venue[row])
        levels = min(events.levels, self.ask_px.shape[1])
        self.bid_px[venue, :levels] = events.bid_px[row, :levels]
        self.ask_px[venue, :levels] = events.ask_px[row, :levels]
        self.bid_sz[venue, :levels] = events.bid_sz[row, :levels]
        self.ask_sz[venue, :levels] = events.ask_sz[row, :levels]
        self.updated[venue] = self.now = int(events.ts[row])
        self._row_of[venue] = NO_ROW if events.action[row] == ACTION_CLEAR else venue

    def quotes(self, side: Side, depth: int | None = None, now: int | None = None) -> Quotes:
        """Return what an order of this side may take at time `now` (ns; default: the last update)."""
        sign = sign_of(side)
        now = self.now if now is None else now
        take_px, take_sz, far = (
            (self.ask_px, self.ask_sz, self.bid_px) if sign > 0 else (self.bid_px, self.bid_sz, self.ask_px)
        )
        far_px = np.ascontiguousarray(far[:, 0])
        shape = (len(self.fee), self.ask_px.shape[1] if depth is None else depth)
        price, size = np.empty(shape, np.int64), np.empty(shape, np.int64)
        take, other = view_quotes(
            take_px, take_sz, far_px, self.updated, self._row_of, self._nothing, self._nothing[:, 0].copy(),
            1.0, now, self.max_age, sign, price, size,
        )  # fmt: skip
        bid, ask = (other, take) if sign > 0 else (take, other)
        return Quotes(side, price, size, self.fee, self.rebate, bid, ask)
