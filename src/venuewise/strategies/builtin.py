"""The strategies that come with venuewise.

Each is a value (its settings) with a kernel behind it. A backtest hands `kind` and `parameters` to the compiled
engine; everyone else calls `decide`, which runs the same kernel on one moment's quotes. Routers (`BestAsk`, `Vwap`,
`Static`) say where shares go and send all that they can at once; schedules (`Twap`, `VwapSchedule`, `Pov`) say
when, and leave the where to a router, by default to the best price.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np

from venuewise.data.events import NS_PER_SECOND
from venuewise.errors import ConfigError
from venuewise.market.book import Quotes, sign_of
from venuewise.strategies.base import ChildOrder, ParentOrder
from venuewise.strategies.kernels import (
    AT_ONCE,
    BEST_ASK,
    BY_CURVE,
    BY_SIZE,
    BY_VOLUME,
    EVEN,
    MILLION,
    SCHEDULE,
    STATIC,
    Float64,
    decide,
    room_for,
)

LONGEST_SLICE: Final = 1e9
"""Seconds, some 30 years: in nanoseconds it still is an int64."""
MOST_BUCKETS: Final = 86_400
"""Buckets of a volume curve at most: one for each second of a day."""


def _between(value: object, low: float, high: float) -> bool:
    """Tell whether something is a number (true and false are none) from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(low <= value <= high)


def _check_slice(slice_seconds: object) -> None:
    """Refuse slices without length."""
    if slice_seconds is not None and not _between(slice_seconds, 1 / NS_PER_SECOND, LONGEST_SLICE):
        raise ConfigError(
            f"slice_seconds: found {slice_seconds!r}; expected a number from 1e-09 to {LONGEST_SLICE:g}"
        )


class _Compiled(Protocol):
    """Decide by a kernel: what all built-in strategies share."""

    __slots__ = ()

    @property
    def kind(self) -> int:
        """The router, as the kernel knows it."""
        ...

    @property
    def parameters(self) -> Float64:
        """Settings as the kernel reads them."""
        ...

    def decide(self, quotes: Quotes, order: ParentOrder, now: int) -> list[ChildOrder]:
        """Return the child orders to send now; see `Strategy.decide`."""
        venues = len(quotes.price)
        shares, limit = np.empty(venues, np.int64), np.empty(venues, np.int64)
        decide(
            self.kind, self.parameters, quotes.price, quotes.size,
            quotes.reference, sign_of(quotes.side), order.quantity, order.open, now,
            order.start, order.end, order.printed, shares, limit,
            room_for(quotes.fee, quotes.rebate, quotes.price.shape[1]),
        )  # fmt: skip
        return [ChildOrder(v, int(shares[v]), int(limit[v])) for v in range(venues) if shares[v] > 0]


def _settings(
    router: Sequence[float] = (0.0,) * SCHEDULE, schedule: int = AT_ONCE, pace: float = 0.0
) -> Float64:
    return np.array([*router, schedule, pace])


def _scheduled(router: BestAsk | Vwap | Static, schedule: int, pace: float) -> Float64:
    return _settings(router.parameters[:SCHEDULE].tolist(), schedule, pace)


@dataclass(frozen=True, slots=True)
class BestAsk(_Compiled):
    """Take the best price, wherever it is, up to the size displayed there; again at the next update."""

    name: str = "best_ask"

    @property
    def kind(self) -> int:
        """The router, as the kernel knows it."""
        return BEST_ASK

    @property
    def parameters(self) -> Float64:
        """Settings as the kernel reads them."""
        return _settings()


@dataclass(frozen=True, slots=True)
class Vwap(_Compiled):
    """Send all at once, split over the venues in proportion to the sizes that they display.

    The name is that of earlier systems: it is one shot, weighted by displayed size, and no schedule over time. That is
    `VwapSchedule`.
    """

    name: str = "vwap"

    @property
    def kind(self) -> int:
        """The router, as the kernel knows it."""
        return BY_SIZE

    @property
    def parameters(self) -> Float64:
        """Settings as the kernel reads them."""
        return _settings()


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
    def kind(self) -> int:
        """The router, as the kernel knows it."""
        return STATIC

    @property
    def parameters(self) -> Float64:
        """Settings as the kernel reads them."""
        every_share = 1.0 if self.fill == "exact_fill" else 0.0
        return _settings((self.lambda_over, self.lambda_under, self.theta_queue, every_share))


@dataclass(frozen=True, slots=True)
class Twap(_Compiled):
    """Release the order in equal slices over its time.

    Attributes
    ----------
    slice_seconds : float, optional
        Length of a slice. Default: a minute where the order has time for ten of them, else a tenth of its time.
    router : BestAsk, Vwap or Static
        Where the shares released go; what it leaves waits for the next update.
    """

    name: str = "twap"
    slice_seconds: float | None = None
    router: BestAsk | Vwap | Static = BestAsk()

    def __post_init__(self) -> None:
        """Refuse slices without length."""
        _check_slice(self.slice_seconds)

    @property
    def kind(self) -> int:
        """The router, as the kernel knows it."""
        return self.router.kind

    @property
    def parameters(self) -> Float64:
        """Settings as the kernel reads them."""
        return _scheduled(self.router, EVEN, (self.slice_seconds or 0.0) * NS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class VwapSchedule(_Compiled):
    """Release the order over its time as the volume of a day is expected to come.

    Attributes
    ----------
    volume : sequence of float
        Volume expected in each bucket of a UTC day, in any unit; the buckets are equally long (288 numbers: five
        minutes each). Empty or flat: volume comes evenly, and this is `Twap`.
    slice_seconds : float, optional
        As of `Twap`: each slice releases the share of the volume that is expected in it, at its beginning.
    router : BestAsk, Vwap or Static
        Where the shares released go.
    """

    name: str = "vwap_schedule"
    volume: tuple[float, ...] = ()
    slice_seconds: float | None = None
    router: BestAsk | Vwap | Static = BestAsk()

    def __post_init__(self) -> None:
        """Refuse slices without length, and volumes that are none."""
        _check_slice(self.slice_seconds)
        if isinstance(self.volume, str) or not isinstance(self.volume, Sequence):
            raise ConfigError(f"volume: found {self.volume!r}; expected a list of numbers")
        if len(self.volume) > MOST_BUCKETS:
            raise ConfigError(f"volume: found {len(self.volume)} buckets; expected at most {MOST_BUCKETS}")
        for value in self.volume:
            if not _between(value, 0.0, 1e18):
                raise ConfigError(f"volume: found {value!r}; expected numbers from 0 to 1e+18")
        object.__setattr__(self, "volume", tuple(self.volume))

    @property
    def flat(self) -> bool:
        """Is volume expected to come evenly?"""
        return len(set(self.volume)) <= 1

    @property
    def kind(self) -> int:
        """The router, as the kernel knows it."""
        return self.router.kind

    @property
    def parameters(self) -> Float64:
        """Settings as the kernel reads them."""
        pace = (self.slice_seconds or 0.0) * NS_PER_SECOND
        if self.flat:
            return _scheduled(self.router, EVEN, pace)
        curve = np.concatenate([[0.0], np.cumsum(np.asarray(self.volume, np.float64))])
        return np.concatenate([_scheduled(self.router, BY_CURVE, pace), curve])


@dataclass(frozen=True, slots=True)
class Pov(_Compiled):
    """Keep the shares sent at a share of the volume that the market has printed since the order's start.

    What is not released by the end is bought then, as by all strategies. The volume is that of `ParentOrder.printed`:
    recorded data print nobody's fills but those of others.

    Attributes
    ----------
    participation : float
        Share of the printed volume, from 1e-6 to 1, to a millionth.
    router : BestAsk, Vwap or Static
        Where the shares released go.
    """

    name: str = "pov"
    participation: float = 0.1
    router: BestAsk | Vwap | Static = BestAsk()

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        if not _between(self.participation, 1 / MILLION, 1.0):
            raise ConfigError(
                f"participation: found {self.participation!r}; expected a number from 1e-06 to 1"
            )

    @property
    def kind(self) -> int:
        """The router, as the kernel knows it."""
        return self.router.kind

    @property
    def parameters(self) -> Float64:
        """Settings as the kernel reads them."""
        return _scheduled(self.router, BY_VOLUME, round(self.participation * MILLION))


BuiltIn = BestAsk | Vwap | Static | Twap | VwapSchedule | Pov


def baselines(slice_seconds: float | None = None) -> tuple[BestAsk, Twap, Vwap]:
    """Return the strategies of earlier systems that the router is compared with."""
    return BestAsk(), Twap(slice_seconds=slice_seconds), Vwap()
