"""A parent order while it is worked: its shares and money, its child orders on their way, its state entries.

Shares are in exactly one of three places: filled, in flight (sent to a venue that has not answered for them yet), or
open. Only open shares can be sent, so nothing is ever sent twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

import msgspec

from venuewise.errors import AccountingError
from venuewise.messages.orders import ChildOrder, Fill, NewOrder, Report, Status, dollars, nano
from venuewise.strategies import Strategy

Stage = Literal["working", "ending", "cancelling"]
"""What happens once nothing is in flight: more decisions, the end, the cancellation."""


class Parent(msgspec.Struct):
    """What is saved of a parent order.

    Attributes
    ----------
    order : NewOrder
        As it was accepted.
    number : int
        Orders of a symbol are served in the order of their numbers.
    quantity, open, filled : int
        Shares; what is neither open nor filled is in flight.
    limit : int or None
        Limit price in 1e-9 dollars.
    start : int or None
        None until the first update, where the order gave none.
    end : int
    arrival_price : float or None
        Mid in dollars at the first update with a usable quote; None before it.
    notional, fees : Decimal
        Money in 1e-9 dollars, whole: it may pass int64.
    sent, reports : int
        Child orders and reports so far.
    printed_before : int or None
        Shares of `Desk.printed` that were printed before the order's start; None until then.
    dry : list of int
        Venues (publisher ids) that came short of their quote in the sweep: it goes elsewhere.
    """

    order: NewOrder
    number: int
    quantity: int
    open: int
    limit: int | None
    start: int | None
    end: int
    filled: int = 0
    arrival_price: float | None = None
    notional: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    sent: int = 0
    reports: int = 0
    stage: Stage = "working"
    printed_before: int | None = None
    dry: list[int] = []


class Child(msgspec.Struct):
    """A child order on its way, and how much of it is filled."""

    order: ChildOrder
    filled: int = 0

    @property
    def rest(self) -> int:
        """Shares that the venue has not answered for."""
        return self.order.quantity - self.filled

    def misfit(self, fill: Fill) -> str | None:
        """Return why a fill cannot be one of this child order's, None if it can."""
        order = self.order
        if (fill.symbol, fill.venue_id) != (order.symbol, order.venue_id):
            return f"child order {order.id}: expected {order.symbol!r} at venue {order.venue_id}"
        if fill.cumulative < self.filled + fill.shares:
            return f"child order {order.id}: {self.filled} shares are filled already: this fill is applied"
        if fill.cumulative > self.filled + fill.shares:
            return (
                f"child order {order.id}: {self.filled} shares are filled: a fill before this one is missing"
            )
        if fill.shares > self.rest:
            return f"child order {order.id}: found {fill.shares} shares; {self.rest} are on their way"
        return None


@dataclass(slots=True)
class Working:
    """A parent order with its strategy and its child orders in flight."""

    parent: Parent
    strategy: Strategy
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        """Shares sent and not answered for."""
        return sum(child.rest for child in self.children.values())

    def check(self) -> None:
        """Check that filled + in flight + open = ordered.

        Raises
        ------
        AccountingError
            If not, or if one of them is negative.
        """
        parent, in_flight = self.parent, self.in_flight
        if (
            parent.filled + in_flight + parent.open != parent.quantity
            or min(parent.filled, in_flight, parent.open) < 0
        ):
            raise AccountingError(
                f"order {parent.order.id}: filled {parent.filled} + in flight {in_flight} + open {parent.open}, "
                f"expected {parent.quantity}"
            )

    def book(self, child: Child, shares: int, price: int, fee: int) -> None:
        """Book a fill of a child order: shares and money (1e-9 dollars)."""
        child.filled += shares
        self.parent.filled += shares
        self.parent.notional = Decimal(int(self.parent.notional) + price * shares)
        self.parent.fees = Decimal(int(self.parent.fees) + fee)

    def report(self, status: Status, request: str, reason: str, ts: int | None) -> Report:
        """Return the order's next report."""
        parent = self.parent
        parent.reports += 1
        notional = int(parent.notional)
        return Report(
            parent.order.id, parent.order.symbol, parent.reports, status, request, reason, parent.quantity,
            parent.filled, self.in_flight, parent.open, dollars(notional), dollars(int(parent.fees)),
            round(notional / parent.filled / 1e9, 9) if parent.filled else None, ts,
        )  # fmt: skip


def rejection(order: str, symbol: str, request: str, reason: str, quantity: int, ts: int | None) -> Report:
    """Return the report of a request that no order stands for."""
    return Report(
        order,
        symbol,
        0,
        "rejected",
        request,
        reason,
        quantity,
        0,
        0,
        quantity,
        Decimal(0),
        Decimal(0),
        None,
        ts,
    )


def accept(order: NewOrder, number: int, start: int | None, end: int) -> Parent:
    """Return the state of a new order."""
    limit = None if order.limit_price is None else nano(order.limit_price, "limit_price")
    return Parent(order, number, order.quantity, order.quantity, limit, start, end)
