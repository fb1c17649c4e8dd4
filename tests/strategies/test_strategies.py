"""Built-in strategies through their Python face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.markets import TICK
from venuewise.errors import ConfigError
from venuewise.market.book import Quotes
from venuewise.strategies import BestAsk, ChildOrder, ParentOrder, Static, Strategy, Twap, Vwap, baselines


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
    for strategy in (*baselines(), Static()):
        assert isinstance(strategy, Strategy)


def test_best_ask_takes_the_cheapest_venue_up_to_its_size() -> None:
    quotes = quotes_of([[1002], [1001], [1001]], [[50], [30], [90]])
    assert BestAsk().decide(quotes, order(100), 0) == [ChildOrder(1, 30, 1001 * TICK)]


def test_best_ask_of_a_sell_takes_the_highest_bid() -> None:
    quotes = quotes_of([[1002], [1001]], [[50], [30]], side="sell")
    assert BestAsk().decide(quotes, order(100), 0) == [ChildOrder(0, 50, 1002 * TICK)]


def test_twap_sends_what_its_schedule_has_released() -> None:
    quotes = quotes_of([[1001]], [[1000]])
    twap = Twap(slice_seconds=2.0)
    assert twap.decide(quotes, order(100), 0)[0].shares == 20
    assert twap.decide(quotes, order(80, 100), 1 * 10**9) == []
    assert twap.decide(quotes, order(80, 100), 5 * 10**9)[0].shares == 40
    assert twap.decide(quotes, order(80, 100), 99 * 10**9)[0].shares == 80


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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Static(lambda_under=-1.0), "lambda_under"),
        (lambda: Static(theta_queue=float("nan")), "theta_queue"),
        (lambda: Static(fill="some"), "fill"),  # type: ignore[arg-type]
        (lambda: Twap(slice_seconds=0.0), "slice_seconds"),
        (lambda: Twap(slice_seconds=float("nan")), "slice_seconds"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=message):
        make()
