"""What a strategy is: one method from what the market shows and what the order needs to child orders.

The same object decides in a backtest and live, so it may hold settings but no memory of the market; all that
it may know is in its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from venuewise.market.book import Quotes, Side


@dataclass(frozen=True, slots=True)
class ParentOrder:
    """A parent order as it stands now.

    Attributes
    ----------
    side : {"buy", "sell"}
    quantity : int
        Shares ordered.
    open : int
        Shares neither filled nor on their way to a venue.
    start, end : int
        Nanoseconds UTC between which the order should be done.
    arrival_price : float
        Mid at arrival, in dollars.
    printed : int
        Shares that the market has printed since `start`, at any venue.
    """

    side: Side
    quantity: int
    open: int
    start: int
    end: int
    arrival_price: float
    printed: int = 0


@dataclass(frozen=True, slots=True)
class ChildOrder:
    """A marketable order for one venue: fills at once up to `shares` at `limit` or better, the rest is cancelled.

    Attributes
    ----------
    venue : int
        Index of the venue.
    shares : int
    limit : int
        Worst price accepted, in 1e-9 dollars.
    """

    venue: int
    shares: int
    limit: int


@runtime_checkable
class Strategy(Protocol):
    """Anything with a name and a `decide`.

    Examples
    --------
    >>> from venuewise.strategies import ChildOrder
    >>> class Patient:
    ...     name = "patient"
    ...     def decide(self, quotes, order, now):
    ...         venue = quotes.best
    ...         if venue is None or quotes.spread is None or quotes.spread > 0.02:
    ...             return []
    ...         shares = min(order.open, int(quotes.size[venue, 0]))
    ...         return [ChildOrder(venue, shares, int(quotes.price[venue, 0]))]
    """

    @property
    def name(self) -> str:
        """Name in results; unique within one backtest."""
        ...

    def decide(self, quotes: Quotes, order: ParentOrder, now: int) -> Sequence[ChildOrder]:
        """Return the child orders to send now (none is fine); at most one for each venue.

        Called at every book update while shares are open. Shares beyond `order.open` are refused.
        """
        ...
