"""The router against Quix Streams doing the same job, on one broker, in turn; see `benchmarks.streaming`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from benchmarks.streaming import Bench, fill, in_turn, name
from benchmarks.table import Table
from venuewise.kafka import broker

MESSAGES: Final = 150_000
QUIX_MESSAGES: Final = 60_000


def run() -> Table:
    """Measure both against one broker."""
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory) / "broker")
        try:
            topic = name("market")
            fill(bench.settings, topic, MESSAGES)
            bench.rate("route", topic, MESSAGES)  # the broker compiles itself
            route, stateful, stateless = in_turn(
                lambda: bench.rate("route", topic, MESSAGES)[0],
                lambda: bench.rate("quix", topic, QUIX_MESSAGES, "state")[0],
                lambda: bench.rate("quix", topic, QUIX_MESSAGES, "memory")[0],
                rounds=3,
            )
        finally:
            broker.down(bench.directory, wipe=True)
    rows: list[tuple[str, ...]] = [
        ("with its state store", f"{route:,.0f}", f"{stateful:,.0f}", f"{route / stateful:.1f}"),
        ("no saved state", f"{route:,.0f}", f"{stateless:,.0f}", f"{route / stateless:.1f}"),
    ]
    return Table(
        "Router against Quix Streams, messages/s", ("Quix Streams", "venuewise", "theirs", "ratio"), rows,
        (
            f"Runs of {MESSAGES:,} messages here and {QUIX_MESSAGES:,} there; theirs ends with the application, so a "
            "short run would count its shutdown.",
            "Quix Streams calls our allocator with arrays, the cheapest way to the decision that there is in Python, "
            "and has the collector settings of our router.",
        ),
    )  # fmt: skip
