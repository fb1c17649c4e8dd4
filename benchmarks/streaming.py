"""The router on a real Kafka broker: throughput, latency, memory and scaling, against an echo loop and Quix Streams.

The echo loop is our own service with the routing left out: it consumes, decodes, encodes messages of the same kind,
produces and commits in transactions. The bare one sends the decoded row itself, a shorter message. Quix Streams does
the router's job with its own means: exactly-once guarantee, its JSON codecs, its state store with a changelog, our
allocator. Each measured run is a process of its own with a consumer group of its own; the times are from the first
batch to the last commit, so neither starting nor compiling counts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from quixstreams import Application

import venuewise as vw
from benchmarks.table import Table
from venuewise.data.events import Events, UInt8
from venuewise.kafka import broker
from venuewise.kafka.metrics import Metrics
from venuewise.kafka.processing import Incoming, Outgoing, Processed, Processor
from venuewise.kafka.service import Service, Wiring, calm_collector
from venuewise.kafka.settings import Settings, load
from venuewise.kafka.stopping import StopRequest
from venuewise.kafka.topics import ensure_topic
from venuewise.market.venues import load_venues
from venuewise.messages.market import MARKET_HEADERS, Decoder, encode
from venuewise.routing.whatif import WhatIf, WhatIfSettings
from venuewise.routing.whatif_decisions import Decisions

MESSAGES: Final = 150_000
SCALE_MESSAGES: Final = 300_000
PACED_RATE: Final = 500
PACED_SECONDS: Final = 12
MEMORY_MESSAGES: Final = 2_000_000
LATENCY_ROUNDS: Final = 5
SYMBOLS: Final = ("AAPL", "MSFT")
PRODUCER: Final = {"linger.ms": 20, "compression.type": "lz4", "queue.buffering.max.messages": 500_000}


class Echo(WhatIf):
    """The router with the routing left out: the same messages in and out, but always the first decision."""

    decided: Decisions | None = None

    def route(self, batch: Events, synthetic: UInt8 | bool) -> Processed:
        """Write the first decision again at every row of a batch; no books, no state."""
        if self.decided is None:
            self.decided, _ = self._decide(self._rows_of(batch))
        n, one = len(batch), self.decided
        venues = slice(int(one.venues[0]))
        same = one._replace(
            **{name: np.repeat(getattr(one, name)[:1], n) for name in Decisions._fields[:9]},
            **{name: np.tile(getattr(one, name)[venues], n) for name in Decisions._fields[9:]},
        )
        same.first[:] = np.arange(n) * int(one.venues[0])
        flags = np.full(n, synthetic, np.uint8)
        return Processed(self._outputs(self._rows_of(batch), same, (), flags), [], {})


class Bare:
    """A bare echo: the row as it was decoded (one level), encoded again."""

    def __init__(self) -> None:
        self.decoder = Decoder(1)

    def process(self, role: str, messages: Sequence[Incoming]) -> Processed:
        batch = self.decoder.decode([m.value for m in messages], [m.headers for m in messages])
        keys = [batch.events.symbols[code].encode() for code in batch.events.symbol.tolist()]
        values = encode(batch.events)
        return Processed([Outgoing("decisions", k, v) for k, v in zip(keys, values, strict=True)], [], {})

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        return []

    def restore(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        pass


class Timed(Service):
    """A service that notes when its first batch began and its last was committed, and what memory it held."""

    began = ended = 0.0
    resident: tuple[int, ...] = ()

    def _work(self, messages: list[Any], stop: StopRequest) -> bool:
        self.began = self.began or time.monotonic()
        committed = super()._work(messages, stop)
        self.ended = time.monotonic()
        self.resident = (*self.resident, resident_kb())
        return committed


def resident_kb() -> int:
    """Return what this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)


def what_if() -> WhatIf:
    return WhatIf(WhatIfSettings(), load_venues())


MAKE: Final[dict[str, Callable[[], Processor]]] = {
    "route": what_if,
    "echo": lambda: Echo(WhatIfSettings(), load_venues()),
    "bare": Bare,
}


def serve(kind: str, bootstrap: str, topic: str, out: str, limit: str, instance: str = "one") -> None:
    """Run a service over a topic and print its times as JSON."""
    settings = load(flags={"kafka_bootstrap_servers": bootstrap})
    for make in MAKE.values():  # compiles
        make().process("market", [Incoming(value, [*MARKET_HEADERS]) for value in encode(sample(1))])
    calm_collector()
    wiring = Wiring({"market": topic}, {"decisions": out}, f"{out}.changelog", f"{out}.dead")
    service = Timed(
        settings, wiring, MAKE[kind], group=f"{out}.group", instance=instance,
        metrics=Metrics(),
    )  # fmt: skip
    service.run(StopRequest(), limit=int(limit) or None, idle_exit=10.0 if limit == "0" else 30.0)
    memory = service.resident or (0,)
    marks = [memory[int((len(memory) - 1) * share)] for share in (0.1, 0.25, 0.5, 0.75, 1.0)]
    print(json.dumps({"began": service.began, "ended": service.ended, "done": service.done, "kb": marks}))


def quix(stateful: str, bootstrap: str, topic: str, out: str, limit: str) -> None:
    """Do the router's job with Quix Streams and print its times as JSON."""
    app = Application(
        bootstrap, consumer_group=f"{out}.group", auto_offset_reset="earliest", loglevel="ERROR",
        processing_guarantee="exactly-once", commit_every=5000, state_dir=tempfile.mkdtemp(),
        producer_extra_config={"compression.type": "lz4"},
    )  # fmt: skip
    table = load_venues()
    taker = {p: v.taker_fee_dollars for p, v in ((p, table.resolve((p,))[0]) for p in range(1, 40))}
    maker = {p: v.maker_rebate_dollars for p, v in ((p, table.resolve((p,))[0]) for p in range(1, 40))}
    times: list[float] = []
    kept: dict[str, dict[str, Any]] = {}

    def decide(row: dict[str, Any], book: dict[str, Any]) -> dict[str, Any]:
        times.append(time.monotonic())
        book[str(row["publisher_id"])] = [row["bid_px_00"], row["ask_px_00"], row["ask_sz_00"]]
        shown = [(int(p), q) for p, q in sorted(book.items()) if q[1] is not None and q[2]]
        bids = [q[0] for _, q in shown if q[0] is not None]
        mid = (max(bids) + min(q[1] for _, q in shown)) / 2 if bids else None
        found = vw.allocate(
            5000, ask=[q[1] for _, q in shown], ask_size=[q[2] for _, q in shown],
            fee=[taker[p] for p, _ in shown], rebate=[maker[p] for p, _ in shown],
            lambda_over=0.01, lambda_under=0.005, theta_queue=0.002, mid=mid,
        )  # fmt: skip
        shares = found.shares.tolist()
        done = int(found.executed)
        return {
            "symbol": row["symbol"], "timestamp": row["timestamp"], "order_size": 5000, "side": "buy",
            "algorithm": "exact", "mid": mid, "allocation": shares, "total_cost": found.cost,
            "execution_summary": {
                "total_executed": done, "underfill": max(5000 - done, 0), "overfill": max(done - 5000, 0),
                "cash_spent": found.cash, "fill_rate": min(done, 5000) / 5000,
            },
            "venues": [
                {"venue_id": p, "ask": q[1], "ask_size": q[2], "fee": taker[p], "rebate": maker[p], "allocation": n}
                for (p, q), n in zip(shown, shares, strict=True)
            ],
        }  # fmt: skip

    def with_state(row: dict[str, Any], state: Any) -> dict[str, Any]:
        book = state.get("book", {})
        decision = decide(row, book)
        state.set("book", book)
        return decision

    frame = app.dataframe(app.topic(topic, value_deserializer="json"))
    if stateful == "state":
        frame = frame.apply(with_state, stateful=True)
    else:
        frame = frame.apply(lambda row: decide(row, kept.setdefault(row["symbol"], {})))
    frame.to_topic(app.topic(out, value_serializer="json"))
    app.run(count=int(limit), timeout=60)
    print(json.dumps({"began": times[0], "ended": time.monotonic(), "done": len(times)}))


def sample(seconds: float, levels: int = 10) -> vw.Events:
    """Return generated market data of five venues, two symbols."""
    events = vw.generate(venues=5, symbols=SYMBOLS, duration=f"{seconds}s", seed=3)
    return events if levels == events.levels else Decoder(levels).decode(encode(events)).events


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
        command = [sys.executable, "-m", "benchmarks.streaming", *map(str, arguments)]
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
    route, echo, bare = in_turn(
        lambda: bench.rate("route", topic, MESSAGES)[0],
        lambda: bench.rate("echo", topic, MESSAGES)[0],
        lambda: bench.rate("bare", topic, MESSAGES)[0],
        rounds=5,
    )
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
            "5 venues, 2 symbols, 2 partitions."
            "Two instances share two cores with the broker and with the clients' own threads; two echo loops show what "
            "that leaves.",
            f"End to end: {PACED_RATE} messages/s for {PACED_SECONDS} s, produced to read committed.",
            f"Memory: over {MEMORY_MESSAGES:,} messages of one level, {size / 1e6:,.0f} MB.",
        ),
    )  # fmt: skip


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    if kind == "quix":
        quix(*arguments)
    else:
        serve(kind, *arguments)
