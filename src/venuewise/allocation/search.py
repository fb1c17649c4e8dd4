"""Allocation by enumeration: slow, plain, and the reference for everything faster.

Two searches share one loop. `earlier_search` is that of earlier routers: every split in equal steps that
sends no venue more than it displays, and of these the ones that send the whole order (or, if there are none,
as much of it as can be sent). `exhaustive_search` goes through the model's whole feasible set on the same
grid, resting shares and over-filling included. Of equally good splits the first in lexical order stays.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from venuewise._jit import kernel
from venuewise.allocation.cost import CostModel, Quotes
from venuewise.allocation.split import Float64, Int64
from venuewise.errors import ConfigError

SPLITS_MAX: Final = 10_000_000_000
"""Splits beyond which a search is refused; this many take some half a minute."""
_GRID_MAX: Final = 1_000_000


@kernel
def venue_costs(
    price: Float64,
    size: Int64,
    fee: Float64,
    rebate: Float64,
    mid: float,
    sign: float,
    step: int,
    cost: Float64,
) -> None:
    """Write what sending i steps to venue k costs into `cost[k, i]`, penalties left aside."""
    for k in range(price.shape[0]):
        for i in range(cost.shape[1]):
            left = i * step
            cost[k, i] = 0.0
            for level in range(price.shape[1]):
                if size[k, level] > 0 and not np.isnan(price[k, level]):
                    taken = min(left, size[k, level])
                    cost[k, i] += taken * (sign * (price[k, level] - mid) + fee[k])
                    left -= taken
            cost[k, i] -= left * rebate[k]


@kernel
def enumerate_splits(
    shares_open: int,
    step: int,
    cost: Float64,
    displayed: Int64,
    cap: Int64,
    target: int,
    under: float,
    over: float,
    best: Int64,
) -> int:
    """Try every split of at most `cap[k]` steps a venue, and write the cheapest into `best`, in steps.

    With `target` >= 0 only splits of exactly that many steps count. Returns how many splits were tried.
    """
    venues = len(cap)
    steps = np.zeros(venues, np.int64)
    last = np.zeros(venues, np.int64)
    left = np.zeros(venues + 1, np.int64)
    executed = np.zeros(venues + 1, np.int64)
    partial = np.zeros(venues + 1)
    after = np.zeros(venues + 1, np.int64)
    for k in range(venues - 1, -1, -1):
        after[k] = after[k + 1] + cap[k]
    left[0] = target
    lowest = np.inf
    tried = 0
    k = 0
    entering = True
    while k >= 0:
        if entering:
            steps[k] = 0
            last[k] = cap[k]
            if target >= 0:
                steps[k] = max(0, left[k] - after[k + 1])
                last[k] = min(cap[k], left[k])
        if steps[k] > last[k]:
            k -= 1
            if k >= 0:
                steps[k] += 1
            entering = False
            continue
        partial[k + 1] = partial[k] + cost[k, steps[k]]
        executed[k + 1] = executed[k] + min(steps[k] * step, displayed[k])
        left[k + 1] = left[k] - steps[k]
        entering = k < venues - 1
        if entering:
            k += 1
            continue
        tried += 1
        missing = shares_open - executed[venues]
        total = partial[venues] + (under * missing if missing > 0 else -over * missing)
        if total < lowest:
            lowest = total
            best[:] = steps
        steps[k] += 1
    return tried


def _count(cap: Int64, target: int) -> float:
    """Splits that `enumerate_splits` will try."""
    if target < 0:
        return float(np.prod(cap + 1.0))
    ways = np.zeros(target + 1)
    ways[0] = 1.0
    for most in cap:
        running = np.cumsum(ways)
        running[most + 1 :] -= running[: -most - 1].copy()
        ways = running
    return float(ways[target])


def _search(
    order_size: int,
    quotes: Quotes,
    model: CostModel,
    mid: float,
    step: int,
    cap: Int64,
    displayed: Int64,
    whole: bool,
) -> Int64:
    grid = order_size // step
    target = min(grid, int(cap.sum())) if whole else -1
    splits = _count(cap, target) if grid <= _GRID_MAX else np.inf
    if splits > SPLITS_MAX:
        number = f"{splits:.1e}" if np.isfinite(splits) else "too many"
        raise ConfigError(
            f"step: found {number} splits to try; expected at most {SPLITS_MAX:.1e}: a larger step, or method exact"
        )
    cost = np.empty((len(cap), grid + 1))
    venue_costs(*quotes.by_level(), quotes.fee, quotes.rebate, mid, quotes.sign, step, cost)
    best = np.zeros(len(cap), np.int64)
    enumerate_splits(order_size, step, cost, displayed, cap, target, model.under, model.over, best)
    return best * step


def _displayed(quotes: Quotes) -> Int64:
    price, size = quotes.by_level()
    return np.asarray(np.where(np.isnan(price), 0, size).sum(axis=1), np.int64)


def earlier_search(order_size: int, quotes: Quotes, model: CostModel, mid: float, step: int) -> Int64:
    """Search as earlier routers do: x_k in steps, at most what venue k displays, sum x as full as can be."""
    displayed = _displayed(quotes)
    cap = np.minimum(displayed, order_size) // step
    return _search(order_size, quotes, model, mid, step, cap, displayed, whole=True)


def exhaustive_search(
    order_size: int, quotes: Quotes, model: CostModel, mid: float, step: int, *, free: bool
) -> Int64:
    """Search all of the model's feasible set on the grid: x_k <= S, and sum x = S unless `free`.

    Where the order is not a multiple of the step, the splits that sum to the largest multiple below it count.
    """
    displayed = _displayed(quotes)
    cap = np.full(len(displayed), order_size // step)
    return _search(order_size, quotes, model, mid, step, cap, displayed, whole=not free)
