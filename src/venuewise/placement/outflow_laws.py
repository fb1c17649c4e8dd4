"""Parametric distributions of an outflow, and how well they fit.

An outflow is 0 in windows in which nothing happened and infinite in those in which the market went through the
price; in between it is spread out. A fit keeps the two atoms as they were observed and gives the middle a
Poisson, exponential or gamma law, or the sample itself with an exponential tail beyond its largest tenth. It
can be handed to `place` as an outflow. Goodness of fit is the Kolmogorov-Smirnov distance, with a p-value from
a parametric bootstrap because the parameters come from the same data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from venuewise.errors import ConfigError

Float64 = npt.NDArray[np.float64]
Family = Literal["poisson", "exponential", "gamma", "empirical"]

BOOTSTRAP: Final = 199
"""Samples drawn from the fitted law for a p-value."""
TAIL: Final = 0.1
"""Share of the largest observations that the exponential tail of the empirical law replaces."""


@dataclass(frozen=True, slots=True)
class EmpiricalTail:
    """The sample below `threshold`, an exponential tail above it.

    Attributes
    ----------
    body : ndarray
        Observations up to the threshold, in order.
    threshold, mean_excess : float
        Where the tail begins, and its mean length, in shares.
    tail : float
        Probability of the tail.
    """

    body: Float64
    threshold: float
    mean_excess: float
    tail: float

    def cdf(self, shares: npt.ArrayLike) -> Float64:
        """P(xi <= shares)."""
        at = np.asarray(shares, dtype=np.float64)
        below = np.searchsorted(self.body, at, side="right") / max(self.body.size, 1) * (1.0 - self.tail)
        if self.mean_excess <= 0.0:
            return np.where(at >= self.threshold, 1.0, below)
        beyond = np.maximum(at - self.threshold, 0.0) / self.mean_excess
        return np.asarray(np.where(at > self.threshold, 1.0 - self.tail * np.exp(-beyond), below))

    def sf(self, shares: npt.ArrayLike) -> Float64:
        """P(xi > shares)."""
        return np.asarray(1.0 - self.cdf(shares))

    def mean_fill_of_tail(self, queue: float, limit: float) -> float:
        """E[min(limit, (xi - queue)+)] given that xi lies in the tail, in shares."""
        end = queue + limit
        certain = min(max(self.threshold - queue, 0.0), limit)
        if self.mean_excess <= 0.0 or end <= self.threshold:
            return certain
        first, last = (max(at - self.threshold, 0.0) / self.mean_excess for at in (queue, end))
        return certain + self.mean_excess * (math.exp(-first) - math.exp(-last))

    def ppf(self, probability: npt.ArrayLike) -> Float64:
        """Smallest v with P(xi <= v) >= probability."""
        at = np.asarray(probability, dtype=np.float64)
        rank = np.ceil(np.minimum(at / (1.0 - self.tail), 1.0) * self.body.size - 1e-9).astype(np.int64) - 1
        body = self.body[np.clip(rank, 0, self.body.size - 1)]
        with np.errstate(divide="ignore"):
            beyond = self.threshold - self.mean_excess * np.log(np.clip((1.0 - at) / self.tail, 0.0, 1.0))
        return np.asarray(np.where(at > 1.0 - self.tail, beyond, body))


@dataclass(frozen=True, slots=True)
class OutflowFit:
    """A fitted distribution of one venue's outflow.

    Attributes
    ----------
    family : {"poisson", "exponential", "gamma", "empirical"}
        Law of the outflows that are neither 0 nor infinite; a Poisson law has its own zeros.
    law : frozen scipy.stats distribution or EmpiricalTail
        That law.
    parameters : dict of str to float
        Its parameters in shares.
    zero, passed : float
        Probabilities of no outflow at all and of being filled for certain.
    observations : int
        Outflows that the law was fitted to.
    log_likelihood, aic : float
        Of those observations; NaN for the empirical law.
    distance, p_value : float
        Kolmogorov-Smirnov distance, and the share of samples of the fitted law that, refitted, lie at least
        as far off. A small p-value speaks against the law.
    """

    family: Family
    law: Any
    parameters: dict[str, float]
    zero: float
    passed: float
    observations: int
    log_likelihood: float
    aic: float
    distance: float
    p_value: float

    @property
    def spread(self) -> float:
        """Probability of the law, beside the two atoms."""
        return 1.0 - self.zero - self.passed

    def cdf(self, shares: npt.ArrayLike) -> Float64:
        """P(xi <= shares)."""
        at = np.asarray(shares, dtype=np.float64)
        return np.asarray(np.where(at >= 0.0, self.zero + self.spread * self.law.cdf(at), 0.0))

    def sf(self, shares: npt.ArrayLike) -> Float64:
        """P(xi > shares)."""
        return np.asarray(1.0 - self.cdf(shares))

    def ppf(self, probability: npt.ArrayLike) -> Float64:
        """Smallest v with P(xi <= v) >= probability."""
        at = np.asarray(probability, dtype=np.float64)
        inner = np.clip((at - self.zero) / self.spread, 0.0, 1.0) if self.spread > 0.0 else np.zeros_like(at)
        finite = np.where(at <= self.zero, 0.0, self.law.ppf(inner))
        return np.asarray(np.where(at > 1.0 - self.passed, np.inf, finite))

    def rvs(self, size: int | tuple[int, ...], random_state: np.random.Generator) -> Float64:
        """Draw outflows in shares."""
        return self.ppf(random_state.uniform(size=size))


def fit_outflow(outflow: npt.ArrayLike, family: Family, *, seed: int = 0) -> OutflowFit:
    """Fit a distribution to one venue's outflows by maximum likelihood.

    Parameters
    ----------
    outflow : array_like, shape (N,)
        Shares, at least 0; infinite where the market passed the price.
    family : {"poisson", "exponential", "gamma", "empirical"}
        Law of the part between the atoms.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    ConfigError
        If there are fewer than two outflows to fit to, a negative one or a NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from venuewise.placement.outflow_laws import fit_outflow
    >>> fit = fit_outflow(np.random.default_rng(1).poisson(300, 500), "poisson")
    >>> round(fit.parameters["mean"]), fit.p_value > 0.05
    (299, True)
    """
    if family not in get_args(Family):
        raise ConfigError(f"family: found {family!r}; expected {' or '.join(get_args(Family))}")
    observed = np.asarray(outflow, dtype=np.float64)
    if observed.ndim != 1 or np.any(np.isnan(observed)) or np.any(observed < 0.0):
        raise ConfigError(
            f"outflow: found shape {observed.shape}, a negative number or NaN; expected one row of numbers, 0 or more"
        )
    finite = observed[np.isfinite(observed)]
    spread = finite if family == "poisson" else finite[finite > 0.0]
    if spread.size < 2:
        raise ConfigError(
            f"outflow: found {spread.size} usable windows; expected 2 or more to fit a distribution"
        )
    law, parameters = _maximum_likelihood(spread, family)
    likelihood = math.nan
    if family == "poisson":
        likelihood = float(np.sum(stats.poisson.logpmf(np.rint(spread), parameters["mean"])))
    elif family != "empirical":
        likelihood = float(np.sum(law.logpdf(spread)))
    distance = ks_distance(spread, law)
    rng = np.random.default_rng(seed)
    further = 0
    for _ in range(BOOTSTRAP):
        drawn = np.asarray(law.ppf(rng.uniform(size=spread.size)))
        further += ks_distance(drawn, _maximum_likelihood(drawn, family)[0]) >= distance
    return OutflowFit(
        family=family,
        law=law,
        parameters=parameters,
        zero=0.0 if family == "poisson" else float(np.mean(observed == 0.0)),
        passed=float(np.mean(np.isinf(observed))),
        observations=spread.size,
        log_likelihood=likelihood,
        aic=2.0 * len(parameters) - 2.0 * likelihood,
        distance=distance,
        p_value=(1.0 + further) / (1.0 + BOOTSTRAP),
    )


def ks_distance(observed: Float64, law: Any) -> float:
    """Largest distance between the distribution function of a sample and that of a law."""
    values, counts = np.unique(observed, return_counts=True)
    above = np.cumsum(counts) / observed.size
    at = np.asarray(law.cdf(values))
    before = np.asarray(law.cdf(np.nextafter(values, -np.inf)))
    below = above - counts / observed.size
    return float(np.max(np.maximum(np.abs(above - at), np.abs(before - below))))


def _maximum_likelihood(spread: Float64, family: Family) -> tuple[Any, dict[str, float]]:
    mean = max(float(spread.mean()), 1e-9)
    if family == "poisson":
        return stats.poisson(mean), {"mean": mean}
    if family == "exponential":
        return stats.expon(scale=mean), {"mean": mean}
    if family == "gamma":
        shape = _gamma_shape(spread, mean)
        return stats.gamma(shape, scale=mean / shape), {"shape": shape, "scale": mean / shape}
    ordered = np.sort(spread)
    beyond = max(int(TAIL * ordered.size), 1)
    threshold = float(ordered[-beyond - 1])
    excess = float(np.mean(ordered[-beyond:] - threshold))
    law = EmpiricalTail(ordered[:-beyond], threshold, excess, beyond / ordered.size)
    return law, {"threshold": threshold, "mean_excess": excess, "tail": law.tail}


def _gamma_shape(spread: Float64, mean: float) -> float:
    """Solve log(a) - digamma(a) = log(mean) - mean(log), the likelihood equation of the shape."""
    target = math.log(mean) - float(np.mean(np.log(np.maximum(spread, 1e-9))))
    if target < 1e-8:
        return 1e7  # all observations equal but for rounding

    def equation(log_shape: float) -> float:
        return log_shape - float(special.digamma(math.exp(log_shape))) - target

    return math.exp(float(optimize.brentq(equation, math.log(1e-8), math.log(1e8))))
