"""Each kind of bad input gets one line that names file, row, column, what was found and what was expected."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import io
import os
from pathlib import Path

import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import venuewise as vw
from tests.command import call
from tests.data.files import NS, metadata, record, row, rows, text, write

HEADER = text([row()]).split("\n")[0]


def complaint(source: Path | list[Path], **options: object) -> str:
    """The one line that reading ends with."""
    with pytest.raises(vw.VenuewiseError) as caught:
        vw.read(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


CELLS = [
    ("ask_px_00", "abc", "found 'abc'; expected a number"),
    ("ask_px_00", "0", "found '0'; expected a price above 0 for the shares beside it"),
    ("price", "0.00", "found '0.00'; expected a price above 0 for the shares beside it"),
    ("bid_px_00", "-222.81", "found '-222.81'; expected a price above 0"),
    ("ask_px_00", "nan", "found 'nan'; expected a number"),
    ("price", "inf", "found 'inf'; expected a number"),
    ("ask_sz_00", "-5", "found '-5'; expected 0 or more"),
    ("ask_sz_00", "36.5", "found '36.5'; expected a whole number"),
    ("size", "ten", "found 'ten'; expected a number"),
    ("size", "1e300", "found '1e300'; expected a smaller number"),
    ("size", "1000000000000001", "found '1000000000000001'; expected a smaller number"),
    ("ask_sz_00", "9223372036854775808", "found '9223372036854775808'; expected a smaller number"),
    ("sequence", "-1", "found '-1'; expected 0 or more"),
    ("depth", "300", "found '300'; expected a smaller number"),
    ("publisher_id", "XNAS", "found 'XNAS'; expected a number"),
    ("publisher_id", "-2", "found '-2'; expected 0 or more"),
    ("publisher_id", "2.5", "found '2.5'; expected a whole number"),
    ("publisher_id", "70000", "found '70000'; expected a smaller number"),
    ("publisher_id", "", "found an empty cell; expected a value"),
    ("ts_event", "", "found an empty cell; expected a value"),
    ("ts_recv", "2024-02-30T13:36:32Z", "found '2024-02-30T13:36:32Z'; expected a UTC time"),
    ("ts_recv", "yesterday", "found 'yesterday'; expected a UTC time"),
    ("ts_event", "1722519392000000000", "expected the time format of the first row"),
    ("ts_recv", "2024-08-01T13:36:33", "expected the time format of the first row"),
    ("action", "X", "found 'X'; expected one of A, C, M, T, F, R, N"),
    ("action", "Add", "found 'Add'; expected one of A"),
    ("side", "S", "found 'S'; expected one of A, B, N"),
    ("synthetic", "maybe", "found 'maybe'; expected true, false, 1, 0 or an empty cell"),
    ("price", "222810000000", "expected decimal prices below 10,000,000 dollars"),
    ("ask_px_00", "x" * 100, "found '" + "x" * 37 + "...'"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "cell", "expected"), CELLS)
def test_a_bad_cell_is_named_by_its_line_and_column(
    tmp_path: Path, column: str, cell: str, expected: str
) -> None:
    table = [line | {"synthetic": ""} for line in rows(5)]
    table[3] |= {column: cell}
    path = write(tmp_path / "day.csv", table)
    assert complaint(path).startswith(f"{path}, row 5, column {column}: ")
    assert expected in complaint(path)


@pytest.mark.parametrize(("column", "cell", "expected"), CELLS[:8])
def test_in_quotes_it_is_still_found(tmp_path: Path, column: str, cell: str, expected: str) -> None:
    table = [*rows(2), row(**{column: f'"{cell}"'})]
    path = write(tmp_path / "day.csv", table)
    assert f"row 4, column {column}: {expected}" in complaint(path)


def test_the_first_bad_cell_is_named_whatever_the_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = rows(50)
    table[20] |= {"ask_sz_00": "-1"}
    table[40] |= {"ask_px_00": "zero"}
    path = write(tmp_path / "day.csv", table)
    monkeypatch.setattr("venuewise.data._text._SMALLEST_CHUNK", 1)
    monkeypatch.setattr("venuewise.data._text.threads", lambda: 6)
    assert f"{path}, row 22, column ask_sz_00" in complaint(path)


@pytest.mark.parametrize(
    ("prices", "row_number", "expected"),
    [
        (["222810000000", "222.81"], 3, "found '222.81'; expected fixed-point prices"),
        (["222.81", "222810000000"], 3, "found '222810000000'; expected decimal prices"),
        (["222810000000", "222"], 3, "found '222'; expected a fixed-point price of 100,000"),
        (["222", "222810000000"], 2, "found '222'; expected a fixed-point price of 100,000"),
        (["222"] * 4000 + ["222810000000"] * 10 + ["222.5"] * 3000, 2, "found '222'; expected a fixed-point"),
        (["7000000"] * 4000 + ["222810000000"] * 10 + ["222.5"] * 3000, 4012, "expected fixed-point prices"),
        (["222"] * 5000 + ["222.5", "222810000000"], 5003, "expected decimal prices below 10,000,000"),
    ],
)
@pytest.mark.parametrize("threads", [1, 4])
def test_decimal_and_fixed_point_prices_are_not_mixed(
    tmp_path: Path,
    prices: list[str],
    row_number: int,
    expected: str,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("venuewise.data._text._SMALLEST_CHUNK", 1)
    monkeypatch.setattr("venuewise.data._text.threads", lambda: threads)
    table = [row(price="", bid_px_00="", ask_px_00=price, sequence=i + 1) for i, price in enumerate(prices)]
    path = write(tmp_path / "day.csv", table)
    assert f"{path}, row {row_number}, column ask_px_00: " in complaint(path)
    assert expected in complaint(path)


GOOD = text(rows(3)).encode()
CONTENTS = {
    "empty.csv": (b"", "found an empty file; expected market data"),
    "blank.csv": (b"\n\n \n", "found blank lines only"),
    "header.csv": (HEADER.encode() + b"\n", "found a header and no rows"),
    "headless.csv": (HEADER.encode(), "found a header and no rows"),
    "columns.csv": (b"time,price\n1,2\n", "row 1: found columns 'time, price'; expected also publisher_id"),
    "noheader.csv": (GOOD.split(b"\n", 1)[1], "expected also publisher_id, ts_event, ask_px_00, ask_sz_00"),
    "twice.csv": (HEADER.encode() + b",size\n1,2\n", "row 1: found two columns named 'size'"),
    "alone.csv": (
        b"publisher_id,ts_event,ask_px_00,ask_sz_00,bid_px_00\n",
        "found bid_px_00 alone; expected also bid_sz_00",
    ),
    "few.csv": (GOOD.replace(b",AAPL\n", b"\n", 1), "row 2: found 13 fields; expected 14, as in the header"),
    "many.csv": (GOOD.replace(b",AAPL\n", b",AAPL,1,2\n", 1), "row 2: found 16 fields; expected 14"),
    "gap.csv": (GOOD.replace(b"AAPL\n", b"AAPL\n\n", 1), "row 3: found 1 fields; expected 14"),
    "cut.csv": (GOOD[:-20], "row 4: found"),
    "latin.csv": (GOOD.replace(b"AAPL", b"\xc4\xd6\xdc", 1), "row 2: found byte 0xc4, which is not text"),
    "nul.csv": (GOOD[:-5] + b"\0\0\0\n", "row 4: found byte 0x00, which is not text"),
    "junk.csv": (bytes(range(256)) * 8, "row 1: found byte 0x00, which is not text"),
    "quote.csv": (GOOD.replace(b"AAPL", b'"AAPL', 1), "found a "),
    "breaks.csv": (GOOD.replace(b"AAPL", b'"AA\nPL"', 1), "row 2: found a line break inside quotes"),
    "cut.csv.zst": (zstandard.compress(GOOD * 50)[:-30], "found zstd data that ends too early"),
    "stub.csv.zst": (zstandard.compress(GOOD)[:6], "found zstd data that ends too early"),
    "tail.csv.zst": (zstandard.compress(GOOD) + b"rubbish", "found corrupt zstd data"),
    "plain.csv.zst": (GOOD, "found bytes that are not compressed so; expected a .zst file"),
    "none.csv.zst": (zstandard.compress(b""), "found nothing inside the compressed file"),
    "cut.csv.gz": (gzip.compress(GOOD)[:-30], "found gzip data that ends too early"),
    "bad.csv.gz": (gzip.compress(GOOD)[:-8] + b"\0" * 8, "found corrupt gzip data"),
    "text.dbn": (GOOD, "found a file that starts with b'ts_recv,ts_event'; expected DBN, as the name says"),
    "text.dbn.zst": (zstandard.compress(GOOD), "expected DBN, as the name says"),
    "text.parquet": (GOOD, "expected Parquet, as the name says"),
    "dbn.csv": (b"DBN\x03" + bytes(200), "found a DBN file; expected CSV, as the name says"),
    "cut.parquet": (b"PAR1" + bytes(100), "found Parquet data that cannot be decoded"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENTS)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, expected = CONTENTS[name]
    path = tmp_path / name
    path.write_bytes(content)
    assert complaint(path).startswith(str(path))
    assert expected in complaint(path)


def test_a_corrupt_zstd_block_is_noticed(tmp_path: Path) -> None:
    packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(GOOD * 50))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "day.csv.zst"
    path.write_bytes(packed)
    assert "corrupt zstd data" in complaint(path)


def test_no_file_a_directory_and_the_same_file_twice_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "day.csv", rows(2))
    assert (
        complaint(tmp_path / "no.csv")
        == f"{tmp_path}/no.csv: found no such file; expected a market data file"
    )
    assert "found a directory" in complaint(tmp_path)
    assert f"the same file as {path}" in complaint([path, tmp_path / "." / "day.csv"])
    assert "files: found none" in complaint([])


def test_times_going_backwards_are_refused_and_the_remedy_named(tmp_path: Path) -> None:
    table = rows(4)
    table[2]["ts_recv"] = "2024-08-01T13:36:00Z"
    path = write(tmp_path / "day.csv", table)
    assert complaint(path) == (
        f"{path}, row 4, column ts_recv: found 2024-08-01T13:36:00.000000000Z after "
        "2024-08-01T13:36:01.500000000Z; expected times that do not go backwards "
        "(repair=True, or --repair, sorts them)"
    )


def test_a_row_given_twice_is_refused_and_the_remedy_named(tmp_path: Path) -> None:
    path = write(tmp_path / "day.csv", [*rows(3), rows(3)[-1]])
    assert complaint(path) == (
        f"{path}, row 5: found the same row as the one before (sequence 3); expected each row once "
        "(repair=True, or --repair, drops the repetition)"
    )


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (("13:45", "13:36"), "expected an end after the start"),
        ("13:45-13:45", "expected an end after the start"),
        ("13:36", "expected two times"),
        ("a-b", "'a' is no time"),
        ("25:00-26:00", "'25:00' is no time"),
        (("13:36", "2024-08-01T13:45Z"), "not one of each"),
        ("2024-02-30T13:36Z/2024-08-01T13:45Z", "'2024-02-30T13:36Z' is no time"),
        ("14:00-15:00", "no rows in the window 14:00-15:00; expected one inside 2024-08-01T13:36:00.500"),
    ],
)  # fmt: skip
def test_a_wrong_window_is_refused(tmp_path: Path, window: str, expected: str) -> None:
    assert expected in complaint(write(tmp_path / "day.csv", rows(3)), window=window)


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "day.csv", rows(3))
    assert complaint(path, symbols="MSFT") == f"{path}: found no symbol MSFT; expected one of AAPL"
    assert complaint(path, levels=0) == "levels: found 0; expected 1 or more"


def test_an_unknown_publisher_is_no_error_of_reading(tmp_path: Path) -> None:
    assert vw.read(write(tmp_path / "day.csv", [row(publisher_id=999)])).publishers == (999,)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("ask_px_00", [1.5, float("nan")], "row 2, column ask_px_00: found 'NaN'"),
        ("ask_sz_00", [5, -1], "row 2, column ask_sz_00: found '-1'"),
        ("ts_event", [None, 1_722_519_392_000_000_000], "row 1, column ts_event: found an empty cell"),
        ("ask_sz_00", [[1], [2]], "column ask_sz_00: found a column of type List(Int64)"),
        ("symbol", [b"\xff", b"A"], "column symbol: found bytes that are not text"),
    ],
)
def test_bad_parquet_cells_are_named_by_record_and_column(
    tmp_path: Path, column: str, values: list[object], expected: str
) -> None:
    good: dict[str, object] = {
        "ts_event": [1_722_519_392_000_000_000, 1_722_519_392_000_000_001],
        "publisher_id": [2, 2],
        "ask_px_00": [1.5, 1.5],
        "ask_sz_00": [1, 2],
        "symbol": ["A", "A"],
    }
    path = tmp_path / "day.parquet"
    pl.DataFrame(good | {column: values}).write_parquet(path)
    assert expected in complaint(path)


def test_a_parquet_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    pl.DataFrame({"price": [1.0]}).write_parquet(path)
    assert "expected also publisher_id, ts_event, ask_px_00, ask_sz_00" in complaint(path)
    pl.DataFrame({"colour": ["red"]}).write_parquet(path)
    assert "found no column of market data; expected publisher_id, ts_event" in complaint(path)


@pytest.mark.parametrize(
    "name", ["empty.csv", "header.csv", "columns.csv", "junk.csv", "cut.csv.zst", "text.dbn", "few.csv"]
)
def test_the_command_line_ends_with_one_line_and_exit_code_2(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENTS[name][0])
    done = call("inspect", str(path), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"venuewise: {path}")
    assert CONTENTS[name][1] in done.stderr
    assert done.stderr.count("\n") == 1


def test_names_that_are_no_text_or_no_line_are_told_in_one_line(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff.csv")
    write(odd, rows(2))
    assert vw.read(odd).source == (f"{tmp_path}/odd\\xff.csv",)
    assert call("inspect", str(odd), cwd=tmp_path).returncode == 0
    done = call("inspect", "two\nlines.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


DBN = metadata("mbp-1", mappings=[("AAPL", dt.date(2024, 8, 1), dt.date(2024, 8, 2), "38")]) + b"".join(
    record([(5, 6, 7, 8, 1, 1)], sequence=i, ts_recv=NS + i) for i in (1, 2)
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    content=st.sampled_from(
        [GOOD, DBN, zstandard.compress(GOOD), gzip.compress(GOOD, mtime=0), zstandard.compress(DBN)]
    ),
    damage=st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=3), st.integers(0, 3)), max_size=4),
    cut=st.integers(0, 3000),
)
def test_damaged_bytes_end_in_a_data_error_or_in_sound_columns(
    tmp_path: Path, content: bytes, damage: list[tuple[int, bytes, int]], cut: int
) -> None:
    for place, inserted, dropped in damage:
        at = place % len(content)
        content = content[:at] + inserted + content[at + dropped :]
    path = tmp_path / "damaged"
    path.write_bytes(content[: max(cut, 1)])
    with contextlib.suppress(vw.DataError):
        events = vw.read(path, repair=True)
        assert len(events) > 0
        assert events.ask_px.min() > 0
        assert events.ask_sz.min() >= 0


def test_a_cut_off_parquet_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    file = io.BytesIO()
    pl.read_csv(io.BytesIO(GOOD)).write_parquet(file)
    content = file.getvalue()
    path = tmp_path / "cut.parquet"
    for end in range(4, len(content), 61):
        path.write_bytes(content[:end])
        assert "Parquet data that cannot be decoded" in complaint(path)
