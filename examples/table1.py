"""Table 1 of Cont and Kukanov (2017), row by row: their figures, and ours at their allocations and at our own.

Order S over K equal venues, one minute ahead: h = .02, f = .003, r = .002, theta = .0005, lambda_u = lambda_o =
.05 dollars, Q = 2,000, outflows .6 xi_0 + .4 eps_k with xi_0 and eps_k Poisson(2200). W is the expected cost in
cents per share, scored on draws that no solver has seen. Run `python -m examples.table1` (or `make table1`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from venuewise.placement.placement import Placement, place, placement_cost
from venuewise.placement.problem import CommonFactorOutflow, Overfill

COSTS: Final[dict[str, Any]] = {
    "half_spread": 0.02, "taker_fee": 0.003, "rebate": 0.002, "theta": 0.0005,
    "lambda_under": 0.05, "lambda_over": 0.05,
}  # fmt: skip
QUEUE: Final = 2000.0


@dataclass(frozen=True, slots=True)
class Published:
    """A row of the paper: M and L_k in per cent of S, and W of all at one venue, of an equal split, of X*."""

    order: int
    venues: int
    market: float
    limit: float
    one_venue: float
    equal: float
    optimum: float
    best_known: float
    """Best symmetric W that we know, from 40,000 draws, re-scored with 200,000."""


PAPER: Final = (
    Published(500, 1, 82, 18, 2.19, 0.83, 1.54, 0.735),
    Published(500, 2, 15, 44, 2.22, -0.57, -0.85, -0.879),
    Published(500, 3, 1, 34, 2.21, -1.02, -1.99, -2.017),
    Published(500, 4, 0, 26, 2.20, -1.25, -2.06, -2.120),
    Published(500, 5, 0, 21, 2.22, -1.40, -2.05, -2.149),
    Published(1000, 1, 94, 6, 3.65, 2.27, 2.07, 1.543),
    Published(1000, 2, 56, 27, 3.64, 1.28, 0.77, 0.740),
    Published(1000, 3, 35, 23, 3.65, 0.09, -0.07, -0.078),
    Published(1000, 4, 15, 23, 3.64, -0.88, -0.90, -0.885),
    Published(1000, 5, 1, 21, 3.65, -1.29, -1.64, -1.675),
    Published(5000, 1, 97, 3, 4.81, 3.44, 2.22, 2.189),
    Published(5000, 2, 88, 8, 4.81, 3.60, 2.10, 2.027),
    Published(5000, 3, 83, 9, 4.81, 3.55, 1.95, 1.865),
    Published(5000, 4, 79, 11, 4.81, 3.39, 1.79, 1.703),
    Published(5000, 5, 75, 11, 4.82, 3.22, 1.62, 1.541),
)


@dataclass(frozen=True, slots=True)
class Row:
    """Our figures for one row of the paper; W in cents per share on fresh draws."""

    paper: Published
    at_paper: float
    at_one_venue: float
    at_equal: float
    optimum: Placement
    at_optimum: float
    cancelling: Placement
    at_cancelling: float
    stochastic: Placement
    at_stochastic: float


def solve_row(paper: Published, *, fit: int = 40_000, fresh: int = 200_000, seed: int = 1) -> Row:
    """Reproduce one row.

    Parameters
    ----------
    paper : Published
        The row.
    fit, fresh : int
        Draws to solve on and draws to score on. Robbins-Monro takes 1,000 draws, as in the paper.
    seed : int
        Seed of the draws to solve on; the fresh ones have the next.
    """
    venues, order = paper.venues, float(paper.order)
    outflow = CommonFactorOutflow(stats.poisson(2200), stats.poisson(2200), venues, 0.6)
    queue = np.full(venues, QUEUE)
    seen = outflow.sample(fit, np.random.default_rng(seed))
    unseen = outflow.sample(fresh, np.random.default_rng(seed + 1))

    def score(shares: npt.ArrayLike, overfill: Overfill = "penalise") -> float:
        cost = placement_cost(shares, order, queue=queue, outflow=unseen, overfill=overfill, **COSTS)
        return 100.0 * cost / order

    optimum = place(order, queue=queue, outflow=seen, **COSTS)
    cancelling = place(order, queue=queue, outflow=seen, overfill="cancel", **COSTS)
    stochastic = place(order, queue=queue, outflow=seen[:1000], method="robbins_monro", max_boxes=0, **COSTS)
    paper_shares = order / 100.0 * np.array([paper.market, *[paper.limit] * venues])
    return Row(
        paper=paper,
        at_paper=score(paper_shares),
        at_one_venue=score([0.0, order, *[0.0] * (venues - 1)]),
        at_equal=score([order / (venues + 1)] * (venues + 1)),
        optimum=optimum,
        at_optimum=score(optimum.shares),
        cancelling=cancelling,
        at_cancelling=score(cancelling.shares, "cancel"),
        stochastic=stochastic,
        at_stochastic=score(stochastic.shares),
    )


GROUPS: Final = {
    2: "paper's X*", 5: "S at one", 7: "S/(K+1)", 9: "our optimum", 12: "Robbins-Monro", 14: "cancelling in time",
}  # fmt: skip
"""Titles over groups of columns, by the first column of each."""
HEADER: Final = (
    "S", "K", "M/L %", "paper", "ours", "paper", "ours", "paper", "ours", "M/L %", "W", "gap", "M/L %", "W",
    "M/L %", "W", "worth",
)  # fmt: skip


def percent(placement: Placement, order: float) -> str:
    """M and the mean L_k in per cent of the order."""
    return f"{100 * placement.market / order:.1f}/{100 * float(np.mean(placement.limit)) / order:.1f}"


def cells(row: Row) -> tuple[str, ...]:
    """One row as text: W in cents per share under "paper", "ours", "W"; "worth" is what cancelling saves."""
    paper, order = row.paper, float(row.paper.order)
    worth = round(row.at_optimum - row.at_cancelling, 3) + 0.0  # no minus zero
    return (
        str(paper.order), str(paper.venues), f"{paper.market:.0f}/{paper.limit:.0f}",
        f"{paper.optimum:.2f}", f"{row.at_paper:.3f}",
        f"{paper.one_venue:.2f}", f"{row.at_one_venue:.3f}", f"{paper.equal:.2f}", f"{row.at_equal:.3f}",
        percent(row.optimum, order), f"{row.at_optimum:.3f}", f"{row.optimum.gap:.0e}",
        percent(row.stochastic, order), f"{row.at_stochastic:.3f}",
        percent(row.cancelling, order), f"{row.at_cancelling:.3f}", f"{worth:.3f}",
    )  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """Align rows under the header."""
    lines = [HEADER, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    titles = ""
    for column, title in GROUPS.items():
        titles = titles.ljust(sum(widths[:column]) + 2 * column) + title
    body = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([titles, *body])


def main() -> None:
    """Print all 15 rows."""
    print(
        "Expected cost W in cents per share, lower is better; all to market costs 2.35. M and mean L_k in % of S."
    )
    print("Ours: fitted on 40,000 draws (Robbins-Monro on 1,000), scored on 200,000 fresh ones.\n")
    print(table([solve_row(paper) for paper in PAPER]))


if __name__ == "__main__":
    main()
