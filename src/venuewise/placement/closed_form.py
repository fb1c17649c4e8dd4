"""The optimum for one venue, in closed form.

With M + L = S the cost is convex in L, and its derivative vanishes where the outflow's distribution is
F(Q + L*) = (2h + f + r) / (lambda_u + h + r + theta): a newsvendor's fractile, the cost of waiting too little
against that of waiting too much (Cont and Kukanov, section 3; F may have jumps). Sending exactly S is best as
long as a missing share costs more than a market order and an extra fill earns nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import integrate, stats

from venuewise.errors import ConfigError
from venuewise.placement.outflow_laws import EmpiricalTail, OutflowFit
from venuewise.placement.problem import PlacementModel

Float64 = npt.NDArray[np.float64]

NEVER: Final = 1e-20
"""A probability that vanishes beside 1."""
MOST_STEPS: Final = 10_000_000
"""Whole numbers that a sum may run over: memory."""


@dataclass(frozen=True, slots=True)
class SingleVenue:
    """L*, and what it does: shares and probabilities at one venue, cost in dollars."""

    limit: float
    cost: float
    expected_fill: float
    reach_probability: float
    fill_probability: float


def single_venue(model: PlacementModel, venue: int, outflow: Any) -> SingleVenue:
    """Solve for the limit order at one venue, the rest of the order going to the market.

    Parameters
    ----------
    model : PlacementModel
        All venues but `venue` are left out.
    venue : int
        Index of the venue.
    outflow : ndarray, frozen scipy.stats distribution or OutflowFit
        A sample of that venue's outflow (shares), or a distribution with `cdf`, `sf` and `ppf`.

    Raises
    ------
    ConfigError
        If sending exactly the order is not best, so that the formula does not apply.
    """
    gain = float(model.gain[venue])
    if model.lambda_under < model.half_spread + model.taker_fee:
        raise ConfigError(
            f"lambda_under: found {model.lambda_under:g}; expected at least half_spread + taker_fee for closed_form "
            "(else it is best to leave shares open): use method sample_average"
        )
    if model.lambda_over < gain:
        raise ConfigError(
            f"lambda_over: found {model.lambda_over:g}; expected at least half_spread + rebate for closed_form "
            "(else over-filling pays): use method sample_average"
        )
    order, queue = model.order, float(model.queue[venue])
    most = min(order, float(model.cap[venue]))
    too_little = gain + model.half_spread + model.taker_fee
    whole = model.lambda_under + gain + model.theta
    if whole <= 0.0 or too_little <= 0.0:
        limit = 0.0  # a fill costs more than taking the share now
    elif too_little >= whole:
        limit = most
    else:
        limit = min(max(quantile(outflow, too_little / whole) - queue, 0.0), most)
    market = order - limit
    fill = expected_fill(outflow, queue, limit)
    cost = (
        (model.half_spread + model.taker_fee) * market
        - gain * fill
        + model.theta * (order + limit - fill)
        + model.lambda_under * (limit - fill)
    )
    return SingleVenue(
        limit,
        cost,
        fill,
        exceeds(outflow, queue, strictly=True),
        exceeds(outflow, queue + limit, strictly=False),
    )


def quantile(outflow: Any, fractile: float) -> float:
    """Smallest v with F(v) >= fractile."""
    if isinstance(outflow, np.ndarray):
        ordered = np.sort(outflow)
        return float(ordered[min(max(math.ceil(fractile * ordered.size) - 1, 0), ordered.size - 1)])
    return float(outflow.ppf(fractile))


def exceeds(outflow: Any, shares: float, *, strictly: bool) -> float:
    """P(xi > shares), or P(xi >= shares)."""
    if isinstance(outflow, np.ndarray):
        return float(np.mean(outflow > shares if strictly else outflow >= shares))
    if isinstance(outflow, OutflowFit):
        return outflow.passed + outflow.spread * exceeds(outflow.law, shares, strictly=strictly)
    if is_discrete(outflow) and not strictly:
        return float(outflow.sf(math.ceil(shares) - 1))
    return float(outflow.sf(shares))


def expected_fill(outflow: Any, queue: float, limit: float) -> float:
    """E[min(L, (xi - Q)+)], the integral of P(xi > t) over t from Q to Q + L, in shares."""
    if limit <= 0.0:
        return 0.0
    if isinstance(outflow, np.ndarray):
        return float(np.mean(np.minimum(np.maximum(outflow - queue, 0.0), limit)))
    if isinstance(outflow, OutflowFit):
        return outflow.passed * limit + outflow.spread * expected_fill(outflow.law, queue, limit)
    end = queue + limit
    if isinstance(outflow, EmpiricalTail):
        below = (1.0 - outflow.tail) * expected_fill(outflow.body, queue, limit)
        return below + outflow.tail * outflow.mean_fill_of_tail(queue, limit)
    if is_discrete(outflow):
        # Outside these quantiles P(xi > t) is 1 or 0 to the last bit, however far the limit reaches.
        low = min(max(queue, float(outflow.ppf(NEVER)) - 1.0), end)
        width = 1.0
        while low + width < end and outflow.sf(low + width) > NEVER:
            width *= 2.0
        high = min(low + width, end)
        if high - low > MOST_STEPS:
            raise ConfigError(
                f"outflow: found whole numbers spread over {high - low:,.0f}; expected at most {MOST_STEPS:,} "
                "for closed_form: use method sample_average"
            )
        whole = np.arange(math.floor(low) + 1, math.ceil(high), dtype=np.float64)
        edges = np.concatenate(([low], whole, [high]))
        return low - queue + float(np.sum(outflow.sf(edges[:-1]) * np.diff(edges)))
    # The quantiles keep the integrator from stepping over a narrow distribution.
    inner = np.unique(np.clip(outflow.ppf(np.linspace(0.05, 0.95, 7)), queue, end))
    return float(integrate.quad(outflow.sf, queue, end, points=inner, limit=200)[0])


def is_discrete(outflow: Any) -> bool:
    """Whether a frozen distribution lives on the integers."""
    return isinstance(getattr(outflow, "dist", None), stats.rv_discrete)
