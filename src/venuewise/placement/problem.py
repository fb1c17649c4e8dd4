"""What a placement is decided on: the order, what each outcome costs, and the queues.

The names are those of Cont and Kukanov, "Optimal order placement in limit order markets" (Quantitative
Finance 17, 2017), section 2. Kernels see the order as 1 and costs per share; shares are converted here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Final, Literal, Protocol, cast, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from venuewise.errors import ConfigError

Float64 = npt.NDArray[np.float64]
Side = Literal["buy", "sell"]
Overfill = Literal["penalise", "cancel"]

LARGEST: Final = 1e15
"""Shares or dollars: a float counts them one by one up to here, and no sum of products overflows."""
LEAST_ORDER: Final = 1e-6
"""Shares; outflows are divided by the order."""


@runtime_checkable
class Outflow(Protocol):
    """A joint distribution of the outflows of all venues."""

    def sample(self, size: int, rng: np.random.Generator) -> Float64:
        """Draw outflows in shares, shape (size, K)."""


@dataclass(frozen=True, slots=True)
class CommonFactorOutflow:
    """Outflows that share a factor: xi_k = weight * common + (1 - weight) * own_k, all draws independent.

    Parameters
    ----------
    common, own : frozen scipy.stats distribution
        Distribution of the common draw and of each venue's own one.
    venues : int
        Number of venues.
    weight : float
        Weight of the common draw, 0 (independent venues) to 1 (all the same).
    """

    common: object
    own: object
    venues: int
    weight: float

    def sample(self, size: int, rng: np.random.Generator) -> Float64:
        """Draw outflows in shares, shape (size, venues)."""
        common = draw(self.common, (size, 1), rng)
        own = draw(self.own, (size, self.venues), rng)
        return np.asarray(self.weight * common + (1.0 - self.weight) * own)


def draw(distribution: object, shape: tuple[int, ...], rng: np.random.Generator) -> Float64:
    """Draw from a frozen scipy.stats distribution, or from anything with the same `rvs`."""
    rvs = getattr(distribution, "rvs", None)
    if rvs is None:
        raise ConfigError(f"outflow: found {type(distribution).__name__}; expected numbers or a distribution")
    try:
        return np.asarray(rvs(size=shape, random_state=rng), dtype=np.float64)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"outflow: found a distribution that cannot be drawn from ({error}); expected one that can"
        ) from None


@dataclass(frozen=True, slots=True)
class PlacementModel:
    """Order, costs and queues of one decision, checked.

    Attributes
    ----------
    order : float
        S, shares to trade.
    half_spread, taker_fee, theta, lambda_under, lambda_over : float
        h, f, theta, lambda_u, lambda_o in dollars per share.
    rebate, adverse_selection, queue, cap : ndarray, shape (K,)
        What the venue pays a fill, what a fill loses to the move after it (both dollars per share), Q_k and
        the largest L_k (shares).
    send_at_least : bool
        Require M + sum L_k >= S.
    overfill : {"penalise", "cancel"}
        What happens to limit orders once the order is filled.
    side : {"buy", "sell"}
        A sell rests at the best asks; the numbers mean the same.
    """

    order: float
    half_spread: float
    taker_fee: float
    rebate: Float64
    adverse_selection: Float64
    queue: Float64
    theta: float
    lambda_under: float
    lambda_over: float
    cap: Float64
    send_at_least: bool
    overfill: Overfill
    side: Side

    @property
    def venues(self) -> int:
        """K."""
        return int(self.rebate.size)

    @property
    def gain(self) -> Float64:
        """h + r_k, r_k the rebate less adverse selection: what a fill earns against the mid, per share."""
        return np.asarray(self.half_spread + self.rebate - self.adverse_selection)

    @property
    def prices(self) -> Float64:
        """Cost per share of a market order, of sending, of a share short and of a share over."""
        return np.array(
            [
                self.half_spread + self.taker_fee + self.theta,
                self.theta,
                self.lambda_under + self.theta,
                self.lambda_over,
            ]
        )

    @property
    def bounds(self) -> Float64:
        """Upper bounds of M, L_1, ..., L_K in units of the order."""
        return np.concatenate(([1.0], self.cap / self.order if self.order > 0 else np.zeros(self.venues)))

    @property
    def convex(self) -> bool:
        """Whether the problem as posed is convex: orders cancelled in time, or over-filling never hurts."""
        return self.overfill == "cancel" or bool(self.lambda_over <= self.gain.min())

    def excess(self, outflow: Float64) -> Float64:
        """Outflow behind our place in the queues, (xi - Q)+ in units of the order: (N, K) in, (K, N) out."""
        return np.ascontiguousarray(np.maximum(outflow - self.queue, 0.0).T) / self.order

    def in_orders(self, shares: npt.ArrayLike) -> Float64:
        """Check a placement given in shares and convert it to units of the order."""
        expected = f"{self.venues + 1} finite numbers (market, then each limit order)"
        try:
            x = np.asarray(shares, dtype=np.float64)
        except (TypeError, ValueError):
            raise ConfigError(f"shares: found {shares!r}; expected {expected}") from None
        if x.shape != (self.venues + 1,) or not np.all(np.isfinite(x)):
            raise ConfigError(f"shares: found {x.tolist()}; expected {expected}")
        return x / self.order if self.order > 0 else np.zeros_like(x)


def placement_model(
    order: float,
    *,
    half_spread: float,
    taker_fee: float | Sequence[float],
    rebate: npt.ArrayLike,
    queue: npt.ArrayLike,
    lambda_under: float,
    lambda_over: float,
    theta: float = 0.0,
    adverse_selection: npt.ArrayLike = 0.0,
    cap: npt.ArrayLike | None = None,
    send_at_least: bool = False,
    overfill: Overfill = "penalise",
    side: Side = "buy",
) -> PlacementModel:
    """Check and gather what a placement is decided on; the parameters are those of `place`.

    Raises
    ------
    ConfigError
        If a number is missing, not finite or out of its range.
    """
    venues = np.size(np.asarray(queue, dtype=object))
    if venues < 1:
        raise ConfigError("queue: found none; expected one number for each venue")
    if overfill not in get_args(Overfill):
        raise ConfigError(f"overfill: found {overfill!r}; expected {' or '.join(get_args(Overfill))}")
    if side not in get_args(Side):
        raise ConfigError(f"side: found {side!r}; expected {' or '.join(get_args(Side))}")
    shares = number("order", order, least=0.0)
    if 0.0 < shares < LEAST_ORDER:
        raise ConfigError(f"order: found {shares:g} shares; expected 0 or at least {LEAST_ORDER:g}")
    fees = by_venue("taker_fee", taker_fee, np.size(np.asarray(taker_fee, dtype=object)))
    if fees.size == 0:
        raise ConfigError("taker_fee: found none; expected at least one number")
    caps = np.full(venues, shares) if cap is None else by_venue("cap", cap, venues, least=0.0)
    return PlacementModel(
        order=shares,
        half_spread=number("half_spread", half_spread, least=0.0),
        taker_fee=float(fees.min()),
        rebate=by_venue("rebate", rebate, venues),
        adverse_selection=by_venue("adverse_selection", adverse_selection, venues),
        queue=by_venue("queue", queue, venues, least=0.0),
        theta=number("theta", theta, least=0.0),
        lambda_under=number("lambda_under", lambda_under, least=0.0),
        lambda_over=number("lambda_over", lambda_over, least=0.0),
        cap=caps,
        send_at_least=send_at_least,
        overfill=overfill,
        side=side,
    )


def number(name: str, value: float, *, least: float = -math.inf) -> float:
    """Check one number."""
    try:
        checked = float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}: found {value!r}; expected a number") from None
    except OverflowError:
        checked = math.inf
    if not max(least, -LARGEST) <= checked <= LARGEST:
        raise ConfigError(
            f"{name}: found {value!r}; expected a number from {max(least, -LARGEST):g} to {LARGEST:g}"
        )
    return checked


def whole_number(name: str, value: int, least: int, most: int) -> int:
    """Check one whole number."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= value <= most:
        raise ConfigError(f"{name}: found {value!r}; expected a whole number from {least} to {most:,}")
    return int(value)


def by_venue(name: str, values: npt.ArrayLike, venues: int, *, least: float = -math.inf) -> Float64:
    """Check one number for each venue; a single number stands for all."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}: found {values!r}; expected one number for each venue") from None
    if array.ndim == 0:
        array = np.full(venues, float(array))
    if array.shape != (venues,):
        raise ConfigError(f"{name}: found shape {array.shape}; expected {venues} numbers, one for each venue")
    lowest = max(least, -LARGEST)
    if not np.all((array >= lowest) & (array <= LARGEST)):
        raise ConfigError(f"{name}: found {array.tolist()}; expected numbers from {lowest:g} to {LARGEST:g}")
    return array


def outflow_sample(outflow: object, venues: int, samples: int, seed: int) -> Float64:
    """Return outflows in shares, shape (N, K): the sample given, or one drawn from the distributions."""
    rng = np.random.default_rng(seed)
    if isinstance(outflow, Outflow):
        drawn = np.asarray(outflow.sample(samples, rng), dtype=np.float64)
    elif hasattr(outflow, "rvs"):
        if venues != 1:
            raise ConfigError(f"outflow: found one distribution for {venues} venues; expected one for each")
        drawn = draw(outflow, (samples, 1), rng)
    elif isinstance(outflow, Sequence) and any(hasattr(entry, "rvs") for entry in outflow):
        if len(outflow) != venues:
            raise ConfigError(
                f"outflow: found {len(outflow)} distributions; expected {venues}, one for each venue"
            )
        drawn = np.column_stack([draw(entry, (samples,), rng) for entry in outflow])
    else:
        try:
            drawn = np.asarray(cast(npt.ArrayLike, outflow), dtype=np.float64)
        except (TypeError, ValueError):
            raise ConfigError(
                f"outflow: found {type(outflow).__name__}; expected a sample of shape (N, K) or distributions"
            ) from None
        if drawn.ndim == 1 and venues == 1:
            drawn = drawn[:, None]
    if drawn.ndim != 2 or drawn.shape[1] != venues or drawn.shape[0] == 0:
        raise ConfigError(f"outflow: found shape {drawn.shape}; expected (N, {venues}) with N >= 1")
    if np.any(np.isnan(drawn)) or np.any(drawn < 0.0):
        raise ConfigError("outflow: found a negative number or NaN; expected numbers of at least 0")
    return drawn
