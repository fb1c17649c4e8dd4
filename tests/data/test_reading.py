"""What `read` makes of good files."""

from __future__ import annotations

import csv
import gzip
import io
import random
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import venuewise as vw
from tests.data.files import UNDEFINED, Row, row, rows, text, write
from venuewise.data.events import ROW_COLUMNS, Events

SMALLEST = "publisher_id,ask_px_00,ask_sz_00,ts_event\n2,222.83,36,2024-08-01T13:36:32Z\n"


def assert_same(one: Events, other: Events) -> None:
    for name in ROW_COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
    assert (one.publishers, one.symbols) == (other.publishers, other.symbols)


def read_text(tmp_path: Path, content: str, name: str = "day.csv") -> Events:
    path = tmp_path / name
    path.write_text(content)
    return vw.read(path)


CLEAR: Row = {
    "action": "R", "side": "N", "price": "0.00", "size": 0,
    "bid_px_00": "0.00", "ask_px_00": "0.00", "bid_sz_00": 0, "ask_sz_00": 0,
}  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_clear_row_of_zeros_is_an_empty_book(tmp_path: Path, ending: str) -> None:
    table = rows(3)
    table[1] |= CLEAR
    path = write(tmp_path / "day.csv", table)
    if ending == "parquet":
        pl.read_csv(path).write_parquet(tmp_path / "day.parquet")
    events = vw.read(tmp_path / f"day.{ending}")
    for prices in (events.price, events.bid_px[:, 0], events.ask_px[:, 0]):
        assert (prices == UNDEFINED).tolist() == [False, True, False]
    assert events.bid_sz[:, 0].tolist() == [421, 0, 421]
    assert events.notes == ()


def test_a_zero_in_a_file_of_fixed_point_prices_is_an_empty_level(tmp_path: Path) -> None:
    table = rows(3, price=222_810_000_000, bid_px_00=222_810_000_000, ask_px_00=222_830_000_000)
    table[0] |= CLEAR | {"price": 0, "bid_px_00": 0, "ask_px_00": 0}
    events = vw.read(write(tmp_path / "day.csv", table))
    assert events.ask_px[:, 0].tolist() == [UNDEFINED, 222_830_000_000, 222_830_000_000]


def test_the_real_file_reads_as_plain_python_reads_it(real_data: Path) -> None:
    path = real_data / "aapl_xnas_20241021_mbp10.csv"
    events = vw.read(path, counts=True)
    with path.open() as file:
        expected = list(csv.DictReader(file))
    assert len(events) == len(expected) == 5000

    def column(name: str) -> list[str]:
        return [line[name] for line in expected]

    for name in ("ts_recv", "ts_event"):
        times = np.array([text.rstrip("Z") for text in column(name)], "datetime64[ns]")
        np.testing.assert_array_equal(getattr(events, name), times.astype(np.int64))
    for name in ("size", "sequence", "depth"):
        assert getattr(events, name).tolist() == [int(cell) for cell in column(name)]
    for name in ("action", "side"):
        assert getattr(events, name).tolist() == [ord(cell) for cell in column(name)]
    assert events.price.tolist() == [int(Decimal(cell) * 10**9) for cell in column("price")]
    for level in range(10):
        for side in ("bid", "ask"):
            prices = [int(Decimal(cell) * 10**9) for cell in column(f"{side}_px_{level:02d}")]
            assert getattr(events, f"{side}_px")[:, level].tolist() == prices
            for what in ("sz", "ct"):
                numbers = [int(cell) for cell in column(f"{side}_{what}_{level:02d}")]
                assert getattr(events, f"{side}_{what}")[:, level].tolist() == numbers
    assert (events.publishers, events.symbols, events.synthetic, events.notes) == ((2,), ("AAPL",), False, ())


def test_the_five_row_sample_of_the_classic_day_reads(real_data: Path) -> None:
    events = vw.read(real_data / "aapl_xnas_20240801_mbp10_5rows.csv", window=("13:36:32", "13:45:14"))
    assert (len(events), events.levels, bytes(events.action)) == (5, 10, b"TTTTA")
    assert events.ask_px[0, 0] == 222_830_000_000


def test_the_smallest_file_has_an_ask_side_and_a_time(tmp_path: Path) -> None:
    events = read_text(tmp_path, SMALLEST)
    assert (len(events), events.levels, events.time_column, events.symbols) == (1, 1, "ts_event", ("",))
    assert events.ask_px.tolist() == [[222_830_000_000]]
    assert events.bid_px.tolist() == [[UNDEFINED]]
    assert events.bid_sz.tolist() == [[0]]
    assert events.ts_recv.tolist() == events.ts_event.tolist() == [1722519392 * 10**9]
    assert (chr(events.action[0]), chr(events.side[0]), events.price[0]) == ("N", "N", UNDEFINED)
    assert events.bid_ct.shape == (1, 0)


def test_the_instrument_id_names_the_symbol_where_there_is_no_symbol_column(tmp_path: Path) -> None:
    table = [{**row(), "instrument_id": 38}, {**row(sequence=2), "instrument_id": 7}]
    for line in table:
        del line["symbol"]
    events = vw.read(write(tmp_path / "day.csv", table))
    assert [events.symbols[i] for i in events.symbol] == ["38", "7"]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Row], list[list[int]], bool]:
    """Rows in any style, and the book prices they stand for (bid, ask by level)."""
    fixed, integer_times = draw(st.booleans()), draw(st.booleans())
    as_float = draw(st.booleans())
    units = st.one_of(st.none(), st.integers(10**7, 10**15))
    book, table = [], []
    for i in range(draw(st.integers(1, 5))):
        prices = [draw(units) for _ in range(4)]
        if i == 0:
            prices[0] = 123_456_789_012  # a fraction in dollars, and too much for a decimal price
        book.append([UNDEFINED if p is None else p for p in prices])
        shown = ["" if p is None else str(p) if fixed else f"{Decimal(p) / 10**9:f}" for p in prices]
        ns = 1_722_519_392_000_000_000 + i
        line: Row = {"ts_event": ns if integer_times else f"{np.datetime64(ns, 'ns')}Z"}
        line |= {"publisher_id": draw(st.sampled_from([2, 43])), "sequence": i + 1}
        for name, price in zip(("bid_px_00", "ask_px_00", "bid_px_01", "ask_px_01"), shown, strict=True):
            size = draw(st.integers(1, 10**6))
            line[name] = price
            line[name.replace("px", "sz")] = f"{size}.0" if as_float else size
        line["symbol"] = draw(st.sampled_from(["AAPL", "BRK.B", "Zürich"]))
        line["comment"] = draw(st.sampled_from(["", "x", "1.5", "tick tock"]))
        table.append(line)
    return table, book, fixed


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    drawn=tables(), seed=st.integers(0, 1000), ending=st.sampled_from(["\n", "\r\n"]), quoted=st.booleans()
)
def test_the_style_of_a_file_does_not_change_what_is_read(
    tmp_path: Path, drawn: tuple[list[Row], list[list[int]], bool], seed: int, ending: str, quoted: bool
) -> None:
    table, book, _ = drawn
    names = list(table[0])
    random.Random(seed).shuffle(names)
    file = io.StringIO()
    style: Literal[0, 1] = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.DictWriter(file, names, lineterminator=ending, quoting=style)
    writer.writeheader()
    writer.writerows(table)
    path = tmp_path / "day.csv"
    path.write_bytes(file.getvalue().encode())
    events = vw.read(path)
    read_book = np.column_stack(
        [events.bid_px[:, 0], events.ask_px[:, 0], events.bid_px[:, 1], events.ask_px[:, 1]]
    )
    assert read_book.tolist() == book
    assert events.ts_event.tolist() == [1_722_519_392_000_000_000 + i for i in range(len(table))]
    assert [events.publishers[i] for i in events.venue] == [line["publisher_id"] for line in table]
    assert [events.symbols[i] for i in events.symbol] == [line["symbol"] for line in table]
    for name in ("bid", "ask"):
        for level in (0, 1):
            prices, sizes = getattr(events, f"{name}_px")[:, level], getattr(events, f"{name}_sz")[:, level]
            wanted = [float(str(line[f"{name}_sz_{level:02d}"])) for line in table]
            assert sizes.tolist() == np.where(prices == UNDEFINED, 0, wanted).tolist()


def test_chunks_and_threads_do_not_change_what_is_read(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = real_data / "aapl_xnas_20241021_mbp10.csv"
    whole = vw.read(path)
    monkeypatch.setattr("venuewise.data._text._SMALLEST_CHUNK", 1)
    for threads in (2, 7):
        monkeypatch.setattr("venuewise.data._text.threads", lambda n=threads: n)
        assert_same(vw.read(path), whole)


def test_symbols_are_coded_alike_whatever_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = [line | {"symbol": f"S{(i * 7) % 13}"} for i, line in enumerate(rows(60))]
    path = write(tmp_path / "day.csv", table)
    monkeypatch.setattr("venuewise.data._text._SMALLEST_CHUNK", 1)
    monkeypatch.setattr("venuewise.data._text.threads", lambda: 5)
    events = vw.read(path)
    assert [events.symbols[i] for i in events.symbol] == [line["symbol"] for line in table]
    assert events.symbols == tuple(sorted(set(events.symbols)))


def test_compressed_and_plain_files_read_alike(tmp_path: Path) -> None:
    content = text(rows(30)).encode()
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    (tmp_path / "a.csv.zst").write_bytes(zstandard.compress(content))
    half = len(content) // 2  # two frames, as appending writers make them
    frames = zstandard.compress(content[:half]) + zstandard.compress(content[half:])
    (tmp_path / "b.csv.zst").write_bytes(frames)
    (tmp_path / "content-decides").write_bytes(gzip.compress(content))
    plain = vw.read(tmp_path / "a.csv")
    for name in ("a.csv.gz", "a.csv.zst", "b.csv.zst", "content-decides"):
        assert_same(vw.read(tmp_path / name), plain)


@pytest.mark.parametrize("times", ["text", "int", "us", "ns", "utc"])
@pytest.mark.parametrize("prices", ["float", "int", "text"])
def test_parquet_reads_as_the_csv_does(tmp_path: Path, times: str, prices: str) -> None:
    path = write(tmp_path / "day.csv", [*rows(20), row(bid_px_00="", bid_sz_00=0, sequence=99)])
    frame = pl.read_csv(path)
    if prices == "int":
        frame = frame.with_columns((pl.col("^.*px.*|price$") * 1e9).round().cast(pl.Int64))
    elif prices == "text":
        frame = frame.with_columns(pl.col("^.*px.*|price$").cast(pl.String))
    if times != "text":
        parsed = pl.col("ts_recv", "ts_event").str.to_datetime(time_unit="ns", time_zone="UTC")
        frame = frame.with_columns(
            {
                "int": parsed.dt.epoch("ns"),
                "us": parsed.dt.cast_time_unit("us"),
                "ns": parsed.dt.replace_time_zone(None),
                "utc": parsed,
            }[times]
        )
        if times == "us":
            frame = frame.with_columns(pl.col("ts_recv").dt.offset_by("0s"))
    frame.with_columns(pl.col("symbol").cast(pl.Categorical)).write_parquet(tmp_path / "day.parquet")
    ours, plain = vw.read(tmp_path / "day.parquet"), vw.read(path)
    if times == "us":  # microseconds cannot hold the 200 ns of the last row
        ours.ts_recv[-1], ours.ts_event[-1] = plain.ts_recv[-1], plain.ts_event[-1]
    assert_same(ours, plain)


def test_the_synthetic_column_marks_generated_data(tmp_path: Path) -> None:
    for value, expected in (("true", True), ("1", True), ("True", True), ("false", False), ("", False)):
        path = write(tmp_path / "day.csv", [row(synthetic=value)])
        assert vw.read(path).synthetic is expected


def test_a_level_without_a_price_has_no_shares(tmp_path: Path) -> None:
    path = write(tmp_path / "day.csv", [row(bid_px_00="", bid_sz_00=5), row(bid_sz_00="", sequence=2)])
    events = vw.read(path)
    assert events.bid_sz.tolist() == [[0], [0]]
    assert events.bid_px.tolist() == [[UNDEFINED], [222_810_000_000]]
    assert events.notes == (f"{path}: sizes without a price, read as 0: 1.",)


def test_a_row_may_lack_one_side_or_both(tmp_path: Path) -> None:
    path = write(
        tmp_path / "day.csv", [row(bid_px_00="", bid_sz_00=0, ask_px_00="", ask_sz_00=0, action="R")]
    )
    events = vw.read(path)
    assert events.bid_px.tolist() == events.ask_px.tolist() == [[UNDEFINED]]


def test_whole_dollar_prices_are_decimal_unless_one_is_ten_million_or_more(tmp_path: Path) -> None:
    whole = [row(price=222, bid_px_00=222, ask_px_00=223)]
    assert vw.read(write(tmp_path / "a.csv", whole)).bid_px[0, 0] == 222 * 10**9
    late = [*[row(price="", bid_px_00="", ask_px_00=7_000_000, sequence=i) for i in range(1, 300)]]
    late.append(row(price="", bid_px_00="", ask_px_00=222_830_000_000, sequence=300))
    events = vw.read(write(tmp_path / "b.csv", late))
    assert events.ask_px[[0, -1], 0].tolist() == [7_000_000, 222_830_000_000]


def test_several_files_are_merged_by_time_and_equal_times_keep_the_order_of_the_files(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", [line | {"publisher_id": 9, "size": 1} for line in rows(3)])
    deep: list[Row] = [
        line | {"ask_px_01": "222.85", "ask_sz_01": 7, "size": 2, "symbol": "MSFT"} for line in rows(3)
    ]
    two = write(tmp_path / "two.csv", deep)
    events = vw.read([one, two])
    assert events.size.tolist() == [1, 2] * 3
    assert [events.publishers[i] for i in events.venue] == [9, 2] * 3
    assert [events.symbols[i] for i in events.symbol] == ["AAPL", "MSFT"] * 3
    assert events.ask_px[:2].tolist() == [[222_830_000_000, UNDEFINED], [222_830_000_000, 222_850_000_000]]
    assert events.ask_sz[:2].tolist() == [[36, 0], [36, 7]]
    assert vw.read([two, one]).size.tolist() == [2, 1] * 3
    assert events.source == (str(one), str(two))


def test_rows_are_ordered_by_ts_event_where_one_file_has_no_ts_recv(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", rows(2))
    (tmp_path / "two.csv").write_text(SMALLEST.replace("36:32Z", "36:00.5Z"))
    events = vw.read([one, tmp_path / "two.csv"])
    assert events.time_column == "ts_event"
    assert events.ask_sz.ravel().tolist() == [36, 36, 36]
    assert np.all(np.diff(events.ts_event) > 0)
    assert events.notes == (
        f"Rows are in the order of ts_event, since there is no ts_recv in {tmp_path}/two.csv.",
    )


def test_a_window_keeps_both_of_its_ends_and_holds_for_each_day(tmp_path: Path) -> None:
    days = [
        line | {"ts_recv": str(line["ts_recv"]).replace("-01T", f"-{day:02d}T"), "sequence": 100 * day + i}
        for day in (1, 2)
        for i, line in enumerate(rows(10))
    ]
    path = write(tmp_path / "days.csv", days)
    assert vw.read(path, window=("13:36:02.5", "13:36:04.5")).sequence.tolist() == [
        102,
        103,
        104,
        202,
        203,
        204,
    ]
    one_day = vw.read(path, window=("2024-08-02T13:36:02.5Z", "2024-08-02T13:36:03.499999999Z"))
    assert one_day.sequence.tolist() == [202]


def test_levels_and_symbols_narrow_what_is_read(tmp_path: Path) -> None:
    deep = [
        line | {"ask_px_01": "222.85", "ask_sz_01": 7, "symbol": s}
        for line, s in zip(rows(3), "ABA", strict=True)
    ]
    path = write(
        tmp_path / "day.csv", [line | {"publisher_id": 2 + (line["symbol"] == "B")} for line in deep]
    )
    assert vw.read(path).levels == 2
    assert vw.read(path, levels=1).levels == 1
    assert vw.read(path, levels=9).levels == 2
    only = vw.read(path, symbols="B")
    assert (len(only), only.symbols, only.publishers, only.venue.tolist()) == (1, ("B",), (3,), [0])
    assert len(vw.read(path, symbols=["A", "B"])) == 3


def test_repair_sorts_and_drops_and_says_how_much(tmp_path: Path) -> None:
    table = rows(6)
    table = [table[0], table[2], table[1], table[3], table[3], table[4], table[5]]
    path = write(tmp_path / "day.csv", table)
    events = vw.read(path, repair=True)
    assert events.sequence.tolist() == [1, 2, 3, 4, 5, 6]
    assert events.notes == (
        f"{path}: rows out of order, sorted by ts_recv: 1.",
        f"{path}: duplicate rows, dropped: 1.",
    )


def test_rows_that_differ_only_in_the_book_are_no_duplicates(tmp_path: Path) -> None:
    assert len(vw.read(write(tmp_path / "day.csv", [row(), row(ask_sz_00=37)]))) == 2


def test_equal_rows_without_a_sequence_number_are_no_duplicates(tmp_path: Path) -> None:
    assert len(vw.read(write(tmp_path / "day.csv", [row(sequence=0), row(sequence=0)]))) == 2
    assert len(read_text(tmp_path, SMALLEST + SMALLEST.split("\n")[1])) == 2
