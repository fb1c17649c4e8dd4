"""Kernels of the static allocation: the exact optimum of one book, without enumeration.

Executed shares go to price levels in order of what a share costs there, and a share can rest at a venue only
once all that the venue displays is taken. With the order sent in full (`exact_fill`) all resting shares
belong at one venue, so one walk along the sorted levels for each candidate finds the optimum. With nothing
but a cap of S shares a venue (`free`), every venue taken in full earns its rebate on its own: a fixed bonus
for completing a venue, which makes the problem a knapsack; it is solved by branch and bound on the convex
hulls of the venues' costs. The equations stand in docs/allocation.md. No kernel here allocates or raises.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

BUY: Final = 1.0
SELL: Final = -1.0
"""Signs of a side: a buyer loses when the price rises above the reference, a seller when it falls below."""

EXACT_FILL: Final = 0
FREE: Final = 1
GREEDY_EXACT_FILL: Final = 2
GREEDY_FREE: Final = 3
"""What `allocate_kernel` solves; the greedy ones leave resting aside."""

TIE: Final = 1e-9
"""Dollars. Splits whose costs differ by no more count as equally good: it is the grain of a price."""
NODE_LIMIT: Final = 100_000
"""Branch-and-bound nodes after which `free` stops and reports the gap that is left."""

_BLOCK: Final = 16

# Rows of the working arrays: what is known of each piece of a venue's cost, and of each venue.
VENUE, COUNT, ORDER, BUFFER, DISPLAYED, KIND, STATE, BRANCH, DENIED_AT = range(9)
TAKEN = BUFFER  # the sort has let go of it by the time the search begins
SCRATCH_INTS: Final = 9
COST, WHOLE, AMOUNT = range(3)
SCRATCH_FLOATS: Final = 3

_LEVEL, _TAIL_LEVEL, _HULL = 0, 1, 2
_UNDECIDED, _FULL, _DENIED = 0, 1, 2


@kernel
def _sort_pieces(ints: Int64, floats: Float64, n: int) -> None:
    """Put into row ORDER the pieces 0..n-1 by rising row COST, equal ones in their order (merge sort)."""
    start = 0
    while start < n:
        stop = min(start + _BLOCK, n)
        for i in range(start, stop):
            ints[BUFFER, i] = start
        for i in range(start + 1, stop):  # ranks by comparing all pairs: no branch to guess wrong
            rank = 0
            for j in range(start, i):
                earlier = int(floats[COST, j] <= floats[COST, i])
                rank += earlier
                ints[BUFFER, j] += 1 - earlier
            ints[BUFFER, i] += rank
        for i in range(start, stop):
            ints[ORDER, ints[BUFFER, i]] = i
        start = stop
    width = _BLOCK
    while width < n:
        left = 0
        while left < n:
            middle = min(left + width, n)
            right = min(left + 2 * width, n)
            i, j = left, middle
            for slot in range(left, right):
                if i < middle and (
                    j >= right or floats[COST, ints[ORDER, i]] <= floats[COST, ints[ORDER, j]]
                ):
                    ints[BUFFER, slot] = ints[ORDER, i]
                    i += 1
                else:
                    ints[BUFFER, slot] = ints[ORDER, j]
                    j += 1
            left = right
        for slot in range(n):
            ints[ORDER, slot] = ints[BUFFER, slot]
        width *= 2


@kernel
def split_cost(
    shares_open: int,
    price: Float64,
    size: Int64,
    fee: Float64,
    rebate: Float64,
    under: float,
    over: float,
    mid: float,
    sign: float,
    shares: Int64,
) -> tuple[float, float, int]:
    """Cost, cash and executed shares of a split; `under` and `over` are the two penalties a share.

    Cash is what a buyer pays, or what a seller receives.
    """
    cost = 0.0
    cash = 0.0
    executed = 0
    for k in range(price.shape[0]):
        left = shares[k]
        for level in range(price.shape[1]):
            if left <= 0:
                break
            if size[k, level] > 0 and not np.isnan(price[k, level]):
                taken = min(left, size[k, level])
                cost += taken * (sign * (price[k, level] - mid) + fee[k])
                cash += taken * (price[k, level] + sign * fee[k])
                executed += taken
                left -= taken
        cost -= left * rebate[k]
        cash -= sign * left * rebate[k]
    if executed < shares_open:
        cost += under * (shares_open - executed)
    else:
        cost += over * (executed - shares_open)
    return cost, cash, executed


@kernel
def _free_by_venue(
    shares_open: int,
    price: Float64,
    size: Int64,
    fee: Float64,
    rebate: Float64,
    mid: float,
    sign: float,
    slope: float,
    resting: bool,
    out: Int64,
) -> float:
    """Minimise sum_k cost_k(x_k) + slope * executed over x_k <= shares_open, venue by venue."""
    total = 0.0
    for k in range(price.shape[0]):
        displayed = 0
        value = 0.0
        best = 0.0
        out[k] = 0
        for level in range(price.shape[1]):
            if size[k, level] > 0 and not np.isnan(price[k, level]):
                taken = min(size[k, level], max(shares_open - displayed, 0))
                displayed += size[k, level]
                value += taken * (sign * (price[k, level] - mid) + fee[k] + slope)
                if value < best:
                    best = value
                    out[k] = min(displayed, shares_open)
        if resting and rebate[k] > 0.0 and displayed < shares_open:
            value -= rebate[k] * (shares_open - displayed)
            if value < best:
                best = value
                out[k] = shares_open
        total += best
    return total


@kernel
def _same_venue(j: int, k: int, price: Float64, size: Int64, fee: Float64, rebate: Float64) -> bool:
    """Whether two venues show the same levels at the same fee and rebate."""
    if fee[j] != fee[k] or rebate[j] != rebate[k]:
        return False
    for level in range(price.shape[1]):
        there = size[k, level] > 0 and not np.isnan(price[k, level])
        if (size[j, level] > 0 and not np.isnan(price[j, level])) != there:
            return False
        if there and (price[j, level] != price[k, level] or size[j, level] != size[k, level]):
            return False
    return True


@kernel
def _segments(
    shares_open: int,
    price: Float64,
    size: Int64,
    fee: Float64,
    rebate: Float64,
    mid: float,
    sign: float,
    resting: bool,
    ints: Int64,
    floats: Float64,
) -> int:
    """Cut every venue's cost into linear pieces, where it earns a bonus those of its convex hull as well.

    Row WHOLE becomes the cost of taking the venue in full, bonus included. Venues without a bonus are
    `_DENIED` from the start, and those that display nothing but pay for resting are `_FULL`.
    """
    n = 0
    for k in range(price.shape[0]):
        ints[DISPLAYED, k] = 0
        floats[WHOLE, k] = 0.0
        first = n
        for level in range(price.shape[1]):
            if size[k, level] > 0 and not np.isnan(price[k, level]):
                room = shares_open - ints[DISPLAYED, k]
                ints[DISPLAYED, k] += size[k, level]
                if room > 0:
                    ints[VENUE, n] = k
                    ints[COUNT, n] = min(size[k, level], room)
                    ints[KIND, n] = _LEVEL
                    floats[COST, n] = sign * (price[k, level] - mid) + fee[k]
                    floats[AMOUNT, n] = ints[COUNT, n] * floats[COST, n]
                    floats[WHOLE, k] += floats[AMOUNT, n]
                    n += 1
        ints[STATE, k] = _DENIED
        if not resting or rebate[k] <= 0.0 or ints[DISPLAYED, k] >= shares_open:
            continue
        bonus = rebate[k] * (shares_open - ints[DISPLAYED, k])
        floats[WHOLE, k] -= bonus
        if n == first:
            ints[STATE, k] = _FULL
            continue
        ints[STATE, k] = _UNDECIDED
        last = n
        tail = last - 1
        shares = ints[COUNT, tail]
        dollars = floats[AMOUNT, tail] - bonus
        while tail > first and floats[COST, tail - 1] > dollars / shares:
            tail -= 1
            shares += ints[COUNT, tail]
            dollars += floats[AMOUNT, tail]
        for s in range(tail, last):
            ints[KIND, s] = _TAIL_LEVEL
        ints[VENUE, n] = k
        ints[COUNT, n] = shares
        ints[KIND, n] = _HULL
        floats[COST, n] = dollars / shares
        floats[AMOUNT, n] = dollars
        n += 1
    return n


@kernel
def _free(
    shares_open: int,
    price: Float64,
    size: Int64,
    fee: Float64,
    rebate: Float64,
    under: float,
    over: float,
    mid: float,
    sign: float,
    resting: bool,
    out: Int64,
    ints: Int64,
    floats: Float64,
) -> float:
    """Minimise over 0 <= x_k <= shares_open; return what the answer may miss the optimum by (0: proven)."""
    venues = price.shape[0]
    if under + over < 0.0:  # the penalty is the lower of two lines: no venue depends on another
        below = _free_by_venue(shares_open, price, size, fee, rebate, mid, sign, -under, resting, out)
        above = _free_by_venue(shares_open, price, size, fee, rebate, mid, sign, over, resting, ints[TAKEN])
        if above - over * shares_open < below + under * shares_open - TIE:
            out[:venues] = ints[TAKEN, :venues]
        return 0.0
    n = _segments(shares_open, price, size, fee, rebate, mid, sign, resting, ints, floats)
    _sort_pieces(ints, floats, n)
    ints[DENIED_AT, :venues] = -1

    best = np.inf
    open_bound = np.inf
    depth = 0
    nodes = 0
    while True:
        # The node: forced venues are sunk, the rest is one walk along the segments.
        executed = 0
        bound = 0.0
        for k in range(venues):
            ints[TAKEN, k] = 0
            if ints[STATE, k] == _FULL:
                ints[TAKEN, k] = shares_open
                executed += ints[DISPLAYED, k]
                bound += floats[WHOLE, k]
        fractional = -1
        part = 0
        for i in range(n):
            s = ints[ORDER, i]
            if floats[COST, s] > under or (executed >= shares_open and floats[COST, s] >= -over):
                break
            k = ints[VENUE, s]
            if ints[STATE, k] == _FULL or (
                ints[KIND, s] == (_TAIL_LEVEL if ints[STATE, k] == _UNDECIDED else _HULL)
            ):
                continue
            if floats[COST, s] < -over or ints[COUNT, s] <= shares_open - executed:
                executed += ints[COUNT, s]
                bound += floats[AMOUNT, s]
                ints[TAKEN, k] = shares_open if ints[KIND, s] == _HULL else ints[TAKEN, k] + ints[COUNT, s]
            else:
                part = shares_open - executed
                executed = shares_open
                bound += part * floats[COST, s]
                if ints[KIND, s] == _HULL:
                    fractional = s
                else:
                    ints[TAKEN, k] += part
        penalty = (
            under * (shares_open - executed) if executed < shares_open else over * (executed - shares_open)
        )
        bound += penalty
        value = bound
        if fractional >= 0:  # its shares at what they cost as long as the bonus is missed
            k = ints[VENUE, fractional]
            value -= part * floats[COST, fractional]
            ints[TAKEN, k] += part
            s = fractional
            while s > 0 and ints[VENUE, s - 1] == k and ints[KIND, s - 1] == _TAIL_LEVEL:
                s -= 1
            while part > 0:
                taken = min(part, ints[COUNT, s])
                value += taken * floats[COST, s]
                part -= taken
                s += 1
        nodes += 1
        if value < best - TIE or best == np.inf:
            best = value
            out[:venues] = ints[TAKEN, :venues]

        if fractional >= 0 and bound < best - TIE:
            if nodes < NODE_LIMIT:
                ints[BRANCH, depth] = ints[VENUE, fractional]
                ints[STATE, ints[BRANCH, depth]] = _FULL
                depth += 1
                continue
            open_bound = min(open_bound, bound)
        while depth > 0 and ints[STATE, ints[BRANCH, depth - 1]] == _DENIED:
            depth -= 1
            for k in range(venues):
                if ints[DENIED_AT, k] == depth:
                    ints[DENIED_AT, k] = -1
                    ints[STATE, k] = _UNDECIDED
        if depth == 0:
            break
        # The other branch. Of venues alike, the first ones are the full ones: the others are denied with it.
        chosen = ints[BRANCH, depth - 1]
        for k in range(chosen, venues):
            if k == chosen or (
                ints[STATE, k] == _UNDECIDED and _same_venue(chosen, k, price, size, fee, rebate)
            ):
                ints[STATE, k] = _DENIED
                ints[DENIED_AT, k] = depth - 1
    return max(best - open_bound, 0.0)


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
        gap = _free(
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
    _sort_pieces(ints, floats, n)

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


@kernel
def taken_by_level(price: Float64, size: Int64, shares: Int64, taken: Int64) -> None:
    """Write the shares that each venue's split executes at each of its levels, best first."""
    for k in range(price.shape[0]):
        left = shares[k]
        for level in range(price.shape[1]):
            taken[k, level] = 0
            if size[k, level] > 0 and not np.isnan(price[k, level]):
                taken[k, level] = min(left, size[k, level])
                left -= taken[k, level]


def scratch(venues: int, levels: int) -> tuple[Int64, Float64]:
    """Return working arrays for `allocate_kernel`, for books of up to this many venues and levels."""
    width = venues * (levels + 1)
    return np.empty((SCRATCH_INTS, width), np.int64), np.empty((SCRATCH_FLOATS, width), np.float64)
