"""Whatever is killed, and whenever: every row of market data is decided exactly once, and always the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer

import venuewise as vw
from tests.conftest import absent
from tests.kafka.helpers import read_all, run, settings_for
from tests.kafka.processes import Processes
from venuewise.data.events import Events
from venuewise.errors import ConfigError
from venuewise.kafka import broker
from venuewise.kafka.processing import Incoming
from venuewise.kafka.topics import ensure_topic
from venuewise.market.venues import load_venues
from venuewise.messages.market import encode
from venuewise.routing.whatif import WhatIf, WhatIfSettings

PARTITIONS = 2
SYMBOLS = ("AAPL", "MSFT", "NVDA", "TSLA")


@dataclass(kw_only=True)
class Routers(Processes):
    """Routers of one consumer group."""

    topic: str

    def start(self, name: str) -> None:
        self.launch(
            name, "route", "--topic", self.topic, "--out", f"{self.topic}.out", "--group", f"{self.topic}.group",
            "--instance", name, DEAD_LETTERS=f"{self.topic}.dead",
        )  # fmt: skip


class Feed(threading.Thread):
    """Rows of market data, produced one after the other at a steady rate until told to stop."""

    def __init__(self, bootstrap: str, topic: str, events: Events, rate: float) -> None:
        super().__init__(daemon=True)
        self.values = encode(events)
        self.keys = [events.symbols[code].encode() for code in events.symbol.tolist()]
        self.topic, self.rate = topic, rate
        self.producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
        self.enough = threading.Event()
        self.sent = 0

    def run(self) -> None:
        began = time.monotonic()
        while self.sent < len(self.values) and not self.enough.is_set():
            due = min(int((time.monotonic() - began) * self.rate), len(self.values))
            for row in range(self.sent, due):
                self.producer.produce(self.topic, self.values[row], self.keys[row])
            self.sent = max(due, self.sent)
            self.producer.poll(0.01)
        self.producer.flush(30)


def by_partition(messages: list[Message]) -> list[list[bytes]]:
    parts: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for message in messages:
        parts[message.partition()].append(bytes(message.value() or b""))
    return parts


def undisturbed(values: list[bytes]) -> list[bytes]:
    """Decide at all messages of a partition in one go, with no Kafka."""
    done = WhatIf(WhatIfSettings(), load_venues()).process("market", [Incoming(v, None) for v in values])
    return [output.value for output in done.outputs]


def wait_until_routed(bootstrap: str, topic: str, expected: int, seconds: float = 120) -> list[Message]:
    deadline = time.monotonic() + seconds
    while True:
        found = read_all(bootstrap, topic)
        if len(found) >= expected:
            return found
        assert time.monotonic() < deadline, f"{len(found)} of {expected} routed"
        time.sleep(0.5)


def events_of(seconds: int) -> Events:
    return vw.generate(venues=3, symbols=SYMBOLS, duration=f"{seconds}s", seed=5)


def test_twenty_kills_of_two_instances_leave_every_row_decided_exactly_once(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    settings, rng = settings_for(kafka_bootstrap), random.Random(20)
    ensure_topic(settings, topic, PARTITIONS)
    feed = Feed(kafka_bootstrap, topic, events_of(60), rate=600)
    with Routers(kafka_bootstrap, tmp_path, topic=topic) as group:
        feed.start()
        for name in ("one", "two"):
            group.start(name)
        for kill in range(20):
            time.sleep(rng.uniform(0.3, 3.5))
            name = rng.choice(("one", "two"))
            group.kill(name)
            if kill == 10:  # the group goes on without it: its partition moves, and moves back
                time.sleep(7)
            group.start(name)
        feed.enough.set()
        feed.join()
        routed = by_partition(wait_until_routed(kafka_bootstrap, f"{topic}.out", feed.sent))
        for name in ("one", "two"):
            group.stop(name)
    given = by_partition(read_all(kafka_bootstrap, topic))
    assert sum(map(len, given)) == feed.sent > 10_000
    assert all(len(part) > 1_000 for part in given)
    assert routed == [undisturbed(part) for part in given]
    calm = run("route", "--topic", topic, "--out", f"{topic}.calm", "--group", f"{topic}.calm", "--idle-exit", "3",
               "--kafka-bootstrap-servers", kafka_bootstrap)  # fmt: skip
    assert calm.returncode == 0, calm.stderr
    assert by_partition(read_all(kafka_bootstrap, f"{topic}.calm")) == routed


def test_a_zombie_that_wakes_up_adds_nothing(kafka_bootstrap: str, topic: str, tmp_path: Path) -> None:
    ensure_topic(settings_for(kafka_bootstrap), topic, PARTITIONS)
    feed = Feed(kafka_bootstrap, topic, events_of(20), rate=300)
    with Routers(kafka_bootstrap, tmp_path, topic=topic) as group:
        feed.start()
        group.start("one")
        wait_until_routed(kafka_bootstrap, f"{topic}.out", 500)
        group.running["one"].send_signal(signal.SIGSTOP)
        group.start("two")
        time.sleep(9)  # longer than the session: its partitions go to the other
        so_far = len(wait_until_routed(kafka_bootstrap, f"{topic}.out", feed.sent - 1_000))
        group.running["one"].send_signal(signal.SIGCONT)
        time.sleep(3)
        feed.enough.set()
        feed.join()
        routed = by_partition(wait_until_routed(kafka_bootstrap, f"{topic}.out", feed.sent))
        assert so_far < feed.sent
    assert routed == [undisturbed(part) for part in by_partition(read_all(kafka_bootstrap, topic))]


def test_of_two_processes_with_one_name_the_first_steps_back(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    ensure_topic(settings_for(kafka_bootstrap), topic, PARTITIONS)
    feed = Feed(kafka_bootstrap, topic, events_of(20), rate=300)
    with Routers(kafka_bootstrap, tmp_path, topic=topic) as group:
        feed.start()
        group.start("one")
        wait_until_routed(kafka_bootstrap, f"{topic}.out", 200)
        first = group.running["one"]
        group.start("one")
        try:
            assert first.wait(30) == 2
        finally:
            first.kill()
        assert "another instance" in (tmp_path / "one.log").read_text()
        feed.enough.set()
        feed.join()
        routed = by_partition(wait_until_routed(kafka_bootstrap, f"{topic}.out", feed.sent))
    assert routed == [undisturbed(part) for part in by_partition(read_all(kafka_bootstrap, topic))]


def test_a_router_that_the_group_has_mistaken_for_another_joins_again(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    ensure_topic(settings_for(kafka_bootstrap), topic, PARTITIONS)
    feed = Feed(kafka_bootstrap, topic, events_of(20), rate=300)
    with Routers(kafka_bootstrap, tmp_path, topic=topic) as group:
        feed.start()
        group.start("one")
        wait_until_routed(kafka_bootstrap, f"{topic}.out", 200)
        # Only a member of the same name, with no producer behind it: what a lost answer to a join looks like.
        stranger = Consumer(
            {
                "bootstrap.servers": kafka_bootstrap,
                "group.id": f"{topic}.group",
                "group.instance.id": "one",
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        stranger.subscribe([topic])
        deadline = time.monotonic() + 30
        while "beginning again" not in (tmp_path / "one.log").read_text():
            assert time.monotonic() < deadline
            stranger.poll(0.2)
        stranger.close()
        feed.enough.set()
        feed.join()
        routed = by_partition(wait_until_routed(kafka_bootstrap, f"{topic}.out", feed.sent))
        group.stop("one")
    assert routed == [undisturbed(part) for part in by_partition(read_all(kafka_bootstrap, topic))]


DIES_WHEN_A_PARTITION_MOVES = """
import os, sys
from confluent_kafka import Consumer
consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": sys.argv[2], "group.instance.id": "one",
    "partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 6000, "enable.auto.commit": False})
consumer.subscribe([sys.argv[3]], on_assign=lambda *_: print("mine", flush=True), on_revoke=lambda *_: os._exit(9))
while True:
    consumer.poll(0.1)
"""


def test_a_partition_whose_owner_died_while_it_moved_finds_another(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    ensure_topic(settings_for(kafka_bootstrap), topic, PARTITIONS)
    feed = Feed(kafka_bootstrap, topic, events_of(20), rate=2_000)
    feed.start()
    owner = subprocess.Popen(
        [sys.executable, "-c", DIES_WHEN_A_PARTITION_MOVES, kafka_bootstrap, f"{topic}.group", topic],
        stdout=subprocess.PIPE,
    )
    with Routers(kafka_bootstrap, tmp_path, topic=topic) as group:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"mine\n"
            group.start("two")
            assert owner.wait(30) == 9
        finally:
            owner.kill()
            owner.communicate()
        group.start("one")
        feed.join()
        routed = by_partition(wait_until_routed(kafka_bootstrap, f"{topic}.out", feed.sent, seconds=60))
        logs = "".join((tmp_path / f"{name}.log").read_text() for name in ("one", "two"))
    assert "partitions without an owner" in logs
    assert routed == [undisturbed(part) for part in by_partition(read_all(kafka_bootstrap, topic))]


@pytest.mark.parametrize("killed", [False, True])
def test_a_broker_that_goes_away_and_comes_back_loses_nothing(
    killed: bool, tmp_path: Path, topic: str
) -> None:
    directory = tmp_path / "broker"
    try:
        state = broker.up(directory, port=0)
    except ConfigError as error:
        absent(f"no Kafka broker: {error}")
        return
    try:
        bootstrap = state.bootstrap_servers
        ensure_topic(settings_for(bootstrap), topic, PARTITIONS)
        feed = Feed(bootstrap, topic, events_of(40), rate=400)
        with Routers(bootstrap, tmp_path, topic=topic) as group:
            feed.start()
            group.start("one")
            wait_until_routed(bootstrap, f"{topic}.out", 500)
            for _ in range(2 if killed else 1):
                if killed:  # its next process waits until the controller has given up the last one: some 10 s
                    assert state.pid is not None
                    os.kill(state.pid, signal.SIGKILL)
                else:
                    broker.down(directory)
                    time.sleep(2)
                state = broker.up(directory, port=int(bootstrap.rpartition(":")[2]))
                assert state.bootstrap_servers == bootstrap
                time.sleep(3)
            feed.enough.set()
            feed.join()
            rows = read_all(bootstrap, topic)
            assert len(rows) >= feed.sent  # a feed whose answer was lost sends again
            routed = by_partition(wait_until_routed(bootstrap, f"{topic}.out", len(rows)))
            group.stop("one")
        given = by_partition(rows)
        assert routed == [undisturbed(part) for part in given]
    finally:
        broker.down(directory, wipe=True)
