"""What is scored of a grid, and that scoring it once says as much as scoring every point."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import venuewise as vw
from tests.markets import TICK, random_events
from venuewise.market.book import Quotes
from venuewise.market.venues import fees
from venuewise.research.grid import Grid
from venuewise.simulation.engine import make_task, run
from venuewise.simulation.state import market_of
from venuewise.strategies import ParentOrder, Static

PENALTY = st.sampled_from([0.0, 0.001, 0.003, 0.01, 0.02, 0.1, 0.3, 0.5, 0.7])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    under=st.lists(PENALTY, min_size=1, max_size=3, unique=True),
    theta=st.lists(PENALTY, min_size=1, max_size=3, unique=True),
    over=st.lists(PENALTY, min_size=1, max_size=2, unique=True),
    fill=st.sampled_from(["free", "exact_fill"]),
    side=st.sampled_from(["buy", "sell"]),
    latency=st.sampled_from([0.0, 5.0]),
)
def test_scoring_what_decides_alike_once_equals_scoring_every_point(
    seed: int, under: list[float], theta: list[float], over: list[float], fill: Any, side: Any, latency: float
) -> None:
    events, frictions = random_events(seed), vw.Frictions(latency_ms=latency)
    grid = Grid(tuple(over), tuple(under), tuple(theta))
    found = vw.backtest(
        events,
        order_size=90,
        side=side,
        fill=fill,
        grid=grid,
        split=0.0,
        frictions=frictions,
        depth=2,
        workers=1,
    ).comparison
    market = market_of(events, side, *fees(vw.load_venues().resolve(events.publishers)))
    [order] = found.tuned_on
    task = make_task(market, side, 90, order.begin, order.end)
    scores = {}
    for o, u, t in product(over, under, theta):
        router = Static(lambda_over=o, lambda_under=u, theta_queue=t, fill=fill)
        outcome = run(market, task, router, frictions.conditions(0), 2, record=False)
        scores[o, u, t] = (outcome.open, outcome.cash if side == "buy" else -outcome.cash)
    best = min(scores.values())
    tied = {(p.lambda_over, p.lambda_under, p.theta_queue) for p in found.tuned.tied}
    assert tied == {point for point, score in scores.items() if score == best}
    assert found.tuned.tried == len(scores)
    assert found.tuned.scored == len({u + t for u, t in product(under, theta)})


@settings(max_examples=300, deadline=None)
@given(
    asks=st.lists(st.lists(st.integers(1, 3), min_size=2, max_size=2), min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 60), min_size=8, max_size=8),
    mid=st.integers(997, 1010),
    wanted=st.integers(1, 150),
    over=st.sampled_from([0.0, 0.01, 0.02, 5.0]),
)
def test_an_order_buys_the_cheapest_and_no_more_than_is_open_whatever_an_over_fill_costs(
    asks: list[list[int]], sizes: list[int], mid: int, wanted: int, over: float
) -> None:
    # Crossed markets too: where every share is worth more than it costs, the model would buy them all.
    price = 998 + np.cumsum(np.array(asks, np.int64), axis=1)
    size = np.array(sizes, np.int64)[: price.size].reshape(price.shape)
    none = np.zeros(len(price), np.int64)
    quotes = Quotes("buy", price * TICK, size, none, none, mid * TICK, mid * TICK)
    order = ParentOrder("buy", wanted, wanted, 0, 10**9, 10.0)
    router = Static(lambda_under=0.02, theta_queue=0.0, lambda_over=over)
    shares = {child.venue: child.shares for child in router.decide(quotes, order, 0)}
    assert shares == {c.venue: c.shares for c in replace(router, lambda_over=1.0).decide(quotes, order, 0)}
    cheap = price * TICK / 1e9 - mid * TICK / 1e9 <= 0.02
    assert sum(shares.values()) == min(wanted, int(size[cheap].sum()))
    walked: list[tuple[int, int]] = sorted(
        (int(p), int(s)) for p, s, c in zip(price.ravel(), size.ravel(), cheap.ravel(), strict=True) if c
    )
    paid, left = 0, wanted
    for ticks, shown in walked:
        paid, left = paid + ticks * min(left, shown), left - min(left, shown)
    bought = sum(
        p * min(s, max(shares.get(v, 0) - before, 0))
        for v in range(len(price))
        for p, s, before in zip(price[v], size[v], np.cumsum(size[v]) - size[v], strict=True)
    )
    assert bought == paid


def test_sums_that_differ_in_the_last_bit_are_scored_both() -> None:
    assert 0.1 + 0.7 != 0.3 + 0.5
    events = random_events(1)
    for under, theta, scored in (((0.1, 0.3), (0.5, 0.7), 4), ((0.25, 0.5), (0.25, 0.5), 3)):
        found: Any = vw.backtest(
            events, order_size=10, split=0.0, grid=Grid((0.2, 0.4), under, theta)
        ).to_dict()
        assert found["identification"]["tried"] == 8
        assert found["identification"]["scored"] == scored


@pytest.mark.parametrize("workers", [1, 3])
def test_progress_counts_what_is_run(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    grid = Grid((0.2, 0.4), (0.25, 0.5), (0.25, 0.5))
    vw.backtest(
        random_events(2), order_size=10, split=0.0, grid=grid, workers=workers,
        progress=lambda done, runs: seen.append((done, runs)),
    )  # fmt: skip
    assert seen[0] == (1, seen[-1][1])
    assert seen[-1][0] == seen[-1][1] == 3 + len(seen[3:])
