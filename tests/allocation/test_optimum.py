"""The exact allocation against independent references: plain enumeration, and dynamic programming.

Prices, fees and penalties are multiples of 1/128 dollar here, so floating point is exact and equal means
equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest

import venuewise as vw
from venuewise.allocation.optimum import (
    EXACT_FILL,
    FREE,
    GREEDY_EXACT_FILL,
    GREEDY_FREE,
    allocate_kernel,
)
from venuewise.allocation.pieces import scratch
from venuewise.allocation.split import BUY, SELL, split_cost, taken_by_level

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
# Not cached: numba would not see a change in the kernels.
compiled: Callable[[Any], Any] = numba.njit(error_model="numpy")


@compiled
def venue_cost(
    sent: int, price: Float64, size: Int64, fee: float, rebate: float, mid: float, sign: float
) -> float:
    dollars = 0.0
    for level in range(len(price)):
        filled = min(sent, size[level])
        dollars += filled * (sign * (price[level] - mid) + fee)
        sent -= filled
    return dollars - sent * rebate


@compiled
def enumerated_optimum(
    order: int,
    price: Float64,
    size: Int64,
    fee: Float64,
    rebate: Float64,
    under: float,
    over: float,
    mid: float,
    sign: float,
    whole: bool,
) -> float:
    """Lowest cost over every x in {0..order}^K; with `whole`, only those that sum to the order."""
    venues = len(fee)
    best = np.inf
    for code in range((order + 1) ** venues):
        rest = code
        sent = 0
        executed = 0
        dollars = 0.0
        for k in range(venues):
            x = rest % (order + 1)
            rest //= order + 1
            sent += x
            executed += min(x, size[k].sum())
            dollars += venue_cost(x, price[k], size[k], fee[k], rebate[k], mid, sign)
        if whole and sent != order:
            continue
        dollars += under * max(order - executed, 0) + over * max(executed - order, 0)
        best = min(best, dollars)
    return best


@compiled
def programmed_optimum(
    order: int,
    price: Float64,
    size: Int64,
    fee: Float64,
    rebate: Float64,
    under: float,
    over: float,
    mid: float,
    sign: float,
    whole: bool,
) -> float:
    """The same optimum by dynamic programming over executed (free) or sent shares (whole), venue by venue."""
    venues = len(fee)
    best = np.full(order * venues + 1, np.inf)
    best[0] = 0.0
    for k in range(venues):
        longer = np.full(order * venues + 1, np.inf)
        shown = size[k].sum()
        for x in range(order + 1):
            dollars = venue_cost(x, price[k], size[k], fee[k], rebate[k], mid, sign)
            executed = min(x, shown)
            moved = x if whole else executed
            if whole:
                dollars += under * (x - executed)
            for before in range(order * venues + 1 - moved):
                longer[before + moved] = min(longer[before + moved], best[before] + dollars)
        best = longer
    if whole:
        return float(best[order])
    for executed in range(len(best)):
        best[executed] += under * max(order - executed, 0) + over * max(executed - order, 0)
    return float(best.min())


@compiled
def compare(
    orders: Int64,
    prices: Float64,
    sizes: Int64,
    fees: Float64,
    rebates: Float64,
    penalties: Float64,
    mids: Float64,
    sign: float,
    program: bool,
    ints: Int64,
    floats: Float64,
) -> tuple[Float64, Float64, Float64]:
    """Cost found, reference cost and gap, for both sets of splits; a split outside its set costs inf."""
    cases, venues = fees.shape
    found = np.empty((2, cases))
    wanted = np.empty((2, cases))
    gap = np.empty((2, cases))
    out = np.empty(venues, np.int64)
    for i in range(cases):
        over, under = penalties[0, i], penalties[1, i]
        for fill in range(2):
            gap[fill, i] = allocate_kernel(
                orders[i], prices[i], sizes[i], fees[i], rebates[i], over, under, 0.0, mids[i],
                FREE if fill else EXACT_FILL, sign, out, ints, floats,
            )  # fmt: skip
            found[fill, i] = split_cost(
                orders[i], prices[i], sizes[i], fees[i], rebates[i], under, over, mids[i], sign, out
            )[0]
            if out.min() < 0 or out.max() > orders[i] or (not fill and out.sum() != orders[i]):
                found[fill, i] = np.inf
            book = (orders[i], prices[i], sizes[i], fees[i], rebates[i])
            if program:
                wanted[fill, i] = programmed_optimum(*book, under, over, mids[i], sign, not fill)
            else:
                wanted[fill, i] = enumerated_optimum(*book, under, over, mids[i], sign, not fill)
    return found, wanted, gap


def random_books(
    rng: np.random.Generator, cases: int, venues: int, levels: int, order_max: int, size_max: int, sign: float
) -> tuple[Any, ...]:
    """Books on a coarse grid: ties, empty levels, inverted venues, large rebates, empty and huge orders."""
    steps = rng.integers(0, 3, (cases, venues, levels))
    steps[:, :, 1:] += 1
    prices = 10.0 + sign * steps.cumsum(axis=2) / 64
    sizes = rng.integers(0, size_max + 1, (cases, venues, levels))
    sizes[rng.random(sizes.shape) < 0.15] = 0
    widest = rng.choice([2, 16, 64], (cases, 1))
    fees = rng.integers(-3, 4, (cases, venues)) / 128
    rebates = rng.integers(-widest, widest + 1, (cases, venues)) / 128
    penalties = rng.integers(-4, 40, (2, cases)) / 128
    penalties[:, rng.random(cases) < 0.2] += 12.0  # so that buying pays with m = 0, too
    orders = rng.integers(0, order_max + 1, cases)
    mids = np.where(rng.random(cases) < 0.2, 0.0, 10.0 - sign / 128)
    return orders, prices, sizes, fees, rebates, penalties, mids


@pytest.mark.parametrize("sign", [BUY, SELL])
@pytest.mark.parametrize(
    ("cases", "venues", "levels", "order_max", "program"),
    [
        (20_000, 1, 3, 9, False),
        (20_000, 2, 1, 8, False),
        (15_000, 2, 3, 8, False),
        (20_000, 3, 1, 6, False),
        (10_000, 3, 2, 6, False),
        (5_000, 4, 1, 4, False),
        (1_000, 9, 1, 25, True),
        (1_000, 6, 4, 30, True),
        (100, 24, 3, 30, True),
    ],
)
def test_optimum_equals_the_reference(
    sign: float, cases: int, venues: int, levels: int, order_max: int, program: bool
) -> None:
    rng = np.random.default_rng(1000 * venues + 10 * levels + int(sign))
    books = random_books(rng, cases, venues, levels, order_max, order_max // levels + 2, sign)
    found, wanted, gap = compare(*books, sign, program, *scratch(venues, levels))
    np.testing.assert_array_equal(found, wanted)
    assert not gap.any()


@pytest.mark.parametrize("sign", [BUY, SELL])
def test_optimum_where_the_penalties_pay_for_a_miss(sign: float) -> None:
    """Under- and over-filling earn more together than they cost: the penalty is no longer convex."""
    rng = np.random.default_rng(21)
    books = random_books(rng, 10_000, 2, 2, 8, 5, sign)
    books[5][:] = rng.integers(-40, 12, books[5].shape) / 128
    found, wanted, gap = compare(*books, sign, False, *scratch(2, 2))
    np.testing.assert_array_equal(found, wanted)
    assert not gap.any()


@pytest.mark.parametrize("sign", [BUY, SELL])
def test_optimum_of_venues_that_are_almost_alike(sign: float) -> None:
    """Venues that differ in one number only are not taken for one another when a branch is closed."""
    rng = np.random.default_rng(22)
    orders, prices, sizes, fees, rebates, penalties, mids = random_books(rng, 20_000, 4, 2, 12, 4, sign)
    rebates[:] = np.abs(rebates)  # full venues earn a bonus, so there is a search
    for column in (prices, sizes, fees, rebates):
        column[:, 1:] = column[:, :1]
    for i in range(len(orders)):
        k = rng.integers(0, 4)
        match rng.integers(0, 4):
            case 0:
                prices[i, k] += 1 / 64
            case 1:
                sizes[i, k, rng.integers(0, 2)] += 1
            case 2:
                fees[i, k] += 1 / 128
            case _:
                rebates[i, k] += 1 / 128
    books = (orders, prices, sizes, fees, rebates, penalties, mids)
    found, wanted, gap = compare(*books, sign, True, *scratch(4, 2))
    np.testing.assert_array_equal(found, wanted)
    assert not gap.any()


@pytest.mark.parametrize("problem", [EXACT_FILL, FREE, GREEDY_EXACT_FILL, GREEDY_FREE])
def test_level_without_a_price_is_absent_whatever_its_size(problem: int) -> None:
    rng = np.random.default_rng(23)
    orders, prices, sizes, fees, rebates, penalties, mids = random_books(rng, 2_000, 3, 3, 40, 15, BUY)
    penalties[:, ::2] -= 0.5  # under- and over-filling pay in half of them
    missing = rng.random(prices.shape) < 0.3
    unpriced, emptied = np.where(missing, np.nan, prices), np.where(missing, 0, sizes)
    ints, floats = scratch(3, 3)
    found, wanted = np.empty(3, np.int64), np.empty(3, np.int64)
    taken, taken_wanted = np.empty((3, 3), np.int64), np.empty((3, 3), np.int64)
    for i in range(len(orders)):
        over, under = penalties[:, i]
        terms = (fees[i], rebates[i], over, under, 0.0, mids[i], problem, BUY)
        allocate_kernel(orders[i], unpriced[i], sizes[i], *terms, found, ints, floats)
        allocate_kernel(orders[i], prices[i], emptied[i], *terms, wanted, ints, floats)
        assert found.tolist() == wanted.tolist()
        taken_by_level(unpriced[i], sizes[i], found, taken)
        taken_by_level(prices[i], emptied[i], wanted, taken_wanted)
        assert taken.tolist() == taken_wanted.tolist()
        costs = (fees[i], rebates[i], under, over, mids[i], BUY)
        assert split_cost(orders[i], unpriced[i], sizes[i], *costs, found) == split_cost(
            orders[i], prices[i], emptied[i], *costs, wanted
        )


def test_references_agree_with_each_other() -> None:
    rng = np.random.default_rng(5)
    books = random_books(rng, 300, 3, 2, 6, 4, BUY)
    by_enumeration = compare(*books, BUY, False, *scratch(3, 2))[1]
    by_program = compare(*books, BUY, True, *scratch(3, 2))[1]
    np.testing.assert_array_equal(by_enumeration, by_program)


def test_venues_alike_do_not_multiply_the_search() -> None:
    """All subsets of one size tie here; without the rule for venues alike there are 64! / (32!)^2 of them."""
    a = vw.allocate(
        3_250, ask=np.full(64, 10.0), ask_size=np.full(64, 100), fee=0.003, rebate=0.00001,
        lambda_over=0.5, lambda_under=0.02, theta_queue=0.0, mid=9.99, fill="free",
    )  # fmt: skip
    assert a.gap == 0.0
    assert a.executed == 3_250


def test_search_that_meets_its_node_limit_reports_a_gap_that_holds_the_optimum() -> None:
    """Sizes all even, order odd, every share of a full venue worth the same: a subset-sum problem.

    No choice of full venues executes the order to the share, and whatever misses it costs a quarter of a
    dollar at least over the bound, which knows only that every share of a full venue costs half a dollar.
    """
    rng = np.random.default_rng(3)
    size = 2 * rng.choice(np.arange(400, 900), 40, replace=False)
    order = int(size.sum()) // 2 | 1
    a = vw.allocate(
        order, ask=np.full(40, 10.0), ask_size=size, fee=np.zeros(40), rebate=0.5 * size / (order - size),
        lambda_over=0.5, lambda_under=0.75, theta_queue=0.0, mid=9.0, fill="free",
    )  # fmt: skip
    every_share_at_half_a_dollar = 0.5 * order
    assert a.gap >= 0.25 - 1e-9
    assert a.cost - a.gap <= every_share_at_half_a_dollar + 1e-9
    assert a.cost >= every_share_at_half_a_dollar


@pytest.mark.parametrize("fill", [EXACT_FILL, FREE])
def test_greedy_never_rests_and_never_beats_the_exact_split(fill: int) -> None:
    rng = np.random.default_rng(11)
    orders, prices, sizes, fees, rebates, penalties, mids = random_books(rng, 2_000, 4, 2, 40, 15, BUY)
    ints, floats = scratch(4, 2)
    greedy, exact = np.empty(4, np.int64), np.empty(4, np.int64)
    for i in range(len(orders)):
        over, under = np.abs(penalties[:, i])
        book = (orders[i], prices[i], sizes[i], fees[i], rebates[i])
        model = (over, under, 0.0, mids[i])
        problem = GREEDY_EXACT_FILL if fill == EXACT_FILL else GREEDY_FREE
        assert np.isnan(allocate_kernel(*book, *model, problem, BUY, greedy, ints, floats))
        allocate_kernel(*book, *model, fill, BUY, exact, ints, floats)
        assert np.all(greedy <= sizes[i].sum(axis=1))
        if fill == EXACT_FILL:
            assert greedy.sum() == min(orders[i], sizes[i].sum())
            if greedy.sum() < orders[i]:
                continue  # an order that cannot be filled: greedy leaves the feasible set
        by_greedy, by_exact = (
            split_cost(*book, under, over, mids[i], BUY, split)[0] for split in (greedy, exact)
        )
        assert by_exact <= by_greedy


def test_resting_for_less_than_a_nano_dollar_is_not_worth_it() -> None:
    book = {"ask": [10.01, 10.02], "ask_size": [50, 100], "fee": 0.0, "mid": 10.0}
    penalties = {"lambda_under": 0.02, "lambda_over": 1.0, "theta_queue": 0.0}
    for rebate, shares in ((1e-12, [50, 50]), (1e-10, [100, 0])):
        assert vw.allocate(100, **book, **penalties, rebate=[rebate, 0.0]).shares.tolist() == shares  # type: ignore[arg-type]
