"""Topics: made where they are missing, waited for until usable, and the partition that a key belongs to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from venuewise.errors import ConfigError
from venuewise.kafka import clients
from venuewise.kafka.settings import Settings

BROKER_SECONDS: Final = 15.0
"""How long commands wait for a broker to answer before they say that none does."""
COMPACTED: Final = {
    "cleanup.policy": "compact",
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.1",
}
"""Properties of a topic that keeps the last message of each key."""
_POLL_SECONDS: Final = 0.1
_MURMUR_FACTOR: Final = 0x5BD1E995
_MURMUR_SEED: Final = 0x9747B28C
_UINT32: Final = 0xFFFFFFFF


def ensure_topic(
    settings: Settings,
    topic: str,
    partitions: int,
    timeout: float = BROKER_SECONDS,
    config: dict[str, str] | None = None,
) -> int:
    """Make a topic if it is not there, wait until all its partitions have a leader, and count them.

    Parameters
    ----------
    settings : Settings
        Brokers and how to talk to them.
    topic : str
        Name of the topic.
    partitions : int
        Partitions of a new topic; one that is there keeps its own.
    timeout : float
        Seconds to wait for the broker and for the topic, each.
    config : dict, optional
        Properties of a new topic (`COMPACTED` for one that keeps the last message of each key).

    Raises
    ------
    ConfigError
        If no broker answers, or it does not make the topic.
    """
    admin = clients.admin(settings)
    if topic not in _metadata(admin, settings, timeout).topics:
        made = admin.create_topics(
            [NewTopic(topic, partitions, config=config or {})], operation_timeout=timeout
        )[topic]
        try:
            made.result(timeout)
        except KafkaException as failure:
            error = failure.args[0]
            if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise ConfigError(f"topic {topic} could not be made: {error.str()}") from None
    return _wait(admin, settings, topic, timeout)


def wait_for_topic(
    settings: Settings,
    topic: str,
    timeout: float = BROKER_SECONDS,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Wait until a topic is there and usable, and count its partitions.

    Parameters
    ----------
    settings : Settings
        Brokers and how to talk to them.
    topic : str
        Name of the topic.
    timeout : float
        Seconds to wait for the broker, and for the topic; infinite waits for the topic as long as it takes.
    stopped : callable
        Asked again and again; ends the wait where it says yes.

    Raises
    ------
    ConfigError
        If no broker answers, or the topic does not appear in time.
    """
    return _wait(clients.admin(settings), settings, topic, timeout, stopped)


def has_topic(settings: Settings, topic: str) -> bool:
    """Return whether a topic is there now.

    Raises
    ------
    ConfigError
        If no broker answers.
    """
    return topic in _metadata(clients.admin(settings), settings, BROKER_SECONDS).topics


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key as the Java client chooses it (murmur2), so that all clients agree.

    Examples
    --------
    >>> partition_of(b"AAPL", 12)
    9
    """
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """The 32-bit MurmurHash2 of A. Appleby with the seed that Kafka's Java client uses."""
    length = len(data)
    h = (_MURMUR_SEED ^ length) & _UINT32
    whole = length - length % 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _MURMUR_FACTOR & _UINT32
        k = (k ^ k >> 24) * _MURMUR_FACTOR & _UINT32
        h = (h * _MURMUR_FACTOR & _UINT32) ^ k
    if length % 4:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _MURMUR_FACTOR & _UINT32
    h = (h ^ h >> 13) * _MURMUR_FACTOR & _UINT32
    return h ^ h >> 15


def _metadata(admin: Any, settings: Settings, timeout: float) -> Any:
    try:
        return admin.list_topics(timeout=timeout)
    except KafkaException as failure:
        raise ConfigError(
            f"no Kafka broker answers at {settings.kafka_bootstrap_servers} ({failure.args[0].str()}); "
            "start one with: venuewise broker up"
        ) from None


def _wait(
    admin: Any,
    settings: Settings,
    topic: str,
    timeout: float,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    deadline = time.monotonic() + timeout
    while True:
        found = _metadata(admin, settings, min(timeout, BROKER_SECONDS)).topics.get(topic)
        if found is not None and found.partitions and all(p.leader >= 0 for p in found.partitions.values()):
            return len(found.partitions)
        if time.monotonic() > deadline or stopped():
            raise ConfigError(f"topic {topic} is not there; produce to it first, or name another")
        time.sleep(_POLL_SECONDS)
