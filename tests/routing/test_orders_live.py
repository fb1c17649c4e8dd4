"""Router and venues as processes on a real broker: killed and started again, no share is lost or filled twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

import venuewise as vw
from tests.kafka.helpers import read_all, settings_for
from tests.kafka.processes import Processes
from tests.kafka.test_exactly_once import PARTITIONS, Feed
from tests.routing.orders import request
from venuewise.data.events import Events
from venuewise.kafka.topics import ensure_topic

SYMBOLS = ("AAPL", "MSFT", "NVDA")
FINAL = ("filled", "expired", "cancelled")


def requests_for(events: Events) -> dict[str, list[tuple[str, bytes]]]:
    """Return requests as (symbol, message) by when they are sent: orders that live all day, and what ends some."""
    first, last = int(events.ts[0]), int(events.ts[-1])
    at = [first + (last - first) * share // 10 for share in range(11)]
    early = [
        request(id=f"{symbol}-{strategy}", symbol=symbol, side=side, quantity=quantity, strategy=strategy,
                start=at[1], end=at[7], params={"slice_seconds": 0.2} if strategy == "twap" else {})
        for symbol in SYMBOLS
        for strategy, side, quantity in (("twap", "buy", 3_000), ("vwap", "sell", 2_000), ("optimized", "buy", 900))
    ]  # fmt: skip
    early += [
        request(id="patient", symbol="AAPL", quantity=500, limit_price=1, end=at[9], at_end="expire"),
        request(id="doomed", symbol="MSFT", quantity=500, limit_price=1, end=at[10] + 10**9),
        request(id="patient", symbol="AAPL", end=at[9]),
    ]
    late = [
        request("replace", id="patient", symbol="AAPL", quantity=700),
        request("cancel", id="doomed", symbol="MSFT"),
        request("cancel", id="nobody", symbol="NVDA"),
    ]
    return {
        when: [(msgspec.json.decode(message)["symbol"], message) for message in them]
        for when, them in (("early", early), ("late", late))
    }


def send(bootstrap: str, topic: str, requests: list[tuple[str, bytes]]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
    for symbol, message in requests:
        producer.produce(topic, message, symbol.encode())
    assert producer.flush(30) == 0


class Loop(Processes):
    """A router of orders and simulated venues on topics of their own, each a process."""

    def __init__(self, bootstrap: str, topic: str, logs: Path) -> None:
        super().__init__(bootstrap, logs)
        self.topic = topic
        self.topics = {
            name: f"{topic}.{name}" for name in ("orders", "children", "fills", "reports", "out", "dead")
        }

    def start(self, name: str) -> None:
        variables = {
            f"{name.upper()}_TOPIC": self.topics[name] for name in ("orders", "children", "fills", "reports")
        }
        variables |= {
            "TOPIC": self.topic, "OUT": self.topics["out"], "DEAD_LETTERS": self.topics["dead"],
            "GROUP": f"{self.topic}.{name}", "INSTANCE": "one",
        }  # fmt: skip
        self.launch(
            name,
            *(("route", "--orders") if name == "router" else ("venue-sim", "--latency-ms", "1")),
            **variables,
        )

    def said(self, name: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(m.value() or b"") for m in read_all(self.bootstrap, self.topics[name])]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            logs = [path.read_text()[-3000:] for path in sorted(self.logs.glob("*.log"))]
            assert time.monotonic() < deadline, (self.said("reports"), logs)
            time.sleep(1)

    def open_orders(self, known: int) -> int:
        return known - sum(report["status"] in FINAL for report in self.said("reports"))


def test_killed_processes_lose_no_share_and_fill_none_twice(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    events, rng = vw.generate(venues=4, symbols=SYMBOLS, duration="20s", seed=11), random.Random(4)
    requests = requests_for(events)
    with Loop(kafka_bootstrap, topic, tmp_path) as loop:
        for name in ("", *(f".{name}" for name in loop.topics)):
            ensure_topic(settings_for(kafka_bootstrap), f"{topic}{name}", PARTITIONS)
        send(kafka_bootstrap, loop.topics["orders"], requests["early"])
        feed = Feed(kafka_bootstrap, topic, events, rate=len(events) / 25)
        for name in ("router", "venues"):
            loop.start(name)
        loop.wait_for(lambda: len(loop.said("reports")) == len(requests["early"]))
        feed.start()
        for kill, name in enumerate(("router", "venues", "router", "venues", "router")):
            time.sleep(rng.uniform(3, 5))
            loop.kill(name)
            loop.start(name)
            if kill == 1:
                send(kafka_bootstrap, loop.topics["orders"], requests["late"])
        feed.join()
        orders = 3 * len(SYMBOLS) + 2
        loop.wait_for(lambda: len(loop.said("out")) == feed.sent and not loop.open_orders(orders))
        for name in ("router", "venues"):
            loop.stop(name)
    assert loop.said("dead") == []
    assert len(loop.said("out")) == feed.sent == len(events)
    check(loop, {msgspec.json.decode(message)["id"] for _, message in requests["early"]})


def check(loop: Loop, orders: set[str]) -> None:
    """Follow every share from the order to its fills."""
    children = {child["id"]: child for child in loop.said("children")}
    assert len(children) == len(loop.said("children"))
    fills = loop.said("fills")
    assert len({fill["id"] for fill in fills}) == len(fills)
    answered: dict[str, int] = {}
    done: set[str] = set()
    filled, paid = dict.fromkeys(orders, 0), dict.fromkeys(orders, 0)
    for fill in fills:
        child = children[fill["child"]]
        assert fill["child"] not in done
        answered[fill["child"]] = answered.get(fill["child"], 0) + fill["shares"]
        assert fill["cumulative"] == answered[fill["child"]] <= child["quantity"]
        filled[child["order"]] += fill["shares"]
        if fill["shares"]:
            paid[child["order"]] += round(fill["price"] * 1e9) * fill["shares"]
        if fill["done"]:
            done.add(fill["child"])
    assert done == set(children)
    reports = loop.said("reports")
    for order in orders:
        own = [report for report in reports if report["order"] == order and report["number"]]
        assert [report["number"] for report in own] == list(range(1, len(own) + 1))
        assert own[0]["status"] == "accepted"
        last = own[-1]
        assert last["status"] in FINAL
        assert last["filled"] + last["open"] == last["quantity"]
        assert (last["filled"], last["in_flight"]) == (filled[order], 0)
        assert last["notional"] == pytest.approx(paid[order] / 1e9, rel=1e-12)
    ends = {report["order"]: report["status"] for report in reports if report["status"] in FINAL}
    assert sum(filled.values()) > 10_000
    assert ends["patient"] == "expired"
    assert ends["doomed"] == "cancelled"
    assert {report["reason"] for report in reports if report["status"] == "rejected"} == {
        "duplicate id: patient is open", "no such open order for NVDA: id unknown",
    }  # fmt: skip
