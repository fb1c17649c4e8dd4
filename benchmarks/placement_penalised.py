"""The placement solver where over-filling is penalised, which makes it non-convex: time and gap.

Local search alone, and with branch and bound within its default budget, over K and N; on spread-out outflows with
uneven venues, and on those of the paper's Table 1, whose venues are equal and hard to tell apart.
"""

from __future__ import annotations

import numpy as np

from benchmarks.placement import PRICES, Float64, H, Solver, instance, milliseconds
from benchmarks.table import Table, interleaved
from venuewise.placement.branch_and_bound import improve
from venuewise.placement.kernels import Box, Sample, room_to_relax

SIZES = ((1, 2, 5, 10, 16), (100, 200, 1000, 10_000)), ((2, 3, 5), (200, 1000, 10_000))
"""K and N of the uneven instances, and of those of Table 1."""


def table_1(venues: int, samples: int, order: float = 1000.0) -> tuple[Float64, Float64]:
    """Draw an instance of the paper's Table 1; units of the order."""
    rng = np.random.default_rng(0)
    outflow = 0.6 * rng.poisson(2200, (samples, 1)) + 0.4 * rng.poisson(2200, (samples, venues))
    return np.ascontiguousarray(np.maximum(outflow - 2000.0, 0.0).T) / order, np.full(venues, H + 0.002)


def penalised_row(kind: str, excess: Float64, gain: Float64) -> tuple[str, ...]:
    """Time one instance: local search, and all with the gap reached."""
    venues, samples = excess.shape
    solver = Solver(excess, gain, penalise=True)
    sample = Sample(excess, gain, np.argsort(-gain, kind="stable"), PRICES)

    def search() -> float:
        x = solver.high / solver.high.size
        box = Box(np.zeros_like(x), solver.high, False)
        return improve(sample, box, room_to_relax(excess), 1e-6, x)

    solve_s, search_s = interleaved(solver.solve, search, rounds=3)
    above = max(search() - solver.found[0], 0.0) / abs(solver.found[0])
    return (
        kind, str(venues), str(samples), milliseconds(search_s), f"{above:.0e}", milliseconds(solve_s),
        str(solver.found[2]), f"{solver.gap:.0e}",
    )  # fmt: skip


def run() -> Table:
    """Measure over K and N."""
    uneven, equal = ([(venues, samples) for venues in ks for samples in ns] for ks, ns in SIZES)
    return Table(
        "Placement, over-filling penalised (not convex): milliseconds",
        ("outflows", "K", "N", "local search", "above the best", "with certificate", "boxes", "gap"),
        [penalised_row("uneven", *instance(*size)) for size in uneven]
        + [penalised_row("Table 1", *table_1(*size)) for size in equal],
        (
            "Gap: what branch and bound has proved within its default budget (1e-6 is asked for).",
            "Above the best: relative distance of local search from the best placement found.",
        ),
    )
