"""One venue: the formula against fine grids, Monte Carlo and the sample-average solver."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from venuewise.errors import ConfigError
from venuewise.placement.closed_form import exceeds, expected_fill
from venuewise.placement.outflow_laws import fit_outflow
from venuewise.placement.placement import place, placement_cost
from venuewise.placement.problem import CommonFactorOutflow

COSTS: dict[str, Any] = {"half_spread": 0.02, "taker_fee": 0.003, "rebate": [0.002], "theta": 0.0005}


def solve(
    outflow: object, lambda_under: float, order: float = 1000, queue: float = 2000, **options: Any
) -> Any:
    return place(
        order, queue=[queue], outflow=outflow, lambda_under=lambda_under, lambda_over=0.05,
        method="closed_form", **{**COSTS, **options},
    )  # fmt: skip


@pytest.mark.parametrize(("lambda_under", "limit"), [(0.026, (268, 269)), (0.030, (250,)), (0.050, (214,))])
def test_poisson_outflow_at_the_papers_baseline(lambda_under: float, limit: tuple[int, ...]) -> None:
    placed = solve(stats.poisson(2200), lambda_under)
    assert placed.limit[0] in limit
    assert placed.market == 1000 - placed.limit[0]
    assert placed.gap == 0.0
    draws = np.random.default_rng(0).poisson(2200, (400_000, 1))
    scored = placement_cost(
        placed.shares, 1000, queue=[2000], outflow=draws, lambda_under=lambda_under, lambda_over=0.05, **COSTS
    )
    assert placed.cost == pytest.approx(scored, abs=0.01)
    for other in (placed.limit[0] - 15, placed.limit[0] + 15):
        assert scored < placement_cost(
            [1000 - other, other], 1000, queue=[2000], outflow=draws, lambda_under=lambda_under,
            lambda_over=0.05, **COSTS,
        )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(
        [stats.poisson(300), stats.expon(scale=400), stats.gamma(3, scale=120), stats.nbinom(5, 0.02)]
    ),
    st.floats(0.025, 0.2),
    st.floats(0.0, 600.0),
    st.floats(50.0, 900.0),
)
def test_no_split_of_a_fine_grid_is_better(
    outflow: Any, lambda_under: float, queue: float, order: float
) -> None:
    placed = solve(outflow, lambda_under, order, queue)
    for limit in np.linspace(0.0, order, 41):
        fill = expected_fill(outflow, queue, limit)
        cost = 0.023 * (order - limit) - 0.022 * fill + 0.0005 * (order + limit - fill)
        assert placed.cost <= cost + lambda_under * (limit - fill) + 1e-6


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.025, 0.2), st.booleans())
def test_formula_on_a_sample_agrees_with_the_solver(seed: int, lambda_under: float, ties: bool) -> None:
    outflow = np.random.default_rng(seed).gamma(4.0, 300.0, (50, 1))
    if ties:
        outflow = np.rint(outflow / 200.0) * 200.0
    exact = solve(outflow, lambda_under, 700, 800)
    solved = place(700, queue=[800], outflow=outflow, lambda_under=lambda_under, lambda_over=0.05, **COSTS)
    assert exact.cost == pytest.approx(solved.cost, rel=2e-6)
    assert exact.cost >= solved.lower_bound - 1e-9


def test_the_regimes_of_all_market_and_all_limit_begin_where_the_formula_says() -> None:
    outflow, order, queue = stats.gamma(4.0, scale=600.0), 1000.0, 2000.0
    numerator, fixed = 2 * 0.02 + 0.003 + 0.002, 0.02 + 0.002 + 0.0005
    all_limit = numerator / float(outflow.cdf(queue + order)) - fixed
    all_market = numerator / float(outflow.cdf(queue)) - fixed
    assert solve(outflow, all_limit - 1e-4).limit[0] == pytest.approx(order)
    assert solve(outflow, all_limit + 1e-4).limit[0] < order
    assert solve(outflow, all_market - 1e-4).limit[0] > 0.0
    assert solve(outflow, all_market + 1e-4).limit[0] == 0.0


def test_a_fill_that_costs_more_than_the_market_is_never_sought() -> None:
    assert solve(stats.poisson(9000), 0.05, adverse_selection=[0.2]).limit[0] == 0.0


def test_the_one_venue_left_open_by_the_caps_is_used() -> None:
    outflow = [stats.poisson(2100), stats.poisson(2200)]
    placed = place(
        1000, queue=[2000, 2000], outflow=outflow, lambda_under=0.05, lambda_over=0.05, method="closed_form",
        cap=[0.0, 150.0], **{**COSTS, "rebate": [0.002, 0.002]},
    )  # fmt: skip
    assert placed.limit == (0.0, 150.0)
    assert placed.cap_binds == (False, True)


def test_probabilities_respect_jumps() -> None:
    sample = np.array([1.0, 2.0, 2.0, 3.0])
    uniform = stats.randint(1, 4)
    assert [exceeds(sample, 2.0, strictly=strictly) for strictly in (True, False)] == [0.25, 0.75]
    assert [exceeds(uniform, 2.0, strictly=strictly) for strictly in (True, False)] == pytest.approx(
        [1 / 3, 2 / 3]
    )
    assert expected_fill(uniform, 0.5, 1.75) == pytest.approx(np.mean([0.5, 1.5, 1.75]))
    assert expected_fill(stats.uniform(0.0, 2.0), 1.0, 0.5) == pytest.approx(0.1875)


@pytest.mark.parametrize("family", ["poisson", "exponential", "gamma", "empirical"])
def test_a_fitted_law_is_used_with_its_atoms_and_its_tail(family: Any) -> None:
    rng = np.random.default_rng(3)
    observed = np.where(rng.uniform(size=300) < 0.2, 0.0, rng.gamma(2.0, 900.0, 300))
    observed[:30] = np.inf
    fit = fit_outflow(observed, family)
    drawn = fit.rvs(400_000, rng)
    for queue, limit in ((500.0, 700.0), (3000.0, 5000.0), (0.0, 100.0), (9000.0, 50.0)):
        wanted = np.mean(np.minimum(np.maximum(drawn - queue, 0.0), limit))
        assert expected_fill(fit, queue, limit) == pytest.approx(wanted, rel=0.01, abs=0.005 * limit)
        wanted = np.mean(drawn >= queue + limit)
        assert exceeds(fit, queue + limit, strictly=False) == pytest.approx(wanted, abs=0.003)
        assert exceeds(fit, queue + limit, strictly=True) == pytest.approx(float(fit.sf(queue + limit)))
    placed = solve(fit, 0.03, queue=500)
    assert placed.gap == 0.0
    assert placed.limit[0] == pytest.approx(min(float(fit.ppf(0.045 / 0.0525)) - 500, 1000))


def test_a_joint_distribution_of_one_venue_is_sampled() -> None:
    outflow = CommonFactorOutflow(stats.poisson(2200), stats.poisson(2200), 1, 0.6)
    placed = solve(outflow, 0.05, samples=5000)
    sample = outflow.sample(5000, np.random.default_rng(0))
    assert placed.samples == 5000
    assert placed == solve(sample, 0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lambda_under": 0.01}, r"lambda_under: found 0\.01; expected at least half_sprea"),
        ({"rebate": [0.04]}, r"lambda_over: found 0\.05; expected at least half_sprea"),
    ],
)
def test_where_sending_exactly_the_order_is_not_best_the_formula_is_refused(
    change: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"lambda_under": 0.05, **change}
    with pytest.raises(ConfigError, match=message):
        solve(stats.poisson(2200), **arguments)
