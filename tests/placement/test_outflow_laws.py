"""Fits of outflow distributions: parameters found again, wrong laws rejected, atoms kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from venuewise.errors import ConfigError
from venuewise.placement.outflow_laws import fit_outflow, ks_distance
from venuewise.placement.placement import place

RNG = np.random.default_rng


def test_parameters_are_found_again() -> None:
    assert fit_outflow(RNG(1).poisson(220, 4000), "poisson").parameters["mean"] == pytest.approx(
        220, rel=0.01
    )
    drawn = RNG(1).exponential(150, 4000)
    assert fit_outflow(drawn, "exponential").parameters["mean"] == pytest.approx(150, rel=0.05)
    found = fit_outflow(RNG(1).gamma(0.7, 300, 4000), "gamma").parameters
    assert found["shape"] == pytest.approx(0.7, rel=0.05)
    assert found["scale"] == pytest.approx(300, rel=0.08)


def test_gamma_agrees_with_scipys_maximum_likelihood() -> None:
    drawn = RNG(2).gamma(2.5, 100, 300)
    shape, _, scale = stats.gamma.fit(drawn, floc=0)
    found = fit_outflow(drawn, "gamma").parameters
    assert found["shape"] == pytest.approx(shape, rel=1e-4)
    assert found["scale"] == pytest.approx(scale, rel=1e-4)


@pytest.mark.parametrize("family", ["exponential", "gamma"])
def test_distance_is_that_of_kolmogorov_and_smirnov(family: Any) -> None:
    drawn = RNG(3).gamma(1.5, 80, 200)
    fit = fit_outflow(drawn, family)
    assert fit.distance == pytest.approx(stats.kstest(drawn, fit.law.cdf).statistic, rel=1e-6)


def test_the_right_law_passes_and_the_wrong_one_does_not() -> None:
    drawn = RNG(4).gamma(0.5, 300, 300)
    gamma, exponential = fit_outflow(drawn, "gamma"), fit_outflow(drawn, "exponential")
    assert gamma.p_value > 0.05
    assert exponential.p_value <= 0.01
    assert gamma.aic < exponential.aic
    assert fit_outflow(drawn, "poisson").p_value <= 0.01
    assert fit_outflow(drawn, "empirical").p_value > 0.05


def test_windows_without_outflow_and_windows_passed_through_stay_atoms() -> None:
    drawn = np.concatenate([np.zeros(40), RNG(5).exponential(100, 50), np.full(10, np.inf)])
    for family in ("exponential", "gamma", "empirical"):
        fit = fit_outflow(drawn, family)
        assert (fit.zero, fit.passed, fit.observations) == (0.4, 0.1, 50)
        assert fit.cdf(0.0) == pytest.approx(0.4)
        assert fit.sf(1e9) == pytest.approx(0.1)
        again = fit.rvs(20_000, RNG(6))
        assert np.mean(again == 0.0) == pytest.approx(0.4, abs=0.015)
        assert np.mean(np.isinf(again)) == pytest.approx(0.1, abs=0.01)
        assert np.mean(again[np.isfinite(again)]) == pytest.approx(
            np.mean(drawn[np.isfinite(drawn)]), rel=0.1
        )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["exponential", "gamma", "empirical", "poisson"]))
def test_quantiles_invert_the_distribution(seed: int, family: Any) -> None:
    rng = RNG(seed)
    drawn = np.concatenate([np.zeros(rng.integers(0, 5)), np.ceil(rng.gamma(1.2, 90, 40)), [np.inf]])
    fit = fit_outflow(drawn, family)
    probability = rng.uniform(0.0, 0.95, 50)
    at = fit.ppf(probability)
    assert np.all(fit.cdf(at) >= probability - 1e-9)
    assert np.all(np.where(at > 0.0, fit.cdf(at - 1.0 - 1e-6 * at), 0.0) <= probability + 1e-9)


def test_a_tail_goes_beyond_the_largest_observation() -> None:
    drawn = RNG(7).exponential(100, 100)
    fit = fit_outflow(drawn, "empirical")
    assert fit.sf(drawn.max() * 1.2) > 0.0
    assert fit.cdf(np.median(drawn)) == pytest.approx(0.5, abs=0.01)


def test_fits_can_be_placed_on() -> None:
    fit = fit_outflow(RNG(8).gamma(2.0, 300, 200), "gamma")
    arguments: dict[str, Any] = {
        "half_spread": 0.02, "taker_fee": 0.003, "lambda_under": 0.05, "lambda_over": 0.05, "theta": 0.0005,
    }  # fmt: skip
    closed = place(400, rebate=[0.002], queue=[300], outflow=fit, method="closed_form", **arguments)
    sampled = place(400, rebate=[0.002], queue=[300], outflow=fit, samples=20_000, **arguments)
    assert sampled.cost == pytest.approx(closed.cost, rel=0.03)
    both = place(400, rebate=[0.002] * 2, queue=[300] * 2, outflow=[fit, fit], **arguments)
    assert both.cost < sampled.cost


def test_distance_of_a_sample_from_itself_is_a_step() -> None:
    assert ks_distance(np.array([1.0, 2.0, 3.0, 4.0]), stats.uniform(0.5, 4.0)) == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("outflow", "family", "message"),
    [
        ([1.0], "gamma", "outflow: found 1 usable windows; expected 2 or more to fit a distribution"),
        (
            [0.0, 0.0, 5.0],
            "exponential",
            "outflow: found 1 usable windows; expected 2 or more to fit a distribution",
        ),
        ([1.0, -1.0], "gamma", "expected one row of numbers"),
        ([[1.0, 2.0]], "gamma", "expected one row of numbers"),
        ([1.0, float("nan")], "poisson", "expected one row of numbers"),
        (
            [1.0, 2.0],
            "cauchy",
            "family: found 'cauchy'; expected poisson or exponential or gamma or empirical",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused(outflow: Any, family: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_outflow(outflow, family)
