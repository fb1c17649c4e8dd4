"""A topic gives back the file that was played onto it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Producer

from tests.kafka.helpers import settings_for
from venuewise.data.reader import read
from venuewise.errors import ConfigError
from venuewise.kafka import replay, source, topics
from venuewise.synthetic.generate import generate


def test_a_file_sent_twice_over_three_partitions_comes_back_as_it_was(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    path = tmp_path / "day.csv"
    generate(venues=3, symbols=["MSFT", "AAPL", "NVDA"], duration="2s", seed=11).to_csv(path)
    events = read(path)
    settings = settings_for(kafka_bootstrap)
    count = topics.ensure_topic(settings, topic, 3)
    for limit in (300, None):
        sink = replay.KafkaSink(settings, topic, count, events, replay.fingerprint(events))
        replay.replay(events, sink, topic=topic, speed=None, limit=limit)
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    producer.produce(topic, b"junk", partition=0)
    producer.flush(10)
    found, poison = source.read_topic(settings, topic, levels=events.levels)
    assert [item.reason[:8] for item in poison] == ["not JSON"]
    for field in fields(events):
        a, b = getattr(found, field.name), getattr(events, field.name)
        if isinstance(b, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert a.dtype == b.dtype
        else:
            assert a == b, field.name


def test_headers_of_other_programs_are_passed_over(kafka_bootstrap: str, topic: str) -> None:
    row = b'{"ts_event":%d,"publisher_id":2,"symbol":"AAPL","ask_px_00":222.5,"ask_sz_00":5}'
    headers: list[list[tuple[str, bytes | None]]] = [
        [("source", b"a"), ("row", None)],
        [("source", b"a"), ("row", b"0"), ("about", None)],
        [("source", b"a"), ("row", b"1"), ("about", b"junk")],
        [("source", b"a"), ("row", b"2"), ("about", b'{"files":[],"time_column":"","levels":-3,"notes":[]}')],
    ]
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    for second, named in enumerate(headers):
        producer.produce(topic, row % (second * 10**9), b"AAPL", headers=named)
    producer.flush(10)
    found, poison = source.read_topic(settings_for(kafka_bootstrap), topic)
    assert poison == ()
    assert len(found) == len(headers)
    assert found.source == (f"kafka://{topic}",)


def test_a_topic_without_market_data_is_named(kafka_bootstrap: str, topic: str) -> None:
    settings = settings_for(kafka_bootstrap)
    topics.ensure_topic(settings, topic, 2)
    with pytest.raises(ConfigError, match=f"topic {topic}: found no market data"):
        source.read_topic(settings, topic)
