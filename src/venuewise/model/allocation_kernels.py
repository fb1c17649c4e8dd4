"""Kernels of the static allocation: the exact optimum of one book, without enumeration.

Executed shares go to price levels in order of what a share costs there, and a share can rest at a venue only once
all that the venue displays is taken. With the order sent in full (`exact_fill`) all resting shares belong at one
venue, so one walk along the sorted levels for each candidate finds the optimum. With nothing but a cap of S shares a
venue (`free`), every venue taken in full earns its rebate on its own: a fixed bonus for completing a venue, which
makes the problem a knapsack; it is solved by branch and bound on the convex hulls of the venues' costs. The equations
stand in docs/allocation.md. Nothing here allocates but `allocate_book`, and nothing raises.
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

SCRATCH_INTS: Final = 9
SCRATCH_FLOATS: Final = 3
_INSERTION: Final = 16

_LEVEL, _TAIL_LEVEL, _HULL = 0, 1, 2
_UNDECIDED, _FULL, _DENIED = 0, 1, 2


@kernel
def sort_order(key: Float64, order: Int64, buffer: Int64, n: int) -> None:
    """Write into `order[:n]` the indices that sort `key[:n]`, equal keys in their order (merge sort)."""
    start = 0
    while start < n:
        stop = min(start + _INSERTION, n)
        for i in range(start, stop):
            j = i
            while j > start and key[order[j - 1]] > key[i]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
        start = stop
    width = _INSERTION
    while width < n:
        left = 0
        while left < n:
            middle = min(left + width, n)
            right = min(left + 2 * width, n)
            i, j = left, middle
            for slot in range(left, right):
                if i < middle and (j >= right or key[order[i]] <= key[order[j]]):
                    buffer[slot] = order[i]
                    i += 1
                else:
                    buffer[slot] = order[j]
                    j += 1
            left = right
        for slot in range(n):
            order[slot] = buffer[slot]
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
def _exact_fill(
    shares_open: int,
    price: Float64,
    size: Int64,
    fee: Float64,
    rebate: Float64,
    under: float,
    mid: float,
    sign: float,
    resting: bool,
    out: Int64,
    ints: Int64,
    floats: Float64,
) -> None:
    """Minimise over splits that sum to `shares_open`; without `resting`, what no level holds stays unsent."""
    venue, count, order, buffer, displayed = ints[0], ints[1], ints[2], ints[3], ints[4]
    cost, whole = floats[0], floats[1]
    n = 0
    for k in range(price.shape[0]):
        out[k] = 0
        displayed[k] = 0
        whole[k] = 0.0
        for level in range(price.shape[1]):
            if size[k, level] > 0 and not np.isnan(price[k, level]):
                room = shares_open - displayed[k]
                displayed[k] += size[k, level]
                if room > 0:
                    venue[n] = k
                    count[n] = min(size[k, level], room)
                    cost[n] = sign * (price[k, level] - mid) + fee[k]
                    whole[k] += size[k, level] * cost[n]
                    n += 1
    sort_order(cost, order, buffer, n)

    left = shares_open
    best = 0.0
    dearest = -np.inf
    for i in range(n):
        if left == 0:
            break
        taken = min(left, count[order[i]])
        best += taken * cost[order[i]]
        dearest = cost[order[i]]
        left -= taken
    if left > 0:
        best = np.inf
        dearest = np.inf

    rest_at = -1
    if resting:
        for k in range(price.shape[0]):
            threshold = under - rebate[k]  # what a share costs that rests at k and stays open
            if displayed[k] >= shares_open or threshold >= dearest:
                continue  # nothing is left to rest, or resting costs no less than any share it could replace
            left = shares_open - displayed[k]
            candidate = whole[k]
            for i in range(n):
                s = order[i]
                if left == 0 or cost[s] > threshold:
                    break
                if venue[s] != k:
                    taken = min(left, count[s])
                    candidate += taken * cost[s]
                    left -= taken
            candidate += left * threshold
            if candidate < best - TIE or best == np.inf:
                best = candidate
                rest_at = k

    left = shares_open
    threshold = np.inf
    if rest_at >= 0:
        out[rest_at] = displayed[rest_at]
        left -= displayed[rest_at]
        threshold = under - rebate[rest_at]
    for i in range(n):
        s = order[i]
        if left == 0 or cost[s] > threshold:
            break
        if venue[s] != rest_at:
            taken = min(left, count[s])
            out[venue[s]] += taken
            left -= taken
    if rest_at >= 0:
        out[rest_at] += left


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
    state: Int64,
    venue: Int64,
    count: Int64,
    kind: Int64,
    slope: Float64,
    amount: Float64,
    displayed: Int64,
    whole: Float64,
) -> int:
    """Cut every venue's cost into linear pieces, and into those of its convex hull where a bonus is to be had.

    `whole` becomes the cost of taking the venue in full, bonus included. Venues without a bonus are `_DENIED`
    from the start, and those that display nothing but pay for resting are `_FULL`.
    """
    n = 0
    for k in range(price.shape[0]):
        displayed[k] = 0
        whole[k] = 0.0
        first = n
        for level in range(price.shape[1]):
            if size[k, level] > 0 and not np.isnan(price[k, level]):
                room = shares_open - displayed[k]
                displayed[k] += size[k, level]
                if room > 0:
                    venue[n] = k
                    count[n] = min(size[k, level], room)
                    kind[n] = _LEVEL
                    slope[n] = sign * (price[k, level] - mid) + fee[k]
                    amount[n] = count[n] * slope[n]
                    whole[k] += amount[n]
                    n += 1
        state[k] = _DENIED
        if not resting or rebate[k] <= 0.0 or displayed[k] >= shares_open:
            continue
        bonus = rebate[k] * (shares_open - displayed[k])
        whole[k] -= bonus
        if n == first:
            state[k] = _FULL
            continue
        state[k] = _UNDECIDED
        last = n
        tail = last - 1
        shares = count[tail]
        dollars = amount[tail] - bonus
        while tail > first and slope[tail - 1] > dollars / shares:
            tail -= 1
            shares += count[tail]
            dollars += amount[tail]
        for s in range(tail, last):
            kind[s] = _TAIL_LEVEL
        venue[n] = k
        count[n] = shares
        kind[n] = _HULL
        slope[n] = dollars / shares
        amount[n] = dollars
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
    """Minimise over 0 <= x_k <= shares_open; return by how much the answer may miss the optimum (0: proven)."""
    venues = price.shape[0]
    venue, count, order, kind, displayed = ints[0], ints[1], ints[2], ints[4], ints[5]
    state, branch, denied_at = ints[6], ints[7], ints[8]
    taken_at = ints[3]  # free again once the sort is done
    slope, amount, whole = floats[0], floats[1], floats[2]
    if under + over < 0.0:  # the penalty is the lower of two lines: no venue depends on another
        below = _free_by_venue(shares_open, price, size, fee, rebate, mid, sign, -under, resting, out)
        above = _free_by_venue(shares_open, price, size, fee, rebate, mid, sign, over, resting, taken_at)
        if above - over * shares_open < below + under * shares_open - TIE:
            out[:] = taken_at[:venues]
        return 0.0
    n = _segments(
        shares_open, price, size, fee, rebate, mid, sign, resting,
        state, venue, count, kind, slope, amount, displayed, whole,
    )  # fmt: skip
    sort_order(slope, order, taken_at, n)
    denied_at[:venues] = -1

    best = np.inf
    open_bound = np.inf
    depth = 0
    nodes = 0
    while True:
        # The node: forced venues are sunk, the rest is one walk along the segments.
        executed = 0
        bound = 0.0
        for k in range(venues):
            taken_at[k] = 0
            if state[k] == _FULL:
                taken_at[k] = shares_open
                executed += displayed[k]
                bound += whole[k]
        fractional = -1
        part = 0
        for i in range(n):
            s = order[i]
            if slope[s] > under or (executed >= shares_open and slope[s] >= -over):
                break
            k = venue[s]
            if state[k] == _FULL or (kind[s] == (_TAIL_LEVEL if state[k] == _UNDECIDED else _HULL)):
                continue
            if slope[s] < -over or count[s] <= shares_open - executed:
                executed += count[s]
                bound += amount[s]
                taken_at[k] = shares_open if kind[s] == _HULL else taken_at[k] + count[s]
            else:
                part = shares_open - executed
                executed = shares_open
                bound += part * slope[s]
                if kind[s] == _HULL:
                    fractional = s
                else:
                    taken_at[k] += part
        penalty = (
            under * (shares_open - executed) if executed < shares_open else over * (executed - shares_open)
        )
        bound += penalty
        value = bound
        if fractional >= 0:  # its shares at what they cost as long as the bonus is missed
            k = venue[fractional]
            value -= part * slope[fractional]
            taken_at[k] += part
            s = fractional
            while s > 0 and venue[s - 1] == k and kind[s - 1] == _TAIL_LEVEL:
                s -= 1
            while part > 0:
                taken = min(part, count[s])
                value += taken * slope[s]
                part -= taken
                s += 1
        nodes += 1
        if value < best - TIE or best == np.inf:
            best = value
            out[:] = taken_at[:venues]

        if fractional >= 0 and bound < best - TIE:
            if nodes < NODE_LIMIT:
                branch[depth] = venue[fractional]
                state[branch[depth]] = _FULL
                depth += 1
                continue
            open_bound = min(open_bound, bound)
        while depth > 0 and state[branch[depth - 1]] == _DENIED:
            depth -= 1
            for k in range(venues):
                if denied_at[k] == depth:
                    denied_at[k] = -1
                    state[k] = _UNDECIDED
        if depth == 0:
            break
        # The other branch. Of venues alike, the first ones are the full ones: the others are denied with it.
        chosen = branch[depth - 1]
        for k in range(chosen, venues):
            if k == chosen or (state[k] == _UNDECIDED and _same_venue(chosen, k, price, size, fee, rebate)):
                state[k] = _DENIED
                denied_at[k] = depth - 1
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
        Dollars by which the split may miss the optimum: 0 unless `FREE` met its node limit.
    """
    under = lambda_under + theta_queue
    resting = problem in (EXACT_FILL, FREE)
    if problem in (EXACT_FILL, GREEDY_EXACT_FILL):
        _exact_fill(shares_open, price, size, fee, rebate, under, mid, sign, resting, out, ints, floats)
        return 0.0
    return _free(
        shares_open, price, size, fee, rebate, under, lambda_over + theta_queue, mid, sign, resting,
        out, ints, floats,
    )  # fmt: skip


def scratch(venues: int, levels: int) -> tuple[Int64, Float64]:
    """Return the working arrays that `allocate_kernel` wants for books of up to this many venues and levels."""
    width = venues * (levels + 1)
    return np.empty((SCRATCH_INTS, width), np.int64), np.empty((SCRATCH_FLOATS, width), np.float64)
