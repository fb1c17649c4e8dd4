"""Summaries say what the JSON says: in plain words, on any width, with nothing in the data obeyed as a command."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import RenderableType

import venuewise as vw
from venuewise.allocation.request import decide, decode_request
from venuewise.cli.backtest_summary import backtest_summary, verdict
from venuewise.cli.decision_summaries import allocation_summary, placement_summary
from venuewise.cli.market_summaries import generated_summary, inspection_summary, venues_summary
from venuewise.cli.terminal import between, bps, dollars, drawn, number, percent, price, said, table
from venuewise.outflow.placement_request import decide_placement, decode_placement

HOSTILE = "[bold red]X[/] :smile:\x1b[31m\r\nY\u202e\udcff"
HARMLESS = r"[bold red]X[/] :smile:\x1b[31m\r\nY\u202e\udcff"
"""The same as a terminal may show it."""


def plain(summary: RenderableType, monkeypatch: pytest.MonkeyPatch, width: int = 200) -> str:
    """Return a summary as a terminal without colour shows it."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    return drawn(summary).decode()


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    """Return what a small backtest of generated data writes into output.json."""
    found = vw.backtest(
        vw.generate(venues=3, duration="2m", seed=7),
        order_size=1000, start="every:2s", horizon="4s", grid="lambda_under=0.01",
    )  # fmt: skip
    return json.loads(found.to_json())  # type: ignore[no-any-return]


def with_savings(result: dict[str, Any], mean: float, interval: list[float] | None) -> dict[str, Any]:
    changed = copy.deepcopy(result)
    changed["parent_orders"]["n"] = 1254
    changed["parent_orders"]["savings_bps"]["best_ask"] |= {"mean": mean, "interval_95": interval}
    changed["parent_orders"]["intervals"]["why_none"] = "orders: found 3, of which 2 run at once"
    return changed


@pytest.mark.parametrize(
    ("mean", "interval", "sentence"),
    [
        (0.346, [0.222, 0.458], "Saved +0.35 bps against best ask, 95 % +0.22 to +0.46, 1,254 orders, out of sample"),
        (-1234.5, [-2000.0, -0.004], "Lost -1,234.50 bps against best ask, 95 % -2,000.00 to 0.00, 1,254 orders"),
        (0.21, [-0.03, 0.41],
         "No difference from best ask that 1,254 orders can show: +0.21 bps, 95 % -0.03 to +0.41, out of sample"),
        (0.0, [0.0, 0.0], "No difference from best ask that 1,254 orders can show: 0.00 bps, 95 % 0.00 to 0.00"),
        (0.21, None,
         "No verdict against best ask: +0.21 bps, without an interval (orders: found 3, of which 2 run at once);"),
    ],
)  # fmt: skip
def test_the_verdict_says_what_the_interval_shows(
    result: dict[str, Any], mean: float, interval: list[float] | None, sentence: str
) -> None:
    found = verdict(with_savings(result, mean, interval)).plain
    assert found.startswith(sentence)
    assert found.endswith("out of sample, latency 0.5 ms, synthetic data")


def test_the_verdict_says_in_sample_latency_and_real_data(result: dict[str, Any]) -> None:
    changed = copy.deepcopy(result)
    changed["evaluation"]["mode"], changed["synthetic"] = "in_sample", False
    changed["settings"]["frictions"]["latency_ms"] = 0.5
    assert verdict(changed).plain.endswith("in sample, latency 0.5 ms, real data")


def test_a_seller_is_compared_with_the_best_bid(monkeypatch: pytest.MonkeyPatch) -> None:
    found = vw.backtest(
        vw.generate(venues=2, duration="1m", seed=7),
        order_size=100, side="sell", start="every:2s", horizon="2s", grid="lambda_under=0.01",
    ).to_dict()  # fmt: skip
    text = plain(backtest_summary(json.loads(json.dumps(found))), monkeypatch)
    assert "AAPL: sell 100 shares" in text
    assert "best bid" in text
    assert "best ask" not in text


def test_every_strategy_has_its_row_of_figures(
    result: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = result["parent_orders"]
    text = plain(backtest_summary(result, [Path("out/output.json")]), monkeypatch)
    for key, name in (("best_ask", "best ask"), ("vwap", "VWAP, one shot"), ("pov", "POV")):
        cost, saved = orders["cost_vs_arrival_bps"][key], orders["savings_bps"][key]
        row = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        figures = [
            bps(cost["mean"]),
            between(cost["interval_95"]),
            bps(saved["mean"]),
            between(saved["interval_95"]),
        ]
        assert " ".join(row.split()) == " ".join(
            [name, *figures, percent(saved["share_of_orders_won"]), "100 %"]
        )
    assert "Note: generated with seed 7: not real quotes" in text
    assert "Files: out/output.json" in text


def test_savings_by_latency_stand_in_a_table_of_their_own(
    result: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = copy.deepcopy(result)
    changed["settings"]["frictions"]["latency_ms"] = 0.5
    changed["savings_by_latency"] = [
        {
            "latency_ms": latency,
            "savings_bps": {"best_ask": {"mean": mean, "interval_95": interval}},
            "savings_on_one_schedule_bps": {"twap": {"mean": 0.5, "interval_95": [0.4, 0.6]}},
        }
        for latency, mean, interval in ((0.0, 0.35, [0.2, 0.5]), (0.5, 0.2, [0.1, 0.3]), (5.0, -0.1, None))
    ]
    rows = [" ".join(line.split()) for line in plain(backtest_summary(changed), monkeypatch).splitlines()]
    assert "0 ms +0.35 +0.20 to +0.50 +0.50 +0.40 to +0.60" in rows
    assert "0.5 ms (chosen) +0.20 +0.10 to +0.30 +0.50 +0.40 to +0.60" in rows
    assert "5 ms -0.10 none +0.50 +0.40 to +0.60" in rows


def test_routing_alone_is_said_beside_the_verdict(
    result: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = copy.deepcopy(result)
    saved = {"mean": 0.1149, "interval_95": [0.06, 0.16], "share_of_orders_won": 0.907}
    changed["parent_orders"]["savings_on_one_schedule_bps"] = {"twap": saved}
    sentence = "Routing alone, on TWAP's slices: +0.11 bps, 95 % +0.06 to +0.16, 90.7 % of orders won"
    assert sentence in plain(backtest_summary(changed), monkeypatch)
    saved["interval_95"] = None
    assert "slices: +0.11 bps, no interval, 90.7 %" in plain(backtest_summary(changed), monkeypatch)


def test_what_is_left_open_or_left_out_is_said(
    result: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = copy.deepcopy(result)
    orders = changed["parent_orders"]
    orders["all_fill_the_same"] = False
    orders["cost_vs_arrival_bps"]["twap"]["shares_open"] = 1
    changed["evaluation"]["quoted_on"]["without_quotes"] = 1
    text = plain(backtest_summary(changed), monkeypatch)
    assert next(line for line in text.splitlines() if line.startswith("TWAP")).endswith(">99.9 %")
    assert "Not all filled the same" in text
    assert "1 order left out: no usable quote, or no mid." in text


def test_nothing_in_a_result_is_obeyed(result: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    changed = copy.deepcopy(result)
    changed["order"]["symbol"] = HOSTILE
    changed["data"]["files"] = [HOSTILE] * 30
    changed["data"]["notes"], changed["parent_orders"]["notes"] = [HOSTILE], [HOSTILE]
    for part in ("cost_vs_arrival_bps", "savings_bps"):
        changed["parent_orders"][part][HOSTILE] = changed["parent_orders"][part]["twap"]
    text = plain(backtest_summary(changed, [Path(HOSTILE)]), monkeypatch, width=400)
    assert text.count(HARMLESS) == 1 + 4 + 1 + 1 + 1 + 1
    assert all(c.isprintable() for c in text.replace("\n", ""))


BOOK: dict[str, Any] = {
    "symbol": "AAPL", "order_size": 5000, "mid": 222.105,
    "lambda_over": 0.4, "lambda_under": 0.6, "theta_queue": 0.3,
    "venues": [
        {"venue": "XNAS", "ask": 222.11, "ask_size": 2000, "fee": 0.003, "rebate": 0.002},
        {"venue": "BATY", "asks": [[222.11, 700], [222.12, 4000]], "fee": -0.0005, "rebate": -0.001},
    ],
}  # fmt: skip
OUTFLOWS: dict[str, Any] = {
    "order_size": 1000, "lambda_under": 0.05, "lambda_over": 0.05, "theta": 0.0005,
    "half_spread": 0.02, "taker_fee": 0.003,
    "venues": [
        {"venue": "XNAS", "queue": 2000, "rebate": 0.002, "outflow": {"family": "poisson", "mean": 2200}},
        {"venue": "BATS", "queue": 1800, "rebate": 0.002, "outflow": {"family": "poisson", "mean": 2200}},
    ],
}  # fmt: skip


def allocated(request: dict[str, Any]) -> dict[str, Any]:
    return json.loads(vw_json(decide(decode_request(json.dumps(request).encode()))))  # type: ignore[no-any-return]


def placed(request: dict[str, Any]) -> dict[str, Any]:
    return json.loads(vw_json(decide_placement(decode_placement(json.dumps(request).encode()))))  # type: ignore[no-any-return]


def vw_json(decision: dict[str, Any]) -> bytes:
    """Return a decision as the commands print it: what is no number is null."""
    import msgspec

    return msgspec.json.encode(decision)


def test_an_allocation_says_where_shares_go_and_what_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    text = plain(allocation_summary(allocated(BOOK)), monkeypatch)
    assert text.startswith("Buy 5,000 shares of AAPL: 5,000 fill at once (100 % of the order)\n")
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "XNAS 222.11 2,000 0.003 2,000 0" in rows
    assert "BATY 222.11 4,700 -0.0005 3,000 0" in rows
    assert "Cash paid: $1,110,577.50" in text
    assert "exact_fill: proven to be the cheapest" in text
    greedy = plain(
        allocation_summary(allocated({**BOOK, "method": "greedy", "order_size": 9000})), monkeypatch
    )
    assert "6,700 fill at once (74.4 % of the order), 2,300 stay open" in greedy
    assert "nothing is proven about it" in greedy


def test_a_sell_names_bids_and_cash_received(monkeypatch: pytest.MonkeyPatch) -> None:
    venues = [{"venue": "XNAS", "bid": 222.1, "bid_size": 9000, "fee": 0.003, "rebate": 0.002}]
    text = plain(allocation_summary(allocated({**BOOK, "side": "sell", "venues": venues})), monkeypatch)
    assert text.startswith("Sell 5,000 shares of AAPL")
    assert "venue     bid  shown" in text
    assert "Cash received: $1,110,485.00" in text


def test_of_many_venues_those_without_shares_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    venues = [
        {"venue": f"{HOSTILE[:-1]} {i}", "ask": 100.0 + 0.01 * i, "ask_size": 400, "fee": 0.0, "rebate": 0}
        for i in range(30)
    ]  # fmt: skip
    request = {**BOOK, "venues": venues, "order_size": 1000}
    for width in (60, 80, 200):
        text = plain(allocation_summary(allocated(request)), monkeypatch, width)
        assert "27 more venues without shares" in text
        assert all(cell_len(line) <= width for line in text.splitlines())
    assert text.count(HARMLESS[:-6]) == 3


def test_a_placement_says_what_rests_and_what_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    decision = placed(OUTFLOWS)
    text = plain(placement_summary(decision), monkeypatch)
    assert text.startswith(f"Buy 1,000 shares: {number(decision['market'], 1)} at the market now, ")
    assert "to rest at 2 venues" in text
    assert "proven on 1,000 samples: none costs less than -$" in text
    decision["certificate"] |= {"within_gap": False, "gap": 0.0123, "lower_bound": -1.5}
    text = plain(placement_summary(decision), monkeypatch)
    assert "not proven best on 1,000 samples: another may cost -$1.500 (gap 1.23 %)" in text
    decision["certificate"] |= {"gap": None}
    assert "another may cost -$1.500\n" in plain(placement_summary(decision), monkeypatch) + "\n"
    decision["certificate"] |= {"lower_bound": None}
    assert "nothing is proven about it" in plain(placement_summary(decision), monkeypatch)


def test_a_placement_says_what_its_outflow_was_estimated_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = tmp_path / "day[red].csv"
    vw.generate(venues=2, duration="1m", seed=7).to_csv(day)
    penalties = {"lambda_under": 0.05, "lambda_over": 0.05}
    request = {"order_size": 500, **penalties, "outflow": {"file": str(day), "horizon": "10s"}}
    text = plain(placement_summary(placed(request)), monkeypatch)
    assert "windows of 10 s, synthetic data: " in text
    assert "day[red].csv" in text


def test_an_inspection_says_how_clean_the_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = tmp_path / "day.csv"
    vw.generate(venues=3, duration="10s", seed=7).to_csv(day)
    found = json.loads(vw_json(vw.inspect(day).to_dict()))
    found["venue_names"] = ["NASDAQ", "BZX", HOSTILE]
    text = plain(inspection_summary(found), monkeypatch, width=400)
    assert f"{found['rows']:,} rows of synthetic data, 2024-10-21 14:00:00 to 2024-10-21 14:00:09 UTC" in text
    assert "Rows are in order, and none is repeated" in text
    assert text.count(HARMLESS) == 1
    found |= {"out_of_order": 1, "duplicates": 2000, "synthetic": False, "notes": [HOSTILE]}
    for each in ("consolidated", "sessions"):
        found[each] = {f"S{i}": found[each]["AAPL"] for i in range(1000)}
    text = plain(inspection_summary(found), monkeypatch)
    assert "1 row out of order, 2,000 repeated" in text
    assert "rows of real data" in text
    assert "and 970 more" in text
    assert "Note: [bold red]X[/]" in text


def test_generated_files_and_venues_have_summaries(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"file": "[red]day.csv", "rows": 23869, "venues": [2, 5], "symbols": list("ABCDEF"), "seed": 7}
    line = "Wrote [red]day.csv: 23,869 rows of synthetic data, 2 venues, A, B, C, D and 2 more, seed 7"
    assert plain(generated_summary(made), monkeypatch) == line
    fees = {"taker_fee": 0.003, "maker_rebate": -0.0002}
    venue = {"name": "NASDAQ", "mic": "XNAS", "publisher_ids": [2, 81], **fees, "source": "a page"}
    text = plain(venues_summary({"venues": [venue]}), monkeypatch)
    assert "NASDAQ  XNAS  2, 81              0.003       -0.0002" in text


@pytest.mark.parametrize("width", [1, 60, 80, 300])
def test_a_summary_fits_its_terminal_and_keeps_its_digits(
    result: dict[str, Any], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = with_savings(result, -12345.678, [-23456.78, 34567.89])
    for part in ("cost_vs_arrival_bps", "savings_bps"):
        for i in range(30):
            name = f"a_strategy_of_my_own_with_a_long_name_{i}"
            changed["parent_orders"][part][name] = changed["parent_orders"][part]["best_ask"]
    text = plain(backtest_summary(changed), monkeypatch, width)
    assert all(cell_len(line) <= max(width, 60) for line in text.splitlines())
    assert "…" not in text
    assert "-12,345.68" in text
    assert "and 7 more" in text


def test_what_an_encoding_cannot_say_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert drawn(said("Société")) == b"Soci\\xe9t\\xe9"
    assert drawn(table(["a"], [["é"]])).isascii()


def test_figures_are_signed_rounded_and_separated() -> None:
    assert [bps(x) for x in (0.0, -0.001, 0.005001, 1234.5)] == ["0.00", "0.00", "+0.01", "+1,234.50"]
    assert [dollars(x) for x in (-1234.5, -0.001, 2)] == ["-$1,234.50", "$0.00", "$2.00"]
    assert [number(x) for x in (5000, 0.5, -0.0001, 100)] == ["5,000", "0.5", "0", "100"]
    assert [price(x) for x in (222.1, 0.0001, None)] == ["222.10", "0.0001", "none"]
    assert [percent(x) for x in (0, 1e-6, 0.685, 0.99999, 1)] == [
        "0 %",
        "<0.1 %",
        "68.5 %",
        ">99.9 %",
        "100 %",
    ]
