"""The allocate command: a book as JSON in, a decision as JSON out."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import venuewise as vw
from venuewise.cli import main

REQUEST: dict[str, Any] = {
    "symbol": "AAPL",
    "order_size": 5000,
    "mid": 222.105,
    "lambda_over": 0.4,
    "lambda_under": 0.6,
    "theta_queue": 0.3,
    "venues": [
        {"venue": "XNAS", "ask": 222.11, "ask_size": 2000, "fee": 0.003, "rebate": 0.002},
        {"venue": 6, "asks": [[222.11, 700], [222.12, 4000]], "fee": -0.0005, "rebate": -0.001},
    ],
}


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["venuewise", "allocate", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    printed = capsys.readouterr()
    return int(left.value.code or 0), printed.out, printed.err


def feed(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


def test_file_and_stdin_give_the_same_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "book.json"
    book.write_text(json.dumps(REQUEST))
    status, from_file, notes = run(monkeypatch, capsys, str(book))
    assert (status, notes) == (0, "")
    for arguments in ((), ("-",)):
        feed(monkeypatch, book.read_bytes())
        assert run(monkeypatch, capsys, *arguments) == (0, from_file, "")


def test_decision_has_the_keys_and_the_figures_of_the_allocation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    feed(monkeypatch, json.dumps(REQUEST).encode())
    decision = json.loads(run(monkeypatch, capsys)[1])
    a = vw.allocate(
        5000, ask=[[222.11, 1000.0], [222.11, 222.12]], ask_size=[[2000, 0], [700, 4000]],
        fee=[0.003, -0.0005], rebate=[0.002, -0.001],
        lambda_over=0.4, lambda_under=0.6, theta_queue=0.3, mid=222.105,
    )  # fmt: skip
    assert decision["allocation"] == a.shares.tolist() == [2000, 3000]
    assert decision["total_cost"] == a.cost
    assert decision["algorithm"] == "exact"
    assert decision["execution_summary"] == {
        "total_executed": 5000, "underfill": 0, "overfill": 0, "cash_spent": a.cash, "fill_rate": 1.0,
    }  # fmt: skip
    assert [venue["venue_id"] for venue in decision["venues"]] == ["XNAS", 6]
    assert decision["venues"][1]["taken"] == [700, 2300]
    for venue in decision["venues"]:
        assert {"venue_id", "ask", "ask_size", "fee", "rebate", "allocation"} <= venue.keys()


def test_sell_takes_bids_and_its_cash_comes_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    venue = {"venue": "XNAS", "bid": 10.0, "bid_size": 60, "fee": 0.0, "rebate": 0.0}
    request = {**REQUEST, "side": "sell", "order_size": 100, "mid": 10.0, "venues": [venue]}
    feed(monkeypatch, json.dumps(request).encode())
    decision = json.loads(run(monkeypatch, capsys)[1])
    assert decision["execution_summary"]["cash_spent"] == -600.0
    assert decision["execution_summary"]["fill_rate"] == 0.6
    assert decision["venues"][0]["bid"] == 10.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order_size": "many"}, "book: $.order_size: found str; expected int"),
        ({"order_size": None}, "book: $.order_size: found null; expected int"),
        ({"venues": []}, "book: $.venues: found none; expected at least one venue"),
        (
            {"venues": [{"venue": "A", "ask": 1.0, "ask_size": "x"}]},
            "book: $.venues[0].ask_size: found str; expected int | null",
        ),
        (
            {"venues": [{"venue": "A", "ask": 1.0}]},
            "book: $.venues[0]: found ask; expected either ask and ask_size, or asks (a buy takes asks)",
        ),
        (
            {"venues": [{"venue": "A", "ask": 1.0, "ask_size": 5, "fee": 0.0}]},
            "$.venues[0].venue: found 'A'; expected a known name",
        ),
        ({"colour": "red"}, "book: found a field colour; expected none of that name"),
        ({"side": "short"}, "book: $.side: found 'short'; expected buy or sell"),
        ({"order_size": -5}, "order_size: found shares out of range"),
        ({"method": "brute_force", "step": 0}, "step: found"),
        ({"method": "brute_force", "step": 10**30}, "step: found"),
        ({"mid": 1e308}, "the cost is no number"),
        (
            {"venues": [{"venue": -5, "ask": 1.0, "ask_size": 5}]},
            "$.venues[0].venue: found publisher id -5; expected 0 to 65535",
        ),
        ({"venues": [{"venue": 70_000, "ask": 1.0, "ask_size": 5}]}, "found publisher id 70000"),
    ],
)
def test_wrong_requests_are_refused_in_one_line_with_the_path(
    change: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    feed(monkeypatch, json.dumps({**REQUEST, **change}).encode())
    status, out, err = run(monkeypatch, capsys)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[]", b"NaN"])
def test_what_is_no_request_is_refused(
    text: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    feed(monkeypatch, text)
    status, out, err = run(monkeypatch, capsys)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("venuewise: book: ")
    assert "jSON" not in err


def test_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, capsys, "nowhere.json") == (
        2, "", "venuewise: nowhere.json: found no such file; expected a JSON file\n",
    )  # fmt: skip


def test_fees_that_a_book_leaves_out_come_from_the_venue_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = vw.load_venues()
    venues = [
        {"venue": "BYX", "ask": 222.11, "ask_size": 2000},
        {"venue": 2, "ask": 222.11, "ask_size": 2000, "fee": 0.001},
    ]
    feed(monkeypatch, json.dumps({**REQUEST, "venues": venues}).encode())
    shown = json.loads(run(monkeypatch, capsys)[1])["venues"]
    byx, nasdaq = table.by_name("BYX"), table.resolve([2])[0]
    assert (shown[0]["fee"], shown[0]["rebate"]) == (byx.taker_fee_dollars, byx.maker_rebate_dollars)
    assert (shown[1]["fee"], shown[1]["rebate"]) == (0.001, nasdaq.maker_rebate_dollars)
