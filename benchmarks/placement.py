"""The convex placement solver against HiGHS, cold and warm; Robbins-Monro steps a second.

The linear programme that HiGHS solves is the cancelling router's, written sparse with one column for each fill,
shortfall and excess; only the solve is timed, not the setting up. Both sides solve the same sample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from benchmarks.table import Table, interleaved
from venuewise.placement.placement import BOX_WORK, MAX_BOXES
from venuewise.placement.robbins_monro import take_steps
from venuewise.placement.solver import solve_placement

Float64 = npt.NDArray[np.float64]

H, F, THETA, UNDER, OVER = 0.02, 0.003, 0.0005, 0.05, 0.05
PRICES = np.array([H + F + THETA, THETA, UNDER + THETA, OVER])


def instance(venues: int, samples: int, order: float = 2000.0, seed: int = 0) -> tuple[Float64, Float64]:
    """Draw an instance with uneven queues, rebates and correlated gamma outflows; units of the order."""
    rng = np.random.default_rng(seed)
    queue = rng.integers(500, 3000, venues)
    outflow = rng.gamma(4.0, 250.0, (samples, 1)) + rng.gamma(3.0, 300.0, (samples, venues))
    excess = np.ascontiguousarray(np.maximum(outflow - queue, 0.0).T) / order
    return excess, H + rng.uniform(-0.003, 0.003, venues)


def linear_programme(excess: Float64, gain: Float64) -> Callable[[], float]:
    """Set up the cancelling router's problem; return what solves it with HiGHS by dual simplex, its fastest here.

    Costs are summed over the samples, not averaged: averaged, they would drown in HiGHS' tolerances.
    """
    venues, samples = excess.shape
    cells = venues * samples
    fill = sparse.identity(cells, format="csr")
    limit = sparse.kron(sparse.identity(venues), -np.ones((samples, 1)), format="csr")
    upper = sparse.hstack(
        [sparse.csr_matrix((cells, 1)), limit, fill, sparse.csr_matrix((cells, 2 * samples))]
    )
    total = sparse.hstack(
        [
            np.ones((samples, 1)), sparse.csr_matrix((samples, venues)),
            sparse.kron(np.ones((1, venues)), sparse.identity(samples)),
            sparse.identity(samples), -sparse.identity(samples),
        ]
    )  # fmt: skip
    cost = np.concatenate(
        [
            [PRICES[0] * samples], np.full(venues, PRICES[1] * samples), np.repeat(-gain, samples),
            np.full(samples, PRICES[2]), np.full(samples, PRICES[3]),
        ]
    )  # fmt: skip
    high = np.concatenate([np.ones(1 + venues), excess.ravel(), np.full(2 * samples, np.inf)])
    matrices = {
        "A_ub": upper.tocsr(), "b_ub": np.zeros(cells), "A_eq": total.tocsr(), "b_eq": np.ones(samples),
        "bounds": np.column_stack([np.zeros(high.size), high]),
    }  # fmt: skip

    def solve() -> float:
        found = optimize.linprog(cost, method="highs-ds", **matrices)
        if not found.success:
            raise RuntimeError(found.message)
        return float(found.fun / samples)

    return solve


class Solver:
    """One instance, ready to be solved over and over."""

    def __init__(self, excess: Float64, gain: Float64, *, penalise: bool) -> None:
        self.excess, self.gain, self.penalise = excess, gain, penalise
        self.high = np.ones(excess.shape[0] + 1)
        self.boxes = int(min(max(BOX_WORK / excess.size, 20), MAX_BOXES))
        self.x = np.zeros_like(self.high)
        self.found = (0.0, 0.0, 0)

    def solve(self, start: Float64 | None = None) -> None:
        """Solve, from scratch or from an earlier solution."""
        self.x = np.zeros_like(self.high) if start is None else start.copy()
        self.found = solve_placement(
            self.excess, self.gain, PRICES, self.high, False, self.penalise, 1e-6, self.boxes,
            start is not None, self.x,
        )  # fmt: skip

    @property
    def gap(self) -> float:
        """Relative gap of the last solve."""
        return float(max(self.found[0] - self.found[1], 0.0) / abs(self.found[0]))


def neighbour(excess: Float64) -> Float64:
    """The instance a moment later: 1 % less to trade, and a hundredth of the samples replaced by others."""
    later = excess / 0.99
    fresh = max(excess.shape[1] // 100, 1)
    later[:, :fresh] = later[::-1, -fresh:]
    return np.ascontiguousarray(later)


def milliseconds(seconds: float) -> str:
    """Write seconds as milliseconds with three figures."""
    return f"{1e3 * seconds:.3g}"


def convex_rows() -> list[tuple[str, ...]]:
    """Cold, warm and HiGHS times over K and N."""
    rows: list[tuple[str, ...]] = []
    for venues in (1, 2, 5, 10, 16):
        for samples in (100, 1000, 10_000):
            excess, gain = instance(venues, samples)
            solver = Solver(excess, gain, penalise=False)
            solver.solve()
            warm = Solver(neighbour(excess), gain, penalise=False)
            start = solver.x.copy()
            compared = venues * samples <= 10_000

            def cold_solve(solver: Solver = solver) -> None:
                solver.solve()

            def warm_solve(warm: Solver = warm, start: Float64 = start) -> None:
                warm.solve(start)

            reference = linear_programme(excess, gain)
            rounds = 5 if samples < 10_000 else 3
            if compared:
                cold_s, warm_s, highs_s = interleaved(cold_solve, warm_solve, reference, rounds=rounds)
                difference = abs(solver.found[0] - reference()) / abs(solver.found[0])
                against = (milliseconds(highs_s), f"{highs_s / cold_s:.0f}x", f"{difference:.0e}")
            else:
                cold_s, warm_s = interleaved(cold_solve, warm_solve, rounds=rounds)
                against = ("", "", "")
            gap = max(solver.gap, warm.gap)
            rows.append(
                (
                    str(venues),
                    str(samples),
                    milliseconds(cold_s),
                    milliseconds(warm_s),
                    f"{gap:.0e}",
                    *against,
                )
            )
    return rows


def steps_a_second(venues: int) -> str:
    """Time Robbins-Monro."""
    excess, gain = instance(venues, 10_000)
    high = np.ones(venues + 1)

    def run_through() -> None:
        take_steps(excess, gain, PRICES, high, 1e-3, high / high.size, np.zeros(venues + 1))

    (seconds,) = interleaved(run_through, rounds=7)
    return f"{10_000 / seconds / 1e6:.1f} million at K = {venues}"


def run() -> Table:
    """Measure the convex problem over K and N, and Robbins-Monro."""
    steps = ", ".join(steps_a_second(venues) for venues in (2, 5, 12))
    return Table(
        "Placement, convex (orders cancelled in time): milliseconds",
        ("K", "N", "cold", "warm", "gap", "HiGHS", "HiGHS / cold", "difference"),
        convex_rows(),
        (
            "Warm: from the solution of the moment before (1 % more to trade, 1 % of the samples others).",
            "HiGHS: the same linear programme by dual simplex, set up beforehand; left out above 10,000 cells.",
            "Difference: of the two optimal values. A gap of 1e-6 is asked for.",
            f"Robbins-Monro steps a second: {steps}.",
        ),
    )
