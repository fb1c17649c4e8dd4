"""Built-in strategies through their Python face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.markets import TICK
from venuewise.data.events import UNDEFINED_PRICE
from venuewise.errors import ConfigError
from venuewise.market.book import Quotes, reference_price
from venuewise.strategies import (
    BestAsk,
    ChildOrder,
    ParentOrder,
    Pov,
    Static,
    Strategy,
    Twap,
    Vwap,
    VwapSchedule,
    baselines,
)
from venuewise.strategies.kernels import room_for, worth_taking


def quotes_of(
    price: list[list[int]], size: list[list[int]], fee: list[int] | None = None, side: str = "buy"
) -> Quotes:
    px = np.array(price, np.int64) * TICK
    fees = np.array(fee or [0] * len(price), np.int64)
    bid, ask = (999 * TICK, int(px[:, 0].min())) if side == "buy" else (int(px[:, 0].max()), 1003 * TICK)
    return Quotes("buy" if side == "buy" else "sell", px, np.array(size, np.int64), fees, fees * 0, bid, ask)


def order(open: int, quantity: int | None = None, end: int = 10) -> ParentOrder:
    return ParentOrder("buy", quantity or open, open, 0, end * 10**9, 10.0)


def test_all_are_strategies() -> None:
    for strategy in (*baselines(), Static(), VwapSchedule(), Pov()):
        assert isinstance(strategy, Strategy)


def test_best_ask_takes_the_cheapest_venue_up_to_its_size() -> None:
    quotes = quotes_of([[1002], [1001], [1001]], [[50], [30], [90]])
    assert BestAsk().decide(quotes, order(100), 0) == [ChildOrder(1, 30, 1001 * TICK)]


def test_best_ask_of_a_sell_takes_the_highest_bid() -> None:
    quotes = quotes_of([[1002], [1001]], [[50], [30]], side="sell")
    assert BestAsk().decide(quotes, order(100), 0) == [ChildOrder(0, 50, 1002 * TICK)]


@pytest.mark.parametrize("strategy", [BestAsk(), Vwap(), Static(), Static(fill="exact_fill")])
@pytest.mark.parametrize(("side", "price"), [("buy", 1003), ("sell", 1000)])
def test_a_single_share_is_taken_and_what_shows_none_is_passed_over(
    strategy: Strategy, side: str, price: int
) -> None:
    # What shows no shares has the price that stands for none, the largest there is; or we took them all.
    quotes = quotes_of([[1001], [price], [1002]], [[0], [1], [0]], side=side)
    quotes.price[0] = UNDEFINED_PRICE
    assert list(strategy.decide(quotes, order(100), 0)) == [ChildOrder(1, 1, price * TICK)]


def test_best_ask_of_a_sell_takes_the_highest_bid_wherever_it_stands() -> None:
    quotes = quotes_of([[1000], [1002], [1001], [1002]], [[50], [30], [20], [90]], side="sell")
    assert BestAsk().decide(quotes, order(100), 0) == [ChildOrder(1, 30, 1002 * TICK)]


@pytest.mark.parametrize(("wanted", "level"), [(30, 0), (31, 2), (32, 3), (40, 3)])
def test_a_limit_is_the_price_of_the_deepest_level_that_is_needed(wanted: int, level: int) -> None:
    # The second level is ours already: none of it is left.
    quotes = quotes_of([[1001, 1002, 1003, 1004]], [[30, 0, 1, 9]])
    for strategy in (Static(lambda_under=1.0), Static(fill="exact_fill")):
        assert strategy.decide(quotes, order(wanted), 0) == [ChildOrder(0, wanted, (1001 + level) * TICK)]
    assert Vwap().decide(quotes, order(4), 0) == [ChildOrder(0, 4, 1004 * TICK)]


def test_twap_sends_what_its_schedule_has_released() -> None:
    quotes = quotes_of([[1001]], [[1000]])
    twap = Twap(slice_seconds=2.0)
    assert twap.decide(quotes, order(100), 0)[0].shares == 20
    assert twap.decide(quotes, order(80, 100), 1 * 10**9) == []
    assert twap.decide(quotes, order(80, 100), 5 * 10**9)[0].shares == 40
    assert twap.decide(quotes, order(80, 100), 99 * 10**9)[0].shares == 80


@pytest.mark.parametrize(("seconds", "slices"), [(30, 10), (600, 10), (599, 10), (900, 15), (3600, 60)])
def test_without_a_slice_twap_cuts_an_order_into_minutes_and_a_short_one_into_ten(
    seconds: int, slices: int
) -> None:
    quotes, due = quotes_of([[1001]], [[10**6]]), []
    for now in range(0, seconds * 10**9, seconds * 10**7):
        children = Twap().decide(quotes, order(6000, end=seconds), now)
        due.append(children[0].shares)
    assert len(set(due)) == slices
    assert due[0] == 6000 // slices
    assert due[-1] == 6000


@pytest.mark.parametrize(("length", "slices"), [(9, 9), (10, 10), (11, 6), (20, 10), (21, 7)])
def test_slices_are_whole_nanoseconds_and_never_more_than_ten_of_a_short_order(
    length: int, slices: int
) -> None:
    quotes, start = quotes_of([[1001]], [[10**6]]), 30 * 86_400 * 10**9 + 5
    working = ParentOrder("buy", 5040, 5040, start, start + length, 10.0)
    due = {Twap().decide(quotes, working, now)[0].shares for now in range(start, start + length)}
    assert due == {5040 * begun // slices for begun in range(1, slices + 1)}


def test_a_slice_may_be_a_nanosecond() -> None:
    quotes, working = quotes_of([[1001]], [[1000]]), ParentOrder("buy", 100, 100, 0, 100, 10.0)
    due = [Twap(slice_seconds=1e-9).decide(quotes, working, now)[0].shares for now in range(100)]
    assert due == list(range(1, 101))


@pytest.mark.parametrize("strategy", [Twap(), Twap(slice_seconds=1.0), VwapSchedule(volume=(1.0,) * 24)])
def test_an_order_that_has_no_time_is_due_at_once(strategy: Strategy) -> None:
    quotes, now = quotes_of([[1001]], [[1000]]), 10**18
    assert list(strategy.decide(quotes, ParentOrder("buy", 80, 80, now, now, 10.0), now)) == [
        ChildOrder(0, 80, 1001 * TICK)
    ]


def test_a_schedule_says_how_much_and_its_router_where() -> None:
    quotes = quotes_of([[1001], [1001], [1003]], [[30], [60], [900]])
    assert Twap(router=BestAsk(), slice_seconds=5.0).decide(quotes, order(120), 0) == [
        ChildOrder(0, 30, 1001 * TICK)
    ]
    assert Twap(router=Static(lambda_under=0.02, theta_queue=0.0), slice_seconds=5.0).decide(
        quotes, order(120), 0
    ) == [ChildOrder(0, 30, 1001 * TICK), ChildOrder(1, 30, 1001 * TICK)]
    shares = [c.shares for c in Twap(router=Vwap(), slice_seconds=5.0).decide(quotes, order(120), 0)]
    assert shares == [1, 4, 55]


def test_a_volume_schedule_releases_as_the_volume_of_the_day_is_expected() -> None:
    hour = 3600
    volume = (1.0, 3.0, 0.0) + (0.0,) * 21  # by the hour, from midnight on
    schedule = VwapSchedule(volume=volume, slice_seconds=hour / 2)
    quotes = quotes_of([[1001]], [[1000]])
    due = [schedule.decide(quotes, order(80, end=3 * hour), half * hour // 2 * 10**9) for half in range(6)]
    assert [children[0].shares for children in due] == [10, 20, 50, 80, 80, 80]


@pytest.mark.parametrize("day", [0, 1, 20_000])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
def test_a_volume_schedule_is_the_same_on_every_day_and_in_every_unit(day: int, unit: float) -> None:
    hour, start = 3600 * 10**9, day * 86_400 * 10**9
    schedule = VwapSchedule(volume=(1.0 * unit, 3.0 * unit) + (0.0,) * 22, slice_seconds=1800)
    working = ParentOrder("buy", 80, 75, start, start + 2 * hour, 10.0)  # 5 are sent
    due = [
        schedule.decide(quotes_of([[1001]], [[1000]]), working, start + half * hour // 2) for half in range(4)
    ]
    assert [children[0].shares for children in due] == [5, 15, 45, 75]


def test_a_share_that_is_due_but_for_the_rounding_of_floats_is_due() -> None:
    # A tenth of the volume in each of ten hours: three tenths are 0.30000000000000004 of 1, seven 0.7.
    hour = 3600 * 10**9
    schedule = VwapSchedule(volume=(0.1,) * 24, slice_seconds=3600)
    for shares in (10, 30, 1000):
        working = ParentOrder("buy", shares, shares, 0, 10 * hour, 10.0)
        due = [schedule.decide(quotes_of([[1001]], [[1000]]), working, n * hour)[0].shares for n in range(10)]
        assert due == [shares * (n + 1) // 10 for n in range(10)]


def test_a_volume_schedule_goes_on_after_midnight() -> None:
    volume = (5.0,) + (0.0,) * 22 + (1.0,)
    day = 24 * 3600 * 10**9
    late = ParentOrder("buy", 60, 60, day - 3600 * 10**9, day + 3600 * 10**9, 10.0)
    schedule = VwapSchedule(volume=volume, slice_seconds=3600)
    quotes = quotes_of([[1001]], [[1000]])
    assert schedule.decide(quotes, late, late.start)[0].shares == 10
    assert schedule.decide(quotes, late, day)[0].shares == 60


@pytest.mark.parametrize("volume", [(), (2.0,) * 24, (0.0,) * 23 + (1.0,)])
def test_a_volume_schedule_that_knows_nothing_of_the_orders_time_is_twap(volume: tuple[float, ...]) -> None:
    quotes = quotes_of([[1001]], [[1000]])
    for second in range(10):
        arguments = (quotes, order(100), second * 10**9)
        assert VwapSchedule(volume=volume).decide(*arguments) == Twap().decide(*arguments)


def test_pov_keeps_to_its_share_of_the_printed_volume() -> None:
    quotes = quotes_of([[1001]], [[1000]])
    for printed, open_shares, expected in (
        (0, 100, 0),
        (9, 100, 0),
        (10, 100, 1),
        (400, 70, 10),
        (5000, 60, 60),
    ):
        working = ParentOrder("buy", 100, open_shares, 0, 10**10, 10.0, printed)
        assert sum(c.shares for c in Pov().decide(quotes, working, 0)) == expected


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 500), min_size=1, max_size=8),
    wanted=st.integers(1, 3000),
)
def test_vwap_splits_by_size_to_the_share(sizes: list[int], wanted: int) -> None:
    quotes = quotes_of([[1001 + i] for i in range(len(sizes))], [[s] for s in sizes])
    children = {c.venue: c.shares for c in Vwap().decide(quotes, order(wanted), 0)}
    assert sum(children.values()) == min(wanted, sum(sizes))
    for venue, size in enumerate(sizes):
        exact = min(wanted, sum(sizes)) * size / max(sum(sizes), 1)
        assert abs(children.get(venue, 0) - exact) < 1
        assert children.get(venue, 0) <= size


def test_vwap_splits_sizes_whose_products_fit_no_int64() -> None:
    quotes = quotes_of([[1001]] * 3, [[10**15], [3 * 10**14], [7 * 10**14]])
    children = {c.venue: c.shares for c in Vwap().decide(quotes, order(10**9), 0)}
    assert children == {0: 500_000_000, 1: 150_000_000, 2: 350_000_000}


def test_static_counts_fees_and_leaves_what_is_too_dear() -> None:
    # Mid 10.00; a share costs 0.01 + 0.003, 0.01 - 0.002 and 0.02 + 0: the dearest is left for later.
    quotes = quotes_of([[1001], [1001], [1002]], [[30], [40], [50]], [3_000_000, -2_000_000, 0])
    patient = Static(lambda_under=0.015, theta_queue=0.0)
    assert patient.decide(quotes, order(60), 0) == [
        ChildOrder(0, 20, 1001 * TICK),
        ChildOrder(1, 40, 1001 * TICK),
    ]
    assert sum(c.shares for c in patient.decide(quotes, order(500), 0)) == 70
    assert sum(c.shares for c in Static(lambda_under=0.5).decide(quotes, order(500), 0)) == 120


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_static_takes_the_cheapest_and_no_more_than_is_open_where_the_model_would_take_all(side: str) -> None:
    # A crossed market: every share here is worth more than it costs, so the model's optimum is all that is shown.
    prices = [[994, 997], [993, 996], [994, 995]]
    if side == "sell":
        prices = [[1996 - price for price in row] for row in prices]  # mirrored at 9.98
    shown = quotes_of(prices, [[30, 10], [40, 20], [50, 60]], [0, 0, 1_000_000], side)
    quotes = replace(shown, bid=1030 * TICK) if side == "buy" else replace(shown, ask=966 * TICK)
    eager = Static(lambda_over=0.001, theta_queue=0.0)
    for wanted, expected in (
        (100, {0: 30, 1: 40, 2: 30}),
        (125, {0: 30, 1: 40, 2: 55}),
        (210, {0: 40, 1: 60, 2: 110}),
    ):
        children = eager.decide(quotes, order(wanted), 0)
        assert {child.venue: child.shares for child in children} == expected
        for child in children:
            level = 0 if child.shares <= quotes.size[child.venue, 0] else 1
            assert child.limit == quotes.price[child.venue, level]


def test_static_that_must_place_every_share_is_sent_only_as_far_as_it_can_fill() -> None:
    quotes = quotes_of([[1001], [1002]], [[30], [40]])
    children = Static(fill="exact_fill").decide(quotes, order(500), 0)
    assert sum(c.shares for c in children) == 70
    # The excess of the model rests where the rebate is: at the second venue.
    paying = replace(quotes, rebate=np.array([0, 2_000_000]))
    children = Static(fill="exact_fill").decide(paying, order(500), 0)
    assert children == [ChildOrder(0, 30, 1001 * TICK), ChildOrder(1, 40, 1002 * TICK)]


def test_static_that_must_place_every_share_sends_what_is_too_dear_too() -> None:
    quotes = quotes_of([[1001], [1002]], [[30], [40]])
    eager, patient = (Static(lambda_under=0.0, theta_queue=0.0, fill=fill) for fill in ("exact_fill", "free"))
    assert eager.decide(quotes, order(50), 0) == [ChildOrder(0, 30, 1001 * TICK)]
    assert worth(quotes, eager)
    assert patient.decide(quotes, order(50), 0) == []
    assert not worth(quotes, patient)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Static(lambda_under=-1.0), "lambda_under"),
        (lambda: Static(theta_queue=float("nan")), "theta_queue"),
        (lambda: Static(fill="some"), "fill"),  # type: ignore[arg-type]
        (lambda: Twap(slice_seconds=0.0), "slice_seconds"),
        (lambda: Twap(slice_seconds=float("nan")), "slice_seconds"),
        (lambda: VwapSchedule(slice_seconds=-1.0), "slice_seconds: found -1.0; expected a number from"),
        (lambda: VwapSchedule(volume=(1.0, -1.0)), "volume: found -1.0; expected numbers from 0"),
        (lambda: VwapSchedule(volume=(float("nan"),)), "volume: found nan"),
        (lambda: VwapSchedule(volume="flat"), "volume: found 'flat'; expected a list of numbers"),  # type: ignore[arg-type]
        (lambda: VwapSchedule(volume=(1.0,) * 86_401), "volume: found 86401 buckets"),
        (lambda: Pov(participation=0.0), "participation: found 0.0; expected a number from 1e-06 to 1"),
        (lambda: Pov(participation=1.5), "participation: found 1.5"),
        (lambda: Pov(participation=True), "participation: found True"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=message):
        make()


def worth(quotes: Quotes, strategy: Static) -> bool:
    """Return what the engine asks before it solves the model."""
    sign, take, far = (1, quotes.ask, quotes.bid) if quotes.side == "buy" else (-1, quotes.bid, quotes.ask)
    room = room_for(quotes.fee, quotes.rebate, quotes.price.shape[1])
    reference = reference_price(take, far, quotes.one_sided)
    open_share = strategy.lambda_under + strategy.theta_queue
    return worth_taking(
        open_share, strategy.parameters[3], quotes.price, quotes.size, room.fee, reference, sign
    )


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_share_that_costs_what_leaving_it_open_does_is_taken(side: str) -> None:
    # Bid 1, ask 2, mid 1.5: nothing is rounded.
    shown = quotes_of([[200 if side == "buy" else 100]], [[30]], side=side)
    quotes = replace(shown, bid=100 * TICK, ask=200 * TICK)
    tie, below = (Static(lambda_under=value, theta_queue=0.0) for value in (0.5, np.nextafter(0.5, 0)))
    assert worth(quotes, tie)
    assert sum(child.shares for child in tie.decide(quotes, order(30), 0)) == 30
    assert not worth(quotes, below)
    assert below.decide(quotes, order(30), 0) == []


def test_what_is_worth_taking_may_stand_behind_levels_that_are_gone() -> None:
    # Mid 10.00, a share is worth 2 cents: at the first venue the level at 10.02 is left, at the second none.
    static = Static(lambda_under=0.02, theta_queue=0.0)
    for shown, found in (([[0, 1, 0], [0, 0, 5]], True), ([[0, 0, 9], [0, 0, 5]], False)):
        quotes = replace(quotes_of([[1001, 1002, 1003], [1001, 1002, 1003]], shown), bid=999 * TICK)
        assert worth(quotes, static) == found
        assert static.decide(quotes, order(5), 0) == ([ChildOrder(0, 1, 1002 * TICK)] if found else [])


@settings(max_examples=300, deadline=None)
@given(
    bid=st.integers(100, 40_000),
    asks=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    fee=st.integers(0, 30),
    side=st.sampled_from(["buy", "sell"]),
    off=st.sampled_from([0, 0, 0, 1]),
)
def test_what_is_asked_before_the_model_is_solved_is_what_the_model_answers(
    bid: int, asks: list[int], fee: int, side: str, off: int
) -> None:
    # Prices are whole cents, fee and penalty tenths of a cent: nearly all are ties but for the rounding of floats.
    venues, sign = len(asks), 1 if side == "buy" else -1
    shown = quotes_of([[bid + sign * ask] for ask in asks], [[10]] * venues, [fee * 10**6] * venues, side)
    quotes = replace(shown, bid=bid * TICK) if side == "buy" else replace(shown, ask=bid * TICK)
    strategy = Static(lambda_under=(5 * min(asks) + fee + off) / 1000, theta_queue=0.0)
    assert worth(quotes, strategy) == (strategy.decide(quotes, order(5), 0) != [])
