"""Which topics a service reads and writes, and how they come to be there before it starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from confluent_kafka.admin import AclOperation

from venuewise.errors import ConfigError
from venuewise.kafka import denials
from venuewise.kafka.settings import Settings
from venuewise.kafka.topics import COMPACTED, ensure_topic, has_topic, wait_for_topic

log = structlog.get_logger("venuewise")


@dataclass(frozen=True, slots=True)
class Wiring:
    """Which topics a service reads and writes.

    Attributes
    ----------
    inputs : mapping of role to topic
        "market" first: its partitions are what is shared out; the others follow partition by partition.
    outputs : mapping of role to topic
    changelog : str
        Compacted topic of the state, with as many partitions as the market topic.
    dead_letters : str
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    changelog: str
    dead_letters: str

    @property
    def rights(self) -> dict[str, tuple[AclOperation, ...]]:
        """What the broker has to let us do, by topic."""
        return {
            **dict.fromkeys(self.inputs.values(), (denials.READ,)),
            **dict.fromkeys((*self.outputs.values(), self.dead_letters), (denials.WRITE,)),
            self.changelog: (denials.READ, denials.WRITE),
        }


def prepare_topics(settings: Settings, wiring: Wiring, stopped: Callable[[], bool]) -> int:
    """Wait for the market topic and make the others.

    Parameters
    ----------
    stopped : callable
        Asked again and again while we wait: are we to stop?

    Returns
    -------
    int
        Partitions of the market topic; 0 where we were asked to stop while waiting for it.

    Raises
    ------
    ConfigError
        If a topic cannot be made, or has other partitions than the market topic.
    """
    market = wiring.inputs["market"]
    if not has_topic(settings, market):
        log.info("waiting for the topic", topic=market)
    try:
        partitions = wait_for_topic(settings, market, math.inf, stopped)
    except ConfigError:
        if stopped():
            return 0
        raise
    others = [topic for topic in wiring.inputs.values() if topic != market]
    for topic in others:
        _as_many(topic, ensure_topic(settings, topic, partitions), partitions, market)
    for topic in (*wiring.outputs.values(), wiring.dead_letters):
        ensure_topic(settings, topic, partitions)
    changelog = wiring.changelog
    _as_many(changelog, ensure_topic(settings, changelog, partitions, config=COMPACTED), partitions, market)
    return partitions


def _as_many(topic: str, found: int, partitions: int, market: str) -> None:
    if found != partitions:
        raise ConfigError(f"topic {topic}: found {found} partitions; expected {partitions}, as {market} has")
