"""Slow, plain statements of the placement problem, for the tests to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Instance:
    """An order, its costs, and a sample of outflows of shape (N, K)."""

    order: float
    outflow: Float64
    queue: Float64
    rebate: Float64
    half_spread: float = 0.02
    taker_fee: float = 0.003
    theta: float = 0.0005
    lambda_under: float = 0.05
    lambda_over: float = 0.05

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `place` beside the order."""
        names = (
            "outflow",
            "queue",
            "rebate",
            "half_spread",
            "taker_fee",
            "theta",
            "lambda_under",
            "lambda_over",
        )
        return {name: getattr(self, name) for name in names}


def outcome_cost(case: Instance, market: float, limit: Float64, outflow: Float64) -> float:
    """v(X, xi) of the paper for one outflow, in dollars."""
    filled = market
    cost = (case.half_spread + case.taker_fee) * market
    for k, shares in enumerate(limit):
        fill = max(outflow[k] - case.queue[k], 0.0) - max(outflow[k] - case.queue[k] - shares, 0.0)
        filled += fill
        cost -= (case.half_spread + case.rebate[k]) * fill
    short = max(case.order - filled, 0.0)
    cost += case.theta * (market + float(np.sum(limit)) + short)
    return cost + case.lambda_under * short + case.lambda_over * max(filled - case.order, 0.0)


def mean_cost(case: Instance, shares: npt.ArrayLike) -> float:
    """V(X) over the sample, in dollars."""
    x = np.asarray(shares, dtype=np.float64)
    return float(np.mean([outcome_cost(case, x[0], x[1:], row) for row in case.outflow]))


def highs(case: Instance, *, exact_fills: bool, cap: float | None = None, at_least: bool = False) -> float:
    """Optimal value by HiGHS, in dollars.

    Without `exact_fills` a linear programme: an order may fill less than the outflow would (it is cancelled).
    With them a mixed-integer one: fill_nk = min(L_k, (xi_nk - Q_k)+).
    """
    samples, venues = case.outflow.shape
    behind = np.maximum(case.outflow - case.queue, 0.0)
    most = case.order if cap is None else cap
    cells = samples * venues
    first_fill = 1 + venues
    first_short, first_over = first_fill + cells, first_fill + cells + samples
    first_binary = first_over + samples
    count = first_binary + (cells if exact_fills else 0)
    cost = np.zeros(count)
    cost[0] = case.half_spread + case.taker_fee + case.theta
    cost[1:first_fill] = case.theta
    cost[first_fill:first_short] = np.tile(-(case.half_spread + case.rebate), samples) / samples
    cost[first_short:first_over] = (case.lambda_under + case.theta) / samples
    cost[first_over:first_binary] = case.lambda_over / samples
    high = np.full(count, np.inf)
    high[0] = case.order
    high[1:first_fill] = most
    high[first_fill:first_short] = behind.ravel()
    high[first_binary:] = 1.0
    rows = sparse.lil_matrix((samples + cells * (3 if exact_fills else 1) + 1, count))
    low_side = np.full(rows.shape[0], -np.inf)
    high_side = np.full(rows.shape[0], np.inf)
    for n in range(samples):
        rows[n, 0] = 1.0
        rows[n, first_fill + n * venues : first_fill + (n + 1) * venues] = 1.0
        rows[n, first_short + n] = 1.0
        rows[n, first_over + n] = -1.0
        low_side[n] = high_side[n] = case.order
    row = samples
    for n in range(samples):
        for k in range(venues):
            fill, binary = first_fill + n * venues + k, first_binary + n * venues + k
            rows[row, fill], rows[row, 1 + k], high_side[row] = 1.0, -1.0, 0.0
            row += 1
            if exact_fills:
                rows[row, fill], rows[row, 1 + k], rows[row, binary] = 1.0, -1.0, -most
                low_side[row] = -most
                rows[row + 1, fill], rows[row + 1, binary] = 1.0, behind[n, k]
                low_side[row + 1] = behind[n, k]
                # binary 1: the order fills whole; binary 0: the outflow is used up.
                rows[row, binary] = -most
                low_side[row] = -most
                row += 2
    rows[row, : 1 + venues] = 1.0
    low_side[row] = case.order if at_least else -np.inf
    integrality = np.zeros(count)
    integrality[first_binary:] = 1
    found = optimize.milp(
        cost,
        constraints=optimize.LinearConstraint(rows.tocsr(), low_side, high_side),
        bounds=optimize.Bounds(np.zeros(count), high),
        integrality=integrality,
        options={"mip_rel_gap": 1e-9},
    )
    assert found.success, found.message
    return float(found.fun)


def baseline(samples: int, venues: int, order: float, seed: int = 0) -> Instance:
    """The paper's baseline: queues of 2,000, outflows .6 common + .4 own, both Poisson(2200)."""
    rng = np.random.default_rng(seed)
    outflow = 0.6 * rng.poisson(2200, (samples, 1)) + 0.4 * rng.poisson(2200, (samples, venues))
    return Instance(order, outflow, np.full(venues, 2000.0), np.full(venues, 0.002))


def varied(seed: int, venues: int, samples: int) -> Instance:
    """An instance unlike the baseline in every number: uneven venues, ties, empty queues, negative rebates."""
    rng = np.random.default_rng(seed)
    queue = rng.integers(0, 400, venues).astype(np.float64) * rng.integers(0, 2, venues)
    common = rng.gamma(2.0, 100.0, (samples, 1))
    outflow = rng.uniform(0, 1) * common + rng.gamma(1.5, 150.0, (samples, venues))
    if rng.uniform() < 0.5:
        outflow = np.rint(outflow / 50.0) * 50.0
    return Instance(
        order=float(rng.integers(50, 1500)),
        outflow=outflow,
        queue=queue,
        rebate=np.round(rng.uniform(-0.015, 0.004, venues), rng.integers(2, 5)),
        half_spread=float(rng.uniform(0.0, 0.03)),
        taker_fee=float(rng.uniform(-0.002, 0.003)),
        theta=float(rng.choice([0.0, 0.0005, 0.004])),
        lambda_under=float(rng.uniform(0.0, 0.08)),
        lambda_over=float(rng.uniform(0.0, 0.08)),
    )
