"""The interval of a mean of dependent differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.coverage import KINDS, covered, differences
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from venuewise.research.intervals import FEWEST_BLOCKS, interval_of_mean, waves, why_none


@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=FEWEST_BLOCKS, max_size=60),
    overlap=st.integers(1, 7),
    level=st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_the_interval_is_that_of_the_formula_in_plain_python(
    values: list[float], overlap: int, level: float
) -> None:
    n, found = len(values), interval_of_mean(np.array(values), overlap, level)
    count = waves(n, overlap)
    if n < FEWEST_BLOCKS * overlap:
        assert found is None
        assert count == 0
        return
    assert found is not None
    assert found.degrees_of_freedom == count == round(0.4 * (n / overlap) ** (2 / 3)) >= 2
    mean = sum(values) / n
    variance = 0.0
    for j in range(1, count + 1):
        wave = sum((x - mean) * math.cos(math.pi * j * (t + 0.5) / n) for t, x in enumerate(values))
        variance += 2 / n * wave**2 / count
    reach = stats.t.ppf((1 + level) / 2, count) * math.sqrt(variance / n)
    assert found.low == pytest.approx(mean - reach, abs=1e-9)
    assert found.high == pytest.approx(mean + reach, abs=1e-9)


@pytest.mark.parametrize("overlap", [1, 2, 10])
def test_the_fewest_orders_that_get_an_interval_have_two_waves(overlap: int) -> None:
    fewest = FEWEST_BLOCKS * overlap
    assert waves(fewest, overlap) == 2
    assert why_none(fewest, overlap) is None
    assert interval_of_mean(np.arange(float(fewest - 1)), overlap) is None
    assert why_none(fewest - 1, overlap) == (
        f"orders: found {fewest - 1}, of which {overlap} run at once; expected at least {fewest}, "
        "for 8 that do not overlap"
    )


def test_the_first_and_the_last_orders_are_no_neighbours() -> None:
    # A trend: taken for a circle, its ends would meet and the slowest wave would look fast.
    values = np.arange(100.0)
    found, shuffled = interval_of_mean(values), interval_of_mean(np.random.default_rng(1).permutation(values))
    assert found is not None
    assert shuffled is not None
    assert found.high - found.low > 2 * (shuffled.high - shuffled.low)


def test_the_interval_follows_scale_and_place_and_not_the_direction_of_time() -> None:
    values = np.random.default_rng(2).exponential(size=80)
    found, moved = interval_of_mean(values, 4), interval_of_mean(3.0 - 2.0 * values[::-1], 4)
    assert found is not None
    assert moved is not None
    assert (moved.low, moved.high) == pytest.approx((3.0 - 2.0 * found.high, 3.0 - 2.0 * found.low))


def test_differences_that_are_all_alike_are_certain() -> None:
    found = interval_of_mean(np.full(24, 0.25))
    assert found is not None
    assert (found.low, found.high) == (0.25, 0.25)


# 4,000 samples: the standard error of a coverage of 95 % is 0.34 %.
@pytest.mark.parametrize(("n", "overlap"), [(24, 1), (24, 3), (54, 6), (100, 10), (300, 1), (300, 6)])
@pytest.mark.parametrize(
    ("kind", "band"), [("normal", (93.8, 96.2)), ("heavy", (93.8, 96.2)), ("skewed", (92.5, 96.2))]
)
def test_intervals_cover_what_they_promise(
    n: int, overlap: int, kind: str, band: tuple[float, float]
) -> None:
    rng = np.random.default_rng(7)
    low, high = band
    assert low <= covered(differences(rng, kind, 4000, n, overlap), overlap) <= high


def test_overlap_that_is_not_told_costs_coverage() -> None:
    rng = np.random.default_rng(8)
    values = differences(rng, "normal", 4000, 100, 10)
    assert covered(values, 1) < 92
    assert covered(values, 10) > 93.8


def test_nights_between_sessions_do_no_harm() -> None:
    # Ten days of thirty orders, three at once within a day, nothing shared across a night.
    rng = np.random.default_rng(9)
    days = [differences(rng, "normal", 4000, 30, 3) for _ in range(10)]
    assert 93.8 <= covered(np.concatenate(days, axis=1), 3) <= 96.2


def test_every_kind_of_difference_has_mean_zero() -> None:
    rng = np.random.default_rng(10)
    for kind in KINDS:
        values = differences(rng, kind, 500, 200, 2)
        assert values.shape == (500, 200)
        assert abs(values.mean()) < 0.02
