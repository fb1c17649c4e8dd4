"""Stochastic approximation: the paper's scheme step by step, and as a stream."""

from __future__ import annotations

import numpy as np
import pytest

import venuewise as vw
from tests.placement.references import baseline
from venuewise.errors import ConfigError
from venuewise.placement.placement import place
from venuewise.placement.robbins_monro import RobbinsMonro


def plain_robbins_monro(order: float, outflow: np.ndarray) -> np.ndarray:
    """The scheme in shares, as the paper writes it."""
    h, f, r, theta, under, over, queue = 0.02, 0.003, 0.002, 0.0005, 0.05, 0.05, 2000.0
    samples, venues = outflow.shape
    steepest = (h + f + theta + under + over) ** 2 + venues * (h + r + theta + under + over) ** 2
    gamma = np.sqrt(venues) * order / np.sqrt(samples * steepest)
    x = np.full(venues + 1, order / (venues + 1))
    total = np.zeros(venues + 1)
    for xi in outflow:
        filled = x[0] + np.minimum(np.maximum(xi - queue, 0.0), x[1:]).sum()
        c = -(under + theta) * (filled < order) + over * (filled > order)
        slope = np.array([h + f + theta + c, *(theta + (xi > queue + x[1:]) * (c - h - r))])
        x = np.clip(x - gamma * slope, 0.0, order)
        total += x
    return np.asarray(total / samples)


@pytest.mark.parametrize("venues", [1, 3])
def test_steps_follow_the_papers_scheme(venues: int) -> None:
    case = baseline(300, venues, 1000.0, seed=4)
    placed = place(case.order, method="robbins_monro", **case.arguments)
    assert placed.shares == pytest.approx(plain_robbins_monro(1000.0, case.outflow), rel=1e-9)


def test_its_distance_to_the_certified_optimum_is_reported() -> None:
    case = baseline(400, 3, 1000.0)
    stochastic = place(case.order, method="robbins_monro", **case.arguments)
    solved = place(case.order, **case.arguments)
    assert stochastic.lower_bound == pytest.approx(solved.cost, rel=1e-5)
    assert stochastic.cost > solved.cost
    assert stochastic.gap == pytest.approx((stochastic.cost - stochastic.lower_bound) / abs(stochastic.cost))


def test_a_stream_of_observations_ends_where_one_batch_does() -> None:
    case = baseline(200, 2, 500.0)
    costs = {name: value for name, value in case.arguments.items() if name != "outflow"}
    model = vw.placement_model(case.order, **costs)
    whole, stream = RobbinsMonro(model, steps=200), RobbinsMonro(model, steps=200)
    assert stream.placement == pytest.approx(np.full(3, 500 / 3))
    whole.update(case.outflow)
    for row in case.outflow:
        stream.update(row)
    assert stream.observations == whole.observations == 200
    assert np.array_equal(stream.placement, whole.placement)


def test_a_warm_start_is_where_it_begins() -> None:
    case = baseline(1, 2, 500.0)
    near, far = (
        place(case.order, method="robbins_monro", warm_start=start, **case.arguments)
        for start in ([100.0, 20.0, 20.0], [100.0, 30.0, 30.0])
    )
    assert far.limit[0] - near.limit[0] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("outflow", "slope"),
    [
        # 768 of 1024 shares are filled; the outflow ends at our last share, and just before us.
        ([2256.0, 1000.0], [0.0235 - 0.0505, 0.0005, 0.0005]),
        # All that was ordered, to the share: neither penalty counts. The first venue would have filled more.
        ([2257.0, 1256.0], [0.0235, 0.0005 - 0.022, 0.0005]),
        # 1152 of 1024 shares: over-filled, at both venues.
        ([9000.0, 9000.0], [0.0235 + 0.08, 0.0005 + 0.08 - 0.022, 0.0005 + 0.08 - 0.024]),
        # 128 behind the second queue would do for the order to the share; one less is too few.
        ([9000.0, 1255.0], [0.0235 - 0.0505, 0.0005 - 0.0505 - 0.022, 0.0005]),
    ],
)
def test_a_step_follows_the_penalty_that_counts_and_ties_count_for_none(
    outflow: list[float], slope: list[float]
) -> None:
    model = vw.placement_model(
        1024, half_spread=0.02, taker_fee=0.003, rebate=[0.002, 0.004], queue=[2000, 1000],
        theta=0.0005, lambda_under=0.05, lambda_over=0.08,
    )  # fmt: skip
    start = np.array([512.0, 256.0, 384.0])
    stream = RobbinsMonro(model, steps=100, start=start)
    stream.update(outflow)
    steepest = (0.0235 + 0.05 + 0.08) ** 2 + (0.0225 + 0.05 + 0.08) ** 2 + (0.0245 + 0.05 + 0.08) ** 2
    gamma = np.sqrt(2 / (100 * steepest)) * 1024
    assert stream.placement == pytest.approx(start - gamma * np.array(slope), rel=1e-12)


def test_a_step_ends_at_the_bounds() -> None:
    model = vw.placement_model(
        1000, half_spread=0.02, taker_fee=0.003, rebate=[0.002], queue=[0.0], theta=0.0005,
        lambda_under=0.05, lambda_over=5.0, cap=[500.0],
    )  # fmt: skip
    gamma = 1000 / np.sqrt((0.0235 + 5.05) ** 2 + (0.0225 + 5.05) ** 2)  # 139 shares a dollar
    too_much = RobbinsMonro(model, steps=1, start=[650.0, 490.0])
    too_much.update([400.0])
    assert too_much.placement == pytest.approx([0.0, 490.0 - gamma * 0.0005])
    too_little = RobbinsMonro(model, steps=1, start=[300.0, 495.0])
    too_little.update([1000.0 - 400.0])
    assert too_little.placement == pytest.approx([300.0 + gamma * 0.027, 500.0])


def test_a_stream_refuses_what_it_cannot_follow() -> None:
    case = baseline(2, 2, 500.0)
    costs = {name: value for name, value in case.arguments.items() if name != "outflow"}
    with pytest.raises(
        ConfigError, match="overfill: found 'cancel'; expected penalise, whose cost robbins_monro follows"
    ):
        RobbinsMonro(vw.placement_model(500, overfill="cancel", **costs))
    stream = RobbinsMonro(vw.placement_model(500, **costs))
    for bad in ([1.0, 2.0, 3.0], [[1.0], [2.0]], [1.0, -1.0], [np.nan, 1.0], ["a", "b"]):
        with pytest.raises(ConfigError, match="outflow: found"):
            stream.update(bad)
    assert stream.observations == 0
