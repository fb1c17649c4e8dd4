"""Messages: exact both ways, read the same by the fast and the complete reader, and never a crash on junk."""

from __future__ import annotations

import contextlib
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venuewise.data.events import UNDEFINED_PRICE, Events
from venuewise.messages import market, market_kernels
from venuewise.messages.market import MARKET_HEADERS, Batch, Decoder, encode
from venuewise.synthetic.generate import generate

INT64_MAX = 2**63 - 1
MINIMAL = {"ts_event": 1722519392491911683, "publisher_id": 2, "ask_px_00": 222.83, "ask_sz_00": 36}

prices = st.one_of(st.just(UNDEFINED_PRICE), st.integers(1, UNDEFINED_PRICE - 1))
sizes = st.integers(0, 2**32 - 1)
times = st.integers(0, INT64_MAX)


@st.composite
def random_events(draw: st.DrawFn) -> Events:
    """Rows of any values that a message may hold."""
    n, levels = draw(st.integers(0, 4)), draw(st.integers(1, 10))
    publishers = draw(st.lists(st.integers(0, 65_535), min_size=1, max_size=3, unique=True))
    symbols = draw(st.lists(st.text(max_size=6), min_size=1, max_size=3, unique=True))

    def column(values: st.SearchStrategy[int], dtype: Any = np.int64, shape: tuple[int, ...] = (n,)) -> Any:
        count = int(np.prod(shape))
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), dtype).reshape(shape)

    book = (n, levels)
    return Events(
        ts_event=column(times), ts_recv=column(st.integers(1, INT64_MAX)),
        venue=column(st.integers(0, len(publishers) - 1), np.int16),
        action=column(st.sampled_from(list(map(ord, "ACMTFRN"))), np.uint8),
        side=column(st.sampled_from(list(map(ord, "ABN"))), np.uint8),
        depth=column(st.integers(0, 255), np.uint8), price=column(prices), size=column(sizes),
        sequence=column(times), symbol=column(st.integers(0, len(symbols) - 1), np.int32),
        bid_px=column(prices, shape=book), ask_px=column(prices, shape=book),
        bid_sz=column(sizes, shape=book), ask_sz=column(sizes, shape=book),
        bid_ct=np.empty((n, 0), np.int64), ask_ct=np.empty((n, 0), np.int64),
        publishers=tuple(publishers), symbols=tuple(symbols),
    )  # fmt: skip


def assert_same_rows(found: Events, expected: Events) -> None:
    for field in fields(Events):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "venue":
            a, b = np.array(found.publishers)[a], np.array(expected.publishers)[b]
        if field.name == "symbol":
            a, b = [found.symbols[i] for i in a], [expected.symbols[i] for i in b]
            assert a == b
        elif isinstance(b, np.ndarray) and not field.name.endswith("_ct"):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert a.dtype == b.dtype or field.name == "venue"


def only(value: bytes | None, levels: int = 1) -> Batch:
    return Decoder(levels).decode([value])


def reason(value: bytes | None) -> str:
    batch = only(value)
    assert len(batch.events) == 0
    assert [poison.index for poison in batch.poison] == [0]
    assert "\n" not in batch.poison[0].reason
    return batch.poison[0].reason


def message(**values: object) -> bytes:
    return json.dumps({**MINIMAL, **values}).encode()


@pytest.mark.parametrize("zero", ["0", "0.00", "-0.0", "0e5"])
def test_a_price_of_zero_beside_no_shares_is_an_empty_level(zero: str) -> None:
    clear = message(
        action="R", price="none", size=0, ask_px_00="none", ask_sz_00=0, bid_px_00="none", bid_sz_00=0
    )
    batch = Decoder(1).decode([clear.replace(b'"none"', zero.encode())])
    assert batch.poison == ()
    events = batch.events
    assert (events.price[0], events.ask_px[0, 0], events.bid_px[0, 0]) == (
        UNDEFINED_PRICE,
        UNDEFINED_PRICE,
        UNDEFINED_PRICE,
    )


@settings(max_examples=150, deadline=None)
@given(random_events())
def test_rows_come_back_from_their_messages_to_the_last_digit(events: Events) -> None:
    batch = Decoder(events.levels).decode(encode(events))
    assert batch.poison == ()
    assert batch.rows.tolist() == list(range(len(events)))
    assert_same_rows(batch.events, events)


@settings(max_examples=100, deadline=None)
@given(random_events())
def test_messages_hold_what_python_computes(events: Events) -> None:
    for i, text in enumerate(encode(events)):
        value = json.loads(text, parse_float=Decimal)
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(events.ts_event[i]) // 10**9)
        fraction = int(events.ts_event[i]) % 10**9
        assert value["timestamp"] == f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z".rjust(30, "0")
        ask = int(events.ask_px[i, 0])
        assert value["ask_px_00"] == (None if ask == UNDEFINED_PRICE else Decimal(ask) / 10**9)
        assert value["symbol"] == events.symbols[events.symbol[i]]
        assert value["publisher_id"] == events.publishers[events.venue[i]]


@pytest.mark.parametrize("levels", [1, 3])
def test_fewer_levels_are_kept_on_request_and_more_are_empty(levels: int) -> None:
    events = generate(venues=2, duration="2s", seed=1)
    messages = encode(events)
    few = Decoder(levels).decode(messages).events
    np.testing.assert_array_equal(few.ask_px, events.ask_px[:, :levels])
    thin = replace(
        events, **{n: getattr(events, n)[:, :levels] for n in ("bid_px", "ask_px", "bid_sz", "ask_sz")}
    )
    full = Decoder(10).decode(encode(thin)).events
    assert (full.ask_px[:, levels:] == UNDEFINED_PRICE).all()
    assert (full.ask_sz[:, levels:] == 0).all()


def test_a_slice_encodes_its_rows_alone() -> None:
    events = generate(venues=2, duration="2s", seed=1)
    assert encode(events, slice(3, 7)) == encode(events)[3:7]


def test_a_negative_number_is_refused_when_writing() -> None:
    events = generate(venues=1, duration="1s", seed=1)
    with pytest.raises(ValueError, match="negative"):
        encode(replace(events, size=events.size - 10**9))


def test_codes_of_venues_and_symbols_stay_from_batch_to_batch() -> None:
    decoder = Decoder(1)
    first = decoder.decode([message(symbol="B", publisher_id=9), message(symbol="A", publisher_id=2)]).events
    second = decoder.decode([message(symbol="A", publisher_id=9), message(symbol="C", publisher_id=9)]).events
    for events in (first, second):
        assert events.publishers == (2, 9)
    assert second.symbols[: len(first.symbols)] == first.symbols
    assert [second.symbols[i] for i in second.symbol] == ["A", "C"]
    assert second.venue.tolist() == [1, 1]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(MINIMAL, indent=2),
        json.dumps(MINIMAL | {"ask_px_00": "222.830"}),
        json.dumps(MINIMAL).replace("222.83", "2.2283e2"),
        json.dumps(MINIMAL | {"unknown": {"nested": [1, "}"]}, "escaped\\u0041": "\\u00e9"}),
        json.dumps(MINIMAL).replace('"ts_event": 1722519392491911683', '"timestamp": "2024-08-01T13:36:32.491911683Z"'),
        json.dumps(MINIMAL | {"ts_event": "2024-08-01T13:36:32.491911683+00:00"}),
        json.dumps(dict(reversed(MINIMAL.items()))),
    ],
)  # fmt: skip
def test_other_ways_to_write_the_same_message_are_understood(text: str) -> None:
    batch = only(text.encode())
    assert batch.poison == ()
    assert batch.events.ask_px[0, 0] == 222_830_000_000
    assert batch.events.ts_event[0] == batch.events.ts_recv[0] == MINIMAL["ts_event"]
    assert batch.events.symbols == ("",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "no value"),
        (b"", "not JSON"),
        (b"not json", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 60_000, "Expected `object`, got `array`"),
        (b'{"a":' * 9_000, "not JSON"),
        (b"[1]", "Expected `object`, got `array`"),
        (b"{}", "missing required field"),
        (message().replace(b"222.83", b"NaN"), "not JSON"),
        (message().replace(b"222.83", b"1e400"), "below 9223372036"),
        (message().replace(b"222.83", b"1e-400"), "at most 9 decimals"),
        (message().replace(b"222.83", b"9223372036.854775807"), "below 9223372036"),
        (message().replace(b"222.83", b"99999999999999999999.5"), "below 9223372036"),
        (message().replace(b"222.83", b"222.8300000001"), "at most 9 decimals"),
        (message().replace(b"222.83", b"222.83" + b"0" * 40 + b"1"), "at most 9 decimals"),
        (message().replace(b"222.83", b"1e99999999999"), "below 9223372036"),
        (message(ask_px_00=0), "above 0"),
        (message(price=0, size=5), "above 0"),
        (message(ask_px_00=-1.5), "above 0"),
        (message(ask_px_00="NaN"), "above 0"),
        (message(ask_px_00="dear"), "ask_px_00"),
        (message(ask_px_00=True), "ask_px_00"),
        (message(ask_sz_00=-1), "ask_sz_00"),
        (message(ask_sz_00=1.5), "ask_sz_00"),
        (message(ask_sz_00=2**32), "ask_sz_00"),
        (message(ask_sz_00=10**19), "ask_sz_00"),
        (message(ask_sz_00=10**30), "ask_sz_00"),
        (message(publisher_id="2"), "publisher_id"),
        (message(publisher_id=70_000), "publisher_id"),
        (message(ts_event=-1), "ts_event"),
        (message(ts_event=2**63), "ts_event"),
        (message(ts_event=9_999_999_999_999_999_999), "ts_event"),
        (message(ts_event="yesterday"), "ts_event"),
        (message(ts_event="1969-12-31T23:59:59Z"), "ts_event"),
        (message(ts_event="2024-08-01T13:36:32.0000000001Z"), "ts_event"),
        (message(ts_event=None), "ts_event"),
        (message(action="X"), "action"),
        (message(action="AA"), "action"),
        (message(side=""), "side"),
        (message(depth=256), "depth"),
        (message(symbol=7), "symbol"),
        (message()[:-1], "not JSON"),
        (message() + b"}", "not JSON"),
        (message(filler="x" * 70_000), "bytes, more than 65536"),
    ],
)  # fmt: skip
def test_poison_is_named_for_what_it_is(value: bytes | None, expected: str) -> None:
    assert expected in reason(value)


def test_good_messages_around_poison_are_kept_with_their_places() -> None:
    batch = Decoder(1).decode([message(sequence=1), b"junk", message(sequence=3), None, message(sequence=5)])
    assert batch.events.sequence.tolist() == [1, 3, 5]
    assert batch.rows.tolist() == [0, 2, 4]
    assert [poison.index for poison in batch.poison] == [1, 3]


def test_an_empty_batch_is_an_empty_batch() -> None:
    batch = Decoder(2).decode([])
    assert len(batch.events) == 0
    assert batch.events.ask_px.shape == (0, 2)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (None, None),
        ([], None),
        (list(MARKET_HEADERS), None),
        ([*MARKET_HEADERS, ("row", b"1")], None),
        ([("other", b"x")], None),
        ([("schema", b"someone.else")], "unknown schema 'someone.else'"),
        ([("schema", b"venuewise.market"), ("version", b"2")], "unknown version '2'"),
        ([("version", b"\xff")], "unknown version"),
    ],
)
def test_headers_of_another_schema_or_version_make_a_message_poison(
    headers: Any, expected: str | None
) -> None:
    batch = Decoder(1).decode([message()], [headers])
    assert len(batch.events) == (1 if expected is None else 0)
    if expected is not None:
        assert expected in batch.poison[0].reason


junk = st.sampled_from(
    [
        b'"',
        b"{",
        b"}",
        b"\\",
        b",",
        b":",
        b"null",
        b"-",
        b"e5",
        b"0",
        b"9",
        b".",
        b"\x00",
        b"\xc3",
        b" ",
        b"true",
        b"[]",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    random_events().filter(len),
    st.lists(st.tuples(st.floats(0, 1), junk, st.integers(0, 3)), max_size=3),
    st.integers(1, 10),
)
def test_the_fast_reader_accepts_nothing_that_the_complete_reader_reads_otherwise(
    events: Events, edits: list[tuple[float, bytes, int]], levels: int
) -> None:
    """Also of messages with more levels than are kept, and with fewer."""
    text = encode(events)[0]
    for place, inserted, cut in edits:
        at = int(place * len(text))
        text = text[:at] + inserted + text[at + cut :]
    decoder = Decoder(levels)
    decoder.decode(
        encode(events)
    )  # so that the order of the fields is known and the fast reader gets its chance
    fast = decoder.decode([text])
    row = decoder._defaults.copy()
    fault = decoder._read_fully(text, row)
    if fault is not None:
        assert [poison.reason for poison in fast.poison] == [fault]
    else:
        assert fast.poison == ()
        assert fast.events.ask_px[0].tolist() == row[_book(1, levels)].tolist()
        assert fast.events.bid_sz[0].tolist() == row[_book(2, levels)].tolist()
        found = (fast.events.ts_event[0], fast.events.price[0], fast.events.size[0], fast.events.sequence[0])
        columns = (
            market_kernels.TS_EVENT,
            market_kernels.PRICE,
            market_kernels.SIZE,
            market_kernels.SEQUENCE,
        )
        assert found == tuple(row[column] for column in columns)
        assert (fast.events.action[0], fast.events.side[0]) == (
            row[market_kernels.ACTION],
            row[market_kernels.SIDE],
        )
        if row[market_kernels.SYMBOL] >= 0:
            assert fast.events.symbol[0] == row[market_kernels.SYMBOL]


def _book(place: int, levels: int) -> slice:
    first = market_kernels.BASE_FIELDS + place * levels
    return slice(first, first + levels)


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        ("0", True), ("0.5", True), ("7", True), ("1.25", True), ("1e5", True), ("-3", True), ("9" * 30, True),
        ("01", False), ("1.", False), (".5", False), ("1.2.3", False), ("", False), ("1x", False), ("+1", False),
    ],
)  # fmt: skip
def test_a_number_that_is_not_kept_is_judged_all_the_same(number: str, valid: bool) -> None:
    """A level beyond those kept may hold any number, but a message that is not JSON is none."""
    text = message()[:-1] + f', "bid_px_05": {number}}}'.encode()
    with contextlib.suppress(json.JSONDecodeError):
        json.loads(text)
        assert valid
    assert (only(text).poison == ()) == valid


def test_our_own_messages_take_the_fast_way_also_where_their_symbols_are_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = generate(venues=3, symbols=["AAPL", "MSFT"], duration="2s", seed=3)
    symbol = np.arange(len(events), dtype=np.int32) % 300
    events = replace(events, symbol=symbol, symbols=tuple(f"S{i}" for i in range(300)))
    decoder = Decoder(10)
    messages = encode(events)

    def never(self: Decoder, value: bytes | None, row: object) -> str | None:
        raise AssertionError(value)

    monkeypatch.setattr(market.Decoder, "_read_fully", never)
    assert_same_rows(decoder.decode(messages).events, replace(events, source=()))
