"""What a running service tells Prometheus, and whether it is alive and ready."""

from __future__ import annotations

import math
import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from venuewise.kafka import http

SECONDS: Final = (
    1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0,
    5.0, 30.0,
)  # fmt: skip
STALLED_SECONDS: Final = 60.0
"""A service whose loop has not turned for so long is not alive."""
READY_SECONDS: Final = 15.0
"""A service that has neither committed nor been answered by a broker for so long is not ready."""


class Metrics:
    """Counters of one service, in a registry of their own.

    Attributes
    ----------
    ready : bool
        Whether the service owns partitions (or waits for them) and its state is restored.
    beat : float
        Monotonic time of the loop's last turn.
    heard : float
        Monotonic time of the last commit, or of a broker's last answer to a poll.
    """

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.messages = Counter("venuewise_messages", "Messages consumed.", ["input"], registry=registry)
        self.counts = Counter(
            "venuewise_events",
            "What came of them: decisions, refusals, fills, ...",
            ["what"],
            registry=registry,
        )
        self.dead = Counter("venuewise_dead_letters", "Messages that could not be read.", registry=registry)
        self.faults = Counter(
            "venuewise_faults",
            "Dead letters of which processing failed: each is a fault of venuewise, and wants a look.",
            registry=registry,
        )
        self.transactions = Counter(
            "venuewise_transactions", "Transactions by result.", ["result"], registry=registry
        )
        self.lag = Gauge(
            "venuewise_lag_messages", "Messages not yet consumed.", ["partition"], registry=registry
        )
        self.rate = Gauge("venuewise_messages_per_second", "Over the last batch.", registry=registry)
        self.fill_rate = Gauge(
            "venuewise_fill_rate",
            "Shares that fill at once, of those wanted; all decisions.",
            registry=registry,
        )
        self.saved = Counter(
            "venuewise_saved_dollars", "Cost of best ask less ours, where positive.", registry=registry
        )
        self.lost = Counter(
            "venuewise_lost_dollars", "Cost of best ask less ours, where negative.", registry=registry
        )
        self.processing = Histogram(
            "venuewise_allocation_seconds", "Decoding, deciding and encoding, a message.", buckets=SECONDS,
            registry=registry,
        )  # fmt: skip
        self.transit = Histogram(
            "venuewise_transit_seconds", "From the message's Kafka time to the commit of its decision.",
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.decision_latency = Histogram(
            "venuewise_decision_latency_seconds",
            "From ts_recv to the commit of the decision; meaningful on live data, not on a replay of old ones.",
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.ready = False
        self.beat = time.monotonic()
        self.heard = -math.inf
        self._wanted = self._filled = 0.0

    def note(self, counts: dict[str, float]) -> None:
        """Add what a processor counted."""
        for what in ("decisions", "refusals"):
            if counts.get(what):
                self.counts.labels(what).inc(counts[what])
        for what, value in counts.items():
            if what not in (
                "rows",
                "decisions",
                "refusals",
                "shares_wanted",
                "shares_filled",
                "saved_dollars",
            ):
                self.counts.labels(what).inc(value)
        self._wanted += counts.get("shares_wanted", 0.0)
        self._filled += counts.get("shares_filled", 0.0)
        if self._wanted:
            self.fill_rate.set(self._filled / self._wanted)
        saved = counts.get("saved_dollars", 0.0)
        (self.saved if saved >= 0 else self.lost).inc(abs(saved))

    def serve(self, port: int, host: str = "127.0.0.1") -> int:
        """Answer /metrics, /healthz and /readyz from a thread; return the port (0 asks for a free one).

        Raises
        ------
        ConfigError
            If the port is taken.
        """
        return http.serve(self._answer, port, host)

    def _answer(self, path: str) -> http.Answer:
        now = time.monotonic()
        alive = now - self.beat < STALLED_SECONDS
        if path == "/metrics":
            return http.Answer(200, generate_latest(self.registry), CONTENT_TYPE_LATEST)
        if path == "/healthz":
            return http.Answer(200, b"alive\n") if alive else http.Answer(503, b"stalled\n")
        if path == "/readyz":
            if alive and self.ready and now - self.heard < READY_SECONDS:
                return http.Answer(200, b"ready\n")
            return http.Answer(503, b"not ready\n")
        return http.Answer(404, b"/metrics, /healthz or /readyz\n")
