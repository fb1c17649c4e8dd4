"""Decisions as JSON: the book that `venuewise allocate` reads, the decision that routers print and publish.

The request is checked field by field while it is decoded, so a mistake is told with its path; the decision
has the keys that earlier routers gave it.
"""

from __future__ import annotations

import math
from typing import Final, Literal, get_args

import msgspec

from venuewise.allocation.allocation import Allocation, Fill, Method, allocate
from venuewise.errors import ConfigError
from venuewise.market.venues import load_venues
from venuewise.requests import decode_json

LARGEST_PUBLISHER: Final = 65_535
Side = Literal["buy", "sell"]
CHOICES: Final = {"side": get_args(Side), "method": get_args(Method), "fill": get_args(Fill)}
"""What fields with a fixed choice may say."""


class VenueQuote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one venue shows: its best ask (or bid), or several levels as [price, size] pairs, best first."""

    venue: str | int
    ask: float | None = None
    ask_size: int | None = None
    asks: tuple[tuple[float, int], ...] | None = None
    bid: float | None = None
    bid_size: int | None = None
    bids: tuple[tuple[float, int], ...] | None = None
    fee: float | None = None
    rebate: float | None = None


class BookRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order, the model's parameters and the book to split the order over."""

    order_size: int
    venues: tuple[VenueQuote, ...]
    lambda_over: float
    lambda_under: float
    theta_queue: float
    symbol: str | None = None
    timestamp: str | int | None = None
    side: Side = "buy"
    mid: float | None = None
    method: Method = "exact"
    fill: Fill = "exact_fill"
    step: int = 1


def decode_request(text: bytes) -> BookRequest:
    """Read a request from JSON.

    Raises
    ------
    ConfigError
        If it is not JSON or not a request; the message has the path of the field.
    """
    return decode_json(text, BookRequest, "book", CHOICES)


def decide(request: BookRequest) -> dict[str, object]:
    """Split the order of a request and return the decision, ready to be written as JSON.

    Raises
    ------
    ConfigError
        If the book or a parameter makes no sense.
    """
    if not request.venues:
        raise ConfigError("book: $.venues: found none; expected at least one venue")
    quotes = [_levels(request, i) for i in range(len(request.venues))]
    charges = [_charges(request.venues[i], i) for i in range(len(request.venues))]
    deepest = max(1, *(len(levels) for levels in quotes))
    absent = (float("nan"), 0)
    padded = [[*levels, *[absent] * (deepest - len(levels))] for levels in quotes]
    prices = [[price for price, _ in levels] for levels in padded]
    sizes = [[size for _, size in levels] for levels in padded]
    buying = request.side == "buy"
    allocation = allocate(
        request.order_size,
        ask=prices if buying else None,
        ask_size=sizes if buying else None,
        bid=None if buying else prices,
        bid_size=None if buying else sizes,
        fee=[fee for fee, _ in charges],
        rebate=[rebate for _, rebate in charges],
        lambda_over=request.lambda_over,
        lambda_under=request.lambda_under,
        theta_queue=request.theta_queue,
        mid=request.mid,
        method=request.method,
        fill=request.fill,
        step=request.step,
    )
    if not math.isfinite(allocation.cost) or not math.isfinite(allocation.cash):
        raise ConfigError(
            "book: found prices, fees or penalties so large that the cost is no number; expected dollars"
        )
    return _decision(request, quotes, charges, allocation)


def _levels(request: BookRequest, i: int) -> tuple[tuple[float, int], ...]:
    """Return the levels that venue i shows on the side that the order takes from."""
    venue = request.venues[i]
    name = "ask" if request.side == "buy" else "bid"
    price, size, levels = (
        (venue.ask, venue.ask_size, venue.asks)
        if request.side == "buy"
        else (venue.bid, venue.bid_size, venue.bids)
    )
    if levels is not None and price is None and size is None:
        return levels
    if levels is None and price is not None and size is not None:
        return ((price, size),)
    given = [n for n, v in ((name, price), (f"{name}_size", size), (f"{name}s", levels)) if v is not None]
    raise ConfigError(
        f"book: $.venues[{i}]: found {' and '.join(given) or 'no quote'}; expected either {name} and {name}_size, or "
        f"{name}s (a {request.side} takes {name}s)"
    )


def _charges(venue: VenueQuote, i: int) -> tuple[float, float]:
    """Return the taker fee and the maker rebate of a venue in dollars a share, from the table where not given."""
    if venue.fee is not None and venue.rebate is not None:
        return venue.fee, venue.rebate
    if isinstance(venue.venue, int) and not 0 <= venue.venue <= LARGEST_PUBLISHER:
        raise ConfigError(
            f"book: $.venues[{i}].venue: found publisher id {venue.venue}; expected 0 to {LARGEST_PUBLISHER}, "
            "or its fee and rebate"
        )
    table = load_venues()
    try:
        known = (
            table.by_name(venue.venue) if isinstance(venue.venue, str) else table.resolve([venue.venue])[0]
        )
    except ConfigError as error:
        raise ConfigError(f"book: $.venues[{i}].{error}, or its fee and rebate") from None
    return (
        known.taker_fee_dollars if venue.fee is None else venue.fee,
        known.maker_rebate_dollars if venue.rebate is None else venue.rebate,
    )


def _decision(
    request: BookRequest,
    quotes: list[tuple[tuple[float, int], ...]],
    charges: list[tuple[float, float]],
    allocation: Allocation,
) -> dict[str, object]:
    name = "ask" if request.side == "buy" else "bid"
    filled = min(allocation.executed, request.order_size)
    taken = allocation.taken.tolist()
    return {
        "symbol": request.symbol,
        "timestamp": request.timestamp,
        "order_size": request.order_size,
        "side": request.side,
        "algorithm": request.method,
        "fill": request.fill,
        "allocation": allocation.shares.tolist(),
        "total_cost": allocation.cost,
        "gap": allocation.gap,
        "execution_summary": {
            "total_executed": allocation.executed,
            "underfill": allocation.underfill,
            "overfill": allocation.overfill,
            "cash_spent": allocation.cash if request.side == "buy" else -allocation.cash,
            "fill_rate": filled / request.order_size if request.order_size else 1.0,
        },
        "venues": [
            {
                "venue_id": venue.venue,
                name: levels[0][0] if levels else None,
                f"{name}_size": sum(size for _, size in levels),
                "fee": fee,
                "rebate": rebate,
                "allocation": int(allocation.shares[i]),
                "taken": taken[i][: len(levels)],
            }
            for i, (venue, levels, (fee, rebate)) in enumerate(
                zip(request.venues, quotes, charges, strict=True)
            )
        ],
    }
