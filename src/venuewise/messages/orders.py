"""Messages of the life of an order: requests, child orders, fills and reports, one JSON object each.

All of an order's messages are keyed by its symbol, so that they meet its market data in one partition. Prices and
money are decimal dollars, exact to 1e-9; times are nanoseconds since 1970 UTC (requests may give ISO 8601). Reading is
strict: a field that is unknown, missing or out of range is an error with its path, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import numpy as np

from venuewise.data import _cells
from venuewise.data.events import UNDEFINED_PRICE
from venuewise.messages.market import HEADER_SCHEMA, HEADER_VERSION, SCHEMA_VERSION
from venuewise.messages.names import MAX_SYMBOL

MAX_QUANTITY: Final = 1_000_000_000
"""Shares of an order at most."""
MAX_BYTES: Final = 65_536
MAX_TIME: Final = 4_000_000_000_000_000_000
"""Latest time of a request (the year 2096): spans of time stay far from the end of int64."""
ORDER_SCHEMA: Final = "venuewise.order"
CHILD_SCHEMA: Final = "venuewise.child_order"
FILL_SCHEMA: Final = "venuewise.fill"
REPORT_SCHEMA: Final = "venuewise.report"
SIMULATED_HEADER: Final = ("simulated", b"true")
"""On every fill of simulated venues, so that it never passes for a real one."""

_UNIT: Final = Decimal("1e-9")
_EXACT: Final = Context(prec=30, traps=[Inexact, InvalidOperation])

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]*\Z")]
Symbol = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SYMBOL)]
Shares = Annotated[int, msgspec.Meta(ge=1, le=MAX_QUANTITY)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Publisher = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Time = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME)]
Side = Literal["buy", "sell"]


def nano(value: Decimal, name: str, low: int = 1, high: int = int(UNDEFINED_PRICE)) -> int:
    """Return dollars as an integer of 1e-9 dollars, exactly.

    Raises
    ------
    ValueError
        If it is no number, has more than nine decimals, or lies outside `low` to `high`.
    """
    # Compared, not computed with: arithmetic on a number such as 1e9999999 overflows.
    if not value.is_finite() or not -10_000_000_000 <= value <= 10_000_000_000:
        raise ValueError(f"Expected dollars, fewer than 10 billion - at `$.{name}`")
    try:
        scaled = int(value.quantize(_UNIT, context=_EXACT).scaleb(9, context=_EXACT))
    except (Inexact, InvalidOperation):
        raise ValueError(f"Expected at most 9 decimals - at `$.{name}`") from None
    if not low <= scaled <= high:
        raise ValueError(f"Expected from {dollars(low)} to {dollars(high)} dollars - at `$.{name}`")
    return scaled


def dollars(scaled: int) -> Decimal:
    """Return an integer of 1e-9 dollars as dollars, exactly, without zeros at the end."""
    whole, part = divmod(abs(scaled), 10**9)
    text = f"{whole}.{part:09d}".rstrip("0").rstrip(".")
    return Decimal(f"-{text}" if scaled < 0 else text)


def nanoseconds(value: int | str, name: str) -> int:
    """Return a time as nanoseconds since 1970.

    Raises
    ------
    ValueError
        If it is neither nanoseconds nor ISO 8601.
    """
    if isinstance(value, str):
        raw = np.frombuffer(value.encode() or b"-", np.uint8)
        code, value, _ = _cells.moment(raw, 0, len(raw))
        if code != _cells.OK:
            raise ValueError(f"Expected nanoseconds since 1970, or ISO 8601 in UTC - at `$.{name}`")
    if not 0 <= value <= MAX_TIME:
        raise ValueError(f"Expected a time from 1970 to 2096 - at `$.{name}`")
    return int(value)


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="new"):
    """A parent order.

    Attributes
    ----------
    id : str
        Up to 64 letters, digits, dots, colons, dashes and underscores; of its own for every order.
    symbol : str
    side : {"buy", "sell"}
    quantity : int
        Shares.
    end : int or str
        Last moment, market time.
    start : int or str, optional
        First moment. Default: the first update after acceptance.
    limit_price : Decimal, optional
        Worst price in dollars.
    strategy : str
        "best_ask", "twap", "vwap", "optimized", or the one the router was started with.
    params : dict
        Settings of the strategy.
    at_end : {"sweep", "expire"}
        What happens to open shares at `end`: taken through the whole book, or left.
    """

    id: Text
    symbol: Symbol
    side: Side
    quantity: Shares
    end: int | str
    start: int | str | None = None
    limit_price: Decimal | None = None
    strategy: str = "optimized"
    params: dict[str, Any] = {}
    at_end: Literal["sweep", "expire"] = "sweep"

    def __post_init__(self) -> None:
        """Refuse prices and times that are none."""
        if self.limit_price is not None:
            nano(self.limit_price, "limit_price")
        nanoseconds(self.end, "end")
        if self.start is not None:
            nanoseconds(self.start, "start")


class Cancel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="cancel"):
    """Asks for an order to end now; shares on their way may still fill."""

    id: Text
    symbol: Symbol


class Replace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="replace"):
    """Asks for another quantity, another limit price, or both."""

    id: Text
    symbol: Symbol
    quantity: Shares | None = None
    limit_price: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse a replacement of nothing."""
        if self.limit_price is not None:
            nano(self.limit_price, "limit_price")
        if self.quantity is None and self.limit_price is None:
            raise ValueError("Expected `quantity`, `limit_price` or both")


Request = NewOrder | Cancel | Replace


class ChildOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A marketable order for one venue: fills at once at the limit or better, the rest comes back.

    Attributes
    ----------
    id : str
        The parent's id, a dash, and a running number.
    order : str
        Id of the parent.
    venue_id : int
        Publisher id.
    venue : str
    limit_price : Decimal
        Dollars.
    ts : int
        Market time of the decision.
    row : int
        Number of the symbol's row that it was decided at, counted from 0.
    sweep : bool
        Whether it belongs to the purchase at the order's end.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=96)]
    order: Text
    symbol: Symbol
    side: Side
    venue_id: Publisher
    venue: str
    quantity: Shares
    limit_price: Decimal
    ts: Time
    row: Count
    sweep: bool = False

    def __post_init__(self) -> None:
        """Refuse limits that are none."""
        nano(self.limit_price, "limit_price", low=0)


class Fill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a venue says about a child order: shares filled, and whether that is all.

    Attributes
    ----------
    id : str
        Of its own for every fill.
    child : str
        Id of the child order.
    venue_id : int
        Publisher id.
    shares : int
        Shares of this fill; 0 where the rest of a child order comes back unfilled.
    cumulative : int
        Shares of the child order filled so far, this fill included: what tells a repeated fill from a new one.
    done : bool
        Whether the child order is over; shares not filled by then are open again.
    ts : int
        Market time.
    price : Decimal, optional
        Dollars paid (received) a share; needed where there are shares.
    quote : Decimal, optional
        Displayed price that was taken, where it is not the price paid.
    fee : Decimal
        Dollars in all; negative where the venue pays.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    child: Annotated[str, msgspec.Meta(min_length=1, max_length=96)]
    symbol: Symbol
    venue_id: Publisher
    shares: Annotated[int, msgspec.Meta(ge=0, le=MAX_QUANTITY)]
    cumulative: Annotated[int, msgspec.Meta(ge=0, le=MAX_QUANTITY)]
    done: bool
    ts: Time
    price: Decimal | None = None
    quote: Decimal | None = None
    fee: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse fills that say nothing, or shares without a price."""
        if self.shares and self.price is None:
            raise ValueError("Object missing required field `price`")
        if not self.shares and not self.done:
            raise ValueError("Expected shares, or `done`")
        for name in ("price", "quote"):
            value = getattr(self, name)
            if value is not None:
                nano(value, name)
        nano(self.fee, "fee", low=-(2**62), high=2**62)


Status = Literal["accepted", "rejected", "replaced", "cancelled", "filled", "expired"]


class Report(msgspec.Struct, frozen=True):
    """What became of a request or an order.

    Attributes
    ----------
    order : str
    number : int
        Number of the order's report, from 1; 0 for the rejection of a request that no open order stands for.
    status : str
        "accepted", "rejected" (with a reason), "replaced", "cancelled", "filled" or "expired"; the last three are
        final.
    request : str
        What it answers: "new", "cancel", "replace", or "" where none.
    quantity, filled, in_flight, open : int
        Shares; filled + in flight + open = quantity.
    notional, fees : Decimal
        Dollars.
    average_price : float or None
        Dollars a share, without fees.
    ts : int or None
        Market time, where there is one yet.
    """

    order: str
    symbol: str
    number: int
    status: Status
    request: str
    reason: str
    quantity: int
    filled: int
    in_flight: int
    open: int
    notional: Decimal
    fees: Decimal
    average_price: float | None
    ts: int | None


Message = TypeVar("Message")
Headers = Iterable[tuple[str, bytes | str | None]]

encode: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Write a message; decimals are numbers, digit for digit."""
read_request: Final = msgspec.json.Decoder(Request)
read_child: Final = msgspec.json.Decoder(ChildOrder)
read_fill: Final = msgspec.json.Decoder(Fill)


def headers_of(schema: str) -> tuple[tuple[str, bytes], ...]:
    """Return the headers that name a schema and its version."""
    return (HEADER_SCHEMA, schema.encode()), (HEADER_VERSION, SCHEMA_VERSION.encode())


def parse(
    decoder: msgspec.json.Decoder[Message], value: bytes | None, headers: Headers | None, schema: str
) -> Message | str:
    """Read a message, or return in one line why it cannot be read."""
    if value is None:
        return "no value"
    if len(value) > MAX_BYTES:
        return f"{len(value)} bytes, more than {MAX_BYTES}"
    named = next((found for name, found in headers or () if name == HEADER_SCHEMA), None)
    if named is not None and named not in (schema, schema.encode()):
        return f"unknown schema {named!r:.48}; expected {schema}"
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        return str(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"not JSON: {error}"
