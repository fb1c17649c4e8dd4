"""The strategies that come with venuewise.

Each is a value (its settings) with a kernel behind it. A backtest hands `kind` and `parameters` to the compiled
engine; everyone else calls `decide`, which runs the same kernel on one moment's quotes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np

from venuewise.data.events import NS_PER_SECOND
from venuewise.errors import ConfigError
from venuewise.market.book import Quotes, sign_of
from venuewise.strategies.base import ChildOrder, ParentOrder
from venuewise.strategies.kernels import BEST_ASK, PARAMETERS, STATIC, TWAP, VWAP, Float64, decide, room_for

LONGEST_SLICE: Final = 1e9
"""Seconds, some 30 years: in nanoseconds it still is an int64."""


def _between(value: object, low: float, high: float) -> bool:
    """Tell whether something is a number (true and false are none) from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(low <= value <= high)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Decide by a kernel: what all built-in strategies share."""

    kind: ClassVar[int]
    name: str

    @property
    def parameters(self) -> Float64:
        """Settings as the kernel reads them."""
        return np.zeros(PARAMETERS)

    def decide(self, quotes: Quotes, order: ParentOrder, now: int) -> list[ChildOrder]:
        """Return the child orders to send now; see `Strategy.decide`."""
        venues = len(quotes.price)
        shares, limit = np.empty(venues, np.int64), np.empty(venues, np.int64)
        decide(
            self.kind, self.parameters, quotes.price, quotes.size,
            quotes.reference, sign_of(quotes.side), order.quantity, order.open, now,
            order.start, order.end, shares, limit,
            room_for(quotes.fee, quotes.rebate, quotes.price.shape[1]),
        )  # fmt: skip
        return [ChildOrder(v, int(shares[v]), int(limit[v])) for v in range(venues) if shares[v] > 0]


@dataclass(frozen=True, slots=True)
class BestAsk(_Compiled):
    """Take the best price, wherever it is, up to the size displayed there; again at the next update."""

    kind: ClassVar[int] = BEST_ASK
    name: str = "best_ask"


@dataclass(frozen=True, slots=True)
class Twap(_Compiled):
    """Release the order in equal slices over its time; take each slice at the best price.

    Attributes
    ----------
    slice_seconds : float
        Length of a slice.
    """

    kind: ClassVar[int] = TWAP
    name: str = "twap"
    slice_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse slices without length."""
        if not _between(self.slice_seconds, 1 / NS_PER_SECOND, LONGEST_SLICE):
            raise ConfigError(
                f"slice_seconds: found {self.slice_seconds!r}; expected a number from 1e-09 to {LONGEST_SLICE:g}"
            )

    @property
    def parameters(self) -> Float64:
        """Settings as the kernel reads them."""
        return np.array([self.slice_seconds * NS_PER_SECOND, 0.0, 0.0, 0.0])


@dataclass(frozen=True, slots=True)
class Vwap(_Compiled):
    """Split over the venues in proportion to the sizes that they display."""

    kind: ClassVar[int] = VWAP
    name: str = "vwap"


@dataclass(frozen=True, slots=True)
class Static(_Compiled):
    """Split by the exact optimum of the static cost model, measured against the mid.

    Where a side of the market is missing there is no mid, and it waits (`Quotes.reference` has the one exception).
    Only the marketable part of the optimum is sent: nothing rests in a backtest of marketable orders. With
    `fill="free"` shares dearer than the mid by more than `lambda_under + theta_queue` are left for later;
    with `fill="exact_fill"` every share has to go somewhere.

    Attributes
    ----------
    lambda_over, lambda_under, theta_queue : float
        Penalties in dollars a share, as in `venuewise.allocate`.
    fill : {"free", "exact_fill"}
    """

    kind: ClassVar[int] = STATIC
    name: str = "optimized"
    lambda_over: float = 0.6
    lambda_under: float = 0.7
    theta_queue: float = 0.5
    fill: Literal["free", "exact_fill"] = "free"

    def __post_init__(self) -> None:
        """Refuse penalties that are negative or no numbers."""
        for name in ("lambda_over", "lambda_under", "theta_queue"):
            value = getattr(self, name)
            if not _between(value, 0.0, sys.float_info.max):
                raise ConfigError(f"{name}: found {value!r}; expected a number of dollars, 0 or more")
        if self.fill not in ("free", "exact_fill"):
            raise ConfigError(f"fill: found {self.fill!r}; expected free or exact_fill")

    @property
    def parameters(self) -> Float64:
        """Settings as the kernel reads them."""
        every_share = 1.0 if self.fill == "exact_fill" else 0.0
        return np.array([self.lambda_over, self.lambda_under, self.theta_queue, every_share])


BuiltIn = BestAsk | Twap | Vwap | Static


def baselines(slice_seconds: float = 60.0) -> tuple[BestAsk, Twap, Vwap]:
    """Return the strategies that the router is compared with."""
    return BestAsk(), Twap(slice_seconds=slice_seconds), Vwap()
