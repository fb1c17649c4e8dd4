"""The viewer: recognises what it sees, filters it, and never lets a message steer the terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import shlex
import shutil
import subprocess
import threading
import time
from typing import Any

import pytest
from confluent_kafka import Producer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kafka.helpers import command, environment, run, settings_for
from venuewise.kafka import replay, topics, view
from venuewise.kafka.view import Record, cells, matches, show
from venuewise.messages.market import DECISION_SCHEMA, MARKET_SCHEMA
from venuewise.synthetic.generate import generate

DECISION = {
    "symbol": "AAPL", "timestamp": "2024-08-01T13:36:32Z", "order_size": 5000, "algorithm": "static",
    "allocation": [5000], "total_cost": 12.5,
    "execution_summary": {"total_executed": 36, "underfill": 4964, "overfill": 0, "cash_spent": 1, "fill_rate": 0.0072},
    "venues": [],
}  # fmt: skip
MARKET = {"ts_event": 1, "publisher_id": 2, "symbol": "AAPL", "ask_px_00": 222.83, "ask_sz_00": 36}


class FakeMessage:
    """A message as the client library hands it over."""

    def __init__(self, value: bytes | None, headers: list[tuple[str, Any]] | None = None) -> None:
        self._value, self._headers = value, headers

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> list[tuple[str, Any]] | None:
        return self._headers

    def key(self) -> bytes | None:
        return b"AAPL"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7


def record(value: object, headers: list[tuple[str, Any]] | None = None) -> Record:
    raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    message: Any = FakeMessage(raw, headers)
    return view.as_record(message)


def lines(*records: Record | None, **options: Any) -> list[str]:
    stream = io.StringIO()
    show(iter(records), stream, **options)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("value", "headers", "schema"),
    [
        (MARKET, [("schema", b"venuewise.market"), ("version", b"1")], MARKET_SCHEMA),
        (DECISION, [("schema", b"venuewise.decision")], DECISION_SCHEMA),
        (MARKET, None, MARKET_SCHEMA),
        (DECISION, None, DECISION_SCHEMA),
        ({"other": 1}, None, ""),
        ({"id": "a", "quantity": 5}, [("schema", b"venuewise.order")], "venuewise.order"),
        ({"id": "a-1", "venue": "X"}, [("schema", b"venuewise.child_order")], "venuewise.child_order"),
        ({"child": "a-1", "shares": 5}, [("schema", b"venuewise.fill")], "venuewise.fill"),
        ({"order": "a", "status": "filled"}, [("schema", b"venuewise.report")], "venuewise.report"),
        (MARKET, [("schema", b"someone.else")], ""),
        (b"junk", [("schema", b"venuewise.market")], ""),
        (b"[1, 2]", None, ""),
        (b"[" * 10_000, None, ""),
        (b"\xff\x00", None, ""),
        (None, None, ""),
    ],
)
def test_messages_are_recognised_by_header_and_else_by_content(
    value: object, headers: Any, schema: str
) -> None:
    found = record(value, headers)
    assert found.schema == schema
    assert len(cells(found, {})) == len(view.COLUMNS[schema])
    assert json.loads(view.as_json(found))["offset"] == 7


def test_market_data_and_decisions_are_readable_lines() -> None:
    market, decision = lines(record(MARKET), record(DECISION), venue_names={2: "NASDAQ"})
    for part in ("AAPL", "NASDAQ", "222.83", "36"):
        assert part in market
    for part in ("AAPL", "5000", "static", "[5000]", "0.0072", "12.5"):
        assert part in decision


def test_json_lines_hold_the_whole_message() -> None:
    good, bad = (json.loads(line) for line in lines(record(DECISION), record(b"junk"), as_json_lines=True))
    assert good["value"] == DECISION
    assert good["schema"] == DECISION_SCHEMA
    assert (bad["value"], bad["raw"]) == (None, "junk")


def test_control_characters_do_not_reach_the_terminal() -> None:
    (line,) = lines(record(MARKET | {"symbol": "\x1b[2J\nA"}))
    assert line.isprintable()
    (line,) = lines(record(b"\x1b]0;title\x07" + b"x" * 1000))
    assert line.isprintable()
    assert len(line) < 300


HOSTILE = (
    {"symbol": "C1 \x9b2J", "publisher_id": [2], "ask_px_00": 1},
    {"symbol": "bidi \u202e", "publisher_id": {"a": 1}, "ask_px_00": 1},
    {"symbol": "[/x] [red]markup[/red]", "publisher_id": 2, "ask_px_00": 1},
    {"symbol": "[link=https://example.com]here[/link]", "publisher_id": True, "ask_px_00": 1},
)


def test_what_stands_in_a_message_is_shown_and_never_interpreted_by_a_terminal(
    kafka_bootstrap: str, topic: str
) -> None:
    tmux = shutil.which("tmux")
    if tmux is None:
        pytest.skip("no tmux on PATH: a terminal emulator to look at")
    topics.ensure_topic(settings_for(kafka_bootstrap), topic, 1)
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    for message in HOSTILE:
        producer.produce(topic, json.dumps(message, ensure_ascii=False).encode(), b"AAPL")
    producer.flush(10)
    options = (
        "--topic",
        topic,
        "--from-beginning",
        "--limit",
        len(HOSTILE),
        "--bootstrap-servers",
        kafka_bootstrap,
    )
    asked = [shlex.join(command("view", *options, *more)) for more in ((), ("--json",))]
    server = (tmux, "-L", topic)
    window = ("-x", "220", "-y", "50", f"{' && '.join(asked)}; echo all done; sleep 60")
    subprocess.run([*server, "new-session", "-d", "-s", "seen", *window], env=environment(), check=True)
    try:
        deadline = time.monotonic() + 60
        seen = ""
        while "all done" not in seen and time.monotonic() < deadline:
            time.sleep(0.5)
            seen = subprocess.run(
                [*server, "capture-pane", "-p", "-e", "-t", "seen"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
    finally:
        subprocess.run([*server, "kill-server"], check=False)
    table, _, rest = seen.partition('{"partition":0')
    for shown in (
        "C1 \\x9b2J",
        "bidi \\u202e",
        "[/x] [red]markup[/red]",
        "[link=https://example.com]here[/link]",
    ):
        assert shown in table, seen
    for shown in ("C1 \\u009b2J", "bidi \\u202e", "[/x] [red]markup[/red]"):
        assert shown in rest, seen
    assert "\x1b]8" not in seen  # no link


@pytest.mark.parametrize(
    "value", [b'{"symbol":"A\xff","ask_px_00":1}', b'{"a":' * 5000, b"[" * 100_000, b'"\\ud800"']
)
def test_what_is_no_json_is_shown_as_it_is(value: bytes) -> None:
    assert record(value).schema == ""
    (line,) = lines(record(value))
    assert line.isprintable()


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(LEAVES, lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@given(st.dictionaries(st.sampled_from([*MARKET, "allocation", "execution_summary"]), JSON))
@settings(max_examples=150, deadline=None)
def test_no_message_can_end_the_show_or_steer_the_terminal(value: dict[str, Any]) -> None:
    found = record(json.dumps(value).encode())
    assert all(line.isprintable() for line in lines(found))
    (line,) = lines(found, as_json_lines=True)
    assert line.isprintable()
    matches(found, dict.fromkeys(value, "1"), frozenset({2}))


def test_a_limit_ends_the_show() -> None:
    assert len(lines(*[record(MARKET)] * 5, limit=3)) == 3


def test_filters_compare_fields_and_venues() -> None:
    assert matches(record(MARKET), {"symbol": "AAPL", "ask_sz_00": "36"})
    assert not matches(record(MARKET), {"symbol": "MSFT"})
    assert not matches(record(MARKET), {"nothing": "null"})
    assert not matches(record(MARKET), {"ask_sz_00": "many"})
    assert matches(record(MARKET), {}, frozenset({2, 3}))
    assert not matches(record(MARKET), {}, frozenset({3}))
    assert not matches(record(b"junk"), {"symbol": "AAPL"})


def test_filters_compare_numbers_by_value_and_the_rest_as_json_has_it() -> None:
    found = record({"price": 222.0, "sequence": 2**60 + 1, "synthetic": True, "bid_px_00": None, "at": "1.0"})
    for text in ("222", "222.0", "222.00"):
        assert matches(found, {"price": text})
    assert matches(found, {"synthetic": "true", "bid_px_00": "null", "at": "1.0"})
    assert not matches(found, {"synthetic": "1"})
    assert not matches(found, {"at": "1"})
    assert matches(found, {"sequence": str(2**60 + 1)})
    assert not matches(found, {"sequence": str(2**60)})


def test_a_refusal_is_a_line_of_decisions_with_its_reason() -> None:
    refusal = record({"symbol": "AAPL", "order_size": 500, "algorithm": "exact", "refused": "no quote"})
    assert refusal.schema == DECISION_SCHEMA
    assert "no quote" in cells(refusal, {})


@pytest.mark.parametrize("venue", ["\N{SUPERSCRIPT TWO}", "NOWHERE"])
def test_a_venue_that_is_none_is_named(venue: str) -> None:
    done = run("view", "--venue", venue)
    assert (done.returncode, done.stderr) == (
        2, f"venuewise: --venue: found '{venue}'; expected a name or publisher id of: venuewise venues\n"
    )  # fmt: skip


def test_a_topic_is_shown_from_its_beginning_and_filtered(kafka_bootstrap: str, topic: str) -> None:
    events = generate(venues=2, symbols=["AAPL", "MSFT"], duration="1s", seed=2)
    settings = settings_for(kafka_bootstrap)
    count = topics.ensure_topic(settings, topic, 2)
    replay.replay(
        events, replay.KafkaSink(settings, topic, count, events, "x"), topic=topic, limit=200, speed=None
    )
    publisher = events.publishers[1]
    done = run("view", "--topic", topic, "--from-beginning", "--json", "--limit", 20, "--symbol", "MSFT",
               "--venue", publisher, "--bootstrap-servers", kafka_bootstrap)  # fmt: skip
    assert done.returncode == 0
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(shown) == 20
    for item in shown:
        assert (item["key"], item["value"]["symbol"], item["value"]["publisher_id"]) == (
            "MSFT",
            "MSFT",
            publisher,
        )


def test_aborted_transactions_are_not_shown(kafka_bootstrap: str, topic: str) -> None:
    topics.ensure_topic(settings_for(kafka_bootstrap), topic, 1)
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "transactional.id": topic, "log_level": 3})
    producer.init_transactions(20)
    for value, commit in ((b'{"n": 1}', False), (b'{"n": 2}', True)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush(10)
        (producer.commit_transaction if commit else producer.abort_transaction)(20)
    found = view.records(settings_for(kafka_bootstrap), topic, from_beginning=True)
    first = next(item for item in found if item is not None)
    assert first.value == {"n": 2}


def test_a_terminal_gets_a_table(kafka_bootstrap: str, topic: str) -> None:
    topics.ensure_topic(settings_for(kafka_bootstrap), topic, 1)
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    for _ in range(3):
        producer.produce(topic, json.dumps(DECISION).encode())
    producer.flush(10)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("view", "--topic", topic, "--from-beginning", "--limit", 3, "--bootstrap-servers", kafka_bootstrap),
        stdout=theirs, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        env=environment(TERM="xterm", COLUMNS="140", LINES="30"),
    )  # fmt: skip
    os.close(theirs)
    chunks: list[bytes] = []

    def read() -> None:
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # the other end is closed
                return
            if not chunk:
                return
            chunks.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait(60) == 0
    reader.join(10)
    os.close(ours)
    text = b"".join(chunks).decode()
    assert "3 messages" in text
    assert "fill rate" in text
    assert "0.0072" in text


def test_without_from_beginning_only_new_messages_are_shown(kafka_bootstrap: str, topic: str) -> None:
    where = settings_for(kafka_bootstrap)
    topics.ensure_topic(where, topic, 1)
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    producer.produce(topic, b'{"n": "old"}')
    producer.flush(10)
    found = view.records(where, topic)
    assert next(found) is None
    producer.produce(topic, b'{"n": "new"}')
    producer.flush(10)
    deadline = time.monotonic() + 20
    first = next(item for item in found if item is not None or time.monotonic() > deadline)
    assert first is not None
    assert first.value == {"n": "new"}
