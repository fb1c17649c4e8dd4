"""Replays: every row once, in order, at its moment; cut short and resumed without loss or repetition."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kafka.helpers import command, environment, kafka_python, read_all, run, settings_for
from venuewise.data.events import Events
from venuewise.errors import ConfigError
from venuewise.kafka import replay, topics
from venuewise.messages.market import MARKET_HEADERS, Decoder, encode
from venuewise.synthetic.generate import generate


class ListSink:
    """Keeps what it is sent, and when."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.values: list[bytes] = []
        self.times: list[int] = []

    def send(self, row: int, symbol: int, value: bytes) -> None:
        self.rows.append(row)
        self.values.append(value)
        self.times.append(time.perf_counter_ns())

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def events() -> Events:
    return generate(venues=3, symbols=["AAPL", "MSFT", "NVDA"], duration="2s", seed=5)


@pytest.fixture(scope="module")
def csv(events: Events, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "day.csv"
    events.to_csv(path)
    return path


@given(st.binary(max_size=40), st.integers(1, 100))
def test_a_key_has_the_partition_that_other_clients_give_it(key: bytes, partitions: int) -> None:
    murmur2 = kafka_python().partitioner.default.murmur2
    assert topics.partition_of(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


def test_every_row_is_sent_once_and_in_order(events: Events) -> None:
    sink = ListSink()
    report = replay.replay(events, sink, topic="t", speed=None)
    assert sink.rows == list(range(len(events)))
    assert sink.values == encode(events)
    assert (report.rows, report.remaining, report.skipped) == (len(events), 0, 0)
    assert report.bytes == sum(map(len, sink.values))
    assert report.jitter_ms is None


def test_no_row_leaves_before_it_is_due(events: Events) -> None:
    sink = ListSink()
    speed = 4.0
    began = time.perf_counter_ns()
    report = replay.replay(events, sink, topic="t", speed=speed)
    due = (events.ts - events.ts[0]) / speed
    assert (np.array(sink.times) - began >= due - 1_000).all()
    assert report.seconds >= due[-1] / 1e9
    assert report.drift_ms is not None
    assert report.jitter_ms is not None
    assert report.jitter_ms.p50 <= report.jitter_ms.p99 <= report.jitter_ms.max


def test_a_late_row_does_not_delay_the_rows_after_it(events: Events) -> None:
    class SlowStart(ListSink):
        def send(self, row: int, symbol: int, value: bytes) -> None:
            super().send(row, symbol, value)
            if row == 0:
                time.sleep(0.2)

    sink = SlowStart()
    report = replay.replay(events, sink, topic="t", speed=4.0)
    assert report.jitter_ms is not None
    assert report.jitter_ms.max > 100
    assert report.drift_ms is not None
    assert report.drift_ms < report.jitter_ms.max


def test_a_stop_between_rows_is_reported_with_what_is_left(events: Events) -> None:
    sink = ListSink()
    report = replay.replay(events, sink, topic="t", speed=None, stopped=lambda: len(sink.rows) == 10)
    assert report.interrupted
    assert (report.rows, report.remaining, report.last_row) == (10, len(events) - 10, 9)


def test_chosen_rows_and_a_limit_are_kept_to(events: Events) -> None:
    sink = ListSink()
    report = replay.replay(events, sink, topic="t", speed=None, rows=np.arange(50, 400), limit=300)
    assert sink.rows == list(range(50, 350))
    assert sink.values == encode(events, slice(50, 350))
    assert (report.skipped, report.remaining) == (len(events) - 350, 50)


@pytest.mark.filterwarnings("error")
def test_a_speed_next_to_nothing_sends_the_first_row_and_waits(events: Events) -> None:
    sink = ListSink()
    began = time.monotonic()
    report = replay.replay(
        events, sink, topic="t", speed=1e-300, stopped=lambda: time.monotonic() > began + 0.3
    )
    assert (report.rows, report.interrupted) == (1, True)
    assert report.drift_ms is not None
    assert report.drift_ms >= 0


def test_the_fingerprint_tells_data_apart_and_not_names(events: Events) -> None:
    assert replay.fingerprint(events) == replay.fingerprint(events.take(slice(None)))
    assert replay.fingerprint(events) != replay.fingerprint(events.take(slice(0, len(events) - 1)))


def test_the_topic_holds_the_file(kafka_bootstrap: str, topic: str, csv: Path, events: Events) -> None:
    done = run("produce", csv, "--topic", topic, "--speed", "max", "--partitions", 3,
               KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["rows"] == len(events)
    messages = read_all(kafka_bootstrap, topic)
    rows = [int(dict(message.headers())["row"]) for message in messages]
    assert sorted(rows) == list(range(len(events)))
    by_row = dict(zip(rows, messages, strict=True))
    in_order = [by_row[row] for row in range(len(events))]
    batch = Decoder(events.levels).decode(
        [message.value() for message in in_order], [message.headers() for message in in_order]
    )
    assert batch.poison == ()
    np.testing.assert_array_equal(batch.events.ask_px, events.ask_px)
    np.testing.assert_array_equal(batch.events.ts_recv, events.ts_recv)
    for message in messages[:50]:
        assert tuple(message.headers()[:2]) == MARKET_HEADERS
        assert message.key().decode() == json.loads(message.value())["symbol"]
        assert message.partition() == topics.partition_of(message.key(), 3)


def test_rows_that_the_broker_refuses_end_in_one_line(kafka_bootstrap: str, topic: str, csv: Path) -> None:
    topics.ensure_topic(settings_for(kafka_bootstrap), topic, 1, config={"max.message.bytes": "200"})
    done = run("produce", csv, "--topic", topic, "--speed", "max", "--limit", 1,
               "--bootstrap-servers", kafka_bootstrap)  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("venuewise: Kafka: found a message refused (")
    assert done.stderr.endswith("--resume sends what is missing\n")
    assert done.stderr.count("\n") == 1


def test_a_replay_in_pieces_leaves_each_row_once(
    kafka_bootstrap: str, topic: str, csv: Path, events: Events
) -> None:
    first = run("produce", csv, "--topic", topic, "--speed", "max", "--partitions", 2, "--limit", 700,
                "--bootstrap-servers", kafka_bootstrap)  # fmt: skip
    second = run("produce", csv, "--topic", topic, "--speed", "max", "--resume",
                 "--bootstrap-servers", kafka_bootstrap)  # fmt: skip
    assert json.loads(first.stdout)["remaining"] == len(events) - 700
    report = json.loads(second.stdout)
    assert (report["skipped"], report["rows"], report["remaining"]) == (700, len(events) - 700, 0)
    rows = [int(dict(message.headers())["row"]) for message in read_all(kafka_bootstrap, topic)]
    assert sorted(rows) == list(range(len(events)))


def test_rows_that_one_partition_lacks_are_found(kafka_bootstrap: str, topic: str, events: Events) -> None:
    """As after a crash: one partition got further than the other."""
    settings, source = settings_for(kafka_bootstrap), replay.fingerprint(events)
    partitions = topics.ensure_topic(settings, topic, 2)
    homes = np.array([topics.partition_of(symbol.encode(), 2) for symbol in events.symbols])[events.symbol]
    assert len(set(homes.tolist())) == 2
    sent = np.flatnonzero(((homes == 0) & (np.arange(len(events)) < 600)) | (np.arange(len(events)) < 200))
    sink = replay.KafkaSink(settings, topic, partitions, events, source)
    replay.replay(events, sink, topic=topic, rows=sent, speed=None)
    unsent = replay.unsent_rows(settings, topic, partitions, events, source)
    assert sorted([*unsent.tolist(), *sent.tolist()]) == list(range(len(events)))


def test_other_data_on_the_topic_count_for_nothing(kafka_bootstrap: str, topic: str, events: Events) -> None:
    settings = settings_for(kafka_bootstrap)
    partitions = topics.ensure_topic(settings, topic, 1)
    sink = replay.KafkaSink(settings, topic, partitions, events, "another")
    replay.replay(events, sink, topic=topic, limit=10, speed=None)
    unsent = replay.unsent_rows(settings, topic, partitions, events, replay.fingerprint(events))
    assert len(unsent) == len(events)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_flushes_and_says_what_was_sent(
    number: signal.Signals, kafka_bootstrap: str, topic: str, csv: Path, events: Events
) -> None:
    process = subprocess.Popen(
        command("produce", csv, "--topic", topic, "--speed", "0.01", "--bootstrap-servers", kafka_bootstrap),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    settings = settings_for(kafka_bootstrap)
    topics.wait_for_topic(settings, topic, timeout=30)
    deadline = time.monotonic() + 30
    while not read_all(kafka_bootstrap, topic) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    report = json.loads(out)
    assert report["interrupted"] is True
    assert 0 < report["rows"] == len(read_all(kafka_bootstrap, topic))
    assert report["rows"] + report["remaining"] == len(events)
    assert f"stopped; {report['rows']} rows are on {topic}" in err


def test_a_dry_run_needs_no_broker_and_writes_one_message_a_line(csv: Path, events: Events) -> None:
    done = run("produce", csv, "--speed", "max", "--dry-run", "--limit", 20)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.encode() for line in lines] == encode(events, slice(0, 20))
    assert json.loads(done.stderr)["rows"] == 20


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["produce", "{csv}", "--speed", "fast"], "--speed: found 'fast'"),
        (["produce", "{csv}", "--speed", "0"], "--speed: found '0'"),
        (["produce", "{csv}", "--speed", "nan"], "--speed: found 'nan'"),
        (["produce", "{csv}", "--topic", "a b"], "--topic: found 'a b'"),
        (["produce", "{csv}", "--window", "9-8"], "window"),
        (["produce", "nowhere.csv", "--dry-run"], "nowhere.csv"),
        (
            ["produce", "{csv}", "--config", "nowhere.toml"],
            "nowhere.toml: found no such file",
        ),
        (["view", "--filter", "symbol"], "--filter: found 'symbol'"),
        (["view", "--venue", "NOWHERE"], "--venue: found 'NOWHERE'; expected a name"),
    ],
)
def test_bad_options_get_one_line_and_exit_code_2(arguments: list[str], expected: str, csv: Path) -> None:
    done = run(*[argument.format(csv=csv) for argument in arguments])
    assert done.returncode == 2
    assert done.stdout == ""
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_broker_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigError, match=r"found no broker that answers at 127.0.0.1:1 .*venuewise broker up"
    ):
        topics.ensure_topic(settings_for("127.0.0.1:1"), "t", 1, timeout=0.5)


def test_a_broker_that_is_away_is_not_waited_for_once_a_signal_has_asked(
    events: Events, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for("127.0.0.1:1")
    sink = replay.KafkaSink(settings, "t", 1, events, "x", stopped=lambda: True)
    sink.send(0, 0, b"{}")
    began = time.monotonic()
    with pytest.raises(ConfigError, match="found no answer for 1 messages; expected one"):
        sink.close()
    with pytest.raises(ConfigError, match="found no broker that answers"):
        topics.ensure_topic(settings, "t", 1, stopped=lambda: True)
    assert time.monotonic() - began < 10
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["bad name", "", "x" * 250])
def test_a_bad_topic_of_a_backtest_is_named_as_it_was_given(name: str) -> None:
    done = run("backtest", f"kafka://{name}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"venuewise: kafka://{name}: found {name!r}; expected 1 to 249 letters")


def test_a_topic_that_is_not_there_is_named(kafka_bootstrap: str, topic: str) -> None:
    with pytest.raises(ConfigError, match=f"topic {topic}: found none; expected it to be there"):
        topics.wait_for_topic(settings_for(kafka_bootstrap), topic, timeout=0.3)


def test_a_missing_extra_is_named_with_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "confluent_kafka.py").write_text(
        "raise ImportError('no', name='confluent_kafka')", encoding="utf-8"
    )
    environment_path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))
    done = run("broker", "status", PYTHONPATH=environment_path)
    assert done.returncode == 2
    assert "confluent_kafka: found it not installed" in done.stderr
    assert "pip install 'venuewise[kafka]'" in done.stderr


def test_settings_are_printed_with_secrets_masked(tmp_path: Path) -> None:
    done = run(
        "produce", "--print-config", "--preset", "aggressive", KAFKA_SASL_PASSWORD="hunter2", TOPIC="mine"
    )
    shown: dict[str, Any] = json.loads(done.stdout)
    assert (shown["order_size"], shown["topic"]) == (10_000, "mine")
    assert "hunter2" not in done.stdout + done.stderr
