"""The allocation of earlier routers in plain Python, as a yardstick for speed and for equal answers.

Every split in steps of `step` shares that sends no venue more than it displays; of those that send the whole
order the cheapest, or where there is none, of those that send the most. Exponential in the number of venues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Venue:
    """One venue's ask: dollars, shares, dollars a share."""

    ask: float
    ask_size: int
    fee: float
    rebate: float


def split_cost(
    split: Sequence[int],
    venues: Sequence[Venue],
    order_size: int,
    lambda_over: float,
    lambda_under: float,
    theta_queue: float,
) -> float:
    """Cash spent plus penalties."""
    executed = 0
    cash = 0.0
    for shares, venue in zip(split, venues, strict=True):
        filled = min(shares, venue.ask_size)
        executed += filled
        cash += filled * (venue.ask + venue.fee)
        cash -= max(shares - filled, 0) * venue.rebate
    under = max(order_size - executed, 0)
    over = max(executed - order_size, 0)
    return cash + theta_queue * (under + over) + lambda_under * under + lambda_over * over


def allocate(
    order_size: int,
    venues: Sequence[Venue],
    lambda_over: float,
    lambda_under: float,
    theta_queue: float,
    step: int = 100,
) -> tuple[list[int], float]:
    """Return the best split on the grid, and its cost."""
    splits: list[list[int]] = [[]]
    for venue in venues:
        longer: list[list[int]] = []
        for split in splits:
            most = min(order_size - sum(split), venue.ask_size)
            longer.extend([*split, shares] for shares in range(0, most + 1, step))
        splits = longer
    fullest = max(sum(split) for split in splits)
    best: list[int] = []
    best_cost = float("inf")
    for split in splits:
        if sum(split) != fullest:
            continue
        cost = split_cost(split, venues, order_size, lambda_over, lambda_under, theta_queue)
        if cost < best_cost:
            best, best_cost = split, cost
    return best, best_cost
