"""Partitions that no member of a group owns, and how they are shared out again.

With static membership and cooperative rebalancing there is a gap: when a partition moves, its owner gives it up first
and joins again, and only then is it given to another. An owner that is killed in between comes back under its name
to what it was told to keep, with no rebalance, and nobody joins again: the partition stays without an owner until
the next rebalance, which may be never. Any member that sees this twice in a row lets a guest, a member without a
name, join the group and leave it, and both make the group share everything out anew.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any, Final

import structlog
from confluent_kafka import ConsumerGroupState, KafkaException

from venuewise.kafka import clients
from venuewise.kafka.settings import Settings

LOOK_SECONDS: Final = 3.0
GUEST_SECONDS: Final = 30.0
REQUEST_SECONDS: Final = 600.0
"""Longer than a service waits for its broker: librdkafka (2.12 to 2.16) aborts the process where a request for a
description runs out of time while no broker is up."""

log = structlog.get_logger("venuewise")


class GroupWatch:
    """Looks after one group; `turn` is called in its members' loops.

    Parameters
    ----------
    settings : Settings
        Brokers and how to talk to them.
    group, topic : str
    partitions : int
        Partitions of the topic.
    """

    def __init__(self, settings: Settings, group: str, topic: str, partitions: int) -> None:
        self.settings, self.group, self.topic, self.partitions = settings, group, topic, partitions
        self._admin = clients.admin(settings)
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._seen = 0
        self._asked: Future[Any] | None = None
        self._guest: Any = None
        self._guest_until = 0.0

    def turn(self, owned: int) -> None:
        """Look now and then whether partitions are without an owner; `owned` is how many the caller has."""
        now = time.monotonic()
        if self._guest is not None:
            self._guest.poll(0)
            if now > self._guest_until:
                self.close()
        elif owned == self.partitions:
            self._seen, self._asked = 0, None
        elif self._asked is not None:
            if self._asked.done():
                self._seen = self._seen + 1 if _has_orphans(self._asked, self.partitions) else 0
                self._asked = None
            if self._seen == 2:
                self._seen = 0
                self._invite()
        elif now > self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._asked = self._admin.describe_consumer_groups([self.group], request_timeout=REQUEST_SECONDS)[
                self.group
            ]

    def close(self) -> None:
        """Send the guest away, if there is one."""
        if self._guest is not None:
            self._guest.close()
            self._guest = None

    def _invite(self) -> None:
        log.warning("partitions without an owner; sharing them out again", group=self.group)
        self._guest_until = time.monotonic() + GUEST_SECONDS
        self._guest = clients.consumer(
            self.settings,
            {
                "group.id": self.group,
                "enable.auto.commit": False,
                "partition.assignment.strategy": "cooperative-sticky",
                "log_level": 0,
            },
        )
        self._guest.subscribe([self.topic], on_assign=self._joined)

    def _joined(self, _consumer: Any, _partitions: list[Any]) -> None:
        """Leave at the next turn."""
        self._guest_until = 0.0


def _has_orphans(described: Future[Any], partitions: int) -> bool:
    try:
        group = described.result()
    except KafkaException:
        return False
    if group.state != ConsumerGroupState.STABLE:
        return False
    return len({p.partition for m in group.members for p in m.assignment.topic_partitions}) < partitions
