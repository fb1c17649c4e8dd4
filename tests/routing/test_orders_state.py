"""Routers and venues are functions of their messages: batches, stops and restarts leave no trace."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.markets import random_events
from tests.routing.orders import PENALTIES, TABLE, incoming, market, request, said
from venuewise.data.events import Events
from venuewise.kafka.processing import Incoming, Outgoing, Processed, Processor
from venuewise.routing.closed_loop import ClosedLoop
from venuewise.routing.parents import Parents, ParentsSettings
from venuewise.routing.strategy_names import StrategyBook
from venuewise.routing.venue_sim import VenueSim
from venuewise.simulation.state import Frictions

Told = list[tuple[str, Incoming]]


class NotedParents(Parents):
    """A router that keeps a list of what it was told."""

    def __init__(self, told: Told) -> None:
        super().__init__(ParentsSettings(depth=2), TABLE, StrategyBook(PENALTIES))
        self.told = told

    def process(self, role: str, messages: Sequence[Incoming]) -> Processed:
        self.told += [(role, message) for message in messages]
        return super().process(role, messages)

    def route(self, events: Events, synthetic: Sequence[bool] | bool) -> Processed:
        if isinstance(synthetic, bool):  # else the rows come from `process`
            self.told += [("market", message) for message in market(events)]
        return super().route(events, synthetic)


class NotedVenues(VenueSim):
    """Venues that keep a list of what they were told."""

    def __init__(self, told: Told, latency_ms: float) -> None:
        super().__init__(
            Frictions(latency_ms=latency_ms, queue_priority=0.7, adverse_probability=0.2), TABLE, 3
        )
        self.told, self.live = told, False

    def process(self, role: str, messages: Sequence[Incoming]) -> Processed:
        self.told += [(role, message) for message in messages]
        self.live = True
        try:
            return super().process(role, messages)
        finally:
            self.live = False

    def route(self, events: Events) -> Processed:
        if not self.live:
            self.told += [("market", message) for message in market(events)]
        return super().route(events)


def told_in_a_loop(seed: int, latency_ms: float) -> tuple[Told, Told]:
    """Return what router and venues are told while several orders live and die."""
    events, rng = random_events(seed, rows=50), random.Random(seed)
    to_router: Told = []
    to_venues: Told = []
    loop = ClosedLoop(NotedParents(to_router), NotedVenues(to_venues, latency_ms))
    ts = events.ts.tolist()
    orders = [
        request(
            id=f"o{i}", side=rng.choice(["buy", "sell"]), quantity=rng.randint(1, 400),
            start=rng.choice([None, ts[10]]), end=rng.choice([ts[25], ts[40], ts[-1] + 1]),
            strategy=rng.choice(["best_ask", "twap", "vwap", "pov", "optimized"]),
            limit_price=rng.choice([None, 10.0]), at_end=rng.choice(["sweep", "expire"]),
        )
        for i in range(5)
    ]  # fmt: skip
    assert loop.request(orders[:3])[1] == []
    list(loop.play(events.take(slice(0, 15))))
    loop.request([orders[3], request("cancel", id="o0"), request("replace", id="o1", quantity=200), b"?"])
    list(loop.play(events.take(slice(15, 30))))
    loop.request([orders[4], request("replace", id="o2", limit_price=9.99), request("cancel", id="o3")])
    loop.router.process("fills", incoming(b"{}"))
    list(loop.play(events.take(slice(30, 50))))
    return to_router, to_venues


def in_batches(told: Told, cuts: set[int]) -> list[tuple[str, list[Incoming]]]:
    """Group messages by role, as one poll would, with further cuts."""
    batches: list[tuple[str, list[Incoming]]] = []
    for index, (role, message) in enumerate(told):
        if not batches or batches[-1][0] != role or index in cuts:
            batches.append((role, []))
        batches[-1][1].append(message)
    return batches


def work(
    make: Callable[[], Processor], batches: list[tuple[str, list[Incoming]]], stops: set[int]
) -> tuple[list[Outgoing], list[str], dict[bytes, bytes]]:
    """Work batches off, with a new processor from the saved state after some of them."""
    processor, saved = make(), dict[bytes, bytes]()
    outputs: list[Outgoing] = []
    dead: list[str] = []
    for index, (role, messages) in enumerate(batches):
        done = processor.process(role, messages)
        outputs += done.outputs
        dead += [letter.reason for letter in done.dead]
        for key, value in processor.changes():
            saved.pop(key, None)
            if value is not None:
                saved[key] = value
        if index in stops:
            processor = make()
            processor.restore(list(saved.items()))
    return outputs, dead, saved


MAKERS: dict[str, Callable[[], Processor]] = {
    "router": lambda: NotedParents([]),
    "venues": lambda: NotedVenues([], 20.0),
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    who=st.sampled_from(sorted(MAKERS)),
    cuts=st.sets(st.integers(0, 300), max_size=60),
    stops=st.sets(st.integers(0, 200), max_size=30),
)
def test_batches_and_restarts_change_nothing(seed: int, who: str, cuts: set[int], stops: set[int]) -> None:
    told = told_in_a_loop(seed, 20.0)[who == "venues"]
    expected = work(MAKERS[who], in_batches(told, set()), set())
    found = work(MAKERS[who], in_batches(told, cuts), stops)
    assert found[:2] == expected[:2]
    assert set(found[2]) == set(expected[2])
    for key, value in expected[2].items():
        if key.startswith((b"symbol|", b"book|", b"child|")):  # the others hold numbers that start anew
            assert found[2][key] == value


def test_the_loop_of_these_tests_has_all_kinds_of_ends() -> None:
    seen: dict[str, int] = {}
    for seed in range(12):
        told, _ = told_in_a_loop(seed, 20.0)
        outputs, dead, _ = work(MAKERS["router"], in_batches(told, set()), set())
        assert len(dead) == 2
        for report in said(outputs, "reports"):
            seen[report["status"]] = seen.get(report["status"], 0) + 1
        assert len(said(outputs, "decisions")) == 50
    assert set(seen) == {"accepted", "rejected", "replaced", "cancelled", "filled", "expired"}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), chaos=st.integers(0, 10_000))
def test_whatever_venues_say_no_order_loses_count_of_its_shares(seed: int, chaos: int) -> None:
    rng, told = random.Random(chaos), told_in_a_loop(seed, 20.0)[0]
    for _ in range(30):  # fills repeated, lost, and out of order
        at = rng.randrange(len(told))
        if told[at][0] == "fills":
            what = rng.choice(["repeat", "lose", "move"])
            if what != "repeat":
                message = told.pop(at)
            else:
                message = told[at]
            if what != "lose":
                told.insert(rng.randrange(at, len(told) + 1), message)
    router, applied = MAKERS["router"](), dict[str, int]()
    outputs: list[Outgoing] = []
    for role, word in told:
        done = router.process(role, [word])
        outputs += done.outputs
        if role == "fills" and not done.dead:
            fill = msgspec.json.decode(word.value or b"")
            order = fill["child"].rpartition("-")[0]
            applied[order] = applied.get(order, 0) + fill["shares"]
    last: dict[str, dict[str, Any]] = {}
    for report in said(outputs, "reports"):
        assert report["filled"] + report["in_flight"] + report["open"] == report["quantity"]
        if report["number"]:
            assert report["number"] == last.get(report["order"], {"number": 0})["number"] + 1
            last[report["order"]] = report
    for order, report in last.items():
        if report["status"] in ("filled", "expired", "cancelled"):
            assert report["filled"] == applied.get(order, 0)
            assert report["in_flight"] == 0
    saved = [msgspec.json.decode(v) for k, v in router.changes() if v is not None and k.startswith(b"order|")]
    assert {parent["order"]["id"]: parent["filled"] for parent in saved} == {
        order: applied.get(order, 0)
        for order, report in last.items()
        if report["status"] not in ("filled", "expired", "cancelled")
    }
