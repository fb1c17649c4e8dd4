"""The interval of a mean of dependent differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from venuewise.research.bootstrap import block_bootstrap


def test_independent_values_agree_with_scipy() -> None:
    values = np.random.default_rng(5).gamma(2.0, 3.0, 80)
    ours = block_bootstrap(values, block=1, draws=20_000, seed=1)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.05)
    assert ours.high == pytest.approx(theirs.high, abs=0.05)
    assert ours.mean == pytest.approx(values.mean())
    assert ours.median == pytest.approx(np.median(values))


def test_blocks_cover_a_moving_average_where_single_values_do_not() -> None:
    rng = np.random.default_rng(11)
    covered = {1: 0, 10: 0}
    trials = 300
    for trial in range(trials):
        noise = rng.normal(size=210)
        values = np.convolve(noise, np.ones(10) / 10, mode="valid")[:200]
        for block in covered:
            interval = block_bootstrap(values, block, draws=300, seed=trial)
            covered[block] += interval.low <= 0 <= interval.high
    assert covered[1] / trials < 0.6
    assert covered[10] / trials > 0.8


def test_same_seed_same_interval() -> None:
    values = np.arange(20.0)
    assert block_bootstrap(values, 3, seed=4) == block_bootstrap(values, 3, seed=4)
    assert block_bootstrap(values, 3, seed=4) != block_bootstrap(values, 3, seed=5)


def test_a_block_longer_than_the_sample_is_the_sample() -> None:
    interval = block_bootstrap(np.array([1.0, 3.0]), block=50)
    assert interval.low == interval.high == 2.0
