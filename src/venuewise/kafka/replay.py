"""Replaying market data onto a topic at the pace at which it happened.

Each row is due at a moment of one absolute clock, started with the first row: a row that leaves late does not
delay the rows after it, so no drift builds up however long the replay. Headers number the rows of the file,
and that number, read back from the ends of the topic's partitions, is where a replay cut short goes on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Final, Protocol, TextIO

import msgspec
import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError, KafkaException, Message

from venuewise.data.events import ROW_COLUMNS, Events, Int64
from venuewise.errors import ConfigError
from venuewise.kafka import clients
from venuewise.kafka.letters import read_headers
from venuewise.kafka.settings import Settings
from venuewise.kafka.source import HEADER_ABOUT, HEADER_ROW, HEADER_SOURCE, About, read_to_end, row_number
from venuewise.kafka.topics import partition_of
from venuewise.messages.market import MARKET_HEADERS, SYNTHETIC_HEADER, encode

FLUSH_SECONDS: Final = 30.0
STOPPED_SECONDS: Final = 2.0
"""How long the last messages may take to get through: always, and once a signal has asked to stop."""
_WAIT_SECONDS: Final = 0.1

_LOOK_BACK: Final = 1000
_CHUNK: Final = 256
_NS_PER_MS: Final = 1_000_000
_NS_PER_SECOND: Final = 1_000_000_000
_NAP_NS: Final = 50 * _NS_PER_MS
_SPIN_NS: Final = 200_000
_IDLE_NS: Final = 5 * _NS_PER_MS
_NEVER_NS: Final = 2.0**62
_GO_ON: Final = "once that is mended, --resume sends what is missing"


class Jitter(msgspec.Struct, frozen=True):
    """How late rows left, in milliseconds after the moment at which they were due."""

    p50: float
    p99: float
    max: float


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did.

    Attributes
    ----------
    topic : str
        Where the rows went.
    rows, bytes : int
        Messages that reached the topic in this run, and their size without headers.
    skipped : int
        Rows left out because an earlier run had sent them.
    remaining : int
        Rows of the file that are still to be sent.
    last_row : int or None
        Number of the last row sent, counted from 0; None where there was none.
    seconds : float
        From the first row to the last one acknowledged.
    speed : float or None
        Factor on the original pace; None is as fast as possible.
    drift_ms : float or None
        How late the last row left; None where rows were not paced.
    jitter_ms : Jitter or None
        How late rows left.
    interrupted : bool
        Whether a signal ended it early.
    """

    topic: str
    rows: int
    bytes: int
    skipped: int
    remaining: int
    last_row: int | None
    seconds: float
    speed: float | None
    drift_ms: float | None
    jitter_ms: Jitter | None
    interrupted: bool


class Sink(Protocol):
    """Where encoded rows go."""

    def send(self, row: int, symbol: int, value: bytes) -> None:
        """Take the message of a row; may wait for room."""

    def close(self) -> None:
        """Send what is held; raise `ConfigError` if a message did not get through."""


class StreamSink:
    """Writes messages to a text stream, one a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def send(self, row: int, symbol: int, value: bytes) -> None:
        self._stream.write(value.decode() + "\n")

    def close(self) -> None:
        self._stream.flush()


class KafkaSink:
    """Sends messages to a topic: idempotent, compressed, the partition chosen by the symbol.

    Parameters
    ----------
    settings : Settings
        Brokers and how to talk to them.
    topic : str
        An existing topic.
    partitions : int
        Its partitions.
    events : Events
        The data that rows come from.
    source : str
        Fingerprint of the data, as `fingerprint` gives it.
    compression : str
        "lz4", "zstd", "gzip", "snappy" or "none".
    linger_ms : int
        How long librdkafka collects messages for one request.
    stopped : callable
        Asked during waits; a broker that is away is not waited for once it says yes.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        partitions: int,
        events: Events,
        source: str,
        *,
        compression: str = "lz4",
        linger_ms: int = 1,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stopped = stopped
        self._topic = topic
        self._keys = [symbol.encode() for symbol in events.symbols]
        self._partitions = [partition_of(key, partitions) for key in self._keys]
        synthetic = [SYNTHETIC_HEADER] if events.synthetic else []
        self._headers = [*MARKET_HEADERS, *synthetic, (HEADER_SOURCE, source.encode())]
        self._about = (HEADER_ABOUT, msgspec.json.encode(About.of(events)))
        self._failed: list[KafkaError] = []
        self._producer = clients.producer(
            settings,
            {"enable.idempotence": True, "delivery.report.only.error": True},
            preferred={"log_level": 0, "compression.type": compression, "linger.ms": linger_ms},
            on_delivery=self._note_failure,
        )

    def _note_failure(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)

    def send(self, row: int, symbol: int, value: bytes) -> None:
        headers = [*self._headers, (HEADER_ROW, b"%d" % row)]
        if row == 0:
            headers.append(self._about)
        key, partition = self._keys[symbol], self._partitions[symbol]
        while True:
            try:
                self._producer.produce(self._topic, value, key, partition, headers=headers)
                break
            except BufferError:
                self._producer.poll(_WAIT_SECONDS)
                if self._stopped():
                    self.close()
            except KafkaException as failure:
                raise ConfigError(
                    f"Kafka: found row {row} refused ({failure.args[0].str()}); expected it to be taken"
                ) from None
        self._producer.poll(0)
        self._check()

    def close(self) -> None:
        began = time.monotonic()
        while unanswered := int(self._producer.flush(_WAIT_SECONDS)):  # no signal is heard during a wait
            self._check()
            if time.monotonic() - began > (STOPPED_SECONDS if self._stopped() else FLUSH_SECONDS):
                raise ConfigError(f"Kafka: found no answer for {unanswered} messages; expected one: {_GO_ON}")
        self._check()

    def _check(self) -> None:
        if self._failed:
            raise ConfigError(
                f"Kafka: found a message refused ({self._failed[0].str()}); expected it to be taken: {_GO_ON}"
            )


def fingerprint(events: Events) -> str:
    """Return a short text that differs for different data, whatever the file is called."""
    digest = hashlib.blake2b(digest_size=12)
    digest.update(repr((events.publishers, events.symbols, len(events), events.levels)).encode())
    for name in sorted(ROW_COLUMNS):
        digest.update(np.ascontiguousarray(getattr(events, name)).data)
    return digest.hexdigest()


def unsent_rows(settings: Settings, topic: str, partitions: int, events: Events, source: str) -> Int64:
    """Return the numbers of the rows that have not reached the topic in an earlier replay of the same data.

    Rows of one partition arrive in order, so the last one found at its end tells how far that partition got.
    The last 1,000 messages of each partition are looked at; other data behind them hide an earlier replay.

    Raises
    ------
    ConfigError
        If the topic cannot be read.
    """
    last = np.full(partitions, -1, np.int64)
    for message in read_to_end(settings, topic, last=_LOOK_BACK):
        headers = dict(read_headers(message) or ())
        number = row_number(headers.get(HEADER_ROW))
        if number is not None and headers.get(HEADER_SOURCE) == source.encode():
            last[message.partition()] = number
    homes = np.array([partition_of(symbol.encode(), partitions) for symbol in events.symbols], np.int64)
    return np.flatnonzero(np.arange(len(events)) > last[homes[events.symbol]])


def replay(
    events: Events,
    sink: Sink,
    *,
    topic: str,
    rows: Int64 | None = None,
    limit: int | None = None,
    speed: float | None = 1.0,
    progress: Callable[[int], None] = lambda sent: None,
    stopped: Callable[[], bool] = lambda: False,
) -> ReplayReport:
    """Send rows to a sink, each at its moment.

    Parameters
    ----------
    events : Events
        Market data in the order of its times.
    sink : Sink
        Receives the messages; closed at the end.
    topic : str
        Name for the report.
    rows : ndarray of int64, optional
        Which rows are to be sent, ascending; all by default.
    limit : int, optional
        Send at most so many of them.
    speed : float or None
        1 keeps the original pace, 10 is ten times as fast, None as fast as the sink takes them.
    progress : callable
        Told the count of rows sent, now and then.
    stopped : callable
        Asked between rows; True ends the replay after what was sent is through.

    Returns
    -------
    ReplayReport

    Raises
    ------
    ConfigError
        If the sink does not take a row.
    """
    if rows is None:
        rows = np.arange(len(events))
    unsent = len(rows)
    rows = rows[:limit]
    total = len(rows)
    times = events.ts[rows]
    due = np.zeros(total, np.int64)
    if speed is not None and total:
        with np.errstate(over="ignore"):  # of a speed next to nothing; such a row is never due
            due = np.minimum((times - times[0]) / speed, _NEVER_NS).astype(np.int64)
    lateness = np.zeros(total, np.int64)
    symbols = events.symbol[rows].tolist()
    numbers = rows.tolist()
    ahead = _Ahead(events, rows)
    sent = size = 0
    started = time.perf_counter_ns()
    while sent < total and not stopped():
        wait = int(due[sent]) - (time.perf_counter_ns() - started)
        if wait > 0 and speed is not None:
            if wait > _SPIN_NS and not (wait > _IDLE_NS and ahead.fill(sent)):
                time.sleep((min(wait, _NAP_NS) - _SPIN_NS) / _NS_PER_SECOND)
                progress(sent)
            continue
        message = ahead.message(sent)
        sink.send(numbers[sent], symbols[sent], message)
        lateness[sent] = time.perf_counter_ns() - started - due[sent]
        size += len(message)
        sent += 1
        if sent % _CHUNK == 0:
            progress(sent)
    sink.close()
    progress(sent)
    seconds = (time.perf_counter_ns() - started) / _NS_PER_SECOND
    paced = speed is not None and sent > 0
    late = lateness[:sent] / _NS_PER_MS
    return ReplayReport(
        topic=topic,
        rows=sent,
        bytes=size,
        skipped=len(events) - unsent,
        remaining=unsent - sent,
        last_row=numbers[sent - 1] if sent else None,
        seconds=round(seconds, 6),
        speed=speed,
        drift_ms=round(float(late[-1]), 3) if paced else None,
        jitter_ms=_jitter(late) if paced else None,
        interrupted=sent < total,
    )


def _jitter(late: npt.NDArray[np.float64]) -> Jitter:
    p50, p99, most = np.quantile(late, [0.5, 0.99, 1.0])
    return Jitter(round(float(p50), 3), round(float(p99), 3), round(float(most), 3))


class _Ahead:
    """Rows encoded before they are due, chunk by chunk, in the time in which nothing else is to be done."""

    def __init__(self, events: Events, rows: Int64) -> None:
        self._events, self._rows = events, rows
        self._first = 0
        self._messages = self._encoded(0)
        self._next: list[bytes] = []

    def _encoded(self, first: int) -> list[bytes]:
        return encode(self._events.take(self._rows[first : first + _CHUNK]))

    def message(self, place: int) -> bytes:
        """Return the message of a row; places must come one after the other."""
        if place == self._first + len(self._messages):
            self._first = place
            self._messages = self._next or self._encoded(place)
            self._next = []
        return self._messages[place - self._first]

    def fill(self, place: int) -> bool:
        """Encode the next chunk if it is not there yet; return whether there was anything to do."""
        following = self._first + len(self._messages)
        if self._next or following >= len(self._rows) or place >= following:
            return False
        self._next = self._encoded(following)
        return True
