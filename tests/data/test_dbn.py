"""DBN files, against the databento package and against bytes packed by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import databento
import databento_dbn as dbn
import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import venuewise as vw
from tests.data.files import NS, UNDEFINED, metadata, record
from venuewise.data.events import Events

EMPTY = (UNDEFINED, UNDEFINED, 0, 0, 0, 0)
LEVEL = (222_810_000_000, 222_830_000_000, 421, 36, 4, 2)


def assert_equals_databento(events: Events, path: Path) -> None:
    """Compare every column with the array that the databento package makes of the file."""
    theirs: Any = databento.DBNStore.from_bytes(path.read_bytes()).to_ndarray()
    assert len(events) == len(theirs)
    for name in ("ts_event", "ts_recv", "price", "size", "sequence", "depth"):
        np.testing.assert_array_equal(getattr(events, name), theirs[name].astype(np.int64), name)
    for name in ("action", "side"):
        np.testing.assert_array_equal(getattr(events, name), theirs[name].view(np.uint8), name)
    np.testing.assert_array_equal(np.array(events.publishers)[events.venue], theirs["publisher_id"])
    for side in ("bid", "ask"):
        for what in ("px", "sz", "ct"):
            ours = getattr(events, f"{side}_{what}")
            for level in range(events.levels):
                np.testing.assert_array_equal(ours[:, level], theirs[f"{side}_{what}_{level:02d}"])


@pytest.mark.parametrize("name", ["xnas_itch_mbp10_4rows.dbn.zst", "equs_mini_mbp1_4rows.dbn.zst"])
def test_real_files_read_as_the_databento_package_reads_them(real_data: Path, name: str) -> None:
    events = vw.read(real_data / name, counts=True)
    assert_equals_databento(events, real_data / name)
    assert events.symbols == ({"x": "NVDA", "e": "QQQ"}[name[0]],)


PRICES = st.one_of(st.just(UNDEFINED), st.integers(1, 10**15))
WORD = st.integers(0, 2**32 - 1)


@st.composite
def levels(draw: st.DrawFn) -> tuple[int, int, int, int, int, int]:
    bid, ask = draw(PRICES), draw(PRICES)
    return (
        bid, ask, 0 if bid == UNDEFINED else draw(WORD), 0 if ask == UNDEFINED else draw(WORD),
        draw(WORD), draw(WORD),
    )  # fmt: skip


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(
    data=st.data(), depth=st.sampled_from([1, 10]), version=st.sampled_from([1, 2, 3]), packed=st.booleans()
)
def test_any_records_read_as_the_databento_package_reads_them(
    tmp_path: Path, data: st.DataObject, depth: int, version: int, packed: bool
) -> None:
    count = data.draw(st.integers(1, 6))
    raw = metadata("mbp-1" if depth == 1 else "mbp-10", version=version)
    for i in range(count):
        raw += record(
            [data.draw(levels()) for _ in range(depth)],
            ts_recv=NS + i,
            ts_event=data.draw(st.integers(0, 2**63 - 1)),
            publisher=data.draw(st.integers(0, 65535)),
            instrument=data.draw(WORD),
            price=data.draw(PRICES),
            size=data.draw(WORD),
            action=data.draw(st.sampled_from("ACMTFRN")),
            side=data.draw(st.sampled_from("ABN")),
            depth=data.draw(st.integers(0, 255)),
            sequence=i + 2**32 - 10,
        )
    path = tmp_path / ("day.dbn.zst" if packed else "day.dbn")
    path.write_bytes(zstandard.compress(raw) if packed else raw)
    assert_equals_databento(vw.read(path, counts=True), path)


def test_records_made_by_the_databento_package_read_back(tmp_path: Path) -> None:
    schema: Any = dbn.Schema.MBP_1
    symbols: Any = dbn.SType.RAW_SYMBOL
    ids: Any = dbn.SType.INSTRUMENT_ID
    header = dbn.Metadata("XNAS.ITCH", NS, symbols, ids, schema)
    trade: Any = dbn.Action.TRADE  # the package's stubs take these enumerations for text
    ask: Any = dbn.Side.ASK
    book: Any = dbn.BidAskPair(4 * 10**9, 5 * 10**9, 11, 12, 1, 2)
    message = dbn.MBP1Msg(2, 38, NS - 1, 5 * 10**9, 7, trade, ask, 0, NS, sequence=3, levels=book)
    path = tmp_path / "one.dbn"
    path.write_bytes(bytes(header) + bytes(message))
    events = vw.read(path)
    assert events.bid_px.tolist() == [[4 * 10**9]]
    assert events.ask_sz.tolist() == [[12]]
    assert chr(events.action[0]) + chr(events.side[0]) == "TA"


def test_many_threads_and_unaligned_metadata_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = metadata(mappings=[("AAPL", dt.date(2024, 8, 1), dt.date(2024, 8, 2), "38")])
    assert len(raw) % 8
    body = b"".join(record([LEVEL] * 10, ts_recv=NS + i, sequence=i + 1, size=i) for i in range(1000))
    path = tmp_path / "day.dbn"
    path.write_bytes(raw + body)
    whole = vw.read(path)
    monkeypatch.setattr("venuewise.data._dbn._SMALLEST_CHUNK", 1)
    monkeypatch.setattr("venuewise.data._dbn.threads", lambda: 7)
    pieces = vw.read(path)
    assert whole.size.tolist() == pieces.size.tolist() == list(range(1000))
    np.testing.assert_array_equal(whole.ask_px, pieces.ask_px)


def test_send_times_after_each_record_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "live.dbn"
    body = [record([LEVEL], ts_out=NS + 5, sequence=i, ts_recv=NS + i) for i in (1, 2)]
    path.write_bytes(metadata("mbp-1", ts_out=True) + b"".join(body))
    assert vw.read(path).sequence.tolist() == [1, 2]


def test_symbols_follow_the_mapping_of_the_day_and_fall_back_to_the_id(tmp_path: Path) -> None:
    day = 86_400 * 10**9
    mappings = [
        ("OLD", dt.date(2024, 8, 1), dt.date(2024, 8, 2), "38"),
        ("NEW", dt.date(2024, 8, 2), dt.date(2024, 8, 3), "38"),
    ]
    path = tmp_path / "days.dbn"
    body = [record([LEVEL], ts_recv=NS + i * day, sequence=i + 1) for i in range(3)]
    body.append(record([LEVEL], ts_recv=NS + 3 * day, instrument=7, sequence=9))
    path.write_bytes(metadata("mbp-1", mappings=mappings) + b"".join(body))
    events = vw.read(path)
    assert [events.symbols[i] for i in events.symbol] == ["OLD", "NEW", "38", "7"]


def test_a_size_without_a_price_is_read_as_zero_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "odd.dbn"
    path.write_bytes(metadata("mbp-1") + record([(UNDEFINED, 5 * 10**9, 3, 4, 0, 0)]))
    events = vw.read(path)
    assert (events.bid_sz[0, 0], events.ask_sz[0, 0]) == (0, 4)
    assert "sizes without a price, read as 0: 1." in events.notes[0]


def test_a_price_of_zero_without_shares_is_an_empty_level(tmp_path: Path) -> None:
    path = tmp_path / "clear.dbn"
    path.write_bytes(metadata("mbp-1") + record([(0, 0, 0, 0, 0, 0)], action="R", side="N", price=0, size=0))
    events = vw.read(path)
    assert events.price[0] == events.bid_px[0, 0] == events.ask_px[0, 0] == UNDEFINED
    assert events.notes == ()


def test_fewer_levels_are_read_when_fewer_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "day.dbn"
    path.write_bytes(metadata() + record([LEVEL] * 3 + [EMPTY] * 7))
    events = vw.read(path, levels=4)
    assert events.ask_px.tolist() == [[LEVEL[1]] * 3 + [UNDEFINED]]


GOOD = metadata("mbp-1") + record([LEVEL]) + record([LEVEL], ts_recv=NS + 1, sequence=2)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"DBN", "cut off at byte 3"),
        (GOOD[:100], "metadata cut off at byte 100"),
        (GOOD[:-1], "row 2: found 79 bytes after 1 records"),
        (metadata("mbp-1"), "metadata and no records"),
        (b"DBN\x04" + GOOD[4:], "DBN version 4"),
        (b"DBN\x03" + b"\x08\0\0\0" + b"12345678" + GOOD, "cannot be decoded"),
        (metadata("trades") + record([LEVEL]), "DBN schema trades; expected mbp-10 or mbp-1"),
        (GOOD + record([LEVEL], rtype=22), "row 3, column rtype: found 22"),
        (GOOD + record([LEVEL], action="X"), "row 3, column action: found 'X'; expected one of A, C"),
        (GOOD + record([LEVEL], side="S"), "row 3, column side: found 'S'; expected one of A, B, N"),
        (GOOD + record([LEVEL], price=0), "row 3, column price: found 0; expected a price above 0"),
        (GOOD + record([(-5, 1, 1, 1, 1, 1)]), "row 3, column bid_px_00: found -5"),
        (GOOD + record([(5, 0, 1, 1, 1, 1)]), "row 3, column ask_px_00: found 0"),
        (GOOD + record([LEVEL], ts_event=2**64 - 1), "row 3, column ts_event or ts_recv"),
        (GOOD + record([LEVEL]), "times that do not go backwards"),
        (GOOD + GOOD[-80:], "row 3: found the same row as the one before"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_its_record(tmp_path: Path, raw: bytes, complaint: str) -> None:
    path = tmp_path / "bad.dbn"
    path.write_bytes(raw)
    with pytest.raises(vw.DataError) as caught:
        vw.read(path)
    assert str(caught.value).startswith(str(path))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
