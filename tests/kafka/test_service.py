"""The router as a service: what cannot be read, what is measured, how it stops, how much it holds."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest
from confluent_kafka import Producer

import venuewise as vw
from tests.kafka.helpers import command, environment, read_all, run, settings_for
from tests.routing.orders import request
from venuewise.kafka.topics import ensure_topic
from venuewise.messages.market import encode

GOOD = (
    b'{"ts_event":1722519392000000000,"ts_recv":1722519392000000100,"publisher_id":2,"symbol":"AAPL","ask_px_00":221.5,'
    b'"ask_sz_00":300,"bid_px_00":221.4,"bid_sz_00":100,"sequence":1}'
)
Message = tuple[bytes | None, list[tuple[str, bytes]] | None]
POISON: dict[str, Message] = {
    "not JSON": (b"never JSON", None),
    "an empty message": (b"", None),
    "no value at all": (None, None),
    "fields missing": (b'{"ts_event":1}', None),
    "a wrong type": (GOOD.replace(b'"ask_sz_00":300', b'"ask_sz_00":"many"'), None),
    "NaN": (GOOD.replace(b"221.5", b"NaN"), None),
    "a number beyond all bounds": (GOOD.replace(b"221.5", b"1e300"), None),
    "a huge message": (GOOD[:-1] + b',"note":"' + b"x" * 100_000 + b'"}', None),
    "an unknown schema": (GOOD, [("schema", b"weather"), ("version", b"1")]),
    "binary junk": (bytes(range(256)), None),
}


def send(
    bootstrap: str, topic: str, messages: list[tuple[bytes | None, list[tuple[str, bytes]] | None]]
) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "queue.buffering.max.messages": 1_000_000})
    for value, headers in messages:
        producer.produce(topic, value, b"AAPL", headers=headers)
        producer.poll(0)
    assert producer.flush(30) == 0


def held_mb(pid: int) -> int:
    """Return the most resident memory that a process has had so far, in MB; 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    return found[0] // 1000 if found else 0


def test_what_cannot_be_read_goes_to_the_dead_letters_and_stops_nothing(
    kafka_bootstrap: str, topic: str
) -> None:
    ensure_topic(settings_for(kafka_bootstrap), topic, 1)
    messages: list[Message] = [(GOOD, None)]
    for value, headers in POISON.values():
        messages += [(value, headers), (GOOD, None)]
    send(kafka_bootstrap, topic, messages)
    done = run(
        "route", "--topic", topic, "--out", f"{topic}.out", "--group", topic, "--limit", len(messages),
        "--kafka-bootstrap-servers", kafka_bootstrap, DEAD_LETTERS=f"{topic}.dead",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(read_all(kafka_bootstrap, f"{topic}.out")) == len(POISON) + 1
    dead = read_all(kafka_bootstrap, f"{topic}.dead")
    assert [letter.value() or b"" for letter in dead] == [value or b"" for value, _ in POISON.values()]
    for at, letter in enumerate(dead):
        about = dict(letter.headers() or [])
        assert about["reason"]
        assert about["from"] == f"{topic}/0/{2 * at + 1}".encode()
    logged = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert sum(line["event"] == "dead letter" for line in logged) == len(POISON)
    assert f"{len(POISON)} dead letters" in done.stderr


def test_the_dry_run_over_a_file_writes_what_the_service_publishes(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    file = tmp_path / "day.csv"
    vw.generate(venues=4, symbols=["AAPL"], duration="20s", seed=3).to_csv(file)
    options = ("--levels", 3, "--order-size", 700, "--side", "sell", "--interval-ms", 5, "--max-age-ms", 4000)
    dry = run("route", "--from", file, "--out", tmp_path / "dry.jsonl", *options)
    assert dry.returncode == 0, dry.stderr
    on_stdout = run("route", "--from", file, *options)
    produced = run(
        "produce", file, "--topic", topic, "--speed", "max", "--kafka-bootstrap-servers", kafka_bootstrap
    )
    assert produced.returncode == 0, produced.stderr
    live = run(
        "route", "--topic", topic, "--out", f"{topic}.out", "--group", topic, "--idle-exit", 2,
        "--kafka-bootstrap-servers", kafka_bootstrap, *options,
    )  # fmt: skip
    assert live.returncode == 0, live.stderr
    published = b"".join((m.value() or b"") + b"\n" for m in read_all(kafka_bootstrap, f"{topic}.out"))
    assert published == (tmp_path / "dry.jsonl").read_bytes() == on_stdout.stdout.encode()
    counts = json.loads(dry.stdout)
    assert counts["rows"] == published.count(b"\n") == counts["decisions"] + counts["refusals"]
    assert counts["refusals"] > 0
    first = json.loads(published.splitlines()[-1])
    assert first["synthetic"] is True


class Served:
    """A router that runs as a process, and what it tells over HTTP and on stdout."""

    def __init__(self, bootstrap: str, topic: str, log: Path, *options: object, **variables: str) -> None:
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                command("route", "--group", topic, "--metrics-port", 0, "--show", *options),
                env=environment(KAFKA_BOOTSTRAP_SERVERS=bootstrap, TOPIC=topic, OUT=f"{topic}.out",
                                DEAD_LETTERS=f"{topic}.dead", **variables),
                stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self.process.kill()
        self.process.communicate()

    def shown(self, count: int) -> list[dict[str, Any]]:
        assert self.process.stdout is not None
        return [json.loads(self.process.stdout.readline()) for _ in range(count)]

    def get(self, path: str) -> tuple[int, str]:
        address = next(word for word in self.log.read_text().split() if word.startswith("http://"))
        with urllib.request.urlopen(address.replace("/metrics", path), timeout=5) as answer:
            return answer.status, answer.read().decode()

    def status(self, path: str) -> int:
        try:
            return self.get(path)[0]
        except urllib.error.HTTPError as refused:
            return refused.code

    def metrics(self, **expected: float) -> dict[str, float]:
        """Return metrics by name (without the prefix and quotes) once these ones have their values."""
        deadline = time.monotonic() + 30
        while True:
            lines = self.get("/metrics")[1].replace('"', "").splitlines()
            words = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
            found = {name.removeprefix("venuewise_"): float(value) for name, value in words}
            if expected.items() <= found.items():
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


def test_metrics_health_and_readiness_answer_while_it_runs_and_sigterm_ends_it(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    ensure_topic(settings_for(kafka_bootstrap), topic, 1)
    with Served(kafka_bootstrap, topic, tmp_path / "log") as served:
        send(kafka_bootstrap, topic, [*[(GOOD, None)] * 50, (b"poison", None)])
        assert served.shown(50)[0]["allocation"] == [5000]
        assert served.get("/healthz") == (200, "alive\n")
        assert served.get("/readyz") == (200, "ready\n")
        metrics = served.metrics(
            **{
                "messages_total{input=market}": 51, "events_total{what=decisions}": 50, "dead_letters_total": 1,
                "fill_rate": 300 / 5000, "lag_messages{partition=0}": 0,
                "saved_dollars_total": 0,  # with one venue there is nothing to choose
            }
        )  # fmt: skip
        assert metrics["transactions_total{result=committed}"] >= 1
        assert metrics["decision_latency_seconds_count"] >= 1
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0, served.log.read_text()
    assert f"51 messages of {topic} routed to {topic}.out" in served.log.read_text()


def test_the_latency_of_decisions_counts_no_batch_without_a_row_of_the_market(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    names = {
        f"{name.upper()}_TOPIC": f"{topic}.{name}" for name in ("orders", "children", "fills", "reports")
    }
    for name in (topic, *names.values()):
        ensure_topic(settings_for(kafka_bootstrap), name, 1)
    with Served(kafka_bootstrap, topic, tmp_path / "log", "--orders", **names) as served:
        send(kafka_bootstrap, topic, [(GOOD, None)])
        served.shown(1)
        served.metrics(**{"decision_latency_seconds_count": 1, "transactions_total{result=committed}": 1})
        send(kafka_bootstrap, names["ORDERS_TOPIC"], [(request(symbol="AAPL"), None)])
        served.metrics(**{"decision_latency_seconds_count": 1, "transactions_total{result=committed}": 2})


def test_a_long_queue_is_worked_in_bounded_memory(kafka_bootstrap: str, topic: str, tmp_path: Path) -> None:
    events = vw.generate(venues=3, symbols=["AAPL"], duration="30s", seed=3)
    values = encode(events)
    assert len(values) > 10_000
    rows = (values * (120_000 // len(values) + 1))[:120_000]
    send(kafka_bootstrap, topic, [(value, None) for value in rows])
    process = subprocess.Popen(
        command("route", "--topic", topic, "--out", f"{topic}.out", "--group", topic, "--limit", len(rows)),
        env=environment(KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    peak = 0
    while process.poll() is None:
        peak = max(peak, held_mb(process.pid))
        time.sleep(0.05)
    assert process.returncode == 0
    assert sum(map(len, rows)) > 50e6
    assert 50 < peak < 300


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--algorithm", "magic"), "--algorithm: found 'magic'"),
        (("--order-size", "0"), "--order-size: found 0"),
        (("--levels", "11"), "--levels: found 11"),
        (("--side", "hold"), "--side: found 'hold'"),
        (("--interval-ms", "-1"), "--interval-ms: found -1"),
        (("--fees", "nowhere.toml"), "nowhere.toml"),
        (("--topic", "no spaces allowed"), "--topic: found"),
        (("--horizon-s", "0"), "--horizon-s: found 0"),
    ],
)
def test_options_that_make_no_sense_end_in_one_line(options: tuple[str, ...], why: str) -> None:
    done = run("route", *options)
    assert done.returncode == 2
    assert done.stdout == ""
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_waits_for_its_topic_and_stops_while_it_waits(kafka_bootstrap: str, topic: str) -> None:
    process = subprocess.Popen(
        command("route", "--topic", topic, "--group", topic, "--kafka-bootstrap-servers", kafka_bootstrap),
        env=environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert "waiting for the topic" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 0
    assert rest == f"0 messages of {topic} routed to sor.decisions, 0 dead letters\n"


def test_without_a_broker_it_says_so_in_one_line() -> None:
    done = run("route", "--kafka-bootstrap-servers", "127.0.0.1:1")
    assert done.returncode == 2
    assert done.stderr == (
        "venuewise: Kafka: found no broker that answers at 127.0.0.1:1 (Failed to get metadata: Local: Broker "
        "transport failure); expected one: venuewise broker up starts one here\n"
    )
