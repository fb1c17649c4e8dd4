"""Router and venues in lock step are the backtest, share for share; and no order loses count of its shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import venuewise as vw
from tests.markets import START, events_of, random_events
from tests.routing.orders import TABLE, request, router, run_loop, said, venues
from venuewise.data.events import UNDEFINED_PRICE, Events
from venuewise.kafka.processing import Outgoing
from venuewise.market.venues import fees
from venuewise.routing.closed_loop import ClosedLoop
from venuewise.simulation.engine import Outcome, make_task, run
from venuewise.simulation.state import (
    FILL_FEES,
    FILL_PRICE,
    FILL_SHARES,
    FILL_TS,
    FILL_VENUE,
    Frictions,
    market_of,
)
from venuewise.strategies import BestAsk, Pov, Static, Strategy, Twap, Vwap, VwapSchedule

BUCKETS = tuple((7 * bucket) % 11 for bucket in range(288))
STRATEGIES: dict[str, tuple[Strategy, dict[str, object]]] = {
    "best_ask": (BestAsk(), {}),
    "twap": (Twap(slice_seconds=0.05), {"slice_seconds": 0.05}),
    "vwap": (Vwap(), {}),
    "vwap_schedule": (VwapSchedule(volume=BUCKETS), {"volume": BUCKETS}),
    "pov": (Pov(participation=0.6), {"participation": 0.6}),
    "optimized": (Static(lambda_over=0.01, lambda_under=0.012, theta_queue=0.002), {"lambda_under": 0.012}),
}


def everybody_has_spoken(events: Events) -> int:
    """Return the first row after which every venue has quoted, and both sides have been seen."""
    seen: set[int] = set()
    for row in range(len(events)):
        seen.add(int(events.venue[row]))
        shown = [np.any(px[: row + 1, 0] != UNDEFINED_PRICE) for px in (events.ask_px, events.bid_px)]
        if len(seen) == len(events.publishers) and all(shown):
            return row
    return len(events) - 1


def backtested(
    events: Events, strategy: Strategy, side: str, quantity: int, start: int, end: int, depth: int,
    frictions: Frictions, seed: int, max_age_ms: float | None = None,
) -> Outcome:  # fmt: skip
    taker_fee, rebate = fees(TABLE.resolve(events.publishers))
    max_age = None if max_age_ms is None else round(max_age_ms * 1e6)
    market = market_of(events, side, taker_fee, rebate, max_age)
    task = make_task(market, "buy" if side == "buy" else "sell", quantity, start, end)
    return run(market, task, strategy, frictions.conditions(seed), depth)


def blotter(events: Events, outcome: Outcome, swept: bool = True) -> Counter[tuple[int, ...]]:
    """Return a backtest's fills; those of the sweep come last and may be left out."""
    so_far = np.cumsum(outcome.fills[:, FILL_SHARES])
    fills = outcome.fills if swept else outcome.fills[so_far <= outcome.filled - outcome.swept]
    return Counter(
        (int(f[FILL_TS]), events.publishers[f[FILL_VENUE]], int(f[FILL_PRICE]), int(f[FILL_SHARES]),
         int(f[FILL_FEES]))
        for f in fills
    )  # fmt: skip


def fills_of(outputs: list[Outgoing], without: Collection[str] = ()) -> Counter[tuple[int, ...]]:
    return Counter(
        (fill["ts"], fill["venue_id"], scaled(fill["price"]), fill["shares"], scaled(fill["fee"]))
        for fill in said(outputs, "fills")
        if fill["shares"] and fill["child"] not in without
    )


def scaled(dollars: float) -> int:
    return round(dollars * 1e9)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(sorted(STRATEGIES)),
    side=st.sampled_from(["buy", "sell"]),
    quantity=st.integers(1, 900),
    depth=st.integers(1, 3),
    share=st.sampled_from([1.0, 0.6]),
    slippage=st.sampled_from([0.0, 3.0]),
    adverse=st.sampled_from([0.0, 0.4]),
    refill=st.sampled_from(["update", "added"]),
    latency=st.sampled_from([0.0, 0.0, 1e-6, 1.0, 60.0]),
    ends=st.sampled_from([-25, -15, -1]),
    after=st.sampled_from([0, 700_000, 10**9]),
    nights=st.booleans(),
    max_age=st.sampled_from([None, None, 30.0]),
    early=st.booleans(),
)
def test_the_loop_is_the_backtest(
    seed: int, name: str, side: str, quantity: int, depth: int, share: float, slippage: float, adverse: float,
    refill: str, latency: float, ends: int, after: int, nights: bool,
    max_age: float | None, early: bool,
) -> None:  # fmt: skip
    # What is on its way at the end is cancelled in a backtest, and awaited in a live loop: with it, they differ.
    # And a backtest's sweep knows where adverse moves strike; a live one finds out.
    events = random_events(seed, nights=nights)
    strategy, params = STRATEGIES[name]
    frictions: dict[str, Any] = {
        "queue_priority": share, "slippage_bps": slippage, "adverse_probability": adverse, "refill": refill,
        "latency_ms": latency,
    }  # fmt: skip
    # Luck goes by a venue's place among those that are known: with it, all have to be.
    start = int(events.ts[0 if early and not adverse else everybody_has_spoken(events)])
    end = int(events.ts[ends]) + after
    if start >= end:
        return
    try:
        expected = backtested(
            events, strategy, side, quantity, start, end, depth, Frictions(**frictions), seed, max_age
        )
    except vw.ConfigError:  # nothing to trade with
        return
    loop = ClosedLoop(
        router(depth=depth, queue_priority=share, refill=refill, max_age_ms=max_age),
        venues(seed=seed, max_age_ms=max_age, **frictions),
    )
    order = request(side=side, quantity=quantity, start=start, end=end, strategy=name, params=params)
    outputs = run_loop(loop, events, order)
    children = said(outputs, "children")
    swept = {child["id"] for child in children if child["sweep"]}
    if any(child["ts"] + round(latency * 1e6) > end for child in children if not child["sweep"]):
        return
    assert fills_of(outputs, without=swept) == blotter(events, expected, swept=False)
    if adverse and (swept or expected.swept):
        return
    assert fills_of(outputs) == blotter(events, expected)
    last = said(outputs, "reports")[-1]
    assert (last["filled"], last["open"], last["in_flight"]) == (expected.filled, expected.open, 0)
    assert last["status"] == ("expired" if expected.open else "filled")
    assert scaled(last["notional"]) == expected.notional
    assert scaled(last["fees"]) == expected.fees
    assert len(said(outputs, "decisions")) == len(events)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_over_a_generated_file_the_loop_is_the_backtest(name: str, side: str, tmp_path: Path) -> None:
    vw.generate(venues=5, duration="4s", seed=12).to_csv(tmp_path / "day.csv")
    events = vw.read(tmp_path / "day.csv")  # venues in the order of their ids, as live
    assert np.any(np.diff(events.ts) == 0)
    strategy, params = STRATEGIES[name]
    row = everybody_has_spoken(events)
    start, end = int(events.ts[row]), int(events.ts[-100])
    expected = backtested(events, strategy, side, 9_000, start, end, 1, Frictions(), 0)
    order = request(
        symbol=events.symbols[0],
        side=side,
        quantity=9_000,
        start=start,
        end=end,
        strategy=name,
        params=params,
    )
    outputs = run_loop(ClosedLoop(router(), venues()), events, order)
    assert fills_of(outputs) == blotter(events, expected)
    assert expected.filled > 5_000


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("latency", [0.0, 0.5, 4_999.0])
@pytest.mark.parametrize("later", [(), (10,), (10, 12), (86_400,)])
def test_the_purchase_at_the_end_meets_the_book_of_the_end(
    side: str, latency: float, later: tuple[int, ...]
) -> None:
    # The last decision is known with the next row only, long after the end: a row of another price.
    rows = 1 + len(later)
    events = events_of(
        [0, *(second * 10**9 for second in later)], [0] * rows,
        [[(1000, 100), (1001, 500)], *[[(1200, 100), (1201, 500)]] * len(later)],
        [[(998, 100), (997, 500)], *[[(798, 100), (797, 500)]] * len(later)],
    )  # fmt: skip
    end = START + 5 * 10**9
    expected = backtested(events, BestAsk(), side, 300, START, end, 1, Frictions(latency_ms=latency), seed=0)
    assert (expected.filled, expected.swept) == (300, 200)
    order = request(side=side, quantity=300, start=START, end=end, strategy="best_ask")
    outputs = run_loop(ClosedLoop(router(), venues(latency_ms=latency)), events, order)
    assert fills_of(outputs) == blotter(events, expected)
    assert said(outputs, "reports")[-1]["status"] == "filled"


def test_an_end_that_comes_before_another_order_s_arrival_is_served_first() -> None:
    # Nothing but 10.00 is within the first order's limit when it decides, and 10.01 at its end, at 5 s. What the
    # second order sends at 3 s arrives at 7 s. All of that comes between two rows.
    second = 10**9
    events = events_of(
        [0, 3 * second, 20 * second], [0, 1, 0],
        [[(1000, 50), (1001, 100)], [(1002, 100)], [(1200, 1)]], [[(990, 50)]] * 3,
    )  # fmt: skip
    orders = [
        request(id="first", quantity=120, end=START + 5 * second, strategy="best_ask", limit_price=10.01),
        request(id="second", start=START + 3 * second, end=START + 19 * second, strategy="best_ask"),
    ]
    outputs = run_loop(ClosedLoop(router(), venues(latency_ms=4_000.0)), events, *orders)
    assert [
        (fill["child"], (fill["ts"] - START) // second, fill["shares"], fill["price"])
        for fill in said(outputs, "fills")
    ] == [("first-1", 4, 50, 10), ("first-2", 5, 70, 10.01), ("second-1", 7, 100, 10.02)]


def test_what_is_on_its_way_past_the_next_row_is_awaited_and_the_sweep_meets_the_book_after_it() -> None:
    events = events_of(
        [0, 10 * 10**9, 12 * 10**9, 30 * 10**9], [0] * 4,
        [[(1000, 100)], [(1200, 100)], [(1201, 500)], [(1202, 9)]], [[(998, 100)]] * 4,
    )  # fmt: skip
    order = request(quantity=300, start=START, end=START + 5 * 10**9, strategy="best_ask")
    outputs = run_loop(ClosedLoop(router(), venues(latency_ms=11_000.0)), events, order)
    assert [(fill["shares"], fill["price"]) for fill in said(outputs, "fills")] == [(0, None), (100, 12)]
    assert said(outputs, "reports")[-1]["status"] == "expired"
    slow = Frictions(latency_ms=11_000.0)
    cancelled = backtested(events, BestAsk(), "buy", 300, START, START + 5 * 10**9, 1, slow, seed=0)
    assert cancelled.fills[:, [FILL_PRICE, FILL_SHARES]].tolist() == [[10 * 10**9, 100]]
