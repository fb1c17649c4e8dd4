"""One file's columns before files are merged, whatever its format, and what the formats share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from venuewise.data.events import Events, Int32, Int64

Item = TypeVar("Item")
Result = TypeVar("Result")

_MAX_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One file's rows.

    Attributes
    ----------
    events : Events
        The rows; `ts_recv` is a copy of `ts_event` where the file has none.
    file : str
        Name of the file, for messages.
    format : str
        What the file turned out to be, in words.
    first_row : int
        Number of the first row as people count it: 2 in a CSV (line 1 is the header), 1 among records.
    has_recv, has_sequence : bool
        Whether the file has these columns.
    """

    events: Events
    file: str
    format: str
    first_row: int
    has_recv: bool
    has_sequence: bool


def threads() -> int:
    """Return how many threads reading uses; the result does not depend on it."""
    return min(os.cpu_count() or 1, _MAX_THREADS)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Apply a kernel that releases the GIL to each item, side by side, keeping their order."""
    if len(items) == 1:
        return [work(items[0])]
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(work, items))


def code_publishers(ids: Int64) -> tuple[npt.NDArray[np.int16], tuple[int, ...]]:
    """Return each row's index into the sorted distinct ids (0..65535), and these."""
    present = np.zeros(1 << 16, dtype=np.bool_)
    present[ids] = True
    distinct = np.flatnonzero(present)
    index = np.zeros(1 << 16, dtype=np.int16)
    index[distinct] = np.arange(len(distinct))
    return index[ids], tuple(int(i) for i in distinct)


def code_symbols(codes: Int64, names: Sequence[str]) -> tuple[Int32, tuple[str, ...]]:
    """Turn codes into any list of names (repeats allowed) into codes of the sorted distinct names."""
    distinct = sorted(set(names))
    place = {name: i for i, name in enumerate(distinct)}
    index = np.array([place[name] for name in names], dtype=np.int32)
    return index[codes], tuple(distinct)
