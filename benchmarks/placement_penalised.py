"""The placement solver where over-filling is penalised, which makes it non-convex: time and gap.

Local search alone, and with branch and bound to a certificate, over K and N, within the default budget.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.placement import PRICES, Float64, Solver, instance, milliseconds
from benchmarks.table import Table, interleaved
from venuewise.model.branch_and_bound import improve


def penalised_rows() -> list[tuple[str, ...]]:
    """Time to a certificate, and the gap reached, where over-filling is penalised."""
    rows: list[tuple[str, ...]] = []
    for venues in (2, 3, 5, 8):
        for samples in (100, 200, 1000, 10_000):
            excess, gain = instance(venues, samples)
            solver = Solver(excess, gain, penalise=True)
            ranks = np.argsort(excess, axis=1)
            order = np.argsort(-gain, kind="stable")

            def heuristic(
                excess: Float64 = excess, gain: Float64 = gain, ranks: npt.NDArray[np.int64] = ranks,
                order: npt.NDArray[np.int64] = order, high: Float64 = solver.high,
            ) -> float:  # fmt: skip
                x = high / high.size
                return improve(excess, ranks, gain, order, PRICES, np.zeros_like(high), high, False, 1e-6, x)

            solve_s, search_s = interleaved(solver.solve, heuristic, rounds=3)
            away = (heuristic() - solver.found[0]) / abs(solver.found[0])
            rows.append(
                (
                    str(venues), str(samples), milliseconds(search_s), f"{away:.0e}", milliseconds(solve_s),
                    str(solver.found[2]), f"{solver.gap:.0e}",
                )
            )  # fmt: skip
    return rows


def run() -> Table:
    """Measure over K and N."""
    return Table(
        "Placement, over-filling penalised (not convex): milliseconds",
        ("K", "N", "local search", "above the best", "with certificate", "boxes", "gap"),
        penalised_rows(),
        (
            "Gap: what branch and bound has proved within its default budget (1e-6 is asked for).",
            "Above the best: relative distance of local search from the best placement found.",
        ),
    )
