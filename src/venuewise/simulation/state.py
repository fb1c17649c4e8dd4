"""The arrays that a simulation works on, named.

Tuples of arrays keep kernels' signatures short; pyproject.toml says (at PLR0913) what they cost, and where.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from venuewise.data.events import ACTION_CLEAR, ACTION_TRADE, UNDEFINED_PRICE, Events, Int64, UInt8
from venuewise.errors import ConfigError
from venuewise.market.book import NO_AGE_LIMIT, NO_ROW, shown, sign_of

NS_PER_MS: Final = 1_000_000
LATENCY_MS: Final = 0.5
"""From a decision to the venue where nobody says otherwise; docs/backtest.md says where the figure is from."""
MOST_MONEY: Final = 2**62
"""Largest sum of money in 1e-9 dollars that an order may come to: int64 holds it with room to spare."""


class Market(NamedTuple):
    """One symbol's rows as a parent order of one side sees them.

    `far_px` are best prices of the side opposite to the one that the order takes from; `one_sided` where the data never
    show that side (see `venuewise.market.book.reference_price`). `printed` are the shares that trades have printed
    up to each row, that row included.
    """

    ts: Int64
    venue: Int64
    clears: UInt8
    take_px: Int64
    take_sz: Int64
    far_px: Int64
    printed: Int64
    fee: Int64
    rebate: Int64
    sign: int
    max_age: int
    one_sided: bool


class State(NamedTuple):
    """What changes while one parent order is worked."""

    row_of: Int64
    taken: Int64
    touched: UInt8
    pending: Int64
    flight: Int64
    totals: Int64
    fills: Int64


class Conditions(NamedTuple):
    """How orders fill, in the units of the kernels (see `Frictions`)."""

    latency: int
    queue_priority: float
    slippage: float
    adverse_probability: float
    adverse_move: float
    adverse_left: float
    refill_on_any_change: bool
    seed: int


# Entries of `State.totals`.
OPEN: Final = 0
IN_FLIGHT: Final = 1
FILLED: Final = 2
NOTIONAL: Final = 3
FEES: Final = 4
FILLS: Final = 5
CHILD_ORDERS: Final = 6
FLIGHT_HEAD: Final = 7
FLIGHT_TAIL: Final = 8
SWEPT: Final = 9
DECISIONS: Final = 10
TOO_MUCH: Final = 11
"""Not 0 once a fill was not booked because money would have exceeded `MOST_MONEY`."""
TOTALS: Final = 12

# Columns of `State.flight`.
FLIGHT_ARRIVAL: Final = 0
FLIGHT_VENUE: Final = 1
FLIGHT_SHARES: Final = 2
FLIGHT_LIMIT: Final = 3
FLIGHT_COLUMNS: Final = 4

# Columns of `State.fills`.
FILL_TS: Final = 0
FILL_ROW: Final = 1
FILL_VENUE: Final = 2
FILL_LEVEL: Final = 3
FILL_PRICE: Final = 4
FILL_SHARES: Final = 5
FILL_FEES: Final = 6
FILL_COLUMNS: Final = 7


@dataclass(frozen=True, slots=True)
class Frictions:
    """What stands between a decision and its fill. The default is a frictionless market.

    Attributes
    ----------
    latency_ms : float
        Time from a decision to its arrival at the venue; the order meets the book of that later moment.
    queue_priority : float
        Share of the displayed size that we get, in (0, 1].
    slippage_bps : float
        Added to every price paid (taken off every price received).
    adverse_probability, adverse_move_bps, adverse_left : float
        With this probability, a child order meets a price this much worse and only this share of the size.
    refill : {"update", "added"}
        When shares that we took are offered again. "update": as soon as the venue's quote at that price shows
        another size. "added": never while the price level stays; only shares added later are.
    """

    latency_ms: float = 0.0
    queue_priority: float = 1.0
    slippage_bps: float = 0.0
    adverse_probability: float = 0.0
    adverse_move_bps: float = 5.0
    adverse_left: float = 0.8
    refill: Literal["update", "added"] = "update"

    def __post_init__(self) -> None:
        """Refuse values that make no sense.

        Raises
        ------
        ConfigError
        """
        for name, low, high in (
            ("latency_ms", 0.0, 1e9),
            ("queue_priority", 1e-9, 1.0),
            ("slippage_bps", 0.0, 1e4),
            ("adverse_probability", 0.0, 1.0),
            ("adverse_move_bps", 0.0, 1e4),
            ("adverse_left", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name}: found {value}; expected a number from {low:g} to {high:g}")
        if self.refill not in ("update", "added"):
            raise ConfigError(f"refill: found {self.refill!r}; expected update or added")

    def conditions(self, seed: int) -> Conditions:
        """Return the same in the units of the kernels; `seed` draws the adverse moves."""
        return Conditions(
            latency=round(self.latency_ms * NS_PER_MS),
            queue_priority=float(self.queue_priority),
            slippage=self.slippage_bps * 1e-4,
            adverse_probability=float(self.adverse_probability),
            adverse_move=self.adverse_move_bps * 1e-4,
            adverse_left=float(self.adverse_left),
            refill_on_any_change=self.refill == "update",
            seed=int(seed),
        )


def market_of(events: Events, side: str, fee: Int64, rebate: Int64, max_age: int | None = None) -> Market:
    """Lay out the rows of one symbol for parent orders of one side.

    Parameters
    ----------
    events : Events
        Rows of a single symbol.
    side : {"buy", "sell"}
    fee, rebate : ndarray of int64, shape (venues,)
        In 1e-9 dollars a share.
    max_age : int, optional
        Nanoseconds after which a silent venue no longer takes part.
    """
    sign = sign_of(side)
    asks, bids = (events.ask_px, events.ask_sz), (events.bid_px, events.bid_sz)
    (take_px, take_sz), far = (asks, bids) if sign > 0 else (bids, asks)
    far_px = shown(*far)
    return Market(
        ts=np.ascontiguousarray(events.ts),
        venue=events.venue.astype(np.int64),
        clears=(events.action == ACTION_CLEAR).astype(np.uint8),
        take_px=np.ascontiguousarray(take_px),
        take_sz=np.ascontiguousarray(take_sz),
        far_px=far_px,
        printed=np.cumsum(np.where(events.action == ACTION_TRADE, events.size, 0), dtype=np.int64),
        fee=np.ascontiguousarray(fee, np.int64),
        rebate=np.ascontiguousarray(rebate, np.int64),
        sign=sign,
        max_age=NO_AGE_LIMIT if max_age is None else max_age,
        one_sided=bool(np.all((far_px == UNDEFINED_PRICE) | (events.action == ACTION_CLEAR))),
    )


def new_state(market: Market, quantity: int, row_of: Int64, fills: int, in_flight: int) -> State:
    """Return the state of an order of `quantity` shares before its first decision.

    Parameters
    ----------
    row_of : ndarray of int64, shape (venues,)
        Last row of each venue in the session before the order starts; copied.
    fills : int
        Fills to record; those beyond are counted but not kept.
    in_flight : int
        Child orders that may be on their way at once; 0 without latency.
    """
    venues, levels = len(market.fee), market.take_px.shape[1]
    totals = np.zeros(TOTALS, np.int64)
    totals[OPEN] = quantity
    return State(
        row_of=row_of.copy(),
        taken=np.zeros((venues, levels), np.int64),
        touched=np.zeros(venues, np.uint8),
        pending=np.zeros(venues, np.int64),
        flight=np.zeros((in_flight, FLIGHT_COLUMNS), np.int64),
        totals=totals,
        fills=np.zeros((fills, FILL_COLUMNS), np.int64),
    )


def nothing_yet(venues: int) -> Int64:
    """Return `row_of` of a market in which no venue has spoken."""
    return np.full(venues, NO_ROW, np.int64)
