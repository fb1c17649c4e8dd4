"""How certain is a mean of paired differences?

Parent orders that overlap in time share their market, so their differences are no independent sample. What is
uncertain about their mean is the long-run variance. It is estimated from the few slowest waves in the differences (the
equal-weighted cosine estimator: Mueller 2004; Lazarus, Lewis, Stock and Watson 2018): each wave gives an estimate of
its own, nearly independent of the others and of the mean, so the mean over its error follows Student's t with one
degree of freedom a wave. docs/backtest.md says how often such intervals cover.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.fft import dct
from scipy.special import stdtrit

LEVEL: Final = 0.95
METHOD: Final = "equal-weighted cosine long-run variance, Student's t"
FEWEST_BLOCKS: Final = 8
"""An interval wants at least so many blocks of orders that do not overlap: they give two waves. One wave alone keeps
its level by an interval six times as wide, which tells nobody anything."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of a mean, and the degrees of freedom behind it."""

    low: float
    high: float
    degrees_of_freedom: int


def waves(n: int, overlap: int) -> int:
    """Return how many waves `n` orders give, `overlap` of which run at once: 0.4 blocks^(2/3); 0 if too few.

    More waves make a narrower interval, and one that takes what neighbours share for certainty. The rule is that
    of Lazarus and others, with orders that do not overlap in the place of observations.
    """
    return round(0.4 * (n / overlap) ** (2 / 3)) if n >= FEWEST_BLOCKS * overlap else 0


def why_none(n: int, overlap: int) -> str | None:
    """Return why `n` orders get no interval, None if they get one."""
    if waves(n, overlap):
        return None
    return (
        f"orders: found {n}, of which {overlap} run at once; expected at least {FEWEST_BLOCKS * overlap}, "
        f"for {FEWEST_BLOCKS} that do not overlap"
    )


def interval_of_mean(
    values: npt.NDArray[np.float64], overlap: int = 1, level: float = LEVEL
) -> Interval | None:
    """Return the interval of the mean of `values`, None where there are too few to tell.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        In order of time. A night between two of them does no harm: orders on its two sides share less than neighbours.
    overlap : int
        How many neighbours share their market, at least 1 (itself).
    level : float
        Coverage, in (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> found = interval_of_mean(np.arange(24.0) % 5)
    >>> found.degrees_of_freedom, found.low < 2.0 < found.high
    (3, True)
    """
    n = len(values)
    count = waves(n, overlap)
    if count == 0:
        return None
    mean = float(values.mean())
    weights = dct(values - mean, norm="ortho")[1 : count + 1]
    error = np.sqrt(np.square(weights).mean() / n)
    reach = float(stdtrit(count, (1 + level) / 2) * error)
    return Interval(mean - reach, mean + reach, count)
