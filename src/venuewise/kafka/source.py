"""Reading a topic of market data to its end, as one would read a file.

Rows of a replay carry their number, so a topic gives back the file that was played onto it: every row once,
however often it was sent, and in the order of the file, however many partitions it went through.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from venuewise.data.events import ROW_COLUMNS, Events
from venuewise.errors import ConfigError
from venuewise.kafka import clients
from venuewise.kafka.letters import read_headers
from venuewise.kafka.settings import Settings
from venuewise.kafka.topics import BROKER_SECONDS, wait_for_topic
from venuewise.messages.market import MAX_LEVELS, Decoder, Poison

HEADER_SOURCE: Final = "source"
"""Header with the fingerprint of the data that a row is from."""
HEADER_ROW: Final = "row"
"""Header with the number of the row in these data."""
HEADER_ABOUT: Final = "about"
"""Header of the first row with what is not in the rows: see `About`."""

_BATCH: Final = 10_000
_POLL_SECONDS: Final = 0.2
_ROW_DIGITS: Final = 18


class About(msgspec.Struct, frozen=True):
    """What `Events` know beside their rows.

    Attributes
    ----------
    files : list of str
    time_column : str
    levels : int
        From 1 to `MAX_LEVELS`.
    notes : list of str
    """

    files: list[str]
    time_column: str
    levels: Annotated[int, msgspec.Meta(ge=1, le=MAX_LEVELS)]
    notes: list[str]

    @classmethod
    def of(cls, events: Events) -> About:
        """Return that of some data."""
        return cls(list(events.source), events.time_column, events.levels, list(events.notes))


def read_to_end(settings: Settings, topic: str, *, last: int | None = None) -> Iterator[Message]:
    """Yield the committed messages that a topic holds now, partition by partition in their order.

    Parameters
    ----------
    settings : Settings
        Brokers and how to talk to them.
    topic : str
        Name of the topic; waited for.
    last : int, optional
        Only so many offsets at the end of each partition.

    Raises
    ------
    ConfigError
        If the topic cannot be read.
    """
    partitions = wait_for_topic(settings, topic)
    consumer = clients.consumer(
        settings,
        {
            "group.id": "venuewise-read",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        },
        preferred={"log_level": 0},
    )
    try:
        for partition in range(partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), BROKER_SECONDS)
            consumer.assign(
                [TopicPartition(topic, partition, low if last is None else max(low, high - last))]
            )
            at_end = low == high
            deadline = time.monotonic() + BROKER_SECONDS
            while not at_end:
                messages = consumer.consume(_BATCH, _POLL_SECONDS)
                if messages:
                    deadline = time.monotonic() + BROKER_SECONDS
                elif time.monotonic() > deadline:
                    raise ConfigError(
                        f"topic {topic}: found no answer from the broker; expected its messages"
                    )
                for message in messages:
                    error = message.error()
                    if error is None and message.offset() < high:
                        yield message
                    elif error is None or error.code() == KafkaError._PARTITION_EOF:
                        at_end = True
                    else:
                        raise ConfigError(
                            f"topic {topic}: found it unreadable ({error.str()}); expected its messages"
                        )
    except KafkaException as failure:
        raise ConfigError(
            f"topic {topic}: found it unreadable ({failure.args[0].str()}); expected its messages"
        ) from None
    finally:
        consumer.close()


def read_topic(
    settings: Settings, topic: str, *, levels: int = MAX_LEVELS
) -> tuple[Events, tuple[Poison, ...]]:
    """Read the market data that a topic holds now.

    Parameters
    ----------
    settings : Settings
        Brokers and how to talk to them.
    topic : str
        Name of the topic.
    levels : int
        Levels of the book to keep.

    Returns
    -------
    events : Events
        The rows in the order of time, and of the file at equal times; a row that was sent again counts once.
        Venues and symbols have the codes that reading the file gives them, and the data are named after the file.
    poison : tuple of Poison
        The messages that are no market data, by their place in the topic's partitions one after the other.

    Raises
    ------
    ConfigError
        If the topic cannot be read, or holds no market data.
    """
    messages = read_to_end(settings, topic)
    decoder = Decoder(levels)
    parts: list[Events] = []
    poison: list[Poison] = []
    numbers: list[int] = []
    known: set[tuple[bytes, int]] = set()
    seen = 0
    about: dict[bytes, About] = {}
    while batch := list(islice(messages, _BATCH)):
        headers = [read_headers(message) for message in batch]
        decoded = decoder.decode([message.value() for message in batch], headers)
        poison += [Poison(seen + item.index, item.reason) for item in decoded.poison]
        kept = []
        for place, index in enumerate(decoded.rows.tolist()):
            named = dict(headers[index] or ())
            source, row = named.get(HEADER_SOURCE), row_number(named.get(HEADER_ROW))
            number = seen + index if row is None else row
            if isinstance(source, bytes) and row is not None:
                if (source, number) in known:
                    continue
                known.add((source, number))
                with suppress(msgspec.DecodeError, UnicodeDecodeError):  # another program's, of the same name
                    about[source] = msgspec.json.decode(named.get(HEADER_ABOUT) or b"", type=About)
            kept.append(place)
            numbers.append(number)
        parts.append(decoded.events.take(np.array(kept, np.int64)))
        seen += len(batch)
    if not numbers:
        raise ConfigError(f"topic {topic}: found no market data; expected some: produce to it first")
    joined = replace(_joined(parts), source=(f"kafka://{topic}",))
    if len(about) == 1:
        joined = _described(joined, *about.values())
    order = np.lexsort((np.array(numbers), joined.ts))
    return _recoded(joined.take(order)), tuple(poison)


def row_number(header: bytes | str | None) -> int | None:
    """Return the number that a header `HEADER_ROW` holds, None where it holds none that a row could have."""
    return int(header) if header and len(header) <= _ROW_DIGITS and header.isdigit() else None


def _described(events: Events, about: About) -> Events:
    """Give rows back what the file they come from says beside them; levels that it lacks are empty here."""
    kept = slice(min(about.levels, events.levels))
    return replace(
        events, bid_px=events.bid_px[:, kept], ask_px=events.ask_px[:, kept], bid_sz=events.bid_sz[:, kept],
        ask_sz=events.ask_sz[:, kept], source=tuple(about.files), time_column=about.time_column,
        notes=tuple(about.notes),
    )  # fmt: skip


def _joined(parts: list[Events]) -> Events:
    """Join batches of one decoder: their codes agree, and the last one knows every name."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ROW_COLUMNS
    }
    return replace(parts[-1], synthetic=any(part.synthetic for part in parts), **columns)


def _recoded(events: Events) -> Events:
    """Number venues and symbols in sorted order, as the readers of files do."""
    publishers, symbols = sorted(events.publishers), sorted(events.symbols)
    venue = np.array([publishers.index(publisher) for publisher in events.publishers], np.int16)
    symbol = np.array([symbols.index(name) for name in events.symbols], np.int32)
    return replace(
        events,
        venue=venue[events.venue],
        symbol=symbol[events.symbol],
        publishers=tuple(publishers),
        symbols=tuple(symbols),
    )
