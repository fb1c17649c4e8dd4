"""A split of an order over the displayed levels of a book: what it executes, and what it costs.

Every venue's shares execute at its levels from the best; what goes beyond the last level rests. The equation
of the cost stands in docs/allocation.md.
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
def taken_by_level(price: Float64, size: Int64, shares: Int64, taken: Int64) -> None:
    """Write the shares that each venue's split executes at each of its levels, best first."""
    for k in range(price.shape[0]):
        left = shares[k]
        for level in range(price.shape[1]):
            taken[k, level] = 0
            if size[k, level] > 0 and not np.isnan(price[k, level]):
                taken[k, level] = min(left, size[k, level])
                left -= taken[k, level]
