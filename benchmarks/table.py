"""What a benchmark returns, and how it is timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a header; notes state what was measured and how."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()


def interleaved(*commands: Callable[[], object], rounds: int = 5) -> list[float]:
    """Time commands in turn, A B A B ..., and return the median seconds of each.

    Taking turns keeps a comparison fair while the machine's speed drifts. Each command runs once unmeasured
    first, so compilation and file caches are warm for all.
    """
    for command in commands:
        command()
    seconds: list[list[float]] = [[] for _ in commands]
    for _ in range(rounds):
        for command, measured in zip(commands, seconds, strict=True):
            started = time.perf_counter()
            command()
            measured.append(time.perf_counter() - started)
    return [statistics.median(measured) for measured in seconds]
