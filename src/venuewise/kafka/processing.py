"""What a service does with messages, apart from where they come from and go to.

A processor owns one partition: it turns the messages of that partition into outputs, keeps state, and can say
which entries of its state changed. The service commits offsets, outputs and changes in one transaction; a
dry run over a file calls the same processor and writes the outputs to a stream. A processor's outputs depend on
its state and on the order of its messages, never on how they were cut into batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Incoming(NamedTuple):
    """A message of one partition.

    `headers` is as the client gave them, None where there were none.
    """

    value: bytes | None
    headers: list[tuple[str, bytes | str | None]] | None


class Outgoing(NamedTuple):
    """A message to be sent: to a topic by its role ("decisions", ...), under a key."""

    role: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be read: its place among those given, and why."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Processed:
    """What came of a batch.

    Attributes
    ----------
    outputs : list of Outgoing
        In order.
    dead : list of DeadLetter
    counts : dict of str to float
        What happened, for metrics; "ts_recv" is the time of the last row, ns.
    """

    outputs: list[Outgoing]
    dead: list[DeadLetter]
    counts: dict[str, float]


class Processor(Protocol):
    """State and logic of one partition."""

    def process(self, role: str, messages: Sequence[Incoming]) -> Processed:
        """Take in messages of one input ("market", "orders", "fills"), in their order."""
        ...

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state entries that changed since the last call; None deletes one."""
        ...

    def restore(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Take over saved state entries, before the first message."""
        ...
