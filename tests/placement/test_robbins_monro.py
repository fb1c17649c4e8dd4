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
