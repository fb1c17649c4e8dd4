"""The allocation with nothing but a cap of S shares a venue: a knapsack, solved by branch and bound.

Every venue taken in full earns its rebate on all that it is sent beyond that, up to the cap, so completing
a venue is worth a fixed bonus. A bound takes the convex hull of each venue's cost; where it takes a part of
a hull, the venue is tried in full and without its bonus. No kernel here allocates or raises.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from venuewise._jit import kernel
from venuewise.allocation.pieces import (
    AMOUNT,
    BRANCH,
    COST,
    COUNT,
    DENIED_AT,
    DISPLAYED,
    KIND,
    ORDER,
    STATE,
    TAKEN,
    TIE,
    VENUE,
    WHOLE,
    sort_pieces,
)
from venuewise.allocation.split import Float64, Int64

NODE_LIMIT: Final = 100_000
"""Branch-and-bound nodes after which the search stops and reports the gap that is left."""

_LEVEL, _TAIL_LEVEL, _HULL = 0, 1, 2
_UNDECIDED, _FULL, _DENIED = 0, 1, 2


@kernel
def split_freely(
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
            for k in range(
                venues
            ):  # numba takes two seconds to compile a copy of slices, for its error message
                out[k] = ints[TAKEN, k]
        return 0.0
    n = _segments(shares_open, price, size, fee, rebate, mid, sign, resting, ints, floats)
    sort_pieces(ints, floats, n)
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
            for k in range(venues):
                out[k] = ints[TAKEN, k]

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
