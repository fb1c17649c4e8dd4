"""The main job from events and files to JSON and picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import venuewise as vw
from tests.command import call
from tests.markets import events_of
from venuewise.data.events import UNDEFINED_PRICE, Events
from venuewise.errors import ConfigError
from venuewise.report.summary import savings_bps, summarise
from venuewise.simulation.state import FILL_SHARES

CENTS = "lambda_under=0.002:0.026:5,lambda_over=0.02,theta_queue=0"
TOP = 10**12
FIGURES = {"total_cash", "avg_fill_px", "total_cost", "shares_filled", "total_fill"}


@pytest.fixture(scope="module")
def day() -> Events:
    return vw.generate(venues=4, duration="60s", seed=3)


@pytest.fixture(scope="module")
def result(day: Events) -> vw.BacktestResult:
    return vw.backtest(day, order_size=1500, start="every:1s", horizon="5s", grid=CENTS, slice_seconds=1.0)


def test_the_json_has_the_keys_that_users_of_earlier_systems_know(result: vw.BacktestResult) -> None:
    found = result.to_dict()
    assert set(found["best_parameters"]) == {"lambda_over", "lambda_under", "theta_queue"}  # type: ignore[call-overload]
    for figures in (found["optimized"], *found["baselines"].values()):  # type: ignore[attr-defined]
        assert set(figures) >= FIGURES
    assert set(found["baselines"]) == {"best_ask", "twap", "vwap"}  # type: ignore[call-overload]
    assert set(found["savings_vs_baselines_bps"]) == {"best_ask", "twap", "vwap"}  # type: ignore[call-overload]
    assert found["synthetic"] is True
    assert found["version"] == vw.__version__


def test_all_strategies_fill_the_same_shares_and_money_is_the_sum_of_fills(result: vw.BacktestResult) -> None:
    found = summarise(result.comparison)
    for name, runs in result.comparison.outcomes.items():
        assert len(runs) == len(result.comparison.quoted_on)
        assert all(run.filled + run.open == 1500 for run in runs)
        first = runs[0]
        assert int(first.fills[:, FILL_SHARES].sum()) == first.filled
        venues = found["per_venue"][name]  # type: ignore[index]
        assert sum(v["shares"] for v in venues) == first.filled
        spent = sum(v["avg_price_without_fees"] * v["shares"] + v["fees"] for v in venues)
        assert spent == pytest.approx(first.cash / 1e9, abs=1e-6)


def test_savings_follow_the_stated_formula(result: vw.BacktestResult) -> None:
    found = result.to_dict()
    ours = found["optimized"]["avg_fill_px"]  # type: ignore[index]
    for name, saved in found["savings_vs_baselines_bps"].items():  # type: ignore[attr-defined]
        theirs = found["baselines"][name]["avg_fill_px"]  # type: ignore[index]
        assert saved == pytest.approx(1e4 * (theirs - ours) / theirs, abs=1e-7)


def test_parameters_are_chosen_on_earlier_data_than_results_are_quoted_from(
    result: vw.BacktestResult,
) -> None:
    comparison = result.comparison
    assert max(order.end for order in comparison.tuned_on) < min(
        order.begin for order in comparison.quoted_on
    )
    assert result.to_dict()["evaluation"]["mode"] == "out_of_sample"  # type: ignore[index]


def test_the_choice_does_not_depend_on_the_later_part(day: Events) -> None:
    half = int(np.searchsorted(day.ts, (int(day.ts[0]) + int(day.ts[-1])) // 2))
    spoiled = Events(
        **{
            **{name: getattr(day, name) for name in day.__slots__},
            "ask_sz": np.where(np.arange(len(day))[:, None] > half, np.minimum(day.ask_sz, 1), day.ask_sz),
        }
    )
    arguments = {"order_size": 1500, "start": "every:1s", "horizon": "5s", "grid": CENTS}
    first, second = (vw.backtest(data, **arguments).comparison for data in (day, spoiled))  # type: ignore[arg-type]
    assert first.tuned == second.tuned
    assert first.outcomes["best_ask"][0].cash != second.outcomes["best_ask"][0].cash


def test_orders_in_whose_time_nothing_happens_are_left_out_and_counted() -> None:
    seconds = [*range(10), *range(40, 60)]
    book = [[(1001, 500 + s)] for s in seconds]
    events = events_of([s * 10**9 for s in seconds], [0] * 30, book, [[(999, 10)]] * 30)
    found = vw.backtest(events, order_size=10, start="every:5s", horizon="4s", split=0.0)
    evaluation = found.to_dict()["evaluation"]
    assert evaluation["quoted_on"]["parent_orders"] == 6  # type: ignore[index]
    assert evaluation["quoted_on"]["without_quotes"] == 6  # type: ignore[index]
    assert len(found.comparison.outcomes["twap"]) == len(found.comparison.quoted_on) == 6


def test_data_of_several_days_are_tuned_on_one_and_quoted_on_the_other() -> None:
    day = 86_400 * 10**9
    times = [d * day + s * 10**9 for d in range(2) for s in range(120)]
    book = [[(1001 + i % 3, 500 + i)] for i in range(240)]
    events = events_of(times, [0] * 240, book, [[(999, 10)]] * 240)
    first = int(events.ts[0])
    for start in ("first", "every:10s"):
        comparison = vw.backtest(events, order_size=10, start=start).comparison
        assert all(first <= o.begin < o.end <= first + 119 * 10**9 for o in comparison.tuned_on)
        assert all(first + day <= o.begin < o.end <= first + day + 119 * 10**9 for o in comparison.quoted_on)


def test_savings_count_the_shares_that_a_strategy_leaves_open() -> None:
    # The router waits, the dear shares are gone: it fills less, cheaply, and must not win by that.
    ask = [[(1001, 50), (1002, 50)], [(1000, 10)], []]
    events = events_of([0, 10**9, 2 * 10**9], [0] * 3, ask, [[(999, 10)], [(999, 10)], []])
    grid = "lambda_under=0.005,lambda_over=0.5,theta_queue=0.004"
    found = vw.backtest(events, order_size=60, grid=grid, split=0.0).to_dict()
    assert found["optimized"]["shares_open"] > found["baselines"]["best_ask"]["shares_open"]  # type: ignore[index]
    assert found["optimized"]["avg_fill_px"] < found["baselines"]["best_ask"]["avg_fill_px"]  # type: ignore[index]
    assert found["savings_vs_baselines_bps"]["best_ask"] < 0  # type: ignore[index]
    assert found["optimized"]["total_cost"] > found["baselines"]["best_ask"]["total_cost"]  # type: ignore[index]
    for sign, side, data in ((1, "buy", events), (-1, "sell", mirrored(events))):
        ours: Any = vw.backtest(data, order_size=60, side=side, grid=grid, split=0.0).to_dict()["optimized"]  # type: ignore[arg-type]
        value = ours["total_cash"] + ours["shares_open"] * ours["open_shares_valued_at"]
        assert ours["total_cost"] == pytest.approx(sign * value + 0.009 * ours["shares_open"], abs=1e-6)
    orders = found["parent_orders"]
    assert orders["all_fill_the_same"] is False  # type: ignore[index]
    assert orders["savings_bps"]["best_ask"]["mean"] < 0  # type: ignore[index]


def test_too_few_orders_that_do_not_overlap_get_no_interval_and_are_told_why(day: Events) -> None:
    for horizon, n, overlap, degrees in (("3s", 27, 3, 2), ("4s", 26, 4, None)):
        found: Any = vw.backtest(day, order_size=100, start="every:1s", horizon=horizon).to_dict()
        orders = found["parent_orders"]
        assert (orders["n"], orders["intervals"]["overlap"]) == (n, overlap)
        assert orders["intervals"]["degrees_of_freedom"] == degrees
        assert (orders["savings_bps"]["twap"]["interval_95"] is None) == (degrees is None)
        assert orders["savings_bps"]["twap"]["mean"] is not None
    assert orders["intervals"]["why_none"] == (
        "orders: found 26, of which 4 run at once; expected at least 32, for 8 that do not overlap"
    )


def test_one_stub_quote_refuses_no_backtest() -> None:
    seconds = range(40)
    ask = [[(1001 + s % 2, 500), *([(19_999_999, 100)] if s == 7 else [])] for s in seconds]
    events = events_of([s * 10**9 for s in seconds], [0] * 40, ask, [[(999, 10)]] * 40)
    found: Any = vw.backtest(events, order_size=20_000, start="every:2s", horizon="4s").to_dict()
    assert found["optimized"]["shares_open"] > 0
    assert found["optimized"]["open_shares_valued_at"] < 11


def test_a_tie_is_no_order_won() -> None:
    seconds = range(20)
    events = events_of([s * 10**9 for s in seconds], [0] * 20, [[(1001, 500)]] * 20, [[(999, 10)]] * 20)
    found: Any = vw.backtest(events, order_size=10, start="every:2s", horizon="2s").to_dict()
    assert found["parent_orders"]["savings_bps"]["best_ask"]["share_of_orders_won"] == 0.0


def test_tuning_prefers_to_fill_the_order_over_spending_less() -> None:
    ask = [[(1001, 50)], [(1000, 10)], []]
    events = events_of([0, 10**9, 2 * 10**9], [0] * 3, ask, [[(999, 10)], [(999, 10)], []])
    grid = "lambda_under=0.009:1:2,lambda_over=0,theta_queue=0"  # the first waits, and 50 shares stay open
    for side, data in (("buy", events), ("sell", mirrored(events))):
        found = vw.backtest(data, order_size=60, side=side, grid=grid, split=0.0).to_dict()  # type: ignore[arg-type]
        assert found["best_parameters"]["lambda_under"] == 1.0  # type: ignore[index]
        assert found["identification"]["tied"] == 1  # type: ignore[index]
        assert found["optimized"]["shares_open"] == 0  # type: ignore[index]


def test_same_seed_same_bytes_whatever_the_number_of_workers(day: Events, tmp_path: Path) -> None:
    texts, pictures = set(), set()
    frictions = vw.Frictions(latency_ms=1.0, adverse_probability=0.3)
    for workers in (1, 4):
        result = vw.backtest(
            day, order_size=700, start="every:5s", grid=CENTS, frictions=frictions, seed=9, workers=workers
        )
        texts.add(result.to_json())
        pictures.add(result.plot(tmp_path / f"{workers}.png").read_bytes())
    assert len(texts) == len(pictures) == 1


def mirrored(day: Events) -> Events:
    """Swap the sides of a market about 500 dollars: selling in it is what buying was."""
    return Events(
        **{
            **{name: getattr(day, name) for name in day.__slots__},
            "bid_px": np.where(day.ask_sz > 0, TOP - day.ask_px, day.ask_px),
            "ask_px": np.where(day.bid_sz > 0, TOP - day.bid_px, day.bid_px),
            "bid_sz": day.ask_sz,
            "ask_sz": day.bid_sz,
        }
    )


def test_sell_is_the_mirror_image_of_buy(day: Events) -> None:
    flipped = mirrored(day)
    arguments = {"order_size": 900, "grid": CENTS, "split": 0.0, "slice_seconds": 5.0}
    buy = vw.backtest(day, side="buy", **arguments).comparison  # type: ignore[arg-type]
    sell = vw.backtest(flipped, side="sell", **arguments).comparison  # type: ignore[arg-type]
    assert buy.tuned == sell.tuned
    for name, runs in buy.outcomes.items():
        mirror = sell.outcomes[name][0]
        assert runs[0].filled == mirror.filled
        assert runs[0].fees == mirror.fees
        assert runs[0].notional == TOP * mirror.filled - mirror.notional
        assert runs[0].shortfall == pytest.approx(mirror.shortfall, abs=1e3)
        saved = savings_bps(buy.outcomes["optimized"][0], runs[0]) * runs[0].cash_of_all
        mirror_saved = savings_bps(sell.outcomes["optimized"][0], mirror) * mirror.cash_of_all
        assert saved == pytest.approx(mirror_saved, abs=1e-6 * abs(runs[0].cash_of_all))
    assert savings_bps(sell.outcomes["optimized"][0], sell.outcomes["vwap"][0]) != 0


class Patient:
    """The example of the docs."""

    name = "patient"

    def decide(self, quotes: vw.Quotes, order: vw.ParentOrder, now: int) -> list[vw.ChildOrder]:
        venue = quotes.best
        if venue is None or quotes.spread is None or quotes.spread > 0.011:
            return []
        shares = min(order.open, int(quotes.size[venue, 0]))
        return [vw.ChildOrder(venue, shares, int(quotes.price[venue, 0]))]


def test_a_strategy_of_the_users_own_is_compared_beside_the_others(day: Events) -> None:
    found = vw.backtest(day, order_size=500, grid=CENTS, strategies=[Patient()]).to_dict()
    assert found["strategies"]["patient"]["shares_filled"] == 500  # type: ignore[index]
    assert "patient" in found["parent_orders"]["savings_bps"]  # type: ignore[index]


def test_two_strategies_of_one_name_are_refused(day: Events) -> None:
    with pytest.raises(ConfigError, match="unique names"):
        vw.backtest(day, strategies=[Patient(), Patient()])


def test_levels_walk_one_book_and_say_so() -> None:
    book = [[(1001, 30), (1002, 40), (1003, 50)]] * 2
    events = events_of([0, 10**9], [0, 0], book, [[(999, 10)]] * 2)
    found = vw.backtest(events, order_size=100, venues="levels", split=0.0).to_dict()
    levels = found["per_venue"]["optimized"]  # type: ignore[index]
    assert [(level["level"], level["shares"]) for level in levels] == [(0, 30), (1, 40), (2, 30)]
    assert found["settings"]["venues"] == "levels"  # type: ignore[index]


def test_one_venue_is_widened_on_request_and_every_result_says_so(real_data: Path, tmp_path: Path) -> None:
    file = real_data / "aapl_xnas_20241021_mbp10.csv"
    result = vw.backtest(file, order_size=500, venues="synthetic:4", seed=5)
    found = result.to_dict()
    assert found["synthetic"] is True
    assert len(found["data"]["venues"]) == 4  # type: ignore[index]
    assert "widened to 4 synthetic venues" in found["data"]["notes"][-1]  # type: ignore[index]
    assert result.to_json() == vw.backtest(file, order_size=500, venues="synthetic:4", seed=5).to_json()
    own = vw.backtest(file, order_size=500, venues="asis").to_dict()
    assert own["synthetic"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order_size": 0}, "order_size"),
        ({"side": "hold"}, "side"),
        ({"venues": "synthetic:1"}, "venues"),
        ({"venues": "some"}, "venues"),
        ({"venues": "levels"}, "levels"),
        ({"symbol": "MSFT"}, "symbol"),
        ({"split": 1.0}, "split"),
        ({"depth": 0}, "depth"),
        ({"horizon": "10h"}, "horizon"),
        ({"start": "now"}, "start"),
        ({"grid": "lambda=2"}, "grid"),
        ({"window": "13:00-14:00"}, "window"),
        ({"workers": -1}, "workers"),
        ({"max_age_ms": -1.0}, "max_age_ms"),
        ({"max_age_ms": 1e18}, "max_age_ms"),
        ({"max_age_ms": float("nan")}, "max_age_ms"),
        ({"seed": -1}, "seed"),
        ({"order_size": 2**70}, "order_size: found .*; expected a number from 1 to 1000000000"),
        ({"order_size": 10**15}, "expected a number from 1 to 1000000000"),
        ({"slice_seconds": 0.0}, "slice_seconds"),
        ({"slice_seconds": float("inf")}, "slice_seconds"),
        ({"grid": ""}, "grid"),
        ({"grid": "lambda_under=0.1,"}, "grid"),
        ({"grid": "lambda_under=nan"}, "grid lambda_under"),
        ({"split": float("nan")}, "split"),
        ({"start": "every:0s"}, "start: found"),
        ({"start": "every:1ns"}, "start: found .* orders"),
        ({"horizon": "-1s"}, "horizon: found"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(
    day: Events, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        vw.backtest(day, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_several_symbols_need_a_choice() -> None:
    events = vw.generate(venues=2, symbols=["AAPL", "MSFT"], duration="5s", seed=1)
    with pytest.raises(ConfigError, match="AAPL, MSFT"):
        vw.backtest(events, order_size=100)
    assert vw.backtest(events, order_size=100, symbol="MSFT").to_dict()["order"]["symbol"] == "MSFT"  # type: ignore[index]


def test_names_that_fonts_and_formulas_trip_over_are_drawn_as_they_are(tmp_path: Path) -> None:
    events = vw.generate(venues=2, duration="5s", seed=1)
    odd = Events(**{**{name: getattr(events, name) for name in events.__slots__}, "symbols": ("$x^$\x80株",)})
    assert vw.backtest(odd, order_size=10).plot(tmp_path / "x.png").stat().st_size > 10_000


def test_backtest_command_prints_the_json_it_saves(tmp_path: Path) -> None:
    done = call("generate", "day.csv", "--duration", "20s", "--venues", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = call("backtest", "day.csv", "--order-size", "400", "--out", "results", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed == json.loads((tmp_path / "results" / "output.json").read_text())
    assert printed["optimized"]["shares_filled"] == 400
    assert printed["identification"]["tried"] == 125
    assert (tmp_path / "results" / "results.png").read_bytes().startswith(b"\x89PNG")
    in_memory = vw.backtest(tmp_path / "day.csv", order_size=400).to_dict()
    assert in_memory["optimized"] == printed["optimized"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["backtest", "nothing.csv"],
        ["backtest"],
        ["backtest", "nothing.csv", "--order-size", "many"],
        ["backtest", "nothing.csv", "--fill", "some"],
        ["backtest", "nothing.csv", "--colour", "red"],
        ["demo", "--order-size", "0"],
        ["demo", "--side", "hold"],
        ["demo", "--seed", "-1"],
        ["generate", "x.csv", "--duration", "soon"],
        ["venues", "--fees", "nothing.toml"],
        ["frobnicate"],
    ],
)
def test_bad_usage_ends_with_one_line_and_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_result_that_cannot_be_printed_ends_with_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = call("venues", cwd=tmp_path, stdout=full)
    assert done.returncode == 2
    expected = "standard output: found No space left on device; expected one that can be written"
    assert done.stderr == f"venuewise: {expected}\n"


def two_days(folder: Path) -> list[Path]:
    """Write a day and the next, on which prices are 4 dollars higher and all venues but one silent at first."""
    events = vw.generate(venues=3, duration="60s", seed=21, price=222.0)
    moved: dict[str, Any] = {ts: getattr(events, ts) + 86_400 * 10**9 for ts in ("ts_event", "ts_recv")}
    for name in ("bid_px", "ask_px", "price"):
        px = getattr(events, name)
        moved[name] = np.where(px == UNDEFINED_PRICE, px, px + 4 * 10**9)
    late = (events.venue != events.venue[0]) & (events.ts < events.ts[0] + 30 * 10**9)
    files = [folder / "first.csv", folder / "second.csv"]
    events.to_csv(files[0])
    replace(events, **moved).take(np.flatnonzero(~late)).to_csv(files[1])
    return files


def test_the_second_of_two_days_is_what_it_is_alone(tmp_path: Path) -> None:
    files = two_days(tmp_path)
    options: dict[str, Any] = {"order_size": 400, "horizon": "10s", "grid": "lambda_under=0.3", "workers": 1}
    both = vw.backtest(files, start="every:10s", split=0.5, **options).to_dict()
    alone = vw.backtest(files[1], start="every:10s", split=0.0, **options).to_dict()
    assert both["evaluation"]["quoted_on"] == alone["evaluation"]["quoted_on"]  # type: ignore[index]
    for part in ("optimized", "baselines", "order", "savings_vs_baselines_bps"):
        assert both[part] == alone[part]
    assert both["parent_orders"]["savings_bps"] == alone["parent_orders"]["savings_bps"]  # type: ignore[index]


def test_the_smallest_file_is_measured_against_the_price_to_take_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "asks.csv"
    times = [f"2024-08-01T13:36:{i:02d}Z" for i in range(40)]
    path.write_text(
        "publisher_id,ask_px_00,ask_sz_00,ts_event\n"
        + "".join(f"2,222.{83 + i % 3},{36 + i},{time}\n" for i, time in enumerate(times))
    )
    found = vw.backtest(path, order_size=100, workers=1, grid="lambda_under=0.3").to_dict()
    note = "No row shows a bid, so there is no mid: costs are measured against the best ask."
    assert found["data"]["notes"][-1] == note  # type: ignore[index]
    assert found["optimized"]["shares_filled"] == 100  # type: ignore[index]
    assert found["order"]["arrival_price"] in (222.83, 222.84, 222.85)  # type: ignore[index]
