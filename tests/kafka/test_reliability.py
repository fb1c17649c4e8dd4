"""No message stops the service: whatever arrives is worked or put aside, once, and the rest goes on without it."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka import Message, Producer

import venuewise as vw
from tests.conftest import absent
from tests.kafka.helpers import read_all, run, settings_for
from tests.kafka.test_service import GOOD, Served
from venuewise.errors import ConfigError
from venuewise.kafka import broker
from venuewise.kafka.metrics import READY_SECONDS, Metrics
from venuewise.kafka.processing import Incoming, Processed, Processor
from venuewise.kafka.service import Service
from venuewise.kafka.stopping import StopRequest
from venuewise.kafka.topics import ensure_topic
from venuewise.kafka.wiring import Wiring
from venuewise.market.venues import load_venues
from venuewise.messages.market import encode
from venuewise.routing.whatif import WhatIf, WhatIfSettings

LARGE = 8_000_000


def make_topic(bootstrap: str, topic: str, **config: str) -> None:
    properties = {name.replace("_", "."): value for name, value in config.items()}
    ensure_topic(settings_for(bootstrap), topic, 1, config=properties)


def send(bootstrap: str, topic: str, *values: bytes, compression: str = "none") -> None:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "message.max.bytes": LARGE, "compression.type": compression}
    )
    for value in values:
        producer.produce(topic, value, b"AAPL")
    assert producer.flush(30) == 0


def route(bootstrap: str, topic: str, limit: int, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(
        "route", "--topic", topic, "--out", f"{topic}.out", "--group", topic, "--limit", limit, "--idle-exit", 20,
        "--kafka-bootstrap-servers", bootstrap, DEAD_LETTERS=f"{topic}.dead", **variables,
    )  # fmt: skip


def about(letter: Message) -> dict[str, bytes]:
    return {name: value for name, value in letter.headers() or [] if isinstance(value, bytes)}


@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_a_message_too_large_to_be_sent_on_goes_to_the_dead_letters_as_its_head(
    kafka_bootstrap: str, topic: str, compression: str
) -> None:
    make_topic(kafka_bootstrap, topic, max_message_bytes=str(LARGE))
    huge = GOOD[:-1] + b',"note":"' + (
        random.Random(7).randbytes(515_000).hex().encode() if compression == "none" else b"x" * 5_000_000
    ) + b'"}'  # fmt: skip
    send(kafka_bootstrap, topic, GOOD, huge, GOOD, compression=compression)
    done = route(kafka_bootstrap, topic, 3)
    assert done.returncode == 0, done.stderr
    assert len(read_all(kafka_bootstrap, f"{topic}.out")) == 2
    (letter,) = read_all(kafka_bootstrap, f"{topic}.dead")
    head, said = letter.value() or b"", about(letter)
    assert 1_000 < len(head) < len(huge)
    assert huge.startswith(head)
    assert said["length"] == str(len(huge)).encode()
    assert said["sha256"] == hashlib.sha256(huge).hexdigest().encode()
    assert said["from"] == f"{topic}/0/1".encode()
    assert b"more than 65536" in said["reason"]
    assert b"this is the head" in said["truncated"]


def test_a_topic_of_dead_letters_that_takes_little_gets_little(kafka_bootstrap: str, topic: str) -> None:
    ensure_topic(settings_for(kafka_bootstrap), topic, 1)
    make_topic(kafka_bootstrap, f"{topic}.dead", max_message_bytes="5000")
    junk = random.Random(7).randbytes(300_000)
    send(kafka_bootstrap, topic, GOOD, junk, GOOD)
    done = route(kafka_bootstrap, topic, 3)
    assert done.returncode == 0, done.stderr
    assert len(read_all(kafka_bootstrap, f"{topic}.out")) == 2
    (letter,) = read_all(kafka_bootstrap, f"{topic}.dead")
    assert junk.startswith(letter.value() or b"-")
    assert about(letter)["length"] == b"300000"
    again = route(kafka_bootstrap, topic, 1)  # nothing is met again
    assert f"0 messages of {topic}" in again.stderr


def test_a_header_whose_name_is_not_utf_8_costs_a_message_its_headers_and_nothing_else(
    kafka_bootstrap: str, topic: str, kcat: str
) -> None:
    ensure_topic(settings_for(kafka_bootstrap), topic, 1)
    for value in (GOOD, b"no JSON", GOOD):
        named = [b"-H", b"\xff\xfe=1", b"-H", b"fine=2"]
        subprocess.run(
            [kcat.encode(), b"-P", b"-b", kafka_bootstrap.encode(), b"-t", topic.encode(), b"-k", b"AAPL", *named],
            input=value, check=True,
        )  # fmt: skip
    servers = ("--kafka-bootstrap-servers", kafka_bootstrap)
    done = route(kafka_bootstrap, topic, 3)
    assert done.returncode == 0, done.stderr
    assert len(read_all(kafka_bootstrap, f"{topic}.out")) == 2
    (letter,) = read_all(kafka_bootstrap, f"{topic}.dead")
    assert letter.value() == b"no JSON"
    assert about(letter)["headers"].startswith(b"unreadable")
    viewed = run("view", "--topic", topic, "--from-beginning", "--limit", 3, "--json", *servers)
    assert viewed.returncode == 0, viewed.stderr
    assert viewed.stdout.count("\n") == 3
    tested = run(
        "backtest", f"kafka://{topic}", "--order-size", 10, "--venues", "asis",
        KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap,
    )  # fmt: skip
    assert "Traceback" not in tested.stderr
    assert tested.returncode in (0, 2)


def test_what_was_accepted_can_be_read_back_however_long_a_symbol_is(
    kafka_bootstrap: str, topic: str
) -> None:
    ensure_topic(settings_for(kafka_bootstrap), topic, 1)
    long = GOOD.replace(b"AAPL", b"A" * 65_200)
    assert len(long) < 65_536
    send(kafka_bootstrap, topic, GOOD, long, GOOD)
    done = route(kafka_bootstrap, topic, 3)
    assert done.returncode == 0, done.stderr
    (letter,) = read_all(kafka_bootstrap, f"{topic}.dead")
    assert letter.value() == long
    send(kafka_bootstrap, topic, GOOD)
    again = route(kafka_bootstrap, topic, 1)
    assert again.returncode == 0, again.stderr
    assert len(read_all(kafka_bootstrap, f"{topic}.out")) == 3


@dataclass
class Faulty:
    """A router that fails of some messages, in whatever batch they are."""

    inner: Processor
    fails: Callable[[bytes], bool]
    changed: bool = field(default=False)

    def process(self, role: str, messages: Sequence[Incoming]) -> Processed:
        self.changed = True
        result = self.inner.process(role, messages)  # state is touched before the fault
        for message in messages:
            if self.fails(message.value or b""):
                raise ZeroDivisionError("of ours \x9b2J")
        return result

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        return self.inner.changes()

    def restore(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        self.inner.restore(entries)


def test_a_message_that_the_router_fails_of_is_found_by_halving_and_the_rest_is_decided_as_without_it(
    kafka_bootstrap: str, topic: str
) -> None:
    settings, table = settings_for(kafka_bootstrap), load_venues()
    ensure_topic(settings, topic, 2)
    rows = encode(vw.generate(venues=4, symbols=["AAPL", "MSFT", "NVDA"], duration="3s", seed=5))[:1_500]
    bad = {rows[7], rows[700], rows[-1]}
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "partitioner": "murmur2_random"})
    for row in rows:
        producer.produce(topic, row, row.partition(b'"symbol":"')[2][:4])
    assert producer.flush(30) == 0
    metrics = Metrics()

    def serve(make: Callable[[], Processor], out: str) -> int:
        wiring = Wiring({"market": topic}, {"decisions": out}, f"{out}.changelog", f"{out}.dead")
        service = Service(settings, wiring, make, group=out, instance="one", metrics=metrics)
        return service.run(StopRequest(), limit=len(rows), idle_exit=20)

    def router() -> WhatIf:
        return WhatIf(WhatIfSettings(), table)

    assert serve(lambda: Faulty(router(), bad.__contains__), f"{topic}.out") == len(rows)
    decided = read_all(kafka_bootstrap, f"{topic}.out")
    letters = read_all(kafka_bootstrap, f"{topic}.out.dead")
    assert {letter.value() for letter in letters} == bad
    assert len(letters) == 3
    assert all(
        about(letter)["reason"].startswith(b"a fault of venuewise: ZeroDivisionError") for letter in letters
    )
    assert metrics.registry.get_sample_value("venuewise_faults_total") == 3
    assert metrics.registry.get_sample_value("venuewise_dead_letters_total") == 3
    assert metrics.registry.get_sample_value("venuewise_messages_total", {"input": "market"}) == len(rows)
    given = [message.value() or b"" for message in read_all(kafka_bootstrap, topic)]
    found = [message.value() or b"" for message in decided]
    expected = []
    for partition in (0, 1):
        its = [m.value() or b"" for m in read_all(kafka_bootstrap, topic) if m.partition() == partition]
        outcome = router().process("market", [Incoming(v, None) for v in its if v not in bad])
        expected += [output.value for output in outcome.outputs]
    assert len(given) == len(rows)
    assert found == expected


def test_ready_ends_while_the_broker_gives_no_answer_and_comes_back_with_it(
    topic: str, tmp_path: Path
) -> None:
    try:
        state = broker.up(tmp_path / "broker", port=0)
    except ConfigError as error:
        absent(f"no Kafka broker: {error}")
        return
    if state.pid is None:
        broker.down(tmp_path / "broker", wipe=True)
        pytest.skip("a broker in a container cannot be paused here")
    try:
        ensure_topic(settings_for(state.bootstrap_servers), topic, 1)
        with Served(state.bootstrap_servers, topic, tmp_path / "log") as served:
            send(state.bootstrap_servers, topic, GOOD)
            served.shown(1)

            def wait_for(status: int, seconds: float) -> None:
                deadline = time.monotonic() + seconds
                while served.status("/readyz") != status:
                    assert time.monotonic() < deadline, served.log.read_text()
                    time.sleep(0.2)

            wait_for(200, 10)
            time.sleep(READY_SECONDS + 3)  # idle is ready, too
            assert served.status("/readyz") == 200
            os.kill(state.pid, signal.SIGSTOP)
            try:
                wait_for(503, READY_SECONDS + 10)
                assert served.status("/healthz") == 200
            finally:
                os.kill(state.pid, signal.SIGCONT)
            wait_for(200, 60)
    finally:
        broker.down(tmp_path / "broker", wipe=True)


def test_idle_time_counts_from_the_assignment(kafka_bootstrap: str, topic: str, tmp_path: Path) -> None:
    ensure_topic(settings_for(kafka_bootstrap), topic, 1)
    first = Served(kafka_bootstrap, topic, tmp_path / "first", "--instance", "first")
    with first:
        send(kafka_bootstrap, topic, GOOD)
        first.shown(1)
        began = time.monotonic()
        other = run(
            "route", "--topic", topic, "--out", f"{topic}.out", "--group", topic, "--instance", "other",
            "--idle-exit", 1, "--kafka-bootstrap-servers", kafka_bootstrap, DEAD_LETTERS=f"{topic}.dead",
        )  # fmt: skip
        assert other.returncode == 0, other.stderr
        assert '"event": "assigned"' in other.stderr
        assert time.monotonic() - began < 60
