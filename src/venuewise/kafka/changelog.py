"""State of a partition, read back from its compacted changelog topic."""

from __future__ import annotations

import time

from confluent_kafka import KafkaException, TopicPartition

from venuewise.errors import ConfigError
from venuewise.kafka import clients
from venuewise.kafka.settings import Settings


def read_changelog(
    settings: Settings, topic: str, partition: int, patience: float
) -> list[tuple[bytes, bytes]]:
    """Return the latest committed entry of every key of one changelog partition, deleted keys left out."""
    consumer = clients.consumer(
        settings,
        {
            "group.id": "venuewise-restore",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        },
        preferred={"fetch.wait.max.ms": 5},
    )
    entries: dict[bytes, bytes] = {}
    deadline = time.monotonic() + patience
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])
        while True:
            for message in consumer.consume(10_000, 0.05):
                error = message.error()
                if error is not None:
                    if error.code() == error._PARTITION_EOF:
                        return list(entries.items())
                    if not error.retriable():
                        raise KafkaException(error)
                    continue
                deadline = time.monotonic() + patience
                key, value = message.key(), message.value()
                if key is not None:
                    entries.pop(key, None)
                    if value is not None:
                        entries[key] = value
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"topic {topic}: found no answer from the broker; expected the state saved there"
                )
    finally:
        consumer.close()
