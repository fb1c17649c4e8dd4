"""The small linear programme and the projection, against HiGHS and against their own optimality conditions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize

from venuewise.placement.cutting_planes import invert, model_minimum, project_below_level, safe_bound

seeds = st.integers(0, 2**32 - 1)


def random_cuts(seed: int) -> tuple[np.random.Generator, int, int, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    dims, cuts = int(rng.integers(1, 8)), int(rng.integers(1, 30))
    slopes = rng.normal(size=(cuts, dims))
    if rng.uniform() < 0.5:
        slopes = np.round(slopes)  # parallel and repeated cuts
    return rng, dims, cuts, slopes, np.round(rng.normal(size=cuts), 1)


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_lowest_point_of_the_cuts_agrees_with_highs(seed: int) -> None:
    rng, dims, cuts, slopes, offsets = random_cuts(seed)
    low, high = np.zeros(dims), rng.uniform(0.2, 2.0, dims)
    at_least = bool(rng.integers(0, 2)) and float(high.sum()) >= 1.0
    found = optimize.linprog(
        np.r_[np.zeros(dims), 1.0],
        A_ub=np.r_[np.c_[slopes, -np.ones(cuts)], [np.r_[-np.ones(dims), 0.0]]],
        b_ub=np.r_[-offsets, -1.0 if at_least else 0.0],
        bounds=[*zip(low, high, strict=True), (None, None)],
    )
    point = np.empty(dims)
    active = np.full(dims + 1, -1, np.int64)
    bound = model_minimum(slopes, offsets, cuts, low, high, at_least, active, point)
    assert bound == pytest.approx(found.fun, abs=1e-8)
    assert np.max(slopes @ point + offsets) == pytest.approx(found.fun, abs=1e-8)
    assert not at_least or point.sum() >= 1.0 - 1e-9


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_any_weights_give_a_bound_that_no_point_of_the_box_undercuts(seed: int) -> None:
    rng, dims, cuts, slopes, offsets = random_cuts(seed)
    low, high = np.zeros(dims), np.ones(dims)
    weights = rng.uniform(0.0, 1.0, cuts) * rng.integers(0, 2, cuts)
    weights[0] += 0.1
    bound = safe_bound(weights, 0.0, slopes, offsets, low, high)
    points = rng.uniform(0.0, 1.0, (200, dims)).round(1)
    assert np.all(np.max(points @ slopes.T + offsets, axis=1) >= bound - 1e-9)


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_with_a_share_of_the_order_the_bound_holds_where_the_order_is_sent(seed: int) -> None:
    rng, dims, cuts, slopes, offsets = random_cuts(seed)
    weights, share = rng.uniform(0.0, 1.0, cuts) + 0.01, rng.uniform(0.0, 3.0)
    bound = safe_bound(weights, share, slopes, offsets, np.zeros(dims), np.ones(dims))
    points = np.vstack([rng.uniform(0.0, 1.0, (200, dims)).round(1), np.eye(dims)])
    points = points[points.sum(axis=1) >= 1.0]
    assert np.all(np.max(points @ slopes.T + offsets, axis=1) >= bound - 1e-9)
    # The Lagrangian itself, at its minimiser: the bound is not only safe but as high as the weights allow.
    weights, share = weights / weights.sum(), share / weights.sum()
    slope = weights @ slopes - share
    assert bound == pytest.approx(weights @ offsets + share + np.minimum(slope, 0.0).sum(), abs=1e-9)


@pytest.mark.parametrize("at_least", [False, True])
def test_projection_finds_a_point_among_cuts_in_general_position(at_least: bool) -> None:
    """The method may give up where cuts depend on one another, not where they do not."""
    rng = np.random.default_rng(17)
    for _ in range(300):
        dims = int(rng.integers(1, 8))
        cuts = int(rng.integers(1, 4 * dims))
        slopes, offsets = rng.normal(size=(cuts, dims)), rng.normal(size=cuts)
        inside = rng.uniform(0.0, 1.0, dims)
        inside *= max(1.0, 1.1 / inside.sum()) if at_least else 1.0
        low, high = np.zeros(dims), np.full(dims, 2.0)
        level = float(np.max(slopes @ inside + offsets)) + 0.05
        start = rng.uniform(0.0, 2.0, dims) * rng.uniform(0.0, 1.0)
        point = start.copy()
        assert project_below_level(slopes, offsets, cuts, low, high, at_least, level, point)
        assert np.all(slopes @ point + offsets <= level + 1e-9)
        assert not at_least or point.sum() >= 1.0 - 1e-9
        assert (inside - point) @ (start - point) <= 1e-8


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_projection_is_feasible_and_nearest(seed: int) -> None:
    rng, dims, cuts, slopes, offsets = random_cuts(seed)
    low, high = np.zeros(dims), np.ones(dims)
    inside = rng.uniform(0.0, 1.0, dims)
    level = float(np.max(slopes @ inside + offsets)) + 0.05
    start = rng.uniform(0.0, 1.0, dims)
    point = start.copy()
    # Dependent cuts may stop the method: the caller then looks elsewhere.
    assume(project_below_level(slopes, offsets, cuts, low, high, False, level, point))
    assert np.all(slopes @ point + offsets <= level + 1e-9)
    assert np.all((point >= -1e-9) & (point <= 1.0 + 1e-9))
    # Nearest: start - point makes no acute angle with the way to any other feasible point.
    others = rng.uniform(0.0, 1.0, (400, dims))
    others = others[np.all(others @ slopes.T + offsets <= level, axis=1)]
    others = np.vstack([others, inside])
    assert np.all((others - point) @ (start - point) <= 1e-8)


def test_projection_says_when_no_point_lies_below_the_level() -> None:
    slopes, offsets = np.array([[1.0], [-1.0]]), np.array([0.0, 0.0])
    point = np.array([0.3])
    assert not project_below_level(slopes, offsets, 2, np.array([-1.0]), np.ones(1), False, -0.5, point)


def test_a_singular_matrix_is_refused() -> None:
    inverse = np.empty((2, 2))
    assert not invert(np.array([[1.0, 2.0], [2.0, 4.0]]), inverse)
    assert invert(np.array([[0.0, 2.0], [1.0, 4.0]]), inverse)
    assert inverse @ np.array([[0.0, 2.0], [1.0, 4.0]]) == pytest.approx(np.eye(2))
