"""Placement with over-filling penalised: not convex, solved by boxes.

On a box of placements `kernels.relax` gives a convex function below the cost whose distance to it
shrinks with the box and is zero once no sample's kink lies inside. Good placements come from relaxations on
boxes that shrink around the best one known; the certificate comes from splitting the box with the lowest
bound, at its solution and along the venue where the relaxation is furthest off (or along M where the box is
much wider there), until no box can hold anything better. A gap that is left over when the budget of boxes is
spent is reported as it is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.placement.kernels import (
    EXACT,
    HULL,
    Box,
    Relaxation,
    Sample,
    allowed_gap,
    corner_value,
    penalised_cost,
    relax,
)
from venuewise.placement.level_method import lift_to_order, minimise_convex

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

FIRST_REACH = 0.25
LAST_REACH = 1e-4
"""Half widths, in orders, of the first and the last box of the local search."""
MARKET_FIRST = 2.0
"""Split along M once the box is wider there than along the venue to split by more than this factor."""


@kernel
def improve(sample: Sample, box: Box, relaxation: Relaxation, tolerance: float, x: Float64) -> float:
    """Search around `x` in boxes that move with the best point and shrink; return its cost."""
    excess, gain, _, prices = sample
    low, high, at_least = box
    dims = low.size
    box_low = np.empty(dims)
    box_high = np.empty(dims)
    point = np.empty(dims)
    for j in range(dims):
        x[j] = min(max(x[j], low[j]), high[j])
    if at_least:
        lift_to_order(x, high)
    best = penalised_cost(x, excess, gain, prices)
    reach = FIRST_REACH
    for _ in range(40):
        for j in range(dims):
            box_low[j] = max(low[j], x[j] - reach)
            box_high[j] = min(high[j], x[j] + reach)
            point[j] = x[j]
        opens = relax(sample, box_low, box_high, relaxation)
        around = Box(box_low, box_high, at_least)
        minimise_convex(sample, around, True, relaxation, opens, tolerance, np.inf, point)
        cost = penalised_cost(point, excess, gain, prices)
        # A box that gave a real gain is worth a second look at the same size.
        if cost < best - 1e-4 * abs(best):
            best = cost
            x[:] = point
            continue
        if cost < best:
            best = cost
            x[:] = point
        reach *= 0.4
        if reach < LAST_REACH:
            break
    return best


@kernel
def branch_and_bound(
    sample: Sample,
    whole: Box,
    relaxation: Relaxation,
    tolerance: float,
    max_boxes: int,
    known_bound: float,
    x: Float64,
) -> tuple[float, float, int]:
    """Minimise `penalised_cost` over a box; return cost, lower bound and boxes examined.

    `x` is a good placement (see `improve`) and receives the best one. `known_bound` is a lower bound from
    elsewhere (the cancelling router), -inf if there is none.
    """
    excess, gain, _, prices = sample
    low, high, at_least = whole
    corner_x, corner_y, corners = relaxation.corner_x, relaxation.corner_y, relaxation.corners
    venues, dims = gain.size, low.size
    point = np.empty(dims)
    best = penalised_cost(x, excess, gain, prices)
    if best - known_bound <= allowed_gap(best, prices, tolerance):
        return best, known_bound, 0
    # A binary heap of boxes: bound, split dimension and place, and the two corners.
    capacity = 2 * max_boxes + 4
    bounds = np.empty(capacity)
    lows = np.empty((capacity, dims))
    highs = np.empty((capacity, dims))
    heap = np.empty(capacity, np.int64)
    heap[0] = 0
    bounds[0] = known_bound
    lows[0] = low
    highs[0] = high
    waiting = 1
    stored = 1
    boxes = 0
    # Boxes left unsplit because nothing in them can be separated further, or found too good to discard.
    settled = np.inf
    while waiting > 0:
        slack = allowed_gap(best, prices, tolerance)
        box = heap[0]
        if bounds[box] >= best - slack or boxes >= max_boxes:
            break
        waiting -= 1
        sift_down(heap, bounds, waiting, heap[waiting])
        boxes += 1
        box_low, box_high = lows[box], highs[box]
        opens = relax(sample, box_low, box_high, relaxation)
        for j in range(dims):
            point[j] = min(max(x[j], box_low[j]), box_high[j])
        if at_least and box_high.sum() < 1.0:
            continue
        # A bound need only be as sharp as the distance that it has to close; if it then turns out that the
        # relaxation is closer to the cost than to its own bound, it is solved again to the end.
        care = max(0.3 * tolerance, 0.02 * min((best - bounds[box]) / allowed_gap(best, prices, 1.0), 1.0))
        bound = bounds[box]
        while True:
            value, lowest, _ = minimise_convex(
                sample,
                Box(box_low, box_high, at_least),
                True,
                relaxation,
                opens,
                care,
                best - 0.9 * slack,
                point,
            )
            bound = max(bound, lowest)
            cost = penalised_cost(point, excess, gain, prices)
            if cost < best:
                best = cost
                x[:] = point
                slack = allowed_gap(best, prices, tolerance)
            if bound >= best - slack:
                break
            split, place, worst = 0, 0.0, 0.0
            for k in range(venues):
                exact, _ = corner_value(
                    point[1 + k], corner_x[EXACT, k], corner_y[EXACT, k], corners[EXACT, k]
                )
                below, _ = corner_value(point[1 + k], corner_x[HULL, k], corner_y[HULL, k], corners[HULL, k])
                if exact - below > worst:
                    worst, split, place = exact - below, 1 + k, point[1 + k]
            if worst > value - bound or care <= 0.3 * tolerance:
                break
            care = 0.3 * tolerance
        if bound >= best - slack:
            settled = min(settled, bound)
            continue
        if worst <= 0.0:
            settled = min(settled, bound)
            continue
        # The narrower M, the more samples are short or over for certain, and the less there is to relax.
        if box_high[0] - box_low[0] > MARKET_FIRST * (box_high[split] - box_low[split]):
            split, place = 0, point[0]
        # Near an edge of the box the cut would be a sliver: keep it some way inside.
        width = box_high[split] - box_low[split]
        place = min(max(place, box_low[split] + 0.1 * width), box_high[split] - 0.1 * width)
        for side in range(2):
            child = stored
            stored += 1
            bounds[child] = bound
            lows[child] = box_low
            highs[child] = box_high
            if side == 0:
                highs[child, split] = place
            else:
                lows[child, split] = place
            sift_up(heap, bounds, waiting, child)
            waiting += 1
    lower = settled
    if waiting > 0:
        lower = min(lower, bounds[heap[0]])
    return best, min(max(lower, known_bound), best), boxes


@kernel
def sift_up(heap: Int64, bounds: Float64, size: int, box: int) -> None:
    """Add a box to a heap of `size` boxes, lowest bound first."""
    place = size
    while place > 0:
        parent = (place - 1) // 2
        if bounds[heap[parent]] <= bounds[box]:
            break
        heap[place] = heap[parent]
        place = parent
    heap[place] = box


@kernel
def sift_down(heap: Int64, bounds: Float64, size: int, box: int) -> None:
    """Replace the first box of a heap, which then has `size` boxes."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and bounds[heap[child + 1]] < bounds[heap[child]]:
            child += 1
        if bounds[box] <= bounds[heap[child]]:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = box
