"""Other programs read what we write, and we read what they write: kcat (C) and kafka-python."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal

import numpy as np
import pytest

from tests.kafka.helpers import kafka_python, read_all, settings_for
from venuewise.data.events import Events
from venuewise.kafka import replay, topics
from venuewise.messages.market import Decoder, encode
from venuewise.synthetic.generate import generate


@pytest.fixture(scope="module")
def events() -> Events:
    return generate(venues=2, duration="1s", seed=9).take(slice(0, 100))


def produced(kafka_bootstrap: str, topic: str, events: Events, compression: str) -> None:
    settings = settings_for(kafka_bootstrap)
    count = topics.ensure_topic(settings, topic, 1)
    sink = replay.KafkaSink(settings, topic, count, events, "source", compression=compression)
    assert replay.replay(events, sink, topic=topic, speed=None).rows == len(events)


def test_kcat_reads_our_messages_keys_and_headers(
    kcat: str, kafka_bootstrap: str, topic: str, events: Events
) -> None:
    produced(kafka_bootstrap, topic, events, "lz4")
    out = subprocess.run(
        [kcat, "-q", "-C", "-e", "-b", kafka_bootstrap, "-t", topic, "-f", "%k|%h|%s\n"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(out) == len(events)
    for row, line in enumerate(out):
        key, headers, value = line.split("|", 2)
        assert key == events.symbols[events.symbol[row]]
        named, about, described = headers.partition(",about=")
        assert named == f"schema=venuewise.market,version=1,synthetic=true,source=source,row={row}"
        assert bool(about) == (row == 0)
        if about:
            assert json.loads(described)["levels"] == events.levels
        assert Decimal(str(json.loads(value, parse_float=Decimal)["ask_px_00"])) * 10**9 == int(
            events.ask_px[row, 0]
        )


def test_we_read_what_kcat_writes_and_name_what_is_wrong_in_it(
    kcat: str, kafka_bootstrap: str, topic: str, events: Events
) -> None:
    topics.ensure_topic(settings_for(kafka_bootstrap), topic, 1)
    text = b"\n".join([*encode(events), b"not market data"]) + b"\n"
    subprocess.run(
        [kcat, "-q", "-P", "-b", kafka_bootstrap, "-t", topic, "-z", "gzip"],
        input=text,
        timeout=60,
        check=True,
    )
    messages = read_all(kafka_bootstrap, topic)
    batch = Decoder(events.levels).decode(
        [message.value() for message in messages], [message.headers() for message in messages]
    )
    np.testing.assert_array_equal(batch.events.bid_px, events.bid_px)
    assert [(poison.index, poison.reason[:8]) for poison in batch.poison] == [(len(events), "not JSON")]


def test_kafka_python_reads_our_messages(kafka_bootstrap: str, topic: str, events: Events) -> None:
    produced(kafka_bootstrap, topic, events, "gzip")
    consumer = kafka_python().KafkaConsumer(
        topic, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=20_000
    )
    try:
        values = []
        for message in consumer:
            values.append(message.value)
            assert dict(message.headers)["schema"] == b"venuewise.market"
            if len(values) == len(events):
                break
    finally:
        consumer.close()
    assert values == encode(events)


def test_we_read_what_kafka_python_writes(kafka_bootstrap: str, topic: str, events: Events) -> None:
    topics.ensure_topic(settings_for(kafka_bootstrap), topic, 3)
    producer = kafka_python().KafkaProducer(bootstrap_servers=kafka_bootstrap)
    for value in encode(events):
        producer.send(topic, value, key=b"AAPL")
    producer.flush(30)
    producer.close()
    messages = read_all(kafka_bootstrap, topic)
    assert {message.partition() for message in messages} == {topics.partition_of(b"AAPL", 3)}
    batch = Decoder(events.levels).decode([message.value() for message in messages])
    np.testing.assert_array_equal(batch.events.ask_sz, events.ask_sz)
    assert batch.poison == ()
