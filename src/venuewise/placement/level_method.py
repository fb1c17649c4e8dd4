"""Minimise a convex sample average over a box, with a certificate.

The level bundle method of Lemarechal, Nemirovskii and Nesterov: each evaluation gives a cut; the lowest
point of all cuts bounds the optimum from below, the best point seen bounds it from above, and the next
evaluation is made at the point nearest to the best one at which all cuts lie a fixed part of the way between
the two. It needs some 30-60 evaluations in the dimensions met here, where plain cutting planes need hundreds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.placement.cutting_planes import model_minimum, project_below_level
from venuewise.placement.kernels import Box, Relaxation, Sample, allowed_gap, cancelled_cost, relaxed_cost

Float64 = npt.NDArray[np.float64]

LEVEL = 0.6
"""Where the level lies between the lower bound (0) and the best value (1)."""
MAX_CUTS = 600


@kernel
def minimise_convex(
    sample: Sample,
    box: Box,
    relaxed: bool,
    relaxation: Relaxation,
    opens: int,
    tolerance: float,
    prune_at: float,
    x: Float64,
) -> tuple[float, float, int]:
    """Minimise `cancelled_cost`, or `relaxed_cost` as `relax` prepared it, over a box.

    `opens` is what `relax` returned; without `relaxed` neither it nor `relaxation` is looked at. `x` is the
    start and receives the best point. Stops when the gap is at most `tolerance` times the size of the value,
    or as soon as the lower bound reaches `prune_at`. Returns value, lower bound, evaluations.
    """
    excess, gain, order, prices = sample
    low, high, at_least = box
    dims = low.size
    slopes = np.empty((MAX_CUTS, dims))
    offsets = np.empty(MAX_CUTS)
    slope = np.empty(dims)
    point = np.empty(dims)
    lowest = np.empty(dims)
    active = np.full(dims + 1, -1, np.int64)
    upper = np.inf
    lower = -np.inf
    evaluations = 0
    for j in range(dims):
        point[j] = min(max(x[j], low[j]), high[j])
    if at_least:
        lift_to_order(point, high)
    stalled = 0
    while evaluations < MAX_CUTS:
        if relaxed:
            cost = relaxed_cost(point, relaxation, opens, excess.shape[1], prices, slope)
        else:
            cost = cancelled_cost(point, excess, gain, order, prices, slope)
        offset = cost
        for j in range(dims):
            slopes[evaluations, j] = slope[j]
            offset -= slope[j] * point[j]
        offsets[evaluations] = offset
        evaluations += 1
        if cost < upper:
            upper = cost
            x[:] = point
        bound = model_minimum(slopes, offsets, evaluations, low, high, at_least, active, lowest)
        stalled = 0 if bound > lower or cost <= upper else stalled + 1
        lower = max(lower, bound)
        if upper - lower <= allowed_gap(upper, prices, tolerance) or lower >= prune_at or stalled > 20:
            break
        point[:] = x
        level = lower + LEVEL * (upper - lower)
        if not project_below_level(slopes, offsets, evaluations, low, high, at_least, level, point):
            for j in range(dims):
                point[j] = 0.5 * (x[j] + lowest[j])
        for j in range(dims):
            point[j] = min(max(point[j], low[j]), high[j])
        if at_least:
            lift_to_order(point, high)
    return upper, min(lower, upper), evaluations


@kernel
def lift_to_order(x: Float64, high: Float64) -> None:
    """Raise M, then the limit orders, until `sum x >= 1` holds beyond rounding."""
    missing = 1.0 - x.sum()
    for j in range(x.size):
        if missing > 0.0:
            more = min(missing, high[j] - x[j])
            x[j] += more
            missing -= more
