"""Table 1 of Cont and Kukanov (2017), row by row: their figures, and ours at their allocations and at our own.

Order S over K equal venues, one minute ahead: h = .02, f = .003, r = .002, theta = .0005, lambda_u = lambda_o =
.05 dollars, Q = 2,000, outflows .6 xi_0 + .4 eps_k with xi_0 and eps_k Poisson(2200). W is the expected cost in
cents per share, scored on draws that no solver has seen. Run `python -m examples.table1` (or `make table1`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from venuewise.model.placement import Placement, place, placement_cost
from venuewise.model.placement_model import CommonFactorOutflow, Overfill

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


HEADER: Final = (
    "   S  K | paper M/L %    W   ours there | one venue: paper  ours | equal: paper   ours |"
    " optimum M/L %     W     gap | Robbins-Monro M/L %   W   | cancelling: M/L %    W  worth"
)


def percent(placement: Placement, order: float) -> str:
    """M and the mean L_k in per cent of the order."""
    return f"{100 * placement.market / order:5.1f}/{100 * float(np.mean(placement.limit)) / order:5.1f}"


def line(row: Row) -> str:
    """One row as text."""
    paper, order = row.paper, float(row.paper.order)
    return (
        f"{paper.order:4d} {paper.venues:2d} | {paper.market:4.0f}/{paper.limit:4.0f} {paper.optimum:8.2f}"
        f" {row.at_paper:9.3f}    | {paper.one_venue:14.2f} {row.at_one_venue:7.3f}"
        f" | {paper.equal:9.2f} {row.at_equal:8.3f}"
        f" | {percent(row.optimum, order)} {row.at_optimum:8.3f} {row.optimum.gap:7.0e}"
        f" | {percent(row.stochastic, order):>15} {row.at_stochastic:9.3f} "
        f" | {percent(row.cancelling, order):>14} {row.at_cancelling:8.3f}"
        f" {row.at_optimum - row.at_cancelling:6.3f}"
    )


def main() -> None:
    """Print all 15 rows."""
    print("Cost W in cents per share, lower is better; all to market costs 2.35. M and mean L_k in % of S.")
    print("Ours: fitted on 40,000 draws (Robbins-Monro on 1,000), scored on 200,000 fresh ones.")
    print(HEADER)
    for paper in PAPER:
        print(line(solve_row(paper)), flush=True)


if __name__ == "__main__":
    main()
