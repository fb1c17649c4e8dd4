"""What the streaming benchmarks run, each in a process of its own: the router, loops that do less, and Quix Streams.

The echo loop is our own service with the routing left out: it consumes, decodes, encodes messages of the same kind,
produces and commits in transactions. The bare one sends the decoded row itself, a shorter message. The floor only
consumes, produces the same bytes and commits. Quix Streams does the router's job with its own means: exactly-once
guarantee, its JSON codecs, its state store with a changelog, our allocator.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from quixstreams import Application

import venuewise as vw
from venuewise.data.events import Events, UInt8
from venuewise.kafka.metrics import Metrics
from venuewise.kafka.processing import Incoming, Outgoing, Processed, Processor
from venuewise.kafka.service import BATCH, Service, calm_collector
from venuewise.kafka.settings import load
from venuewise.kafka.stopping import StopRequest
from venuewise.kafka.topics import ensure_topic
from venuewise.kafka.wiring import Wiring
from venuewise.market.venues import load_venues
from venuewise.messages.market import MARKET_HEADERS, Decoder, encode
from venuewise.routing.whatif import WhatIf, WhatIfSettings
from venuewise.routing.whatif_decisions import Decisions

SYMBOLS: Final = ("AAPL", "MSFT")
PRODUCER: Final = {"linger.ms": 20, "compression.type": "lz4", "queue.buffering.max.messages": 500_000}
CONSUMER: Final = {"fetch.wait.max.ms": 5, "fetch.queue.backoff.ms": 2, "queued.max.messages.kbytes": 16_384}


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


def floor(bootstrap: str, topic: str, out: str, limit: str) -> None:
    """Consume, produce the same bytes and commit, in the transactions of a service, and print the times as JSON.

    Nothing is decoded, kept or guarded: what no router in Python that uses this client can pass.
    """
    settings = load(flags={"kafka_bootstrap_servers": bootstrap})
    ensure_topic(settings, out, 2)
    calm_collector()
    name, more = f"{out}.group", {"group.id": f"{out}.group", "enable.auto.commit": False}
    consumer = Consumer(settings.client({**CONSUMER, **more, "auto.offset.reset": "earliest"}))
    producer = Producer(
        settings.client({**PRODUCER, "transactional.id": name, "delivery.report.only.error": True})
    )
    producer.init_transactions(30)
    consumer.subscribe([topic])
    began, done = 0.0, 0
    while done < int(limit):
        messages = consumer.consume(1, 1.0)
        if not messages:
            continue
        began = began or time.monotonic()
        messages += consumer.consume(BATCH - 1, 0.0)
        producer.begin_transaction()
        for message in messages:
            producer.produce(out, message.value(), message.key())
        offsets = {message.partition(): message.offset() + 1 for message in messages}
        producer.send_offsets_to_transaction(
            [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()],
            consumer.consumer_group_metadata(), 30,
        )  # fmt: skip
        producer.commit_transaction(30)
        done += len(messages)
    print(json.dumps({"began": began, "ended": time.monotonic(), "done": done}))


def quix(stateful: str, bootstrap: str, topic: str, out: str, limit: str) -> None:
    """Do the router's job with Quix Streams and print its times as JSON.

    Set up as its best user would: the allocator gets arrays, the fees are looked up once for each set of venues, and
    the collector looks for cycles as seldom as in our own process.
    """
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
    charged: dict[tuple[int, ...], tuple[Any, Any]] = {}

    def decide(row: dict[str, Any], book: dict[str, Any]) -> dict[str, Any]:
        times.append(time.monotonic())
        book[str(row["publisher_id"])] = [row["bid_px_00"], row["ask_px_00"], row["ask_sz_00"]]
        shown = [(int(p), q) for p, q in sorted(book.items()) if q[1] is not None and q[2]]
        bids = [q[0] for _, q in shown if q[0] is not None]
        mid = (max(bids) + min(q[1] for _, q in shown)) / 2 if bids else None
        venues = tuple(p for p, _ in shown)
        if venues not in charged:
            charged[venues] = np.array([taker[p] for p in venues]), np.array([maker[p] for p in venues])
        fee, rebate = charged[venues]
        ask, ask_size = np.array([q[1] for _, q in shown]), np.array([q[2] for _, q in shown])
        found = vw.allocate(
            5000, ask=ask, ask_size=ask_size, fee=fee, rebate=rebate, lambda_over=0.01, lambda_under=0.005,
            theta_queue=0.002, mid=mid,
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
    calm_collector()
    app.run(count=int(limit), timeout=60)
    print(json.dumps({"began": times[0], "ended": time.monotonic(), "done": len(times)}))


def sample(seconds: float, levels: int = 10) -> vw.Events:
    """Return generated market data of five venues, two symbols."""
    events = vw.generate(venues=5, symbols=SYMBOLS, duration=f"{seconds}s", seed=3)
    return events if levels == events.levels else Decoder(levels).decode(encode(events)).events


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    if kind == "quix":
        quix(*arguments)
    elif kind == "floor":
        floor(*arguments)
    else:
        serve(kind, *arguments)
