"""The decisions of the built-in strategies, compiled.

Each kernel fills `shares` and `limit` (one entry for each venue, 0 shares for none) from the sizes and prices
that may be taken now (venue x depth, prices in 1e-9 dollars) and the shares still `unsent`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.allocation.optimum import EXACT_FILL, GREEDY_FREE, allocate_kernel
from venuewise.allocation.pieces import scratch
from venuewise.data.events import PRICE_SCALE, Int64

Float64 = npt.NDArray[np.float64]

BEST_ASK: Final = 0
TWAP: Final = 1
VWAP: Final = 2
STATIC: Final = 3

PARAMETERS: Final = 4
"""Length of a strategy's vector of parameters."""


class Room(NamedTuple):
    """Arrays that the allocator works in."""

    price: Float64
    fee: Float64
    rebate: Float64
    ints: Int64
    floats: Float64


def room_for(fee: Int64, rebate: Int64, depth: int) -> Room:
    """Return the arrays for books of this depth over venues with these fees (1e-9 dollars a share)."""
    ints, floats = scratch(len(fee), depth)
    in_dollars = [np.asarray(money / PRICE_SCALE, np.float64) for money in (fee, rebate)]
    return Room(np.empty((len(fee), depth)), in_dollars[0], in_dollars[1], ints, floats)


@kernel
def take_best(price: Int64, size: Int64, sign: int, wanted: int, shares: Int64, limit: Int64) -> None:
    """Send up to `wanted` shares to the venue with the best price (ties: lower index), not beyond its size."""
    best = -1
    for venue in range(price.shape[0]):
        if size[venue, 0] > 0 and (best < 0 or sign * price[venue, 0] < sign * price[best, 0]):
            best = venue
    if best >= 0 and wanted > 0:
        shares[best] = min(wanted, size[best, 0])
        limit[best] = price[best, 0]


@kernel
def due_by_schedule(quantity: int, unsent: int, now: int, start: int, end: int, slice_ns: int) -> int:
    """Return the shares that a TWAP schedule has released by `now` and that are not sent yet.

    The time from start to end is cut into slices of `slice_ns`; slice j releases its share at its beginning,
    shares that do not divide evenly go to the later slices.
    """
    slices = max((end - start + slice_ns - 1) // slice_ns, 1)
    begun = min((now - start) // slice_ns + 1, slices)
    return int(quantity * begun // slices - (quantity - unsent))


@kernel
def split_by_size(price: Int64, size: Int64, unsent: int, shares: Int64, limit: Int64) -> None:
    """Split the unsent shares over all displayed quotes in proportion to their size, to the share.

    Where less than the unsent shares is displayed, everything is taken. Rounding follows the running total,
    so the parts add up exactly.
    """
    displayed = 0
    for venue in range(size.shape[0]):
        for level in range(size.shape[1]):
            displayed += size[venue, level]
    if displayed == 0:
        return
    wanted = min(unsent, displayed)
    seen = given = 0
    for venue in range(size.shape[0]):
        for level in range(size.shape[1]):
            if size[venue, level] <= 0:
                continue
            seen += size[venue, level]
            due = wanted * seen // displayed - given
            if due > 0:
                given += due
                shares[venue] += due
                limit[venue] = price[venue, level]


@kernel
def deepest_level(size: Int64, venue: int, shares: int) -> int:
    """Return the deepest level that `shares` reach at a venue, -1 for none."""
    deepest = -1
    for level in range(size.shape[1]):
        if shares <= 0:
            break
        if size[venue, level] > 0:
            deepest = level
            shares -= size[venue, level]
    return deepest


@kernel
def worth_taking(
    open_share: float,
    every_share: float,
    price: Int64,
    size: Int64,
    fee: Float64,
    reference: float,
    sign: int,
) -> bool:
    """Tell whether the static model might send anything, at a fraction of the cost of solving it.

    It sends nothing where no share costs less than what leaving it open does (`open_share`, dollars), unless
    every share has to go somewhere.
    """
    if every_share > 0.0:
        return True
    for venue in range(price.shape[0]):
        for level in range(price.shape[1]):
            if size[venue, level] > 0:
                if sign * (price[venue, level] - reference) / PRICE_SCALE + fee[venue] <= open_share:
                    return True
                break
    return False


@kernel
def split_by_model(
    parameters: Float64,
    price: Int64,
    size: Int64,
    reference: float,
    sign: int,
    unsent: int,
    shares: Int64,
    limit: Int64,
    room: Room,
) -> None:
    """Send the marketable part of the static model's optimum (see `venuewise.allocation.allocation`).

    `parameters` are lambda_over, lambda_under, theta_queue in dollars a share, and whether every share has to
    go somewhere. Where not, resting is left out of the problem: a marketable order earns no rebate.
    """
    every_share = parameters[3] > 0.0
    # Divided, not multiplied by 1e-9: the double that a user's own price has, so that ties end alike.
    for venue in range(price.shape[0]):
        for level in range(price.shape[1]):
            room.price[venue, level] = price[venue, level] / PRICE_SCALE if size[venue, level] > 0 else np.nan
    allocate_kernel(
        unsent, room.price, size, room.fee, room.rebate, parameters[0], parameters[1], parameters[2],
        reference / PRICE_SCALE, EXACT_FILL if every_share else GREEDY_FREE, float(sign),
        shares, room.ints, room.floats,
    )  # fmt: skip
    for venue in range(price.shape[0]):
        displayed = 0
        for level in range(size.shape[1]):
            displayed += size[venue, level]
        shares[venue] = min(shares[venue], displayed)
    # In a crossed market the model buys more than is wanted, to sell it: an order does not.
    while shares.sum() > unsent:
        dearest, worst, above = -1, -np.inf, 0
        for venue in range(price.shape[0]):
            level = deepest_level(size, venue, shares[venue])
            if level < 0:
                continue
            cost = sign * room.price[venue, level] + room.fee[venue]
            if cost > worst:
                dearest, worst, above = venue, cost, size[venue, :level].sum()
        shares[dearest] -= min(shares[dearest] - above, shares.sum() - unsent)
    for venue in range(price.shape[0]):
        level = deepest_level(size, venue, shares[venue])
        if level >= 0:
            limit[venue] = price[venue, level]


@kernel
def decide(
    kind: int,
    parameters: Float64,
    price: Int64,
    size: Int64,
    reference: float,
    sign: int,
    quantity: int,
    unsent: int,
    now: int,
    start: int,
    end: int,
    shares: Int64,
    limit: Int64,
    room: Room,
) -> None:
    """Decide with the built-in strategy of this kind; `reference` is NaN where there is no mid.

    The static model measures against the mid: without one it sends nothing. The others do not need it.
    """
    shares[:] = 0
    if kind == BEST_ASK:
        take_best(price, size, sign, unsent, shares, limit)
    elif kind == TWAP:
        due = due_by_schedule(quantity, unsent, now, start, end, int(parameters[0]))
        take_best(price, size, sign, due, shares, limit)
    elif kind == VWAP:
        split_by_size(price, size, unsent, shares, limit)
    elif not np.isnan(reference):
        split_by_model(parameters, price, size, reference, sign, unsent, shares, limit, room)
