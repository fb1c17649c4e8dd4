"""Headers as the client can give them, and dead letters as they are sent.

Whatever arrives must be able to leave again: a message too large for the topic of dead letters goes there as its
head, with its true length and digest and the place where the whole stands, and headers that the client cannot read are
left out.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from confluent_kafka import Message

LETTER_SIZES: Final = ((900_000, 65_536), (65_536, 1_024), (0, 0))
"""Largest dead letter that is sent whole, and what is sent of a larger one; then the same where the topic takes less.

The first is below what producers (1,000,000 bytes) and topics (1,048,588) take by default.
"""
REASON_LETTERS: Final = 1_000
"""Where reasons are cut: they may quote the message."""
UNREADABLE: Final = ("headers", b"unreadable: the name of one is not UTF-8")
"""Stands for the headers of a message that the client cannot read."""
_KEY_BYTES: Final = 256
_FRAMING: Final = 20
"""Bytes around a header at most."""

Headers = list[tuple[str, bytes | str | None]]


class Letter(NamedTuple):
    """A dead letter, ready to be sent."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def read_headers(message: Message) -> Headers | None:
    """Ask a message for its headers; `UNREADABLE` where one of their names is not UTF-8.

    The client keeps its list even where it could not decode a name, and hands it out with a hole in it when it is asked
    again: ask each message once, and nowhere else.
    """
    try:
        headers: Headers | None = message.headers()
    except (SystemError, UnicodeDecodeError):
        return [UNREADABLE]
    return headers


def dead_letter(
    message: Message,
    headers: Headers | None,
    reason: str,
    most: int,
    head: int,
) -> Letter:
    """Return what is sent of a message that cannot be worked.

    Parameters
    ----------
    message : Message
    headers : list or None
        Its headers, as `read_headers` found them.
    reason : str
        Why it cannot be worked.
    most : int
        Bytes of key, value and headers at most, so that it is sent whole.
    head : int
        Bytes of its value that are sent otherwise.

    Returns
    -------
    Letter
        Under the message's own key, with its headers, `reason` and `from` (topic/partition/offset). One that is cut has
        the headers `truncated`, and `length` and `sha256` of the whole value, instead of its own.
    """
    key, value, own = message.key(), message.value(), headers or []
    about: Headers = [
        ("reason", reason[:REASON_LETTERS].encode(errors="backslashreplace")),
        ("from", f"{message.topic()}/{message.partition()}/{message.offset()}".encode()),
    ]
    size = len(key or b"") + len(value or b"") + sum(_size(*header) for header in own)
    if size <= most:
        return Letter(key, value, [*own, *about])
    about += [
        ("truncated", f"found {size} bytes; expected {most} at most: this is the head of the value".encode()),
        ("length", str(len(value or b"")).encode()),
        ("sha256", hashlib.sha256(value or b"").hexdigest().encode()),
    ]
    if key is not None and len(key) > _KEY_BYTES:
        about.append(("key-length", str(len(key)).encode()))
        key = key[:_KEY_BYTES]
    return Letter(key, None if value is None else value[:head], about)


def _size(name: str, value: bytes | str | None) -> int:
    text = value.encode() if isinstance(value, str) else value or b""
    return len(name.encode()) + len(text) + _FRAMING
