"""`route --orders` and `venue-sim` from the command line, where no broker is needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import venuewise as vw
from tests.kafka.helpers import run
from tests.routing.orders import PENALTIES, request
from venuewise.errors import ConfigError
from venuewise.kafka.settings import load
from venuewise.routing.strategy_names import StrategyBook, load_strategy

OWN = """
from venuewise.strategies import ChildOrder

class Nibble:
    name = "nibble"
    def __init__(self, bite=7):
        self.bite = bite
    def decide(self, quotes, order, now):
        if quotes.best is None:
            return []
        return [ChildOrder(quotes.best, min(order.open, self.bite), int(quotes.price[quotes.best, 0]))]

class Unnamed:
    def __init__(self):
        self.name = "unnamed"
    def decide(self, quotes, order, now):
        return []

class Mute:
    name = "mute"

class Usurper(Nibble):
    name = "twap"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a day, requests and strategies of one's own, and the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    vw.generate(venues=3, symbols=["AAPL"], duration="4s", seed=2).to_csv("day.csv")
    Path("own_strategies.py").write_text(OWN)
    orders = [
        request(id="whole", symbol="AAPL", quantity=3_000, strategy="vwap"),
        request(
            id="nibbled", symbol="AAPL", side="sell", quantity=50, strategy="nibble", params={"bite": 20}
        ),
        b"",
        b'{"type":"new","id":"odd"}',
    ]
    Path("orders.jsonl").write_bytes(b"\n".join(orders) + b"\n")
    return tmp_path


def test_the_dry_run_says_all_that_the_loop_says(folder: Path) -> None:
    again = []
    for out in ("rows.jsonl", "again.jsonl"):
        done = run(
            "route", "--from", "day.csv", "--orders-file", "orders.jsonl", "--out", out, "--strategy",
            "own_strategies:Nibble", "--fills-topic", "my.fills", LATENCY_MS="2",
        )  # fmt: skip
        assert done.returncode == 2
        told, ended = done.stderr.splitlines()
        assert told == "orders.jsonl, request 3: Object missing required field `symbol`"
        assert ended.startswith("venuewise: orders.jsonl: found 1 of 3 requests unreadable; expected one")
        again.append((done.stdout, Path(out).read_bytes()))
    assert again[0] == again[1]
    lines = [json.loads(line) for line in again[0][0].splitlines()]
    assert {line["topic"] for line in lines} == {"sor.reports", "sor.child_orders", "my.fills"}
    reports = [line["message"] for line in lines if line["topic"] == "sor.reports"]
    assert {(r["order"], r["filled"]) for r in reports if r["status"] == "filled"} == {
        ("whole", 3_000), ("nibbled", 50),
    }  # fmt: skip
    children = [line["message"] for line in lines if line["topic"] == "sor.child_orders"]
    assert [c["quantity"] for c in children if c["order"] == "nibbled"] == [20, 20, 10]
    rows = [json.loads(line) for line in again[0][1].splitlines()]
    assert len(rows) == len(vw.read("day.csv"))
    assert all(("refused" in row) != ("orders" in row) for row in rows)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--from", "day.csv", "--orders"], "found no --orders-file"),
        (
            ["--from", "day.csv", "--orders-file", "no.jsonl"],
            "no.jsonl: found no such file; expected requests",
        ),
        (["--orders", "--orders-file", "orders.jsonl"], "--orders-file: found without --from"),
        (["--window", "13:00:00-14:00:00"], "--window: found without --from"),
        (["--out", "x", "--topic", "x"], "topic x: found it for market and decisions; expected a topic of"),
        (
            ["--orders", "--fills-topic", "x", "--reports-topic", "x"],
            "topic x: found it for fills and reports",
        ),
        (["--orders", "--strategy", "nowhere:Class"], "strategy 'nowhere:Class': found ModuleNotFoundError"),
        (["--orders", "--queue-priority", "2"], "--queue-priority: found 2.0"),
    ],
)
def test_a_mistake_ends_in_one_line(folder: Path, arguments: list[str], problem: str) -> None:
    done = run("route", *arguments)
    assert done.returncode == 2
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_mistake_of_simulated_venues_ends_in_one_line() -> None:
    done = run("venue-sim", "--refill", "never")
    assert done.returncode == 2
    assert done.stderr.startswith("venuewise: --refill: found 'never'")
    done = run("venue-sim", "--fills-topic", "x", "--children-topic", "x")
    assert done.returncode == 2
    assert done.stderr.startswith("venuewise: topic x: found it for children and fills")


def test_strategies_of_ones_own_are_found_and_checked(folder: Path) -> None:
    name, make = load_strategy("own_strategies:Nibble")
    assert (name, make(bite=3).name) == ("nibble", "nibble")
    assert load_strategy("own_strategies:Unnamed")[0] == "unnamed"
    assert StrategyBook(PENALTIES, (name, make)).names == (
        "best_ask", "twap", "vwap", "optimized", "vwap_schedule", "pov", "nibble",
    )  # fmt: skip
    for path, problem in (
        ("own_strategies:Mute", "no method decide"),
        ("own_strategies:Usurper", "one that is not built in"),
        ("own_strategies:Nobody", "AttributeError"),
        ("own_strategies", "expected module:Class"),
    ):
        with pytest.raises(ConfigError, match=problem):
            load_strategy(path)
    with pytest.raises(ConfigError, match="params: found TypeError"):
        StrategyBook(PENALTIES, (name, make)).make("nibble", {"teeth": 2})


def test_topics_and_frictions_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_TOPIC", "desk.orders")
    monkeypatch.setenv("SLIPPAGE_BPS", "2")
    settings = load(flags={"slippage_bps": None, "fills_topic": "desk.fills"})
    assert (settings.orders_topic, settings.children_topic) == ("desk.orders", "sor.child_orders")
    assert (settings.fills_topic, settings.slippage_bps) == ("desk.fills", 2.0)
