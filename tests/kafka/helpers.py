"""What several tests of the live side share."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from venuewise.kafka.settings import Settings, load

SOURCE = Path(__file__).resolve().parents[2] / "src"


def settings_for(bootstrap: str) -> Settings:
    return load(flags={"kafka_bootstrap_servers": bootstrap})


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "venuewise", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(SOURCE)} | more


def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(**more), timeout=120, check=False
    )


def kafka_python() -> Any:
    """Return the kafka-python package; its own use of deprecated parts of Python is not ours to judge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import kafka.partitioner.default

        import kafka
    return kafka


def read_all(bootstrap: str, topic: str) -> list[Message]:
    """Read a topic to its end with a bare consumer, in the order of partitions."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "test",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        found: dict[int, list[Message]] = {partition: [] for partition in partitions}
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        still_open = len(partitions)
        while still_open:
            message = consumer.poll(10)
            assert message is not None, "the broker gives no answer"
            error = message.error()
            if error is None:
                found[message.partition()].append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error.str()
                still_open -= 1
        return [message for partition in sorted(found) for message in found[partition]]
    finally:
        consumer.close()
