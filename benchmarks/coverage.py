"""How often do the 95 % intervals of a mean of paired differences hold the truth?

The differences are simulated as those of overlapping orders are: each is the mean of as many neighbouring moments of
the market as orders run at once. Moments are drawn from several laws, and in two columns they depend on
each other as well: states of the market that last longer than an order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from benchmarks.table import Table
from venuewise.research.intervals import interval_of_mean, waves

Float64 = npt.NDArray[np.float64]

ORDERS: Final = (24, 54, 100, 300, 1000)
OVERLAPS: Final = (1, 2, 3, 6, 10)
SAMPLES: Final = 4000
SETTLED: Final = 1e-6
"""Where a lasting state has forgotten how it began."""

Law = Callable[[np.random.Generator, tuple[int, int]], Float64]


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Float64:
    """Draw from a normal law."""
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> Float64:
    """Draw from an exponential law about its mean."""
    return rng.standard_exponential(shape) - 1.0


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> Float64:
    """Draw from Student's t with 3 degrees of freedom."""
    return rng.standard_t(3, shape)


KINDS: Final[dict[str, tuple[Law, Callable[[int], float]]]] = {
    "normal": (normal, lambda overlap: 0.0),
    "skewed": (skewed, lambda overlap: 0.0),
    "heavy": (heavy, lambda overlap: 0.0),
    "lasting": (normal, lambda overlap: 0.5),
    "an order long": (normal, lambda overlap: float(np.exp(-1 / overlap))),
}
"""Law of a moment of the market, and its correlation with the next (by overlap)."""


def differences(rng: np.random.Generator, kind: str, samples: int, n: int, overlap: int) -> Float64:
    """Return `samples` rows of `n` differences with mean 0, `overlap` neighbours of which share moments."""
    law, correlation = KINDS[kind]
    rho = correlation(overlap)
    before = int(np.log(SETTLED) / np.log(rho)) if rho else 0
    moments = law(rng, (samples, before + n + overlap - 1))
    if rho:
        moments = lfilter([1.0], [1.0, -rho], moments, axis=1)[:, before:]
    sums = np.cumsum(np.pad(moments, ((0, 0), (1, 0))), axis=1)
    found: Float64 = (sums[:, overlap:] - sums[:, :-overlap]) / overlap
    return found


def covered(values: Float64, overlap: int) -> float:
    """Return the percentage of rows whose interval holds 0, their true mean."""
    found = [interval_of_mean(row, overlap) for row in values]
    return 100 * float(
        np.mean([interval is not None and interval.low <= 0 <= interval.high for interval in found])
    )


def run() -> Table:
    """Count over samples of every kind, by orders and overlap."""
    rng = np.random.default_rng(1)
    rows: list[tuple[str, ...]] = []
    for n in ORDERS:
        for overlap in OVERLAPS:
            count = waves(n, overlap)
            cells = [
                f"{covered(differences(rng, kind, SAMPLES, n, overlap), overlap):.1f}" if count else "none"
                for kind in KINDS
            ]
            rows.append((f"{n:,}", str(overlap), str(count or "none"), *cells))
    return Table(
        "Coverage of 95 % intervals, in %",
        ("orders", "overlap", "waves", *KINDS),
        rows,
        (
            f"{SAMPLES:,} samples a cell: the standard error of a cell is 0.3. None: too few orders, no interval.",
            "normal, skewed (exponential), heavy (Student's t with 3 degrees of freedom): what a moment of the market "
            "is; an order is the mean of as many moments as orders run at once.",
            "lasting: normal moments that correlate by 0.5 with the next one; an order long: by exp(-1 / overlap), so "
            "that states of the market last as long as an order.",
        ),
    )
