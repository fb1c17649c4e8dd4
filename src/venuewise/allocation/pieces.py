"""The linear pieces of the venues' costs: the working arrays that hold them, and their sort.

What a share costs is constant along a level, so the cost of a venue is made of pieces, and every method of
allocation walks along the pieces of all venues from the cheapest on. The arrays are handed in from outside,
once for many books: no kernel here allocates.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from venuewise._jit import kernel
from venuewise.allocation.split import Float64, Int64

TIE: Final = 1e-9
"""Dollars. Splits whose costs differ by no more count as equally good: it is the grain of a price."""

_BLOCK: Final = 16

# Rows of the working arrays: what is known of each piece of a venue's cost, and of each venue.
VENUE, COUNT, ORDER, BUFFER, DISPLAYED, KIND, STATE, BRANCH, DENIED_AT = range(9)
TAKEN = BUFFER  # the sort has let go of it by the time the search begins
SCRATCH_INTS: Final = 9
COST, WHOLE, AMOUNT = range(3)
SCRATCH_FLOATS: Final = 3


def scratch(venues: int, levels: int) -> tuple[Int64, Float64]:
    """Return working arrays for `allocate_kernel`, for books of up to this many venues and levels."""
    width = venues * (levels + 1)
    return np.empty((SCRATCH_INTS, width), np.int64), np.empty((SCRATCH_FLOATS, width), np.float64)


@kernel
def sort_pieces(ints: Int64, floats: Float64, n: int) -> None:
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
