"""The router on a real Kafka broker: throughput, latency, memory and scaling, against loops that do less.

Each measured run is a process of its own with a consumer group of its own (see `benchmarks.streaming_runs`); the times
are from the first batch to the last commit, so neither starting nor compiling counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.streaming_runs import PRODUCER, sample, what_if
from benchmarks.table import Table
from venuewise.kafka import broker
from venuewise.kafka.processing import Incoming
from venuewise.kafka.service import BATCH
from venuewise.kafka.settings import Settings, load
from venuewise.kafka.topics import ensure_topic
from venuewise.messages.market import MARKET_HEADERS, encode

MESSAGES: Final = 150_000
SCALE_MESSAGES: Final = 300_000
PACED_RATE: Final = 500
PACED_SECONDS: Final = 12
MEMORY_MESSAGES: Final = 2_000_000
LATENCY_ROUNDS: Final = 5
SYMBOL_COUNTS: Final = (1, 1_000, 10_000)


def symbol_costs(symbols: int) -> tuple[float, float, float]:
    """Return us a message in full batches, us of a message alone, and seconds of a restart, of one partition.

    The rows come from all symbols alike: the hardest case, for nearly every row is then the last of its venue in its
    batch, and is saved.
    """
    made = sample(180)
    events = replace(
        made, symbol=np.random.default_rng(0).integers(0, symbols, len(made)).astype(np.int32),
        symbols=tuple(f"S{i:05d}" for i in range(symbols)),
    )  # fmt: skip
    messages = [Incoming(value, [*MARKET_HEADERS]) for value in encode(events)]
    router, state = what_if(), dict[bytes, bytes | None]()
    batches = [messages[first : first + BATCH] for first in range(0, len(messages) - BATCH, BATCH)]
    took: list[float] = []
    for batch in batches:
        began = time.perf_counter()
        router.process("market", batch)
        changes = router.changes()
        took.append((time.perf_counter() - began) / BATCH * 1e6)
        state.update(changes)
    alone: list[float] = []
    for message in messages[:500]:
        began = time.perf_counter()
        router.process("market", [message])
        router.changes()
        alone.append((time.perf_counter() - began) * 1e6)
    entries = [(key, value) for key, value in state.items() if value is not None]
    began = time.perf_counter()
    what_if().restore(entries)
    restart = time.perf_counter() - began
    return statistics.median(took[len(took) // 2 :]), statistics.median(alone), restart


def fill(settings: Settings, topic: str, messages: int, levels: int = 10) -> int:
    """Produce so many messages to two partitions, one symbol each; return their bytes."""
    ensure_topic(settings, topic, 2)
    producer = Producer(settings.client(dict(PRODUCER)))
    size = produce(producer, topic, messages, levels)
    producer.flush(120)
    return size


def produce(producer: Any, topic: str, messages: int, levels: int = 10) -> int:
    """Hand messages to a producer; return their bytes."""
    events = sample(60, levels)
    values, codes = encode(events), events.symbol.tolist()
    headers, keys = list(MARKET_HEADERS), [symbol.encode() for symbol in events.symbols]
    size = 0
    for i in range(messages):
        at = i % len(values)
        size += len(values[at])
        while True:
            try:
                producer.produce(topic, values[at], keys[codes[at]], codes[at] % 2, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
    return size


class Transaction:
    """A producer whose messages are seen all at once, when the block ends."""

    def __init__(self, settings: Settings) -> None:
        needed = {**PRODUCER, "transactional.id": name("bench"), "transaction.timeout.ms": 300_000}
        self.producer = Producer(settings.client(needed))

    def __enter__(self) -> Any:
        self.producer.init_transactions(30)
        self.producer.begin_transaction()
        return self.producer

    def __exit__(self, kind: object, _error: object, _trace: object) -> None:
        if kind is None:
            self.producer.commit_transaction(120)


class Bench:
    """A broker of its own, and processes that run against it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bootstrap = broker.up(directory, port=0, heap_mb=512).bootstrap_servers
        self.settings = load(flags={"kafka_bootstrap_servers": self.bootstrap})

    def start(self, *arguments: object, core: int | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.streaming_runs", *map(str, arguments)]
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        out, err = process.communicate(timeout=600)
        if process.returncode:
            raise RuntimeError(err)
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def rate(self, kind: str, topic: str, messages: int, *more: object) -> tuple[float, dict[str, Any]]:
        """Return messages a second."""
        found = self.result(self.start(kind, *more, self.bootstrap, topic, name(kind), messages))
        return found["done"] / (found["ended"] - found["began"]), found

    def scaled(self, kind: str, instances: int, pinned: bool = False) -> float:
        """Return messages a second of some instances of one group, each on a core of its own if `pinned`.

        All messages come at once, by the commit of one transaction, when every instance has its partitions.
        """
        topic, out, messages = name("scale"), name("scaled"), SCALE_MESSAGES
        ensure_topic(self.settings, topic, 2)
        with Transaction(self.settings) as producer:
            produce(producer, topic, messages)
            running = [
                self.start(kind, self.bootstrap, topic, out, 0, f"i{i}", core=i if pinned else None)
                for i in range(instances)
            ]
            self.wait_for_members(f"{out}.group", instances)
        found = [self.result(process) for process in running]
        done = sum(f["done"] for f in found)
        if done != messages:
            raise RuntimeError(f"{done} messages processed of {messages}")
        return float(done / (max(f["ended"] for f in found) - min(f["began"] for f in found)))

    def wait_for_members(self, group: str, members: int) -> None:
        """Wait until so many members share the partitions of a group."""
        admin = AdminClient(self.settings.client())
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = admin.describe_consumer_groups([group])[group].result(10)
            if [len(m.assignment.topic_partitions) > 0 for m in found.members] == [True] * members:
                return
            time.sleep(0.2)
        raise RuntimeError(f"{group} does not come together")

    def latencies(self, kind: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return milliseconds from producing a message to having the committed answer, at a steady rate."""
        topic, out = name("paced"), name(kind)
        ensure_topic(self.settings, topic, 1)
        ensure_topic(self.settings, out, 1)
        process = self.start(kind, self.bootstrap, topic, out, 0)
        values = encode(sample(20))[: PACED_RATE * PACED_SECONDS]
        producer = Producer(self.settings.client({"linger.ms": 0}))
        consumer = Consumer(self.settings.client({"group.id": out, "fetch.wait.max.ms": 5}))
        consumer.assign([TopicPartition(out, 0, 0)])
        for value in values[:20]:  # until the service is there
            producer.produce(topic, value, partition=0)
        producer.flush(10)
        seen = 0
        while seen < 20:
            seen += len(consumer.consume(20, 0.1))
        sent: list[float] = []
        came: list[float] = []
        began = time.perf_counter()
        while len(came) < len(values):
            now = time.perf_counter()
            while len(sent) < len(values) and began + len(sent) / PACED_RATE <= now:
                producer.produce(topic, values[len(sent)], partition=0)
                sent.append(time.perf_counter())
            producer.poll(0)
            message = consumer.poll(0.0005)
            if message is not None and message.error() is None:
                came.append(time.perf_counter())
        consumer.close()
        self.result(process)
        return np.asarray((np.array(came) - np.array(sent))[PACED_RATE:] * 1e3)


def name(kind: str) -> str:
    return f"{kind}.{uuid4().hex[:8]}"


def decision_times() -> list[float]:
    """Return microseconds of each decision on a message of its own: decode, book, allocate, encode, state."""
    router = what_if()
    messages = [Incoming(value, [*MARKET_HEADERS]) for value in encode(sample(20))[:12_000]]
    took = []
    for message in messages:
        began = time.perf_counter_ns()
        router.process("market", [message])
        router.changes()
        took.append((time.perf_counter_ns() - began) / 1e3)
    return took[2_000:]


def in_turn(*measures: Callable[[], float], rounds: int) -> list[float]:
    """Return the median of each measure, taken in turn."""
    found: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for measure, values in zip(measures, found, strict=True):
            values.append(measure())
    return [statistics.median(values) for values in found]


def symbol_rows(costs: dict[int, np.ndarray[Any, np.dtype[np.float64]]]) -> list[tuple[str, ...]]:
    """Return the rows that tell what many symbols of one partition cost, against one."""
    one = costs[1]
    rows: list[tuple[str, ...]] = []
    for count, (steady, alone, restart) in costs.items():
        if count == 1:
            continue
        rows += [
            (f"{count:,} symbols, us each", f"{steady:.1f}", f"{one[0]:.1f} (one symbol)", f"{steady / one[0]:.2f}"),
            ("  a message alone, us", f"{alone:.0f}", f"{one[1]:.0f} (one symbol)", f"{alone / one[1]:.2f}"),
            ("  restart from saved books, s", f"{restart:.2f}", "", ""),
        ]  # fmt: skip
    return rows


def run() -> Table:
    """Measure everything against one broker."""
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory) / "broker")
        try:
            return _measure(bench)
        finally:
            broker.down(bench.directory, wipe=True)


def _measure(bench: Bench) -> Table:
    topic, large = name("market"), name("many")
    fill(bench.settings, topic, MESSAGES)
    thin = name("thin")
    fill(bench.settings, thin, MESSAGES, levels=1)
    route, echo, bare, floor_, route_thin = in_turn(
        lambda: bench.rate("route", topic, MESSAGES)[0],
        lambda: bench.rate("echo", topic, MESSAGES)[0],
        lambda: bench.rate("bare", topic, MESSAGES)[0],
        lambda: bench.rate("floor", topic, MESSAGES)[0],
        lambda: bench.rate("route", thin, MESSAGES)[0],
        rounds=5,
    )
    symbols = {count: np.median([symbol_costs(count) for _ in range(3)], axis=0) for count in SYMBOL_COUNTS}
    paced: dict[str, list[Any]] = {"route": [], "echo": []}
    for _ in range(LATENCY_ROUNDS):
        for kind, measured in paced.items():
            measured.append(np.percentile(bench.latencies(kind), [50, 99, 99.9]))
    ours, theirs = (np.median(paced[kind], axis=0) for kind in ("route", "echo"))
    one, two, echo_one, echo_two = in_turn(
        lambda: bench.scaled("route", 1),
        lambda: bench.scaled("route", 2),
        lambda: bench.scaled("echo", 1),
        lambda: bench.scaled("echo", 2),
        rounds=5,
    )
    pinned_one, pinned_two = in_turn(
        lambda: bench.scaled("route", 1, pinned=True), lambda: bench.scaled("route", 2, pinned=True), rounds=2
    )
    p50, p99, p999 = np.percentile(decision_times(), [50, 99, 99.9])
    size = fill(bench.settings, large, MEMORY_MESSAGES, levels=1)
    _, memory = bench.rate("route", large, MEMORY_MESSAGES)
    marks = " / ".join(f"{kb / 1024:.0f}" for kb in memory["kb"])
    rows: list[tuple[str, ...]] = [
        ("throughput, messages/s", f"{route:,.0f}", f"{echo:,.0f} (echo loop)", f"{route / echo:.2f}"),
        ("", f"{route:,.0f}", f"{bare:,.0f} (bare echo)", f"{route / bare:.2f}"),
        ("", f"{route:,.0f}", f"{floor_:,.0f} (the floor)", f"{route / floor_:.2f}"),
        ("of messages of one level", f"{route_thin:,.0f}", f"{route:,.0f} (of ten)", f"{route_thin / route:.2f}"),
        *symbol_rows(symbols),
        ("two instances, messages/s", f"{two:,.0f}", f"{one:,.0f} (one)", f"{two / one:.2f}"),
        ("", f"{pinned_two:,.0f} (a core each)", f"{pinned_one:,.0f} (one, on one core)",
         f"{pinned_two / pinned_one:.2f}"),
        ("two echo loops, messages/s", f"{echo_two:,.0f}", f"{echo_one:,.0f} (one)",
         f"{echo_two / echo_one:.2f}"),
        ("end to end p50 / p99 / p99.9, ms", " / ".join(f"{v:.1f}" for v in ours),
         " / ".join(f"{v:.1f}" for v in theirs) + " (echo loop)", f"{ours[1] / theirs[1]:.2f} (p99)"),
        ("one decision p50 / p99 / p99.9, us", f"{p50:.0f} / {p99:.0f} / {p999:.0f}", "", ""),
        ("resident at 10/25/50/75/100 %, MB", marks, "", f"{memory['kb'][-1] / memory['kb'][0]:.2f} (end / 10 %)"),
    ]  # fmt: skip
    return Table(
        "Router on Kafka", ("what", "venuewise", "against", "ratio"), rows,
        (
            f"A broker on this machine; {MESSAGES:,} messages ({SCALE_MESSAGES:,} for two instances) of ten levels, "
            "5 venues, 2 symbols, 2 partitions. "
            "Two instances share two cores with the broker and with the clients' own threads; two echo loops show what "
            "that leaves.",
            "The floor consumes, produces the same bytes and commits in transactions, and does nothing else.",
            "Symbols: one partition, rows of all symbols alike; decoding, deciding, encoding, and what is saved.",
            f"End to end: {PACED_RATE} messages/s for {PACED_SECONDS} s, produced to read committed.",
            f"Memory: over {MEMORY_MESSAGES:,} messages of one level, {size / 1e6:,.0f} MB.",
        ),
    )  # fmt: skip
