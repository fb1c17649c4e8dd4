"""Entry kernels of the static allocation: check a book, split it, account for the split.

They stand between Python and the kernels of `optimum`, so that a call from Python crosses into compiled code
once. A book that makes no sense comes back as a fault code and a venue; `cost.complain` puts it into words.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from venuewise._jit import kernel
from venuewise.allocation.optimum import allocate_kernel
from venuewise.allocation.pieces import SCRATCH_FLOATS, SCRATCH_INTS
from venuewise.allocation.split import Float64, Int64, split_cost, taken_by_level

SHARES_MAX: Final = 10**12
"""Shares of an order or a level beyond which sums of shares might no longer be exact as floats."""

FINE: Final = 0
BAD_ORDER: Final = 1
BAD_SHAPE: Final = 2
BAD_PRICE: Final = 3
BAD_LEVELS: Final = 4
BAD_SIZE: Final = 5
BAD_FEE: Final = 6
BAD_REBATE: Final = 7
BAD_LAMBDA_OVER: Final = 8
BAD_LAMBDA_UNDER: Final = 9
BAD_THETA: Final = 10
BAD_MID: Final = 11


@kernel
def check_book(price: Float64, size: Int64, fee: Float64, rebate: Float64, sign: float) -> tuple[int, int]:
    """Return the first fault of a book (`FINE` if there is none) and the venue that has it."""
    venues, levels = price.shape
    if (
        venues == 0
        or size.shape[0] != venues
        or size.shape[1] != levels
        or len(fee) != venues
        or len(rebate) != venues
    ):
        return BAD_SHAPE, 0
    for k in range(venues):
        if not np.isfinite(fee[k]):
            return BAD_FEE, k
        if not np.isfinite(rebate[k]):
            return BAD_REBATE, k
        last = -np.inf
        for level in range(levels):
            shares = size[k, level]
            dollars = price[k, level]
            if shares < 0 or shares > SHARES_MAX:
                return BAD_SIZE, k
            if np.isnan(dollars):
                continue
            if dollars <= 0.0 or np.isinf(dollars):
                return BAD_PRICE, k
            if shares > 0:
                if sign * dollars <= last:
                    return BAD_LEVELS, k
                last = sign * dollars
    return FINE, 0


@kernel
def check_model(
    order_size: int, lambda_over: float, lambda_under: float, theta_queue: float, mid: float
) -> int:
    """Return the first fault of the order and the parameters."""
    if order_size < 0 or order_size > SHARES_MAX:
        return BAD_ORDER
    if not np.isfinite(lambda_over):
        return BAD_LAMBDA_OVER
    if not np.isfinite(lambda_under):
        return BAD_LAMBDA_UNDER
    if not np.isfinite(theta_queue):
        return BAD_THETA
    if not np.isfinite(mid) or mid < 0.0:
        return BAD_MID
    return FINE


@kernel
def allocate_book(
    order_size: int,
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
    taken: Int64,
) -> tuple[int, int, float, float, int, float]:
    """Split one book, one level (K,) or several (K, L): (fault, venue, cost, cash, executed, gap)."""
    venues = len(out)
    if venues == 0 or price.size != size.size or price.shape[0] != venues or size.shape[0] != venues:
        return BAD_SHAPE, 0, 0.0, 0.0, 0, 0.0
    levels = price.size // venues
    prices = price.reshape((venues, levels))
    sizes = size.reshape((venues, levels))
    fault = check_model(order_size, lambda_over, lambda_under, theta_queue, mid)
    where = 0
    if fault == FINE:
        fault, where = check_book(prices, sizes, fee, rebate, sign)
    if fault != FINE:
        return fault, where, 0.0, 0.0, 0, 0.0
    width = venues * (levels + 1)
    ints = np.empty((SCRATCH_INTS, width), np.int64)
    floats = np.empty((SCRATCH_FLOATS, width), np.float64)
    gap = allocate_kernel(
        order_size, prices, sizes, fee, rebate, lambda_over, lambda_under, theta_queue, mid, problem, sign,
        out, ints, floats,
    )  # fmt: skip
    cost, cash, executed = split_cost(
        order_size, prices, sizes, fee, rebate,
        lambda_under + theta_queue, lambda_over + theta_queue, mid, sign, out,
    )  # fmt: skip
    taken_by_level(prices, sizes, out, taken.reshape((venues, levels)))
    return FINE, 0, cost, cash, executed, gap


@kernel
def allocate_books(
    order_size: Int64,
    price: Float64,
    size: Int64,
    fee: Float64,
    rebate: Float64,
    lambda_over: float,
    lambda_under: float,
    theta_queue: float,
    mid: Float64,
    problem: int,
    sign: float,
    out: Int64,
    money: Float64,
    executed: Int64,
) -> tuple[int, int, int]:
    """Split n books (n, K, L); `money` (3, n) receives cost, cash and gap. Returns (fault, book, venue)."""
    books, venues, levels = price.shape
    width = venues * (levels + 1)
    ints = np.empty((SCRATCH_INTS, width), np.int64)
    floats = np.empty((SCRATCH_FLOATS, width), np.float64)
    for i in range(books):
        fault = check_model(order_size[i], lambda_over, lambda_under, theta_queue, mid[i])
        where = 0
        if fault == FINE:
            fault, where = check_book(price[i], size[i], fee, rebate, sign)
        if fault != FINE:
            return fault, i, where
        money[2, i] = allocate_kernel(
            order_size[i], price[i], size[i], fee, rebate, lambda_over, lambda_under, theta_queue,
            mid[i], problem, sign, out[i], ints, floats,
        )  # fmt: skip
        money[0, i], money[1, i], executed[i] = split_cost(
            order_size[i], price[i], size[i], fee, rebate,
            lambda_under + theta_queue, lambda_over + theta_queue, mid[i], sign, out[i],
        )  # fmt: skip
    return FINE, 0, 0
