"""Cost of a placement over a sample of outflows, exact and relaxed, with subgradients.

Everything is in units of the order: the order is 1, x = (M, L_1..L_K) are fractions of it and costs are per
share. `excess[k, n]` is what sample n lets through behind the queue of venue k, (xi_nk - Q_k)+; `gain[k]`
is h + r_k; `prices` = (h + f + theta, theta, lambda_u + theta, lambda_o). Three functions of x:

- `penalised_cost`: every share that the outflow reaches is filled, over-filling costs lambda_o (not convex);
- `cancelled_cost`: resting orders are cancelled once the order is filled (convex, and never more);
- `relaxed_cost`: a convex function below `penalised_cost` on one box, from `relax`, for branch and bound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]

BLOCK = 512
"""Samples handled at a time: the work arrays of a block stay in the first-level cache."""

HULL, EXACT = 0, 1
"""First index of the corners of a venue's own cost on a box: its convex envelope, and itself."""
SHORT, OVER, OPEN = 0, 1, 2
"""What a box of placements says of a sample: never filled, always filled, or either."""


class Sample(NamedTuple):
    """Outflows that a placement is scored on, and what its shares cost: see the head of this module."""

    excess: Float64
    """Shape (K, N)."""
    gain: Float64
    """Shape (K,)."""
    order: Int64
    """Venues from the highest gain on, shape (K,)."""
    prices: Float64
    """Shape (4,)."""


class Box(NamedTuple):
    """Placements low <= x <= high, shape (K + 1,) each, and with `at_least` only those with sum x >= 1."""

    low: Float64
    high: Float64
    at_least: bool


class Relaxation(NamedTuple):
    """What `relax` finds out about a box, and the room that it needs for it."""

    ranks: Int64
    """`ranks[k]` sorts `excess[k]`, shape (K, N)."""
    state: UInt8
    """What the box says of each sample: `SHORT`, `OVER` or `OPEN`."""
    open_excess: Float64
    """Excess of the open samples, shape (K, N), as many of them as there are."""
    corner_x: Float64
    """Corners of each venue's own cost, shape (2, K, N + 2), first index `HULL` or `EXACT`."""
    corner_y: Float64
    corners: Int64
    """How many corners there are, shape (2, K)."""
    affine: Float64
    """The constant and the slope in M, shape (2,)."""


@kernel
def room_to_relax(excess: Float64) -> Relaxation:
    """Return room for the boxes of a sample."""
    venues, samples = excess.shape
    ranks = np.empty((venues, samples), np.int64)
    for k in range(venues):
        ranks[k] = np.argsort(excess[k], kind="mergesort")
    return Relaxation(
        ranks,
        np.empty(samples, np.uint8),
        np.empty((venues, samples)),
        np.empty((2, venues, samples + 2)),
        np.empty((2, venues, samples + 2)),
        np.empty((2, venues), np.int64),
        np.empty(2),
    )


@kernel
def allowed_gap(cost: float, prices: Float64, tolerance: float) -> float:
    """Turn a relative gap into dollars per share; a cost that happens to be near 0 has a floor under it."""
    return float(tolerance * max(abs(cost), 1e-6 * prices.sum()))


@kernel
def penalised_cost(x: Float64, excess: Float64, gain: Float64, prices: Float64) -> float:
    """Mean of v(X, xi) over the samples (model of the paper, over-filling penalised)."""
    venues, samples = excess.shape
    filled = np.empty(BLOCK)
    total = 0.0
    for start in range(0, samples, BLOCK):
        width = min(BLOCK, samples - start)
        filled[:width] = x[0]
        for k in range(venues):
            limit = x[1 + k]
            if limit > 0.0:
                fills = 0.0
                for n in range(width):
                    fill = min(limit, excess[k, start + n])
                    filled[n] += fill
                    fills += fill
                total -= gain[k] * fills
        for n in range(width):
            gap = 1.0 - filled[n]
            total += prices[2] * gap if gap > 0.0 else -prices[3] * gap
    cost = float(total / samples + prices[0] * x[0])
    for k in range(venues):
        cost += prices[1] * x[1 + k]
    return cost


@kernel
def cancelled_cost(
    x: Float64, excess: Float64, gain: Float64, order: Int64, prices: Float64, slope: Float64
) -> float:
    """Mean cost when resting orders are cancelled at 1 filled; `slope` receives a subgradient.

    Of the shares that the outflow would fill, those at the venues that pay best (`order`) count first. The
    price of one more share filled, `value`, is -(lambda_u + theta) while the order is short, lambda_o while
    it overfills (only where that pays), and the gain of the venue that is cut short in between.
    """
    venues, samples = excess.shape
    filled = np.empty(BLOCK)
    value = np.empty(BLOCK)
    spent = np.empty(BLOCK)
    room = 1.0 - x[0]
    under, over = prices[2], prices[3]
    total = 0.0
    slope[:] = 0.0
    for start in range(0, samples, BLOCK):
        width = min(BLOCK, samples - start)
        filled[:width] = 0.0
        spent[:width] = 0.0
        value[:width] = -under if room > 0.0 else over
        for j in range(venues):
            k = order[j]
            limit = x[1 + k]
            if limit <= 0.0 or gain[k] + under <= 0.0:
                continue
            # A venue that earns more than over-filling costs is never cut short.
            end = np.inf if gain[k] >= over else room
            price = min(gain[k], over)
            for n in range(width):
                before = filled[n]
                after = before + min(limit, excess[k, start + n])
                value[n] = price if (before < room) & (room <= after) else value[n]
                after = max(min(after, end), before)
                spent[n] -= gain[k] * (after - before)
                filled[n] = after
        values = 0.0
        for n in range(width):
            gap = room - filled[n]
            value[n] = over if gap < 0.0 else value[n]
            total += spent[n] + max(under * gap, -over * gap)
            values += value[n]
        slope[0] += values
        for k in range(venues):
            slope[1 + k] -= worth_beyond(x[1 + k], gain[k], excess[k, start : start + width], value)
    cost = float(total / samples + prices[0] * x[0])
    slope[0] = slope[0] / samples + prices[0]
    for k in range(venues):
        slope[1 + k] = slope[1 + k] / samples + prices[1]
        cost += prices[1] * x[1 + k]
    return cost


@kernel
def worth_beyond(limit: float, gain: float, excess: Float64, value: Float64) -> float:
    """Sum of (gain - value)+ over the samples whose outflow goes beyond the limit order.

    Four running sums: one alone would wait for itself at every addition.
    """
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    whole = excess.size // 4 * 4
    for n in range(0, whole, 4):
        first += max(gain - value[n], 0.0) if excess[n] > limit else 0.0
        second += max(gain - value[n + 1], 0.0) if excess[n + 1] > limit else 0.0
        third += max(gain - value[n + 2], 0.0) if excess[n + 2] > limit else 0.0
        fourth += max(gain - value[n + 3], 0.0) if excess[n + 3] > limit else 0.0
    for n in range(whole, excess.size):
        first += max(gain - value[n], 0.0) if excess[n] > limit else 0.0
    return (first + second) + (third + fourth)


@kernel
def relax(sample: Sample, low: Float64, high: Float64, relaxation: Relaxation) -> int:
    """Prepare `relaxed_cost` on the box low <= x <= high.

    A sample that no placement of the box fills, or that every one fills, costs a sum of functions of one
    L_k each; so does the part (lambda_o - gain_k) fill_k of the others. These are added up by venue and given
    by their corners, as they are and as their lower convex envelope on [low_k, high_k]. What couples the
    venues, (lambda_u + theta + lambda_o)(1 - A)+ over the open samples, is convex already. `relaxation` receives it
    all, and the number of open samples is returned.
    """
    excess, gain, _, prices = sample
    ranks, state, open_excess, corner_x, corner_y, corners, affine = relaxation
    venues, samples = excess.shape
    under, over = prices[2], prices[3]
    least = np.full(samples, low[0])
    most = np.full(samples, high[0])
    for k in range(venues):
        for n in range(samples):
            least[n] += min(low[1 + k], excess[k, n])
            most[n] += min(high[1 + k], excess[k, n])
    short = 0
    for n in range(samples):
        if most[n] <= 1.0:
            state[n] = SHORT
            short += 1
        elif least[n] >= 1.0:
            state[n] = OVER
        else:
            state[n] = OPEN
    affine[0] = (under * short - over * (samples - short)) / samples
    affine[1] = prices[0] + (over * (samples - short) - under * short) / samples
    for k in range(venues):
        left, right = low[1 + k], high[1 + k]
        short_weight = -(gain[k] + under) / samples
        over_weight = (over - gain[k]) / samples
        at = prices[1] * left
        rate = prices[1]
        for n in range(samples):
            weight = short_weight if state[n] == SHORT else over_weight
            at += weight * min(left, excess[k, n])
            if excess[k, n] > left:
                rate += weight
        hull_x, hull_y = corner_x[HULL, k], corner_y[HULL, k]
        exact_x, exact_y = corner_x[EXACT, k], corner_y[EXACT, k]
        hull_x[0] = exact_x[0] = left
        hull_y[0] = exact_y[0] = at
        size = 1
        kinks = 1
        first, last = 0, samples
        while first < last:
            middle = (first + last) // 2
            if excess[k, ranks[k, middle]] > left:
                last = middle
            else:
                first = middle + 1
        position = left
        while position < right:
            following = right
            drop = 0.0
            if first < samples and excess[k, ranks[k, first]] < right:
                following = excess[k, ranks[k, first]]
                while first < samples and excess[k, ranks[k, first]] == following:
                    n = ranks[k, first]
                    drop += short_weight if state[n] == SHORT else over_weight
                    first += 1
            at += rate * (following - position)
            rate -= drop
            position = following
            # Keep only corners of the lower convex hull.
            while size >= 2 and (hull_y[size - 1] - hull_y[size - 2]) * (position - hull_x[size - 1]) >= (
                at - hull_y[size - 1]
            ) * (hull_x[size - 1] - hull_x[size - 2]):
                size -= 1
            hull_x[size] = exact_x[kinks] = position
            hull_y[size] = exact_y[kinks] = at
            size += 1
            kinks += 1
        corners[HULL, k] = size
        corners[EXACT, k] = kinks
    opens = 0
    for n in range(samples):
        if state[n] == OPEN:
            for k in range(venues):
                open_excess[k, opens] = excess[k, n]
            opens += 1
    return opens


@kernel
def relaxed_cost(
    x: Float64, relaxation: Relaxation, opens: int, samples: int, prices: Float64, slope: Float64
) -> float:
    """Evaluate the convex function that `relax` prepared; `slope` receives a subgradient."""
    open_excess, affine = relaxation.open_excess, relaxation.affine
    corner_x, corner_y, corners = relaxation.corner_x, relaxation.corner_y, relaxation.corners
    venues = open_excess.shape[0]
    weight = (prices[2] + prices[3]) / samples
    missing = np.empty(BLOCK)
    cost = float(affine[0] + affine[1] * x[0])
    slope[0] = affine[1]
    for k in range(venues):
        value, rate = corner_value(x[1 + k], corner_x[HULL, k], corner_y[HULL, k], corners[HULL, k])
        cost += value
        slope[1 + k] = rate
    for start in range(0, opens, BLOCK):
        width = min(BLOCK, opens - start)
        missing[:width] = 1.0 - x[0]
        for k in range(venues):
            limit = x[1 + k]
            for n in range(width):
                missing[n] -= min(limit, open_excess[k, start + n])
        short = 0
        gaps = 0.0
        for n in range(width):
            gaps += max(missing[n], 0.0)
            short += 1 if missing[n] > 0.0 else 0
        cost += weight * gaps
        slope[0] -= weight * short
        for k in range(venues):
            limit = x[1 + k]
            count = 0
            for n in range(width):
                count += 1 if (missing[n] > 0.0) & (open_excess[k, start + n] > limit) else 0
            slope[1 + k] -= weight * count
    return cost


@kernel
def corner_value(position: float, corner_x: Float64, corner_y: Float64, size: int) -> tuple[float, float]:
    """Value and slope of a piecewise linear function given by its corners."""
    if size == 1:
        return corner_y[0], 0.0
    first, last = 0, size - 2
    while first < last:
        middle = (first + last + 1) // 2
        if corner_x[middle] <= position:
            first = middle
        else:
            last = middle - 1
    rate = (corner_y[first + 1] - corner_y[first]) / (corner_x[first + 1] - corner_x[first])
    return corner_y[first] + rate * (position - corner_x[first]), rate
