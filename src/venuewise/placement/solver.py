"""One kernel that solves a placement on a sample of outflows and certifies it; callable from other kernels.

The cancelling router's problem is convex and is solved first. Where over-filling is penalised it is a lower
bound, and the answer as well whenever its solution costs no more under the penalty; otherwise local search
and branch and bound take over.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.placement.branch_and_bound import branch_and_bound, improve
from venuewise.placement.kernels import Box, Sample, allowed_gap, penalised_cost, room_to_relax
from venuewise.placement.level_method import minimise_convex

Float64 = npt.NDArray[np.float64]


@kernel
def solve_placement(
    excess: Float64,
    gain: Float64,
    prices: Float64,
    high: Float64,
    at_least: bool,
    penalise: bool,
    tolerance: float,
    max_boxes: int,
    warm: bool,
    x: Float64,
) -> tuple[float, float, int]:
    """Minimise the cost over 0 <= x <= high; units and names as in `kernels`.

    Parameters
    ----------
    excess : ndarray, shape (K, N)
        (xi - Q)+ in units of the order.
    gain : ndarray, shape (K,)
        h + r_k, dollars per share.
    prices : ndarray, shape (4,)
        h + f + theta, theta, lambda_u + theta, lambda_o, dollars per share.
    high : ndarray, shape (K + 1,)
        Upper bounds of M, L_1, ..., L_K.
    at_least : bool
        Require M + sum L_k >= 1.
    penalise : bool
        Over-filling is penalised (not convex when lambda_o > min gain); else orders are cancelled in time.
    tolerance : float
        Relative gap to reach.
    max_boxes : int
        Boxes that branch and bound may examine.
    warm : bool
        `x` is a solution of a similar problem, not just room for the answer.
    x : ndarray, shape (K + 1,)
        Receives the solution.

    Returns
    -------
    cost, lower_bound : float
        Dollars per share of the order.
    boxes : int
        Boxes examined; 0 where none were needed.
    """
    venues, _ = excess.shape
    dims = venues + 1
    order = np.argsort(-gain, kind="mergesort")
    low = np.zeros(dims)
    start = x.copy()
    equal = np.empty(dims)
    for j in range(dims):
        equal[j] = min(1.0 / dims, high[j])
    if not warm:
        x[:] = equal
    sample = Sample(excess, gain, order, prices)
    box = Box(low, high, at_least)
    nothing = room_to_relax(excess[:, :0].copy())
    cost, lower, _ = minimise_convex(sample, box, False, nothing, 0, tolerance, np.inf, x)
    if not penalise or gain.min() >= prices[3]:
        return cost, lower, 0
    cost = penalised_cost(x, excess, gain, prices)
    if cost - lower <= allowed_gap(cost, prices, tolerance):
        return cost, lower, 0
    relaxation = room_to_relax(excess)
    if not warm:
        start[:] = equal
    cost = improve(sample, box, relaxation, tolerance, x)
    other = improve(sample, box, relaxation, tolerance, start)
    if other < cost:
        x[:] = start
    return branch_and_bound(sample, box, relaxation, tolerance, max_boxes, lower, x)
