"""Showing a topic to a person: market data and decisions as rows, anything else as it is.

What a message is follows from its schema header, and from its fields where it has none. On a terminal the last
rows stand in a table that is drawn a few times a second; elsewhere each message is a line, so that the
output can be piped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TextIO

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from venuewise.errors import ConfigError
from venuewise.kafka import clients
from venuewise.kafka.letters import read_headers
from venuewise.kafka.settings import Settings
from venuewise.kafka.topics import BROKER_SECONDS, wait_for_topic
from venuewise.messages.market import DECISION_SCHEMA, HEADER_SCHEMA, MARKET_SCHEMA
from venuewise.messages.orders import CHILD_SCHEMA, FILL_SCHEMA, ORDER_SCHEMA, REPORT_SCHEMA
from venuewise.printable import printable, printable_json

_BATCH: Final = 500
_POLL_SECONDS: Final = 0.2
_DRAWN_PER_SECOND: Final = 4
_ROOM_AROUND_ROWS: Final = 6
_MAX_TEXT: Final = 100

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    MARKET_SCHEMA: (
        "time", "symbol", "venue", "action", "side", "price", "size", "bid size", "bid", "ask", "ask size", "sequence",
    ),
    DECISION_SCHEMA: ("time", "symbol", "order", "algorithm", "allocation", "executed", "fill rate", "cost"),
    ORDER_SCHEMA: ("type", "id", "symbol", "side", "quantity", "start", "end", "limit_price", "strategy"),
    CHILD_SCHEMA: ("ts", "symbol", "id", "side", "venue", "quantity", "limit_price", "sweep"),
    FILL_SCHEMA: ("ts", "symbol", "child", "venue_id", "shares", "price", "fee", "cumulative", "done"),
    REPORT_SCHEMA: (
        "ts", "symbol", "order", "status", "reason", "quantity", "filled", "in_flight", "open", "average_price",
    ),
    "": ("partition", "offset", "key", "value"),
}  # fmt: skip
"""Columns shown for each schema; "" stands for anything else. Those of orders are fields of their messages."""


@dataclass(frozen=True, slots=True)
class Record:
    """A message of a topic.

    Attributes
    ----------
    partition, offset : int
        Where it stands.
    key, raw : bytes or None
        Key and value as they are.
    schema : str
        Schema that it follows, "" if none that is known.
    value : dict or None
        The JSON object in it, None where it holds none.
    """

    partition: int
    offset: int
    key: bytes | None
    raw: bytes | None
    schema: str
    value: dict[str, Any] | None


def records(
    settings: Settings,
    topic: str,
    *,
    from_beginning: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Record | None]:
    """Yield the messages of a topic as they come, and None whenever there is nothing new.

    Offsets are not committed: looking at a topic leaves no trace. Only committed transactions are shown.

    Parameters
    ----------
    settings : Settings
        Brokers and how to talk to them.
    topic : str
        Name of the topic; waited for.
    from_beginning : bool
        Whether to begin with the oldest message rather than with the next one.
    stopped : callable
        Asked between messages; True ends the iteration.

    Raises
    ------
    ConfigError
        If no broker answers, the topic is not there, or it cannot be read.
    """
    partitions = wait_for_topic(settings, topic, stopped=stopped)
    consumer = clients.consumer(
        settings,
        {"group.id": "venuewise-view", "enable.auto.commit": False},
        preferred={"log_level": 0, "isolation.level": "read_committed", "fetch.wait.max.ms": 100},
    )
    try:
        starts = []
        for partition in range(partitions):
            # Asked for now: "the end" left to librdkafka would be the end at some later moment.
            ends = consumer.get_watermark_offsets(TopicPartition(topic, partition), BROKER_SECONDS)
            starts.append(TopicPartition(topic, partition, ends[0] if from_beginning else ends[1]))
        consumer.assign(starts)
        while not stopped():
            messages = consumer.consume(_BATCH, _POLL_SECONDS)
            for message in messages:
                error = message.error()
                if error is None:
                    yield as_record(message)
                elif error.code() != KafkaError._PARTITION_EOF and not error.retriable():
                    raise ConfigError(
                        f"topic {topic}: found it unreadable ({error.str()}); expected its messages"
                    )
            if not messages:
                yield None
    except KafkaException as failure:
        raise ConfigError(
            f"topic {topic}: found it unreadable ({failure.args[0].str()}); expected its messages"
        ) from None
    finally:
        consumer.close()


def as_record(message: Message) -> Record:
    """Return a message with its value parsed and its schema recognised."""
    raw = message.value()
    try:
        value = msgspec.json.decode(raw) if raw is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        value = None
    headers = dict(read_headers(message) or ())
    named = headers.get(HEADER_SCHEMA)
    if named is not None:
        schema = named.decode(errors="replace") if isinstance(named, bytes) else named
    else:
        schema = _guessed(value or {})
    if schema not in COLUMNS or value is None:
        schema = ""
    return Record(message.partition(), message.offset(), message.key(), raw, schema, value)


def _guessed(value: Mapping[str, Any]) -> str:
    if any(name in value for name in ("allocation", "execution_summary", "order_size")):
        return DECISION_SCHEMA  # a refusal has an order size and nothing else of these
    return MARKET_SCHEMA if "ask_px_00" in value else ""


def cells(record: Record, venue_names: Mapping[int, str]) -> tuple[str, ...]:
    """Return the texts of a record under the columns of its schema.

    Parameters
    ----------
    record : Record
        A message.
    venue_names : mapping of int to str
        Name of each publisher id; an id without a name is shown as its number.
    """
    value = record.value or {}
    if record.schema == MARKET_SCHEMA:
        publisher = value.get("publisher_id")
        venue = venue_names.get(publisher, publisher) if isinstance(publisher, int) else publisher
        shown = [value.get("timestamp", value.get("ts_event")), value.get("symbol"), venue]
        shown += [value.get(name) for name in ("action", "side", "price", "size")]
        shown += [
            value.get(name) for name in ("bid_sz_00", "bid_px_00", "ask_px_00", "ask_sz_00", "sequence")
        ]
    elif record.schema == DECISION_SCHEMA:
        summary = value.get("execution_summary")
        summary = summary if isinstance(summary, dict) else {}
        shown = [value.get(name) for name in ("timestamp", "symbol", "order_size", "algorithm")]
        shown += [value.get("allocation", value.get("refused"))]
        shown += [summary.get("total_executed"), summary.get("fill_rate"), value.get("total_cost")]
    elif record.schema:
        shown = [value.get(name) for name in COLUMNS[record.schema]]
    else:
        shown = [record.partition, record.offset, _text(record.key), _text(record.raw)]
    return tuple(_clean(item) for item in shown)


def as_json(record: Record) -> bytes:
    """Return a record as one line of JSON: where it stands, key, schema, and value or the raw text."""
    line: dict[str, object] = {
        "partition": record.partition,
        "offset": record.offset,
        "key": _text(record.key),
        "schema": record.schema or None,
        "value": record.value,
    }
    if record.value is None:
        line["raw"] = _text(record.raw)
    return msgspec.json.encode(line)


def matches(record: Record, wanted: Mapping[str, str], publishers: frozenset[int] | None = None) -> bool:
    """Tell whether a record has the wanted fields, and one of the publishers if any are given.

    Parameters
    ----------
    record : Record
        A message.
    wanted : mapping of str to str
        Texts as they are, numbers by value, anything else as JSON writes it (true, null).
    publishers : frozenset of int, optional
        Publisher ids.
    """
    value = record.value or {}
    publisher = value.get("publisher_id")
    if publishers is not None and not (isinstance(publisher, int) and publisher in publishers):
        return False
    return all(name in value and _equals(value[name], text) for name, text in wanted.items())


def _equals(found: object, text: str) -> bool:
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            return type(found)(text) == found
        except ValueError:
            return False
    return text == (found if isinstance(found, str) else msgspec.json.encode(found).decode())


def show(
    found: Iterator[Record | None],
    stream: TextIO,
    *,
    as_json_lines: bool = False,
    limit: int | None = None,
    venue_names: Mapping[int, str] | None = None,
) -> int:
    """Show records on a stream until there are no more, or `limit` of them; return how many.

    Parameters
    ----------
    found : iterator of Record or None
        What to show; None gives the table a chance to be drawn.
    stream : text stream
        A terminal gets a table, anything else lines.
    as_json_lines : bool
        Whether to write JSON lines, on a terminal too.
    limit : int, optional
        How many records to show.
    venue_names : mapping, optional
        Names of publisher ids.
    """
    names = venue_names or {}
    if stream.isatty() and not as_json_lines:
        return _show_table(found, stream, limit, names)
    shown = 0
    for record in found:
        if record is None:
            stream.flush()
            continue
        line = printable_json(as_json(record)) if as_json_lines else "  ".join(cells(record, names))
        stream.write(line + "\n")
        shown += 1
        if shown == limit:
            break
    stream.flush()
    return shown


def _show_table(
    found: Iterator[Record | None], stream: TextIO, limit: int | None, names: Mapping[int, str]
) -> int:
    console = Console(file=stream)
    last: deque[Record] = deque(maxlen=max(console.height - _ROOM_AROUND_ROWS, 1))
    shown = 0

    def table() -> Table:
        schema = last[-1].schema if last else ""
        drawn = Table(*COLUMNS[schema], title=f"{shown} messages", expand=False)
        for record in last:
            if record.schema == schema:
                drawn.add_row(*map(Text, cells(record, names)))  # a str would be read as markup
        return drawn

    with Live(console=console, get_renderable=table, refresh_per_second=_DRAWN_PER_SECOND):
        for record in found:
            if record is None:
                continue
            last.append(record)
            shown += 1
            if shown == limit:
                break
    return shown


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace")


def _clean(item: object) -> str:
    """Return a value as text that cannot steer a terminal, cut to a sensible length."""
    text = printable("-" if item is None else str(item))
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
