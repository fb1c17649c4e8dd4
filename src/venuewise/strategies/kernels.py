"""The decisions of the built-in strategies, compiled.

A decision is two: the schedule says how many shares are due now, the router says where they go. A router's kernel fills
`shares` and `limit` (one entry for each venue, 0 shares for none) from the sizes and prices that may be taken now
(venue x depth, prices in 1e-9 dollars) and the shares `wanted`.
"""

from __future__ import annotations

import sys
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.allocation.optimum import EXACT_FILL, GREEDY_FREE, allocate_kernel
from venuewise.allocation.pieces import scratch
from venuewise.data.events import NS_PER_SECOND, PRICE_SCALE, Int64

Float64 = npt.NDArray[np.float64]

# Routers: where shares go.
BEST_ASK: Final = 0
BY_SIZE: Final = 1
STATIC: Final = 2

# Schedules: how many shares are due.
AT_ONCE: Final = 0
EVEN: Final = 1
BY_CURVE: Final = 2
BY_VOLUME: Final = 3

# A strategy's vector of parameters: four of its router; its schedule; how fast that is (ns of a slice, 0 for a part of
# the order's time; or millionths of the printed volume); and the volume expected up to each end of a day's buckets,
# from 0 on.
SCHEDULE: Final = 4
PACE: Final = 5
MOST_TIMES: Final = 2**62
"""Products of shares stay below it."""

PARAMETERS: Final = 6
"""Parameters of a strategy that has no curve; a curve comes after them."""

MILLION: Final = 1_000_000
DAY: Final = 86_400 * NS_PER_SECOND
LONGEST_PART: Final = 60 * NS_PER_SECOND
"""Slices are no longer than this (ns), where none are asked for."""
FEWEST_SLICES: Final = 10
"""Slices that an order's time is cut into at least, where none are asked for."""
NEVER_OVER: Final = sys.float_info.max
"""Dollars a share that no over-fill is worth: infinity, but for the product with no share at all."""


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
def slice_length(parameters: Float64, start: int, end: int) -> int:
    """Return the length of a schedule's slices (ns): what was asked for, else a minute, or a tenth of a short order."""
    if parameters[PACE] > 0.0:
        return int(parameters[PACE])
    return max(min(LONGEST_PART, (end - start + FEWEST_SLICES - 1) // FEWEST_SLICES), 1)


@kernel
def expected_volume(parameters: Float64, start: int, until: int) -> float:
    """Return the volume that the curve of a day expects from `start` to `until` (ns UTC), in its own unit.

    Within a bucket volume comes evenly; after the last bucket of a day comes the first of the next.
    """
    curve = parameters[PARAMETERS:]
    buckets = len(curve) - 1
    midnight = start // DAY * DAY
    volume = 0.0
    for sign, at in ((-1.0, start), (1.0, until)):
        days, rest = (at - midnight) // DAY, (at - midnight) % DAY
        bucket = rest * buckets // DAY
        part = (rest * buckets % DAY) / DAY
        volume += sign * (days * curve[buckets] + curve[bucket] + part * (curve[bucket + 1] - curve[bucket]))
    return volume


@kernel
def shares_due(
    parameters: Float64, quantity: int, unsent: int, now: int, start: int, end: int, printed: int
) -> int:
    """Return the shares that a strategy's schedule has released by `now` and that are not sent yet.

    Slices cut the time from start to end; each releases its share at its beginning, shares that do not divide evenly
    go to the later slices. Where the curve expects no volume at all in the order's time, slices are even.
    """
    schedule, spent = int(parameters[SCHEDULE]), quantity - unsent
    if schedule == AT_ONCE:
        return unsent
    if schedule == BY_VOLUME:
        return min(printed * int(parameters[PACE]) // MILLION, quantity) - spent
    length = slice_length(parameters, start, end)
    slices = max((end - start + length - 1) // length, 1)
    begun = min((now - start) // length + 1, slices)
    if schedule == BY_CURVE and begun < slices:
        volume = expected_volume(parameters, start, end)
        if volume > 0.0:
            seen = expected_volume(parameters, start, start + begun * length)
            # A share that is due but for the rounding of floats is due.
            return min(int(quantity * seen / volume + 1 / MILLION), quantity) - spent
    return int(quantity * begun // slices) - spent


@kernel
def split_by_size(price: Int64, size: Int64, wanted: int, shares: Int64, limit: Int64) -> None:
    """Split the shares wanted over all displayed quotes in proportion to their size, to the share.

    Where less than that is displayed, everything is taken. Rounding follows the running total,
    so the parts add up exactly.
    """
    displayed = 0
    for venue in range(size.shape[0]):
        for level in range(size.shape[1]):
            displayed += size[venue, level]
    if displayed == 0:
        return
    wanted = min(wanted, displayed)
    seen = given = 0
    for venue in range(size.shape[0]):
        for level in range(size.shape[1]):
            if size[venue, level] <= 0:
                continue
            seen += size[venue, level]
            if displayed < MOST_TIMES // max(wanted, 1):
                due = wanted * seen // displayed - given
            else:  # the product would not fit: the nearest double will do, and the last one is exact
                due = (wanted if seen == displayed else int(wanted * (seen / displayed))) - given
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

    It sends nothing where every share costs more than leaving it open does (`open_share`, dollars), unless every share
    has to go somewhere.
    """
    if every_share > 0.0:
        return True
    mid = reference / PRICE_SCALE
    for venue in range(price.shape[0]):
        for level in range(price.shape[1]):
            if size[venue, level] > 0:
                # To the last bit what the model computes: a tie must end here as it ends there.
                if sign * (price[venue, level] / PRICE_SCALE - mid) + fee[venue] <= open_share:
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
    wanted: int,
    shares: Int64,
    limit: Int64,
    room: Room,
) -> None:
    """Send the marketable part of the static model's optimum (see `venuewise.allocation.allocation`).

    `parameters` are lambda_over, lambda_under, theta_queue in dollars a share, and whether every share has to
    go somewhere. Where not, resting is left out of the problem: a marketable order earns no rebate. An order never
    buys more than is wanted, so lambda_over is not read: over-filling is out of the question in a crossed market too.
    """
    every_share = parameters[3] > 0.0
    # Divided, not multiplied by 1e-9: the double that a user's own price has, so that ties end alike.
    for venue in range(price.shape[0]):
        for level in range(price.shape[1]):
            room.price[venue, level] = price[venue, level] / PRICE_SCALE if size[venue, level] > 0 else np.nan
    allocate_kernel(
        wanted, room.price, size, room.fee, room.rebate, NEVER_OVER, parameters[1], parameters[2],
        reference / PRICE_SCALE, EXACT_FILL if every_share else GREEDY_FREE, float(sign),
        shares, room.ints, room.floats,
    )  # fmt: skip
    for venue in range(price.shape[0]):
        displayed = 0
        for level in range(size.shape[1]):
            displayed += size[venue, level]
        shares[venue] = min(shares[venue], displayed)
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
    printed: int,
    shares: Int64,
    limit: Int64,
    room: Room,
) -> None:
    """Decide with a built-in strategy: `kind` is its router, `parameters` say its settings and its schedule.

    `printed` are the shares that the market has printed since `start`; `reference` is NaN where there is no mid. The
    static model measures against the mid: without one it sends nothing. The others do not need it.
    """
    shares[:] = 0
    wanted = shares_due(parameters, quantity, unsent, now, start, end, printed)
    if wanted <= 0:
        return
    if kind == BEST_ASK:
        take_best(price, size, sign, wanted, shares, limit)
    elif kind == BY_SIZE:
        split_by_size(price, size, wanted, shares, limit)
    elif not np.isnan(reference):
        split_by_model(parameters, price, size, reference, sign, wanted, shares, limit, room)
