"""How certain is a mean of paired differences?

Parent orders that overlap in time share their market, so their differences are not independent: the bootstrap draws
whole blocks of neighbours (circular block bootstrap, Politis and Romano 1992), as long as orders overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

AT_ONCE: Final = 1_000_000
"""Values drawn at once: what bounds the memory."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, a median, and a percentile interval of the mean."""

    mean: float
    median: float
    low: float
    high: float
    level: float
    n: int


def block_bootstrap(
    values: npt.NDArray[np.float64],
    block: int = 1,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the mean of `values` with its bootstrap interval.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        In order of time; n >= 1.
    block : int
        Neighbours drawn together; 1 for independent values. Capped at n.
    draws : int
        Bootstrap samples.
    level : float
        Coverage, in (0, 1).
    seed : int

    Examples
    --------
    >>> import numpy as np
    >>> interval = block_bootstrap(np.array([1.0, 2.0, 3.0, 4.0]), seed=1)
    >>> interval.mean, interval.low <= 2.5 <= interval.high
    (2.5, True)
    """
    n = len(values)
    block = min(max(block, 1), n)
    rng = np.random.default_rng(seed)
    blocks = -(-n // block)
    means = np.empty(draws)
    some = max(AT_ONCE // n, 1)
    for first in range(0, draws, some):
        starts = rng.integers(0, n, (min(some, draws - first), blocks))
        rows = (starts[:, :, None] + np.arange(block)).reshape(len(starts), -1)[:, :n] % n
        means[first : first + some] = values[rows].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(np.median(values)), float(low), float(high), level, n)
