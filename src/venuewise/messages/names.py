"""Names as bytes, numbered in the order in which they came, found again by their hash.

Kernels meet names as stretches of a message. They look them up, and number new ones, without making a Python string;
a look-up takes the same time whether there are two names or ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from venuewise._jit import kernel
from venuewise.data.events import Int64, UInt8

MAX_SYMBOL: Final = 64
"""Letters of a symbol at most: it is kept, and written again with all that is said of it."""
NO_ROOM: Final = -1
"""Code of a name that is new where the arrays are full."""

_FREE: Final = -1
_ROOM: Final = 64
_BYTES_A_NAME: Final = 16


class NameTable(NamedTuple):
    """Names one after the other, where each ends, and a hash table of their codes.

    Attributes
    ----------
    text, ends : ndarray
        Room for the names' bytes, and for where each ends.
    slots : ndarray of int64
        Codes by hash, open addressing; a power of two, at least twice the names that `ends` has room for.
    used : ndarray of int64, shape (1,)
        How many names there are.
    """

    text: UInt8
    ends: Int64
    slots: Int64
    used: Int64


@kernel
def same_bytes(text: UInt8, start: int, stop: int, other: UInt8, first: int, last: int) -> bool:
    """Tell whether two stretches of bytes are the same."""
    if stop - start != last - first:
        return False
    here, there = np.uint64(start), np.uint64(first)  # faster in an index than signed numbers
    for i in range(np.uint64(stop - start)):  # noqa: SIM110 (numba has no generator expressions)
        if text[here + i] != other[there + i]:
            return False
    return True


@kernel
def _slot_of(text: UInt8, start: int, stop: int, table: NameTable) -> int:
    """Return the slot that holds the name, or the free one where it belongs (FNV-1a)."""
    mixed = np.uint64(14_695_981_039_346_656_037)
    for i in range(start, stop):
        mixed = (mixed ^ np.uint64(text[i])) * np.uint64(1_099_511_628_211)
    mask = len(table.slots) - 1
    slot = int(np.int64(mixed ^ (mixed >> np.uint64(32))) & mask)
    while table.slots[slot] != _FREE:
        code = table.slots[slot]
        first = table.ends[code - 1] if code > 0 else 0
        if same_bytes(text, start, stop, table.text, first, table.ends[code]):
            return slot
        slot = (slot + 1) & mask
    return slot


@kernel
def find_name(text: UInt8, start: int, stop: int, table: NameTable) -> int:
    """Return the code of the name that stands in `text` from `start` to `stop`, -1 where it is not known."""
    code: int = table.slots[_slot_of(text, start, stop, table)]
    return code


@kernel
def number_name(text: UInt8, start: int, stop: int, table: NameTable) -> int:
    """Return the code of a name, a new one where it is not known yet; `NO_ROOM` where that does not fit."""
    slot = _slot_of(text, start, stop, table)
    code: int = table.slots[slot]
    if code != _FREE:
        return code
    code = table.used[0]
    at = table.ends[code - 1] if code > 0 else 0
    if code == len(table.ends) or at + stop - start > len(table.text):
        return NO_ROOM
    for i in range(start, stop):
        table.text[at + i - start] = text[i]
    table.ends[code] = at + stop - start
    table.slots[slot] = code
    table.used[0] = code + 1
    return code


@kernel
def _move(old: NameTable, new: NameTable) -> None:
    """Number the names of one table in another in the same order."""
    first = 0
    for code in range(old.used[0]):
        number_name(old.text, first, old.ends[code], new)
        first = old.ends[code]


class Names:
    """A table of names that grows, and the names as strings.

    Parameters
    ----------
    names : iterable of str
        The first names, all different.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.table = _table(_ROOM, _ROOM * _BYTES_A_NAME)
        self._known: tuple[str, ...] = ()
        for name in names:
            self.code(name)

    def code(self, name: str) -> int:
        """Return the code of a name, a new one where it is not known yet."""
        text = np.frombuffer(name.encode(), np.uint8)
        while (code := number_name(text, 0, len(text), self.table)) == NO_ROOM:
            self.grow(len(text))
        return int(code)

    def grow(self, room: int = 0) -> None:
        """Double the room for names, and for their bytes; add `room` bytes to that."""
        table = _table(2 * len(self.table.ends), 2 * len(self.table.text) + room)
        _move(self.table, table)
        self.table = table

    def known(self) -> tuple[str, ...]:
        """Return the names in the order of their codes."""
        count = int(self.table.used[0])
        if count > len(self._known):
            first = int(self.table.ends[len(self._known) - 1]) if self._known else 0
            ends = self.table.ends[len(self._known) : count].tolist()
            text = self.table.text[first : ends[-1]].tobytes()
            starts = [first, *ends[:-1]]
            new = [text[a - first : b - first].decode() for a, b in zip(starts, ends, strict=True)]
            self._known = (*self._known, *new)
        return self._known


def _table(names: int, room: int) -> NameTable:
    return NameTable(
        np.empty(room, np.uint8), np.empty(names, np.int64), np.full(2 * names, _FREE, np.int64), np.zeros(1, np.int64)
    )  # fmt: skip
