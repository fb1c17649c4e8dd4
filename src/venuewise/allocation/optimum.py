"""The optimum of the static allocation for one book, without enumeration.

Executed shares go to price levels in order of what a share costs there, and a share can rest at a venue only
once all that the venue displays is taken. With the order sent in full (`EXACT_FILL`) all resting shares
belong at one venue, so one walk along the sorted levels for each candidate finds the optimum; without that
constraint (`FREE`) it is a knapsack: see `free_fill`. No kernel here allocates or raises.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from venuewise._jit import kernel
from venuewise.allocation.free_fill import split_freely
from venuewise.allocation.pieces import COST, COUNT, DISPLAYED, ORDER, TIE, VENUE, WHOLE, sort_pieces
from venuewise.allocation.split import Float64, Int64

EXACT_FILL: Final = 0
FREE: Final = 1
GREEDY_EXACT_FILL: Final = 2
GREEDY_FREE: Final = 3
"""What `allocate_kernel` solves; the greedy ones leave resting aside."""


@kernel
def allocate_kernel(
    shares_open: int,
    price: Float64,
    size: Int64,
    fee: Float64,
    rebate: Float64,
    lambda_over: float,
    lambda_under: float,
    theta_queue: float,
    mid: float,
    problem: int,
    sign: float,
    out: Int64,
    ints: Int64,
    floats: Float64,
) -> float:
    """Write the best split of one book into `out`.

    Parameters
    ----------
    shares_open : int
        Shares to split, 0 or more.
    price, size : ndarray, shape (K, L)
        Dollars and shares of each level, best first; size 0 or price NaN where there is none.
    fee, rebate : ndarray of float64, shape (K,)
        Dollars a share.
    lambda_over, lambda_under, theta_queue : float
        Penalties in dollars a share.
    mid : float
        Reference price in dollars.
    problem : int
        `EXACT_FILL`, `FREE`, `GREEDY_EXACT_FILL` or `GREEDY_FREE`.
    sign : float
        `BUY` or `SELL`.
    out : ndarray of int64, shape (K,)
        Receives the shares of each venue.
    ints, floats : ndarray of int64 and float64
        Room to work in, from `scratch(K, L)`.

    Returns
    -------
    float
        Dollars by which the split may miss the optimum: 0 unless `FREE` met its node limit, NaN for the
        greedy problems.
    """
    under = lambda_under + theta_queue
    resting = problem in (EXACT_FILL, FREE)
    if problem in (FREE, GREEDY_FREE):
        gap = split_freely(
            shares_open, price, size, fee, rebate, under, lambda_over + theta_queue, mid, sign, resting,
            out, ints, floats,
        )  # fmt: skip
        return gap if resting else np.nan
    n = 0
    for k in range(price.shape[0]):
        shown = 0
        dollars = 0.0
        for level in range(price.shape[1]):
            if size[k, level] > 0 and not np.isnan(price[k, level]):
                ints[VENUE, n] = k
                ints[COUNT, n] = size[k, level]
                floats[COST, n] = sign * (price[k, level] - mid) + fee[k]
                dollars += ints[COUNT, n] * floats[COST, n]
                shown += ints[COUNT, n]
                n += 1
        out[k] = 0
        ints[DISPLAYED, k] = shown
        floats[WHOLE, k] = dollars
    sort_pieces(ints, floats, n)

    left = shares_open
    best = 0.0
    dearest = -np.inf
    i = 0
    while left > 0 and i < n:
        s = ints[ORDER, i]
        taken = min(left, ints[COUNT, s])
        best += taken * floats[COST, s]
        dearest = floats[COST, s]
        out[ints[VENUE, s]] += taken
        left -= taken
        i += 1
    if not resting:
        return np.nan
    if left > 0:
        best = np.inf
        dearest = np.inf

    rest_at = -1
    for k in range(price.shape[0]):
        threshold = under - rebate[k]  # what a share costs that rests at k and stays open
        if ints[DISPLAYED, k] >= shares_open or threshold >= dearest:
            continue  # nothing is left to rest, or resting costs no less than any share it could replace
        left = shares_open - ints[DISPLAYED, k]
        candidate = floats[WHOLE, k]
        for i in range(n):
            s = ints[ORDER, i]
            if left == 0 or floats[COST, s] > threshold:
                break
            if ints[VENUE, s] != k:
                taken = min(left, ints[COUNT, s])
                candidate += taken * floats[COST, s]
                left -= taken
        candidate += left * threshold
        if candidate < best - TIE or best == np.inf:
            best = candidate
            rest_at = k

    if rest_at < 0:
        return 0.0
    out[: price.shape[0]] = 0
    out[rest_at] = ints[DISPLAYED, rest_at]
    left = shares_open - ints[DISPLAYED, rest_at]
    threshold = under - rebate[rest_at]
    for i in range(n):
        s = ints[ORDER, i]
        if left == 0 or floats[COST, s] > threshold:
            break
        if ints[VENUE, s] != rest_at:
            taken = min(left, ints[COUNT, s])
            out[ints[VENUE, s]] += taken
            left -= taken
    out[rest_at] += left
    return 0.0
