"""The engine against the reference, and the rules it promises one by one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.markets import HOUR, START, TICK, events_of, random_events
from tests.simulation.reference import Reference
from venuewise.data.events import ACTION_ADD, ACTION_CLEAR, ACTION_TRADE, Events
from venuewise.errors import AccountingError, ConfigError, NoQuotesError
from venuewise.market.book import Quotes
from venuewise.simulation.engine import Outcome, make_task, reconcile, run
from venuewise.simulation.fills import uniform
from venuewise.simulation.rows import last_rows
from venuewise.simulation.state import (
    FILL_FEES,
    FILL_LEVEL,
    FILL_PRICE,
    FILL_ROW,
    FILL_SHARES,
    FILL_TS,
    FILL_VENUE,
    Frictions,
    market_of,
)
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
)

FEES = [3_000_000, -1_500_000, 2_000_000]
MS = 1_000_000


def work(
    events: Events,
    strategy: Strategy,
    quantity: int = 100,
    side: str = "buy",
    depth: int = 1,
    frictions: Frictions | None = None,
    end: int | None = None,
    seed: int = 0,
    max_age: int | None = None,
    start: int | None = None,
) -> Outcome:
    """Work one order over all events, or those from `start` on (ns UTC)."""
    fee = np.array(FEES[: len(events.publishers)], np.int64)
    market = market_of(events, side, fee, np.zeros_like(fee), max_age)
    finish = int(events.ts[-1]) if end is None else START + end
    begin = int(events.ts[0]) if start is None else start
    task = make_task(market, "buy" if side == "buy" else "sell", quantity, begin, finish)
    return run(market, task, strategy, (frictions or Frictions()).conditions(seed), depth)


class Called:
    """A built-in strategy behind a plain `decide`: takes the engine's path for users' strategies."""

    def __init__(self, inner: Strategy) -> None:
        self.inner, self.name = inner, inner.name

    def decide(self, quotes: Quotes, order: ParentOrder, now: int) -> list[ChildOrder]:
        return list(self.inner.decide(quotes, order, now))


def reference_decision(
    strategy: Strategy, sign: int, start: int, end: int
) -> Callable[..., dict[int, tuple[int, int]]]:
    """Return the built-in strategy's rule in plain Python: what is due, and where it goes."""

    def best(offers: list[list[tuple[int, int]]], wanted: int) -> dict[int, tuple[int, int]]:
        shown = [(sign * o[0][0], v) for v, o in enumerate(offers) if o and o[0][1] > 0]
        if not shown or wanted <= 0:
            return {}
        venue = min(shown)[1]
        return {venue: (min(wanted, offers[venue][0][1]), offers[venue][0][0])}

    def due(open: int, quantity: int, now: int, printed: int) -> int:
        if isinstance(strategy, Pov):
            return min(int(Fraction(str(strategy.participation)) * printed), quantity) - (quantity - open)
        if not isinstance(strategy, Twap | VwapSchedule):
            return open
        seconds = strategy.slice_seconds
        length = int(seconds * 1e9) if seconds else max(min(60 * 10**9, -(-(end - start) // 10)), 1)
        cuts = range(start + length, end, length)
        begun = 1 + bisect_right(cuts, now)
        volume = getattr(strategy, "volume", ())
        if begun <= len(cuts) and sum(expected(volume, start, end)) > 0:
            until = expected(volume, start, start + begun * length)
            share = sum(until) / sum(expected(volume, start, end))
            return int(quantity * share + Fraction(1, 10**6)) - (quantity - open)
        return quantity * begun // (len(cuts) + 1) - (quantity - open)

    def expected(volume: tuple[float, ...], start: int, until: int) -> list[Fraction]:
        day, parts = 86_400 * 10**9, []
        for at in range(start * len(volume) // day, until * len(volume) // day + 1 if volume else 0):
            low, high = (Fraction(day * (at + j), len(volume)) for j in (0, 1))
            inside = max(min(high, Fraction(until)) - max(low, Fraction(start)), Fraction(0))
            parts.append(inside / (high - low) * Fraction(volume[at % len(volume)]))
        return parts

    def decide(
        offers: list[list[tuple[int, int]]],
        reference: float | None,
        open: int,
        quantity: int,
        now: int,
        printed: int,
    ) -> dict[int, tuple[int, int]]:
        router = getattr(strategy, "router", strategy)
        open = due(open, quantity, now, printed)
        if isinstance(router, BestAsk):
            return best(offers, open)
        if open <= 0:
            return {}
        steps = [(v, p, s) for v, o in enumerate(offers) for p, s in o if s > 0]
        wanted: dict[int, tuple[int, int]] = {}
        if isinstance(router, Vwap):
            total = sum(s for _, _, s in steps)
            goal, seen, given_out = min(open, total), 0, 0
            for venue, price, size in steps:
                seen += size
                part = goal * seen // total - given_out
                given_out += part
                if part:
                    wanted[venue] = (wanted.get(venue, (0, 0))[0] + part, price)
            return wanted
        assert isinstance(router, Static)
        if reference is None:
            return {}
        limit = router.lambda_under + router.theta_queue
        costs = [
            ((sign * (p - reference) + FEES[v]) / 1e9, v, j, p, s)
            for v, o in enumerate(offers)
            for j, (p, s) in enumerate(o)
            if s > 0
        ]
        for cost, venue, _, price, size in sorted(costs):
            part = min(size, open)
            if part and cost < limit:
                open -= part
                wanted[venue] = (wanted.get(venue, (0, 0))[0] + part, price)
        return wanted

    return decide


HOURS = tuple(float(1 + hour % 5) for hour in range(24))
SECONDS = tuple(float((7 * second) % 11) for second in range(86_400))
STRATEGIES: list[Strategy] = [
    BestAsk(),
    Twap(slice_seconds=0.1),
    Vwap(),
    Static(lambda_under=0.02713, theta_queue=0.0, lambda_over=5.0),
    Static(lambda_under=0.5, theta_queue=0.1, lambda_over=5.0),
    Twap(),
    Twap("patient", 0.2, Static(lambda_under=0.02713, theta_queue=0.0, lambda_over=5.0)),
    VwapSchedule(volume=HOURS),
    VwapSchedule(volume=SECONDS, slice_seconds=0.07, router=Vwap()),
    Pov(),
    Pov(participation=0.7, router=Static(lambda_under=0.02713, theta_queue=0.0, lambda_over=5.0)),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    which=st.integers(0, len(STRATEGIES) - 1),
    side=st.sampled_from(["buy", "sell"]),
    quantity=st.integers(1, 400),
    depth=st.integers(1, 3),
    latency=st.sampled_from([0.0, 0.5, 50.0, 3_600_000.0]),
    priority=st.sampled_from([1.0, 0.7, 0.5]),
    slippage=st.sampled_from([0.0, 2.0]),
    adverse=st.sampled_from([0.0, 0.1, 0.9]),
    refill=st.sampled_from(["update", "added"]),
    max_age=st.sampled_from([None, 30 * MS]),
    nights=st.booleans(),
    before=st.sampled_from([0, 0, 1, 20, 40]),
)
def test_engine_agrees_with_the_plain_python_reference_to_the_share_and_the_nano_dollar(
    seed: int, which: int, side: str, quantity: int, depth: int, latency: float, priority: float,
    slippage: float, adverse: float, refill: str, max_age: int | None, nights: bool, before: int,
) -> None:  # fmt: skip
    strategy = STRATEGIES[which]
    # Fractions of every second of a day and a half are too many to add up in plain Python at each decision.
    assume(not (nights and getattr(strategy, "volume", ()) == SECONDS))
    events = random_events(seed, nights=nights)
    frictions = Frictions(
        latency_ms=latency,
        queue_priority=priority,
        slippage_bps=slippage,
        adverse_probability=adverse,
        refill=refill,  # type: ignore[arg-type]
    )
    start, end = int(events.ts[before]), int(events.ts[-1])
    reference = Reference(events, side, FEES, frictions, lambda moment, v: uniform(seed, moment, v), max_age)
    expected = reference.run(
        quantity, start, end, depth, reference_decision(strategy, 1 if side == "buy" else -1, start, end)
    )
    if expected["arrival"] is None:
        with pytest.raises(ConfigError, match="found no moment with a usable quote and a mid"):
            work(events, strategy, quantity, side, depth, frictions, None, seed, max_age, start)
        return
    for candidate in (strategy, Called(strategy)):
        found = work(events, candidate, quantity, side, depth, frictions, None, seed, max_age, start)
        assert {
            "open": found.open,
            "filled": found.filled,
            "notional": found.notional,
            "fees": found.fees,
            "arrival": found.arrival_price,
        } == expected


def test_shares_taken_are_not_offered_again_until_the_quote_updates() -> None:
    ask = [[(1001, 30)]] * 3 + [[(1001, 31)]]
    events = events_of([0, 1, 2, 3], [0] * 4, ask, [[(999, 10)]] * 4)
    outcome = work(events, BestAsk(), quantity=50)
    assert outcome.fills[:, FILL_SHARES].tolist() == [30, 20]
    assert outcome.fills[:, 0].tolist() == [START, START + 3]


def test_with_refill_added_only_new_shares_are_offered_while_the_level_stands() -> None:
    ask = [[(1001, 30)], [(1001, 35)], [(1001, 20)], [(1002, 9)], [(1001, 40)]]
    events = events_of(list(range(5)), [0] * 5, ask, [[(999, 10)]] * 5)
    outcome = work(events, BestAsk(), quantity=1000, frictions=Frictions(refill="added"))
    assert outcome.fills[:, FILL_SHARES].tolist() == [30, 5, 9, 40]


def test_rows_of_one_moment_are_one_update() -> None:
    # A trade row shows the book before the trade; the cancel of the same moment takes the shares away.
    events = events_of([0, 5, 5], [0] * 3, [[], [(1001, 30)], [(1001, 4)]], [[(999, 10)]] * 3)
    assert work(events, BestAsk(), quantity=30).filled == 4


def test_latency_meets_the_later_book() -> None:
    ask = [[(1001, 30)], [(1001, 12)], [(1003, 50)]]
    events = events_of([0, 2 * MS, 9 * MS], [0] * 3, ask, [[(999, 10)]] * 3)
    outcome = work(events, BestAsk(), quantity=20, frictions=Frictions(latency_ms=5))
    first = outcome.fills[0]
    assert (first[FILL_SHARES], first[FILL_PRICE], first[0]) == (12, 1001 * TICK, START + 5 * MS)
    assert outcome.filled == 20


def test_a_child_order_that_arrives_with_a_row_meets_the_book_after_it() -> None:
    ask = [[(1001, 30)], [(1003, 50)], [(1003, 51)]]
    events = events_of([0, 5 * MS, 9 * MS], [0] * 3, ask, [[(999, 10)]] * 3)
    outcome = work(events, BestAsk(), quantity=20, frictions=Frictions(latency_ms=5))
    assert outcome.fills[:, FILL_PRICE].tolist() == [1003 * TICK]
    assert outcome.swept == 20


def test_a_child_order_that_arrives_at_the_very_end_still_fills() -> None:
    events = events_of([0, 5 * MS], [0] * 2, [[(1001, 30)], [(1001, 12)]], [[(999, 10)]] * 2)
    outcome = work(events, BestAsk(), quantity=20, frictions=Frictions(latency_ms=5))
    assert (outcome.filled, outcome.swept, outcome.open) == (12, 0, 8)


def test_a_venue_that_cleared_its_book_before_the_order_offers_nothing() -> None:
    action = [ACTION_ADD, ACTION_CLEAR, ACTION_ADD]
    ask = [[(1000, 30)], [(1000, 30)], [(1005, 30)]]
    events = events_of([0, 1, 5], [0, 0, 1], ask, [[(999, 10)]] * 3, action)
    fee = np.array(FEES[:2], np.int64)
    market = market_of(events, "buy", fee, fee)
    task = make_task(market, "buy", 40, START + 5, START + 5)
    outcome = run(market, task, BestAsk(), Frictions().conditions(0), 1)
    assert (outcome.filled, outcome.notional) == (30, 30 * 1005 * TICK)
    assert outcome.arrival_price == 1002 * TICK


def test_what_is_taken_before_a_clear_is_offered_again_after_it() -> None:
    action = [ACTION_ADD, ACTION_CLEAR, ACTION_ADD]
    events = events_of([0, 1, 2], [0] * 3, [[(1001, 30)], [], [(1001, 30)]], [[(999, 10)]] * 3, action)
    assert work(events, BestAsk(), quantity=100).fills[:, FILL_SHARES].tolist() == [30, 30]


def test_a_negative_fee_can_make_a_quote_worth_taking() -> None:
    # Two cents above the mid, less 0.15 cents that the venue pays, is below 1.9 cents.
    events = events_of([0, 1, 2], [0, 1, 1], [[], [(1002, 30)], []], [[(998, 10)]] * 3)
    inverted = work(events, Static(lambda_under=0.019, theta_queue=0.0), quantity=30)
    assert (inverted.filled, inverted.swept) == (30, 0)
    assert work(events, Static(lambda_under=0.018, theta_queue=0.0), quantity=30).filled == 0


def test_what_is_open_at_the_end_is_bought_through_the_book_or_stays_open() -> None:
    book = [[(1001, 30), (1002, 40), (1005, 10)]]
    events = events_of([0], [0], book, [[(999, 10)]])
    outcome = work(events, Static(lambda_under=0.0, theta_queue=0.0), quantity=100)
    assert (outcome.filled, outcome.swept, outcome.open) == (80, 80, 20)
    assert outcome.notional == (30 * 1001 + 40 * 1002 + 10 * 1005) * TICK


@pytest.mark.parametrize(("side", "cents", "bps"), [("buy", 1002, 23.0), ("sell", 998, 23.0)])
def test_a_fee_is_paid_on_top_by_a_buy_and_out_of_the_proceeds_by_a_sell(
    side: str, cents: int, bps: float
) -> None:
    # Mid 10.00; a share moves 2 cents against the order and costs a fee of 0.3 cents.
    events = events_of([0], [0], [[(1002, 40)]], [[(998, 40)]])
    outcome = work(events, BestAsk(), quantity=40, side=side)
    paid = 3_000_000 if side == "buy" else -3_000_000
    assert outcome.cash == outcome.cash_of_all == 40 * (cents * TICK + paid)
    assert outcome.shortfall == 40 * (2 * TICK + 3_000_000)
    assert outcome.cost_bps == pytest.approx(bps)


def test_pov_counts_what_is_printed_from_its_start_on() -> None:
    # 1,000 shares are printed before the start and 60 at it: a tenth of the 60 is due, then of 90 in all.
    action = [ACTION_TRADE] * 4
    events = events_of(
        [0, 1, 5, 6],
        [0] * 4,
        [[(1001, 50 + i)] for i in range(4)],
        [[(999, 10)]] * 4,
        action,
        size=[400, 600, 60, 30],
    )
    for strategy in (Pov(participation=0.1), Called(Pov(participation=0.1))):
        outcome = work(events, strategy, quantity=100, start=START + 5)
        assert (outcome.filled - outcome.swept, outcome.fills[:2, FILL_SHARES].tolist()) == (9, [6, 3])


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_purchase_at_the_end_goes_by_price_and_then_by_venue(side: str) -> None:
    # Prices of three venues away from 10.00 in cents: 1 and 4; 2; 2.
    books = [[(1001, 40), (1004, 10)], [(1002, 30)], [(1002, 20)]]
    far = [[(999, 10)]] * 3
    if side == "sell":
        books, far = [[(2000 - p, s) for p, s in book] for book in books], [[(1001, 10)]] * 3
    events = events_of([0, 0, 0], [0, 1, 2], *((books, far) if side == "buy" else (far, books)))
    waits = Static(lambda_under=0.0, theta_queue=0.0)
    for quantity, expected in (
        (40, [(0, 40)]),
        (45, [(0, 40), (1, 5)]),
        (95, [(0, 40), (1, 30), (2, 20), (0, 5)]),
    ):
        outcome = work(events, waits, quantity=quantity, side=side)
        assert [(row[FILL_VENUE], row[FILL_SHARES]) for row in outcome.fills] == expected
        assert outcome.swept == quantity


def test_twap_spreads_the_order_over_its_slices() -> None:
    seconds = list(range(10))
    events = events_of(
        [s * 10**9 for s in seconds], [0] * 10, [[(1001, 500 + s)] for s in seconds], [[(999, 10)]] * 10
    )
    outcome = work(events, Twap(slice_seconds=3.0), quantity=100)
    assert outcome.fills[:, FILL_SHARES].tolist() == [33, 33, 34]
    assert ((outcome.fills[:, 0] - START) // 10**9).tolist() == [0, 3, 6]


def test_arrival_price_is_the_mid_of_all_venues() -> None:
    events = events_of([0, 0], [0, 1], [[(1004, 5)], [(1003, 5)]], [[(999, 5)], [(998, 5)]])
    assert work(events, BestAsk(), quantity=1).arrival_price == 1001 * TICK


def test_data_without_the_other_side_are_measured_against_the_best_price() -> None:
    events = events_of([0, 1], [0, 1], [[(1004, 5)], [(1003, 5)]])
    assert work(events, BestAsk(), quantity=1).arrival_price == 1004 * TICK


def test_an_order_without_any_quote_is_refused() -> None:
    events = events_of([0, 1], [0, 0], [[], []], [[(999, 5)], [(999, 5)]])
    with pytest.raises(ConfigError, match="found no moment with a usable quote and a mid"):
        work(events, BestAsk())


STUB = 20_000_000
"""Ticks: 200,000 dollars, far from any market."""


@pytest.mark.parametrize("quantity", [0, 10**9 + 1, 10**15])
def test_an_order_of_no_shares_or_of_too_many_is_refused(quantity: int) -> None:
    events = events_of([0], [0], [[(1001, 5)]], [[(999, 5)]])
    with pytest.raises(ConfigError, match=f"order size: found {quantity} shares; expected 1 to 1000000000"):
        work(events, BestAsk(), quantity=quantity)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("quantity", [100, 20_000, 10**9])
def test_a_stub_quote_that_nobody_reaches_neither_refuses_an_order_nor_values_it(
    quantity: int, own: bool
) -> None:
    ask = [[(1001, 80), (STUB, 100)], [(1001, 81), (STUB, 100)], [(1002, 30)]]
    events = events_of([0, 1, 2], [0] * 3, ask, [[(999, 10)]] * 3)
    strategy = Called(BestAsk()) if own else BestAsk()
    outcome = work(events, strategy, quantity=quantity)
    filled = min(quantity, 80 + 81 + 30)
    assert outcome.filled == filled
    assert outcome.notional == (1001 * min(filled, 161) + 1002 * max(filled - 161, 0)) * TICK
    if (
        quantity == 20_000
    ):  # at arrival the stub is the price of so many shares, and it is what they are valued at
        assert outcome.open_price == STUB * TICK + FEES[0]


def test_a_stub_quote_beyond_what_an_order_needs_does_not_value_it() -> None:
    # Displayed at arrival: enough. At the end: too little, and no stub.
    ask = [[(1001, 80), (1003, 40), (STUB, 100)], [(1002, 30), (1004, 30)]]
    events = events_of([0, 1], [0] * 2, ask, [[(999, 10)]] * 2)
    outcome = work(events, Static(lambda_under=0.0, theta_queue=0.0), quantity=120)
    assert (outcome.filled, outcome.open) == (60, 60)
    assert outcome.open_price == 1004 * TICK + FEES[0]
    sooner = events_of([0, 1], [0] * 2, [ask[0], [(1002, 30)]], [[(999, 10)]] * 2)
    outcome = work(sooner, Static(lambda_under=0.0, theta_queue=0.0), quantity=120)
    assert outcome.open_price == 1003 * TICK + FEES[0]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("shown", "price"), [(25_000, STUB), (10**9, 1000)])
def test_money_that_int64_cannot_hold_is_refused_in_one_line(own: bool, shown: int, price: int) -> None:
    events = events_of([0], [0], [[(1000, 5), (price, shown)]], [[(999, 5)]])
    strategy = Called(BestAsk()) if own else BestAsk()
    for quantity, most in ((shown // 2, 4.61e9), (shown, 0.0)):
        if quantity * price * 0.01 < most:
            outcome = work(events, strategy, quantity=quantity)
            assert outcome.notional == (1000 * 5 + price * (quantity - 5)) * TICK
            assert outcome.cash == outcome.notional + outcome.fees
            continue
        with pytest.raises(
            ConfigError, match=r"order size: found .* at most 4.61e\+09 dollars.*exact"
        ) as error:
            work(events, strategy, quantity=quantity)
        assert "\n" not in str(error.value)


def test_prices_that_frictions_move_beyond_what_int64_holds_are_refused() -> None:
    huge = 5 * 10**18 // TICK  # moved by its own size it would wrap around to a negative price
    events = events_of([0], [0], [[(huge, 5)]], [[(999, 5)]])
    with pytest.raises(ConfigError, match="money stays exact"):
        work(
            events,
            BestAsk(),
            quantity=1,
            frictions=Frictions(slippage_bps=1e4, adverse_probability=1.0, adverse_move_bps=1e4),
        )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    side=st.sampled_from(["buy", "sell"]),
    priority=st.sampled_from([1.0, 0.5]),
    probability=st.sampled_from([0.0, 0.5]),
)
def test_nobody_with_shares_open_paid_more_at_the_end_than_what_they_are_valued_at(
    seed: int, side: str, priority: float, probability: float
) -> None:
    frictions = Frictions(queue_priority=priority, slippage_bps=3.0, adverse_probability=probability)
    sign = 1 if side == "buy" else -1
    values = set()
    for strategy in STRATEGIES:
        try:
            outcome = work(random_events(seed), strategy, 300, side, 2, frictions, seed=seed)
        except NoQuotesError:
            return
        if not outcome.open:
            assert outcome.open_price == 0
            continue
        values.add(outcome.open_price)
        fee = outcome.fills[:, FILL_FEES] // outcome.fills[:, FILL_SHARES]
        paid = (outcome.fills[:, FILL_PRICE] + sign * fee)[
            outcome.fills[:, FILL_SHARES].cumsum() > outcome.filled - outcome.swept
        ]
        assert all(sign * price <= sign * outcome.open_price for price in paid.tolist())
    assert len(values) <= 1


class Wild:
    """Sends what it is told to."""

    name = "wild"

    def __init__(self, *children: ChildOrder) -> None:
        self.children = children

    def decide(self, quotes: Quotes, order: ParentOrder, now: int) -> tuple[ChildOrder, ...]:
        return self.children


@pytest.mark.parametrize(
    "children",
    [
        (ChildOrder(0, 101, 2000 * TICK),),
        (ChildOrder(7, 1, 2000 * TICK),),
        (ChildOrder(0, -1, 2000 * TICK),),
        (ChildOrder(0, 1, 2000 * TICK), ChildOrder(0, 1, 2000 * TICK)),
    ],
)
def test_child_orders_that_make_no_sense_are_refused(children: tuple[ChildOrder, ...]) -> None:
    events = events_of([0], [0], [[(1001, 500)]], [[(999, 5)]])
    with pytest.raises(ConfigError, match="strategy wild"):
        work(events, Wild(*children), quantity=100)


def test_a_limit_is_never_exceeded() -> None:
    events = events_of([0], [0], [[(1001, 5), (1002, 5)]], [[(999, 5)]])
    outcome = work(events, Wild(ChildOrder(0, 10, 1001 * TICK)), quantity=10, depth=2)
    assert outcome.filled - outcome.swept == 5


@pytest.mark.parametrize(
    ("line", "column", "change", "message"),
    [
        (0, FILL_SHARES, 1, "sum of fills in shares"),
        (0, FILL_PRICE, 1, "notional"),
        (0, FILL_FEES, 1, "sum of fees"),
        (1, FILL_ROW, -1, "quotes taken beyond their size"),
    ],
)
def test_reconciliation_fails_loudly(line: int, column: int, change: int, message: str) -> None:
    events = events_of([0, 1], [0, 0], [[(1001, 30)], [(1001, 40)]], [[(999, 5)]] * 2)
    fee = np.array(FEES[:1], np.int64)
    market = market_of(events, "buy", fee, fee)
    task = make_task(market, "buy", 50, START, START + 1)
    conditions = Frictions().conditions(0)
    outcome = run(market, task, BestAsk(), conditions, 1)
    reconcile(market, outcome, conditions)
    with pytest.raises(AccountingError, match=r"filled \+ open"):
        reconcile(market, replace(outcome, open=1), conditions)
    with pytest.raises(AccountingError, match="on their way"):
        reconcile(market, replace(outcome, filled=49), conditions, in_flight=1)
    outcome.fills[line, column] += change
    with pytest.raises(AccountingError, match=message):
        reconcile(market, outcome, conditions)


def test_luck_is_uniform_and_depends_on_seed_moment_and_venue() -> None:
    draws = np.array([uniform(3, START + moment, venue) for moment in range(2000) for venue in range(5)])
    assert abs(draws.mean() - 0.5) < 0.01
    assert abs(draws.var() - 1 / 12) < 0.003
    assert len(np.unique(draws)) == len(draws)
    assert uniform(4, 0, 0) != uniform(3, 0, 0)


@pytest.mark.parametrize("latency_ms", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_a_row_more_or_another_day_before_changes_nobodys_luck(seed: int, latency_ms: float) -> None:
    events, again = random_events(seed), int(np.random.default_rng(seed).integers(60))
    rows = np.arange(len(events))
    before = np.where(np.arange(2 * len(events)) < len(events), DAY, 0)
    day_before = events.take(np.tile(rows, 2))
    day_before = replace(
        day_before, ts_event=day_before.ts_event - before, ts_recv=day_before.ts_recv - before
    )
    frictions = Frictions(latency_ms, adverse_probability=0.5, adverse_move_bps=7.0)
    fills = []
    for told in (events, events.take(np.sort([0, *rows])), events.take(np.sort([again, *rows])), day_before):
        fee = np.array(FEES, np.int64)
        market = market_of(told, "buy", fee, fee)
        task = make_task(market, "buy", 2_000, int(events.ts[0]), int(events.ts[-1]))
        outcome = run(market, task, BestAsk(), frictions.conditions(seed), 3)
        assert outcome.filled > outcome.swept > 0
        fills.append(outcome.fills[:, [FILL_TS, FILL_VENUE, FILL_LEVEL, FILL_PRICE, FILL_SHARES]].tolist())
    assert fills[1:] == fills[:1] * 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latency_ms", -1.0),
        ("queue_priority", 0.0),
        ("queue_priority", float("nan")),
        ("adverse_probability", 1.1),
        ("refill", "sometimes"),
    ],
)
def test_frictions_that_make_no_sense_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        Frictions(**{name: value})  # type: ignore[arg-type]


class Fills:
    """Takes so many shares at once, and nothing after that."""

    def __init__(self, shares: int) -> None:
        self.name, self.shares = f"fills {shares}", shares

    def decide(self, quotes: Quotes, order: ParentOrder, now: int) -> list[ChildOrder]:
        wanted = self.shares if order.open == order.quantity else 0
        return [ChildOrder(0, wanted, int(quotes.price[0, 0]))]


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(
    "frictions", [None, Frictions(slippage_bps=50.0, adverse_probability=1.0, adverse_left=1.0)]
)
def test_leaving_shares_open_never_looks_cheaper_than_filling_them(
    side: str, frictions: Frictions | None
) -> None:
    ask, bid = [(1001, 60), (1010, 40)], [(999, 60), (990, 40)]
    events = events_of([0, 1], [0, 0], [ask, []], [bid, []])
    eager = work(events, Fills(100), quantity=100, side=side, depth=2, frictions=frictions)
    lazy = work(events, Fills(10), quantity=100, side=side, depth=2, frictions=frictions)
    assert (eager.filled, lazy.filled, lazy.open) == (60, 10, 90)
    assert lazy.open_price == eager.open_price
    assert lazy.cost_bps > eager.cost_bps


def test_shares_left_open_are_valued_at_the_worst_price_at_the_end_fee_included() -> None:
    events = events_of([0, 1], [0, 1], [[(1001, 60), (1010, 40)], [(1004, 5)]], [[(999, 9)]] * 2)
    outcome = work(events, BestAsk(), quantity=1000)
    assert (outcome.filled, outcome.open) == (105, 895)
    assert outcome.open_price == 1010 * TICK + max(FEES[:2])
    assert outcome.cash_of_all == outcome.cash + 895 * outcome.open_price
    assert work(events, BestAsk(), quantity=1000, side="sell").open_price == 999 * TICK - max(FEES[:2])


@pytest.mark.parametrize(("probability", "moved"), [(0.0, 1.001), (0.5, 1.002)])
def test_shares_left_open_bear_every_friction_that_there_is(probability: float, moved: float) -> None:
    events = events_of([0], [0], [[(1000, 50)]], [[(999, 9)]])
    frictions = Frictions(slippage_bps=10.0, adverse_probability=probability, adverse_move_bps=10.0)
    outcome = work(events, BestAsk(), quantity=100, frictions=frictions)
    assert outcome.open_price == round(1000 * TICK * moved) + FEES[0]


def test_an_order_may_live_on_quotes_that_stood_before_it() -> None:
    events = events_of([0, 5, 6], [0, 1, 1], [[(1001, 60)], [], []], [[(999, 9)]] * 3)
    fee = np.array(FEES[:2], np.int64)
    market = market_of(events, "buy", fee, fee)
    task = make_task(market, "buy", 10, START + 5, START + 6)
    assert run(market, task, BestAsk(), Frictions().conditions(0), 1).filled == 10


def test_waiting_for_the_end_is_no_way_around_adverse_moves() -> None:
    events = events_of([0], [0], [[(1000, 100)]], [[(999, 5)]])
    unlucky = Frictions(adverse_probability=1.0, adverse_move_bps=10.0, adverse_left=0.8)
    outcome = work(events, Static(lambda_under=0.0, theta_queue=0.0), quantity=100, frictions=unlucky)
    assert (outcome.swept, outcome.open) == (80, 20)
    assert outcome.fills[:, FILL_PRICE].tolist() == [1001 * TICK]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_while_the_other_side_is_gone_the_static_router_waits_and_the_others_do_not(side: str) -> None:
    # With a mid of 10.05, a share at 10.10 is dearer than waiting. Without the bid there is no mid to tell.
    near, far = [[(1010, 50 + i)] for i in range(4)], [[(1000, 50)], [], [(1000, 50)], [(1000, 50)]]
    if side == "sell":
        near = [[(990, 50 + i)] for i in range(4)]
    events = events_of([0, 1, 2, 3], [0] * 4, *((near, far) if side == "buy" else (far, near)))
    patient = work(events, Static(lambda_under=0.02, theta_queue=0.0), quantity=20, side=side)
    assert (patient.filled, patient.swept, patient.fills[:, 0].tolist()) == (20, 20, [START + 3])
    for strategy in (BestAsk(), Vwap(), Twap(slice_seconds=1e-9)):
        busy = work(events, strategy, quantity=80, side=side)
        assert START + 1 in busy.fills[:, 0].tolist()


def test_what_shows_no_shares_is_no_quote() -> None:
    events = events_of([0, 1], [0, 1], [[(1004, 5)], [(1003, 5)]], [[(999, 0)], [(990, 5)]])
    assert work(events, BestAsk(), quantity=1).arrival_price == 996.5 * TICK


DAY = 24 * HOUR


@pytest.mark.parametrize(("side", "price"), [("buy", 22_610), ("sell", 22_590)])
def test_an_order_sees_no_quote_of_the_session_before(side: str, price: int) -> None:
    # Two venues at 222 dollars; the next day, at 226, the second of them is silent at first.
    ask = [[(22_210, 90)], [(22_191, 90)], [(22_610, 90)], [(22_605, 90)]]
    bid = [[(22_190, 90)], [(22_189, 90)], [(22_590, 90)], [(22_590, 90)]]
    events = events_of([0, 1, DAY, DAY + 30 * 10**9], [0, 1, 0, 1], ask, bid)
    fee = np.zeros(2, np.int64)
    market = market_of(events, side, fee, fee)
    task = make_task(market, "buy" if side == "buy" else "sell", 80, START + DAY, START + DAY + 30 * 10**9)
    assert task.arrival_price == 22_600 * TICK
    for strategy in (BestAsk(), Called(BestAsk())):
        outcome = run(market, task, strategy, Frictions().conditions(0), 1)
        assert outcome.fills[:, [FILL_PRICE, FILL_ROW]].tolist() == [[price * TICK, 2]]


def test_an_order_begins_with_the_last_row_of_each_venue_in_its_session() -> None:
    # Venues 0 to 4: a row of yesterday, a later row than another, cleared, cleared and back, and silent.
    ts = np.array([0, 1, HOUR + 2, HOUR + 3, HOUR + 3, HOUR + 4, HOUR + 5, HOUR + 6])
    venue = np.array([0, 1, 1, 2, 3, 1, 3, 2])
    clears = np.array([0, 0, 0, 0, 1, 0, 0, 1], np.uint8)
    for before, expected in (
        (0, [-1, -1, -1, -1, -1]),
        (1, [0, -1, -1, -1, -1]),
        (2, [0, 1, -1, -1, -1]),
        (3, [-1, 2, -1, -1, -1]),
        (5, [-1, 2, 3, -1, -1]),
        (8, [-1, 5, -1, 6, -1]),
    ):
        row_of = np.full(5, 99)
        last_rows(ts, venue, clears, before, row_of)
        assert row_of.tolist() == expected


def test_an_hour_of_silence_ends_no_session_and_a_moment_more_does() -> None:
    for silence, price in ((HOUR, 1001), (HOUR + 1, 1005)):
        events = events_of([0, silence], [0, 1], [[(1001, 9)], [(1005, 9)]], [[(999, 9)]] * 2)
        fee = np.zeros(2, np.int64)
        market = market_of(events, "buy", fee, fee)
        task = make_task(market, "buy", 5, START + silence, START + silence)
        outcome = run(market, task, BestAsk(), Frictions().conditions(0), 1)
        assert outcome.fills[:, FILL_PRICE].tolist() == [price * TICK]


def test_what_is_on_its_way_when_a_session_ends_comes_back_unfilled() -> None:
    events = events_of([0, DAY], [0, 0], [[(1001, 50)], [(1001, 60)]], [[(999, 9)]] * 2)
    slow = Frictions(latency_ms=DAY / MS + 1)
    outcome = work(events, BestAsk(), quantity=20, frictions=slow)
    assert (outcome.fills[:, FILL_ROW].tolist(), outcome.swept) == ([1], 20)


def test_an_order_that_ends_at_night_finds_no_book_to_sweep() -> None:
    events = events_of([0, 1], [0, 0], [[(1001, 50)]] * 2, [[(999, 9)]] * 2)
    waits = Static(lambda_under=0.0, theta_queue=0.0)
    assert work(events, waits, quantity=20, end=HOUR).swept == 20
    assert work(events, waits, quantity=20, end=HOUR + 2).swept == 0


@pytest.mark.parametrize(
    ("bid", "max_age", "filled"), [(999, None, 30), (1001, None, 0), (999, 3 * MS, 30), (999, 2 * MS, 0)]
)
def test_a_venue_fills_what_it_would_offer_to_a_decision_at_that_moment(
    bid: int, max_age: int | None, filled: int
) -> None:
    # Sent at 0, arrives at 3 ms; a row of 0.5 ms may cross the venue with itself before that.
    events = events_of(
        [0, MS // 2, 9 * MS], [0, 0 if bid > 999 else 1, 1], [[(1001, 30)], [(1001, 30)], []],
        [[(999, 10)], [(bid, 10)], []],
    )  # fmt: skip
    if bid == 999:
        events = replace(events, ask_sz=events.ask_sz * np.array([[1], [0], [0]]))
    outcome = work(events, BestAsk(), quantity=30, frictions=Frictions(latency_ms=3), max_age=max_age)
    assert outcome.filled - outcome.swept == filled
