"""Topics: made where they are missing, waited for until usable, and the partition that a key belongs to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from venuewise.errors import ConfigError
from venuewise.kafka import clients, denials
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
_ANSWER_SECONDS: Final = 1.0
_MURMUR_FACTOR: Final = 0x5BD1E995
_MURMUR_SEED: Final = 0x9747B28C
_UINT32: Final = 0xFFFFFFFF


def ensure_topic(
    settings: Settings,
    topic: str,
    partitions: int,
    timeout: float = BROKER_SECONDS,
    config: dict[str, str] | None = None,
    stopped: Callable[[], bool] = lambda: False,
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
    stopped : callable
        Asked again and again; ends the wait for the broker where it says yes.

    Raises
    ------
    ConfigError
        If no broker answers, or it does not make the topic.
    """
    admin = clients.admin(settings)
    if topic not in _metadata(admin, settings, timeout, stopped).topics:
        made = admin.create_topics(
            [NewTopic(topic, partitions, config=config or {})], operation_timeout=timeout
        )[topic]
        try:
            made.result(timeout)
        except KafkaException as failure:
            error = failure.args[0]
            if error.code() in denials.DENIED:
                missing = denials.missing_right(settings, topic, ()) or "CREATE"
                raise denials.no_right(settings, f"topic {topic}", missing) from None
            if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise ConfigError(
                    f"topic {topic}: found none, nor could it be made ({error.str()}); "
                    "expected one, or the right to make it"
                ) from None
    return _wait(admin, settings, topic, timeout, stopped)


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


def _metadata(
    admin: Any, settings: Settings, timeout: float, stopped: Callable[[], bool] = lambda: False
) -> Any:
    """Ask the broker for its topics, in short waits: no signal is heard during one."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return admin.list_topics(timeout=min(timeout, _ANSWER_SECONDS))
        except KafkaException as failure:
            if time.monotonic() < deadline and not stopped():
                continue
            raise ConfigError(
                f"Kafka: found no broker that answers at {settings.kafka_bootstrap_servers} "
                f"({failure.args[0].str()}); expected one: venuewise broker up starts one here"
            ) from None


def _wait(
    admin: Any,
    settings: Settings,
    topic: str,
    timeout: float,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    deadline = time.monotonic() + timeout
    asked = False
    while True:
        found = _metadata(admin, settings, min(timeout, BROKER_SECONDS), stopped).topics.get(topic)
        if found is not None and found.partitions and all(p.leader >= 0 for p in found.partitions.values()):
            return len(found.partitions)
        if found is None and not asked:
            # A topic that we may not know of is left out of the list.
            asked = True
            if denials.missing_right(settings, topic, ()) is not None:
                raise denials.no_right(settings, f"topic {topic}", "DESCRIBE")
        if time.monotonic() > deadline or stopped():
            raise ConfigError(
                f"topic {topic}: found none; expected it to be there: produce to it first, or name another"
            )
        time.sleep(_POLL_SECONDS)
