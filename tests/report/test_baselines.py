"""Baselines that are baselines: on schedules, told apart, and at the latencies that a router may have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import venuewise as vw
from tests.markets import events_of
from venuewise.data.events import ACTION_ADD, ACTION_TRADE, Events
from venuewise.errors import ConfigError
from venuewise.simulation.state import FILL_SHARES

CENTS = "lambda_under=0.002:0.026:5,lambda_over=0.02,theta_queue=0"
MANY: dict[str, Any] = {"order_size": 1500, "start": "every:1s", "horizon": "5s", "grid": CENTS}


@pytest.fixture(scope="module")
def day() -> Events:
    return vw.generate(venues=4, duration="60s", seed=3)


@pytest.fixture(scope="module")
def found(day: Events) -> dict[str, Any]:
    return vw.backtest(day, **MANY).to_dict()


def days(count: int, minutes: int = 30) -> Events:
    """Return days with one row a second; trades of 600 shares each, in odd five minutes of 200."""
    seconds = np.arange(minutes * 60 + 1)
    ts = np.concatenate([d * 86_400 * 10**9 + seconds * 10**9 for d in range(count)])
    n = len(ts)
    ask = [[(1001 + i % 3, 500 + i % 7)] for i in range(n)]
    size = np.tile(np.where(seconds // 300 % 2, 200, 600), count)
    return events_of(ts, [0] * n, ask, [[(999, 10)]] * n, np.full(n, ACTION_TRADE), size=size)


def test_without_a_slice_no_two_of_twap_best_ask_and_pov_are_one(found: dict[str, Any]) -> None:
    orders = found["parent_orders"]
    assert orders["schedules"]["slice_seconds"] == 0.5
    assert "twap" not in orders["same_outcome"]
    assert "pov" not in orders["same_as"]
    costs = [orders["cost_vs_arrival_bps"][name]["mean"] for name in ("best_ask", "twap", "pov")]
    assert len(set(costs)) == 3


def test_a_slice_as_long_as_the_horizon_makes_twap_best_ask_and_is_said(day: Events) -> None:
    orders: Any = vw.backtest(day, slice_seconds=60.0, **MANY).to_dict()["parent_orders"]
    assert orders["same_as"]["twap"] == ["best_ask"]
    assert "optimized" in orders["same_as"]["optimized_twap"]
    assert any("have one slice" in note and "twap is best_ask there" in note for note in orders["notes"])


def test_a_volume_schedule_without_an_earlier_session_is_twap_and_that_is_said(found: dict[str, Any]) -> None:
    orders = found["parent_orders"]
    assert orders["schedules"]["volume_curves"] == 0
    assert orders["same_as"]["vwap_schedule"] == ["twap"]
    assert any(
        note.startswith(f"vwap_schedule: {orders['n']} of {orders['n']} orders") for note in orders["notes"]
    )


def test_a_volume_schedule_follows_the_volume_of_earlier_sessions() -> None:
    events = days(2)
    result = vw.backtest(events, order_size=1200, horizon="30m", slice_seconds=300, latency_ms=0)
    orders: Any = result.to_dict()["parent_orders"]
    assert orders["schedules"]["volume_curves"] == orders["n"] == 1
    assert not any(note.startswith("vwap_schedule") for note in orders["notes"])
    fills = result.comparison.outcomes["vwap_schedule"][0].fills
    begin = result.comparison.quoted_on[0].begin
    by_slice = [int(fills[(fills[:, 0] - begin) // (300 * 10**9) == j, FILL_SHARES].sum()) for j in range(6)]
    assert by_slice == [300, 100, 300, 100, 300, 100]
    later = replace(events, size=np.where(events.ts >= begin, events.size[::-1], events.size))
    again = vw.backtest(later, order_size=1200, horizon="30m", slice_seconds=300, latency_ms=0)
    assert np.array_equal(again.comparison.outcomes["vwap_schedule"][0].fills, fills)


def test_orders_within_one_bucket_of_the_volume_curve_are_twap_and_that_is_said() -> None:
    orders: Any = vw.backtest(days(2), order_size=1200, start="every:5m", horizon="60s").to_dict()[
        "parent_orders"
    ]
    n = orders["n"]
    assert orders["schedules"]["volume_curves"] == n
    assert orders["same_outcome"]["vwap_schedule"]["twap"] == n
    assert any(
        note.startswith(f"vwap_schedule: {n} of {n} orders lie within one bucket") for note in orders["notes"]
    )


def test_pov_follows_the_market_and_says_where_there_is_nothing_to_follow() -> None:
    events = days(1)
    arguments: dict[str, Any] = {"order_size": 1000, "horizon": "60s", "split": 0.0, "latency_ms": 0}
    result = vw.backtest(events, participation=0.02, **arguments)
    fills = result.comparison.outcomes["pov"][0].fills
    assert fills[:, FILL_SHARES].tolist()[:60] == [12] * 60
    assert result.to_dict()["strategies"]["pov"]["shares_bought_at_end"] == 1000 - 61 * 12  # type: ignore[index]
    silent = replace(events, action=np.full(len(events), ACTION_ADD, np.uint8))
    orders: Any = vw.backtest(silent, **arguments).to_dict()["parent_orders"]
    assert any(note.startswith("pov: the data print no trade") for note in orders["notes"])


def test_one_venue_and_one_level_leave_vwap_no_choice_and_that_is_said() -> None:
    orders: Any = vw.backtest(days(1), order_size=5000, horizon="60s").to_dict()["parent_orders"]
    assert "best_ask" in orders["same_as"]["vwap"]
    assert any(note.startswith("vwap: with one venue and one level") for note in orders["notes"])


def test_strategies_that_came_out_the_same_are_counted_order_by_order(day: Events) -> None:
    comparison = vw.backtest(day, latency_ms=0, **MANY).comparison
    counted: Any = vw.backtest(day, latency_ms=0, **MANY).to_dict()["parent_orders"]["same_outcome"]  # type: ignore[index]
    names = list(comparison.outcomes)
    for a in names:
        for b in names[: names.index(a)]:
            same = sum(
                (x.filled, x.open, x.cash) == (y.filled, y.open, y.cash)
                for x, y in zip(comparison.outcomes[a], comparison.outcomes[b], strict=True)
            )
            assert counted.get(a, {}).get(b, 0) == same
    assert 0 < counted["vwap"]["best_ask"] < len(comparison.quoted_on)


def test_the_router_on_twaps_schedule_is_compared_with_twap(day: Events) -> None:
    result = vw.backtest(day, **MANY)
    outcomes, orders = result.comparison.outcomes, result.to_dict()["parent_orders"]
    saved = [
        t.cost_bps - o.cost_bps for t, o in zip(outcomes["twap"], outcomes["optimized_twap"], strict=True)
    ]
    shown = orders["savings_on_one_schedule_bps"]["twap"]  # type: ignore[index]
    assert shown["mean"] == pytest.approx(np.mean(saved))
    assert shown["share_of_orders_won"] == np.mean(np.array(saved) > 0)


def test_savings_are_shown_without_latency_with_the_chosen_one_and_with_ten_times_it(
    day: Events, found: dict[str, Any]
) -> None:
    entries = found["savings_by_latency"]
    assert [entry["latency_ms"] for entry in entries] == [0.0, 0.5, 5.0]
    assert entries[1]["savings_bps"] == found["parent_orders"]["savings_bps"]
    grid = ",".join(f"{name}={value}" for name, value in found["best_parameters"].items())
    for entry in entries:
        alone = vw.backtest(day, latency_ms=entry["latency_ms"], **(MANY | {"grid": grid})).to_dict()
        assert alone["parent_orders"]["savings_bps"] == entry["savings_bps"]  # type: ignore[index]
    assert entries[0]["savings_bps"] != entries[1]["savings_bps"]


@pytest.mark.parametrize(("chosen", "shown"), [(0, [0, 0.5, 5]), (2.0, [0, 2, 20])])
def test_the_latencies_shown_follow_the_one_chosen(day: Events, chosen: float, shown: list[float]) -> None:
    entries: Any = vw.backtest(day, order_size=100, grid=CENTS, latency_ms=chosen).to_dict()[
        "savings_by_latency"
    ]
    assert [entry["latency_ms"] for entry in entries] == shown


def test_half_a_millisecond_is_the_default_and_frictions_are_taken_as_they_are(day: Events) -> None:
    def latency(**arguments: Any) -> float:
        settings: Any = vw.backtest(day, order_size=100, grid=CENTS, **arguments).to_dict()["settings"]
        return float(settings["frictions"]["latency_ms"])

    assert latency() == 0.5
    assert latency(latency_ms=0) == 0
    assert latency(frictions=vw.Frictions(slippage_bps=1.0)) == 0
    assert latency(frictions=vw.Frictions(slippage_bps=1.0), latency_ms=3.0) == 3.0


@pytest.mark.parametrize("participation", [0.0, -0.1, 1.1, float("nan")])
def test_a_participation_that_is_no_share_is_refused(day: Events, participation: float) -> None:
    with pytest.raises(ConfigError, match=r"participation: found .*; expected a number from 1e-06 to 1"):
        vw.backtest(day, participation=participation)
