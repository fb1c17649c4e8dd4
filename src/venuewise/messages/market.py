"""Market data as Kafka messages: one flat JSON object a row, decoded batch by batch into `Events`.

A message carries the row's times, venue, event and book levels under the column names of the MBP layout;
prices are decimal dollars, exact to 1e-9 both ways. Its headers name the schema and version, its key is the
symbol. Decoding never raises on a bad message: it reports which one it was and why, so that a service can put
it aside and go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
import numpy as np

from venuewise.data.events import ACTION_NONE, SIDE_NONE, UNDEFINED_PRICE, Events, Int64, UInt8
from venuewise.messages import market_kernels
from venuewise.messages.market_kernels import (
    ACTION,
    BASE_FIELDS,
    DEPTH,
    KIND_COUNT,
    KIND_IGNORED,
    KIND_LETTER,
    KIND_PRICE,
    KIND_SIZE,
    KIND_SYMBOL,
    PRICE,
    PUBLISHER,
    SEQUENCE,
    SIDE,
    SIZE,
    SYMBOL,
    TS_EVENT,
    TS_RECV,
)
from venuewise.messages.names import MAX_SYMBOL, Names

MARKET_SCHEMA: Final = "venuewise.market"
DECISION_SCHEMA: Final = "venuewise.decision"
SCHEMA_VERSION: Final = "1"
HEADER_SCHEMA: Final = "schema"
HEADER_VERSION: Final = "version"
MARKET_HEADERS: Final = ((HEADER_SCHEMA, MARKET_SCHEMA.encode()), (HEADER_VERSION, SCHEMA_VERSION.encode()))
"""Headers of every market-data message."""
SYNTHETIC_HEADER: Final = ("synthetic", b"true")
"""Follows them where the data are made up, so that they never pass for real quotes."""
_OWN_HEADERS: Final = list(MARKET_HEADERS)
"""The same as the client hands them over, which most messages begin with."""
MAX_MESSAGE_BYTES: Final = 65_536
MAX_LEVELS: Final = 10
MAX_DOLLARS: Final = 9_223_372_037
PRICE_DECIMALS: Final = 9
ACTIONS: Final = "ACMTFRN"
SIDES: Final = "ABN"

_INT64_MAX: Final = int(np.iinfo(np.int64).max)
_UINT32_MAX: Final = int(np.iinfo(np.uint32).max)
_MAX_TEXT: Final = 40
_BASE_NAMES: Final = (
    "ts_event", "ts_recv", "publisher_id", "symbol", "sequence", "action", "side", "depth", "price", "size",
)  # fmt: skip
_LEVEL_PARTS: Final = ("bid_px", "ask_px", "bid_sz", "ask_sz")
_KNOWN_NAMES: Final = (
    "timestamp", "rtype", "instrument_id", "flags", "ts_in_delta",
    *(f"{part}_{level:02d}" for part in (*_LEVEL_PARTS, "bid_ct", "ask_ct") for level in range(MAX_LEVELS)),
)  # fmt: skip
"""Names of the layout that a message may hold beside those that are kept."""
_LIMITS: Final = {
    "ts_event": _INT64_MAX,
    "ts_recv": _INT64_MAX,
    "sequence": _INT64_MAX,
    "publisher_id": 65_535,
    "depth": 255,
    "action": 1,
    "side": 2,
}
"""Largest value of a field; for a letter, the bit that marks the allowed ones."""

Headers = Sequence[tuple[str, bytes | str | None]]
_Count = Annotated[int, msgspec.Meta(ge=0, le=_UINT32_MAX)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=_INT64_MAX)]
_Id = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
_Symbol = Annotated[str, msgspec.Meta(max_length=MAX_SYMBOL)]


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that is not market data.

    Attributes
    ----------
    index : int
        Its place in the batch.
    reason : str
        What is wrong with it, one line.
    """

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Decoded messages.

    Attributes
    ----------
    events : Events
        One row for each good message, in their order.
    rows : ndarray of int64
        Place in the batch of each row's message.
    synthetic : ndarray of uint8
        For each row, 1 where its headers say that it is made up.
    poison : tuple of Poison
        The messages that could not be read, in their order.
    """

    events: Events
    rows: Int64
    synthetic: UInt8
    poison: tuple[Poison, ...]


def encode(events: Events, rows: slice = slice(None)) -> list[bytes]:
    """Encode rows as messages.

    Parameters
    ----------
    events : Events
        Market data; all its levels are written.
    rows : slice
        Which rows.

    Returns
    -------
    list of bytes
        One JSON object for each row.

    Raises
    ------
    ValueError
        If a time, size, sequence or price is negative.
    """
    part = events.take(rows)
    n, levels = len(part), part.levels
    publishers = np.asarray(part.publishers, np.int64)
    table = np.empty((n, BASE_FIELDS + 4 * levels), np.int64)
    table[:, PUBLISHER] = publishers[part.venue] if n else 0
    codes, symbol = np.unique(part.symbol, return_inverse=True)
    for column, values in (
        (TS_EVENT, part.ts_event), (TS_RECV, part.ts_recv), (SYMBOL, symbol), (SEQUENCE, part.sequence),
        (ACTION, part.action), (SIDE, part.side), (DEPTH, part.depth), (PRICE, part.price), (SIZE, part.size),
    ):  # fmt: skip
        table[:, column] = values
    for place, book in enumerate((part.bid_px, part.ask_px, part.bid_sz, part.ask_sz)):
        table[:, BASE_FIELDS + place * levels : BASE_FIELDS + (place + 1) * levels] = book
    if n and table.min() < 0:
        raise ValueError("a message holds no negative number")
    texts = [msgspec.json.encode(part.symbols[code]) for code in codes.tolist()] or [b'""']
    before = ['{"timestamp":"', *(f',"{name}":' for name in _BASE_NAMES)]
    before[1] = '"' + before[1]  # closes the string of the timestamp
    before += [f',"{part}_{level:02d}":' for level in range(levels) for part in _LEVEL_PARTS]
    room = market_kernels.MAX_BASE_BYTES + max(map(len, texts)) + 4 * levels * market_kernels.MAX_FIELD_BYTES
    buffer = np.empty(n * room, np.uint8)
    names, name_ends = joined_bytes([text.encode() for text in before])
    symbols, symbol_ends = joined_bytes(texts)
    ends = market_kernels.write_rows(table, levels, names, name_ends, symbols, symbol_ends, buffer)
    stops = ends.tolist()
    text = buffer[: stops[-1] if stops else 0].tobytes()
    return [text[start:stop] for start, stop in zip([0, *stops[:-1]], stops, strict=True)] if stops else []


def joined_bytes(texts: Sequence[bytes]) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], Int64]:
    """The same of bytes."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return np.frombuffer(b"".join(texts), np.uint8), np.cumsum(lengths)


def joined_text(texts: Iterable[str]) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], Int64]:
    """Put texts one after the other; return their bytes, and where each ends."""
    return joined_bytes([text.encode() for text in texts])


def why_not_market_data(headers: Headers | None) -> str | None:
    """Return None where the headers name this schema, or none at all; else why the message is not for us."""
    if not headers:
        return None
    found = {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value for name, value in headers
    }
    schema, version = found.get(HEADER_SCHEMA), found.get(HEADER_VERSION)
    if schema is not None and schema != MARKET_SCHEMA:
        return f"unknown schema {schema[:_MAX_TEXT]!r}"
    if version is not None and version != SCHEMA_VERSION:
        return f"unknown version {version[:_MAX_TEXT]!r} of schema {MARKET_SCHEMA}"
    return None


class Decoder:
    """Turns batches of messages into `Events`; codes of venues and symbols stay the same from batch to batch.

    Parameters
    ----------
    levels : int
        Levels of the book to keep, 1 to 10. A level that a message lacks is an empty one.

    Examples
    --------
    >>> batch = Decoder(levels=1).decode([
    ...     b'{"ts_event": 1722519392491911683, "publisher_id": 2, "ask_px_00": 222.83, "ask_sz_00": 36}',
    ...     b'{"ts_event": 1722519392491911683, "publisher_id": 2, "ask_px_00": NaN, "ask_sz_00": 36}',
    ... ])
    >>> batch.events.ask_px[0, 0], batch.poison[0].reason
    (np.int64(222830000000), 'not JSON: JSON is malformed: invalid character (byte 66)')
    """

    def __init__(self, levels: int = MAX_LEVELS) -> None:
        if not 1 <= levels <= MAX_LEVELS:
            raise ValueError(f"levels must be from 1 to {MAX_LEVELS}, not {levels}")
        self._levels = levels
        self._symbols = Names()
        self._publishers: tuple[int, ...] = ()
        self._venue_of = np.full(_LIMITS["publisher_id"] + 1, -1, np.int16)
        kept = [*_BASE_NAMES, *(f"{part}_{level:02d}" for part in _LEVEL_PARTS for level in range(levels))]
        names = kept + [name for name in _KNOWN_NAMES if name not in kept]
        self._names = Names(names)
        self._kinds = np.array([_kind(name) if name in kept else KIND_IGNORED for name in names], np.uint8)
        self._columns = np.array([kept.index(name) if name in kept else -1 for name in names], np.int64)
        self._limits = np.array([_LIMITS.get(name, _UINT32_MAX) for name in names], np.int64)
        needed = ("ts_event", "publisher_id", "ask_px_00", "ask_sz_00")
        self._needs = np.array([1 << needed.index(name) if name in needed else 0 for name in names], np.int64)
        self._letters = np.zeros(256, np.uint8)
        for name, letters in (("action", ACTIONS), ("side", SIDES)):
            self._letters[np.frombuffer(letters.encode(), np.uint8)] |= _LIMITS[name]
        self._defaults = np.zeros(len(kept), np.int64)
        self._defaults[self._kinds[: len(kept)] == KIND_PRICE] = UNDEFINED_PRICE
        self._defaults[[ACTION, SIDE, SYMBOL]] = ACTION_NONE, SIDE_NONE, -1
        self._order = np.full(len(names), -1, np.int64)
        self._decode_fully: Callable[[bytes], Any] = msgspec.json.Decoder(_message_type(levels)).decode

    def decode(
        self, values: Sequence[bytes | None], headers: Sequence[Headers | None] | None = None
    ) -> Batch:
        """Decode a batch of messages.

        Parameters
        ----------
        values : sequence of bytes or None
            The messages; None is one without a value.
        headers : sequence, optional
            The messages' headers. Headers that name another schema or version make a message poison; a
            message without headers (as other programs write it) is judged by its content alone.

        Returns
        -------
        Batch
            The rows that were read, and what was wrong with the rest.
        """
        n = len(values)
        texts = [value if value is not None and len(value) <= MAX_MESSAGE_BYTES else b"" for value in values]
        table = np.repeat(self._defaults[None, :], n, axis=0)
        poison: dict[int, str] = {}
        for index in np.flatnonzero(~self._read_plain(texts, table)).tolist():
            reason = self._read_fully(values[index], table[index])
            if reason is not None:
                poison[index] = reason
        synthetic = np.zeros(n, np.uint8)
        for index, header in enumerate(headers or ()):
            if not header:
                continue
            if SYNTHETIC_HEADER in header:
                synthetic[index] = 1
            if header[:2] != _OWN_HEADERS and (reason := why_not_market_data(header)) is not None:
                poison[index] = reason
        rows = np.arange(n)
        if poison:
            rows = np.delete(rows, list(poison))
            table, synthetic_rows = table[rows], synthetic[rows]
        else:
            synthetic_rows = synthetic
        events = self._events(table, bool(synthetic.any()))
        return Batch(events, rows, synthetic_rows, tuple(Poison(i, poison[i]) for i in sorted(poison)))

    def _read_plain(self, texts: Sequence[bytes], table: Int64) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Read those messages that are plain into their rows; return which were."""
        text, ends = joined_bytes(texts)
        read = np.empty(len(texts), np.bool_)
        done = 0
        while True:
            done = market_kernels.read_rows(
                text, ends, done, self._names.table, self._kinds, self._columns, self._limits, self._needs,
                self._letters, self._symbols.table, self._order, table, read,
            )  # fmt: skip
            if done == len(texts):
                return read
            self._symbols.grow(len(texts[done]))

    def _read_fully(self, value: bytes | None, row: Int64) -> str | None:
        """Read any valid message into a row of defaults, or return what is wrong with it."""
        if value is None:
            return "no value"
        if len(value) > MAX_MESSAGE_BYTES:
            return f"{len(value)} bytes, more than {MAX_MESSAGE_BYTES}"
        try:
            message = self._decode_fully(value)
        except msgspec.ValidationError as error:
            return str(error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return f"not JSON: {error}"
        row[:] = self._defaults
        try:
            self._fill(row, message)
        except ValueError as error:
            return str(error)
        return None

    def _fill(self, row: Int64, message: Any) -> None:
        ts = message.ts_event if message.ts_event is not None else message.timestamp
        if ts is None:
            raise ValueError("Object missing required field `ts_event` (or `timestamp`)")
        row[TS_EVENT] = _nanoseconds(ts, "ts_event")
        row[TS_RECV] = _nanoseconds(message.ts_recv or 0, "ts_recv") or row[TS_EVENT]
        row[PUBLISHER], row[SEQUENCE] = message.publisher_id, message.sequence
        row[DEPTH], row[SIZE] = message.depth, message.size
        row[ACTION], row[SIDE] = (
            _letter(message.action, ACTIONS, "action"),
            _letter(message.side, SIDES, "side"),
        )
        row[PRICE] = _price(message.price, "price", message.size)
        if message.symbol is not None:
            row[SYMBOL] = self._symbols.code(message.symbol)
        for place, part in enumerate(_LEVEL_PARTS):
            for level in range(self._levels):
                name = f"{part}_{level:02d}"
                value = getattr(message, name)
                if place < 2:
                    beside = getattr(message, f"{_LEVEL_PARTS[place + 2]}_{level:02d}")
                    value = _price(value, name, beside or 0)
                row[BASE_FIELDS + place * self._levels + level] = value or 0

    def _events(self, table: Int64, synthetic: bool) -> Events:
        n, levels = len(table), self._levels
        if n and table[:, SYMBOL].min() < 0:
            nameless = self._symbols.code("")
            table[table[:, SYMBOL] < 0, SYMBOL] = nameless
        ids = table[:, PUBLISHER]
        venue = self._venue_of[ids]
        if n and venue.min() < 0:
            new = np.unique(ids[venue < 0]).tolist()
            known = len(self._publishers)
            self._venue_of[new] = np.array(range(known, known + len(new)), np.int16)
            self._publishers = (*self._publishers, *new)
            venue = self._venue_of[ids]

        def book(place: int) -> Int64:
            first = BASE_FIELDS + place * levels
            return np.ascontiguousarray(table[:, first : first + levels])

        return Events(
            ts_event=table[:, TS_EVENT].copy(), ts_recv=table[:, TS_RECV].copy(),
            venue=venue,
            action=table[:, ACTION].astype(np.uint8), side=table[:, SIDE].astype(np.uint8),
            depth=table[:, DEPTH].astype(np.uint8), price=table[:, PRICE].copy(), size=table[:, SIZE].copy(),
            sequence=table[:, SEQUENCE].copy(), symbol=table[:, SYMBOL].astype(np.int32),
            bid_px=book(0), ask_px=book(1), bid_sz=book(2), ask_sz=book(3),
            bid_ct=np.empty((n, 0), np.int64), ask_ct=np.empty((n, 0), np.int64),
            publishers=self._publishers, symbols=self._symbols.known(),
            synthetic=synthetic,
        )  # fmt: skip


def _message_type(levels: int) -> type[msgspec.Struct]:
    price = Decimal | None
    fields: list[Any] = [
        ("publisher_id", _Id),
        ("ask_px_00", price),
        ("ask_sz_00", _Count | None),
        ("ts_event", _Time | str | None, None),
        ("timestamp", _Time | str | None, None),
        ("ts_recv", _Time | str | None, None),
        ("symbol", _Symbol | None, None),
        ("sequence", _Time, 0),
        ("action", str, "N"),
        ("side", str, "N"),
        ("depth", Annotated[int, msgspec.Meta(ge=0, le=255)], 0),
        ("price", price, None),
        ("size", _Count, 0),
    ]
    given = {field[0] for field in fields}
    for part in _LEVEL_PARTS:
        for level in range(levels):
            name = f"{part}_{level:02d}"
            if name not in given:
                fields.append((name, price if part.endswith("px") else _Count | None, None))
    return msgspec.defstruct("MarketMessage", fields)


def _kind(name: str) -> int:
    if name.endswith("price") or "_px_" in name:
        return KIND_PRICE
    if "_sz_" in name:
        return KIND_SIZE
    return {"action": KIND_LETTER, "side": KIND_LETTER, "symbol": KIND_SYMBOL}.get(name, KIND_COUNT)


def _price(value: Decimal | None, name: str, shares: int) -> int:
    """Return dollars as 1e-9 dollars, by their digits: Decimal's own arithmetic would round beyond 28 of them.

    A price of 0 beside no shares is none, as in the clear rows of files.
    """
    if value is None or (value.is_finite() and not value and shares == 0):
        return int(UNDEFINED_PRICE)
    out_of_range = ValueError(f"Expected dollars above 0 and below 9223372036 - at `$.{name}`")
    if not value.is_finite() or not 0 < value < MAX_DOLLARS:
        raise out_of_range
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    last = max(place for place, digit in enumerate(digits) if digit) + 1
    exponent += len(digits) - last
    if exponent < -PRICE_DECIMALS:
        raise ValueError(f"Expected at most 9 decimals - at `$.{name}`")
    scaled: int = int("".join(map(str, digits[:last]))) * 10 ** (exponent + PRICE_DECIMALS)
    if scaled >= UNDEFINED_PRICE:
        raise out_of_range
    return scaled


def _letter(value: str, allowed: str, name: str) -> int:
    if len(value) != 1 or value not in allowed:
        raise ValueError(f"Expected one of the letters {allowed} - at `$.{name}`")
    return ord(value)


def _nanoseconds(value: int | str, name: str) -> int:
    if isinstance(value, int):
        return value
    problem = ValueError(f"Expected nanoseconds since 1970, or ISO 8601 in UTC - at `$.{name}`")
    seconds, _, rest = value.removesuffix("Z").removesuffix("+00:00").partition(".")
    try:
        moment = datetime.fromisoformat(seconds + "+00:00")
    except ValueError:
        raise problem from None
    if len(rest) > 9 or (rest and not (rest.isascii() and rest.isdigit())):
        raise problem
    whole = int((moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")).total_seconds())
    ns = whole * 1_000_000_000 + int(rest.ljust(9, "0"))
    if not 0 <= ns <= _INT64_MAX:
        raise problem
    return ns
