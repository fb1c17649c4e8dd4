"""What librdkafka reports beside its answers: errors that it retries by itself, and when a broker answered last."""

from __future__ import annotations

import math
import time
from typing import Final

import msgspec
import structlog
from confluent_kafka import KafkaError

from venuewise.kafka.metrics import Metrics

NOTED_SECONDS: Final = 10.0
"""The same error is logged once in so many seconds."""

log = structlog.get_logger("venuewise")


class _Answers(msgspec.Struct):
    """What librdkafka's statistics say of a broker: microseconds since its last answer, -1 before the first."""

    state: str
    rxidle: int


class _Statistics(msgspec.Struct):
    """What librdkafka's statistics say of brokers."""

    brokers: dict[str, _Answers]


class ClientNotes:
    """Take down what the clients of a service report.

    Parameters
    ----------
    metrics : Metrics
        Where the time of a broker's last answer is kept.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self._noted: dict[int, float] = {}

    def error(self, error: KafkaError) -> None:
        """Log an error that librdkafka retries by itself."""
        now = time.monotonic()
        if now - self._noted.get(error.code(), -math.inf) > NOTED_SECONDS:
            self._noted[error.code()] = now
            log.warning("broker", error=error.str())

    def statistics(self, statistics: str) -> None:
        """Note when a broker answered last: polls are among what it answers, even where there is nothing new."""
        answers = msgspec.json.decode(statistics, type=_Statistics).brokers.values()
        idle = [broker.rxidle for broker in answers if broker.rxidle >= 0 and broker.state == "UP"]
        if idle:
            self.metrics.heard = max(self.metrics.heard, time.monotonic() - min(idle) / 1e6)
