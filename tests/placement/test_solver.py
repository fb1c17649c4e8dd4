"""The solver against HiGHS, and the properties that its certificate rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.placement.references import Float64, Instance, baseline, highs, mean_cost, varied
from venuewise._jit import kernel
from venuewise.placement.branch_and_bound import branch_and_bound
from venuewise.placement.kernels import (
    EXACT,
    HULL,
    Box,
    Sample,
    cancelled_cost,
    corner_value,
    penalised_cost,
    relax,
    relaxed_cost,
    room_to_relax,
)
from venuewise.placement.placement import place, placement_cost
from venuewise.placement.solver import solve_placement

seeds = st.integers(0, 2**32 - 1)


def close(reference: float, order: float) -> Any:
    """What a solution with a relative gap of 1e-6 comes within, costs near zero included."""
    return pytest.approx(reference, rel=1.1e-6, abs=1e-9 * order)


def in_kernel_units(case: Instance) -> tuple[Float64, Float64, np.ndarray, Float64]:
    excess = np.ascontiguousarray(np.maximum(case.outflow - case.queue, 0.0).T) / case.order
    gain = case.half_spread + case.rebate
    prices = np.array(
        [
            case.half_spread + case.taker_fee + case.theta,
            case.theta,
            case.lambda_under + case.theta,
            case.lambda_over,
        ]
    )
    return excess, gain, np.argsort(-gain, kind="stable"), prices


@settings(max_examples=120, deadline=None)
@given(seeds, st.integers(1, 6), st.integers(1, 60), st.booleans())
def test_cancelling_router_agrees_with_the_linear_programme(
    seed: int, venues: int, samples: int, at_least: bool
) -> None:
    case = varied(seed, venues, samples)
    placed = place(case.order, overfill="cancel", send_at_least=at_least, **case.arguments)
    reference = highs(case, exact_fills=False, at_least=at_least)
    assert placed.cost == close(reference, case.order)
    assert placed.lower_bound <= reference + 1e-7 * abs(reference) + 1e-9 * case.order
    assert not at_least or placed.shares.sum() >= case.order * (1 - 1e-9)


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(1, 3), st.integers(1, 8), st.booleans())
def test_penalised_placement_agrees_with_the_mixed_integer_programme(
    seed: int, venues: int, samples: int, at_least: bool
) -> None:
    case = varied(seed, venues, samples)
    placed = place(case.order, send_at_least=at_least, **case.arguments)
    reference = highs(case, exact_fills=True, at_least=at_least)
    assert placed.cost == close(reference, case.order)
    assert placed.lower_bound <= reference + 1e-6 * abs(reference) + 1e-9 * case.order
    assert placed.cost == pytest.approx(mean_cost(case, placed.shares), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("venues", "samples"), [(2, 10), (3, 8)])
def test_the_baseline_agrees_with_the_mixed_integer_programme(venues: int, samples: int) -> None:
    case = baseline(samples, venues, 1000.0, seed=3)
    placed = place(case.order, **case.arguments)
    assert not placed.convex
    assert placed.cost == pytest.approx(highs(case, exact_fills=True), rel=1.1e-6)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(1, 40))
def test_cuts_never_exceed_the_cancelling_routers_cost(seed: int, venues: int, samples: int) -> None:
    case = varied(seed, venues, samples)
    excess, gain, order, prices = in_kernel_units(case)
    rng = np.random.default_rng(seed)
    slope, other = np.empty(venues + 1), np.empty(venues + 1)
    # Points on kinks as well: a limit order as large as an outflow, a market order as large as the order.
    points = rng.uniform(0.0, 1.0, (30, venues + 1)) * rng.integers(0, 2, (30, venues + 1))
    points[:10, 0] = rng.integers(0, 2, 10)
    points[:10, 1:] = np.minimum(excess[:, rng.integers(0, samples, 10)].T, 1.0)
    for x in points:
        cost = cancelled_cost(x, excess, gain, order, prices, slope)
        assert cost <= penalised_cost(x, excess, gain, prices) + 1e-12
        for y in points:
            assert cancelled_cost(y, excess, gain, order, prices, other) >= cost + slope @ (y - x) - 1e-12


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(1, 40))
def test_relaxation_on_a_box_is_a_convex_function_below_the_cost(
    seed: int, venues: int, samples: int
) -> None:
    case = varied(seed, venues, samples)
    excess, gain, order, prices = in_kernel_units(case)
    rng = np.random.default_rng(seed)
    dims = venues + 1
    low, high = np.sort(rng.uniform(0.0, 1.0, (2, dims)), axis=0)
    relaxation = room_to_relax(excess)
    opens = relax(Sample(excess, gain, order, prices), low, high, relaxation)
    corner_x, corner_y, corners = relaxation.corner_x, relaxation.corner_y, relaxation.corners

    def below(x: Float64, slope: Float64) -> float:
        return relaxed_cost(x, relaxation, opens, samples, prices, slope)

    slope, other = np.empty(dims), np.empty(dims)
    points = rng.uniform(low, high, (15, dims))
    points[:5] = np.where(rng.integers(0, 2, (5, dims)), low, high)
    for x in points:
        value = below(x, slope)
        distance = sum(
            corner_value(x[1 + k], corner_x[EXACT, k], corner_y[EXACT, k], corners[EXACT, k])[0]
            - corner_value(x[1 + k], corner_x[HULL, k], corner_y[HULL, k], corners[HULL, k])[0]
            for k in range(venues)
        )
        assert distance >= -1e-12
        assert value + distance == pytest.approx(penalised_cost(x, excess, gain, prices), abs=1e-12)
        for y in points:
            assert below(y, other) >= value + slope @ (y - x) - 1e-12


def test_the_cost_is_not_convex_although_every_assumption_of_the_paper_holds() -> None:
    case = baseline(1000, 2, 1000.0)
    excess, gain, _, prices = in_kernel_units(case)
    rng = np.random.default_rng(5)
    # Pairs inside the set that the paper proves to hold the optimum: sum >= 1, M + L_k <= 1.
    market = rng.uniform(0.0, 1.0, 20_000)
    points = np.column_stack([market, (1.0 - market)[:, None] * rng.uniform(0.0, 1.0, (20_000, 2))])
    pairs = points[points.sum(axis=1) >= 1.0][:4000].reshape(2000, 2, 3)

    def violations(lambda_over: float) -> int:
        at = prices.copy()
        at[3] = lambda_over
        return sum(
            penalised_cost((x + y) / 2, excess, gain, at)
            > (penalised_cost(x, excess, gain, at) + penalised_cost(y, excess, gain, at)) / 2 + 1e-12
            for x, y in pairs
        )

    assert 150 < violations(0.05) < 300
    assert violations(float(gain[0])) == 0


def test_a_single_coordinate_shows_it_too() -> None:
    case = baseline(20_000, 2, 1000.0)
    ends = [placement_cost([700, limit, 280], case.order, **case.arguments) for limit in (130, 280)]
    middle = placement_cost([700, 205, 280], case.order, **case.arguments)
    assert middle > np.mean(ends) + 0.3


def test_five_venues_and_two_hundred_samples_are_solved_to_a_millionth() -> None:
    case = baseline(200, 5, 1000.0)
    placed = place(case.order, **case.arguments)
    assert not placed.convex
    assert placed.gap <= 1e-6
    assert placed.boxes > 100


@pytest.mark.parametrize("seed", [163, 247, 595, 1395])
def test_the_hardest_of_thousands_of_random_instances_are_solved_to_a_millionth(seed: int) -> None:
    case = varied(seed, 2 + seed % 4, 200)
    assert case.outflow.shape == (200, 5)
    placed = place(case.order, **case.arguments)
    assert not placed.convex
    assert placed.gap <= 1e-6
    assert placed.boxes > 2000


def test_an_exhausted_budget_is_reported_as_a_gap() -> None:
    case = baseline(200, 5, 1000.0)
    placed = place(case.order, max_boxes=3, **case.arguments)
    solved = place(case.order, **case.arguments)
    assert placed.boxes == 3
    assert placed.gap > 1e-4
    assert placed.lower_bound <= solved.cost <= placed.cost


def test_a_placement_that_is_not_improved_by_any_box_keeps_its_bound() -> None:
    case = baseline(50, 2, 1000.0)
    excess, gain, order, prices = in_kernel_units(case)
    best = place(case.order, **case.arguments)
    x = best.shares / case.order
    sample, box = Sample(excess, gain, order, prices), Box(np.zeros(3), np.ones(3), False)
    cost, lower, _ = branch_and_bound(sample, box, room_to_relax(excess), 1e-6, 5000, -np.inf, x)
    assert cost * case.order == pytest.approx(best.cost, rel=1e-6)
    assert cost - lower <= 1.01e-6 * abs(cost)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(2, 40))
def test_no_random_placement_costs_less_than_the_lower_bound(seed: int, venues: int, samples: int) -> None:
    case = varied(seed, venues, samples)
    placed = place(case.order, **case.arguments)
    rng = np.random.default_rng(seed)
    for _ in range(50):
        shares = case.order * rng.uniform(0.0, 1.0, venues + 1) * rng.integers(0, 2, venues + 1)
        nearby = np.clip(placed.shares + rng.normal(0.0, 0.02 * case.order, venues + 1), 0.0, case.order)
        for candidate in (shares, nearby):
            assert placement_cost(candidate, case.order, **case.arguments) >= placed.lower_bound - 1e-9


@kernel
def cheapest(excess: Float64, gain: Float64, prices: Float64, orders: Float64, shares: Float64) -> None:
    high = np.ones(gain.size + 1)
    x = np.zeros(high.size)
    for i in range(orders.size):
        solve_placement(excess / orders[i], gain, prices, high, False, True, 1e-6, 1000, i > 0, x)
        shares[i] = x * orders[i]


def test_other_kernels_can_solve_placements_one_after_the_other() -> None:
    case = baseline(100, 2, 1.0)
    excess, gain, _, prices = in_kernel_units(case)
    orders = np.array([500.0, 520.0, 1000.0])
    shares = np.empty((3, 3))
    cheapest(excess, gain, prices, orders, shares)
    for order, found in zip(orders, shares, strict=True):
        placed = place(order, **case.arguments)
        assert placement_cost(found, order, **case.arguments) == pytest.approx(placed.cost, rel=2.1e-6)


def test_the_same_call_gives_the_same_bits() -> None:
    case = varied(11, 4, 100)
    first, second = (place(case.order, **case.arguments) for _ in range(2))
    assert first == second
