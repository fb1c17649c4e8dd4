"""Parquet files, by the rules of CSV: the columns wanted are written out as text and parsed as such.

Floats print as the shortest text that reads back as the same float, so nothing is lost on the way, and one
parser holds all rules and all messages. This goes by slices of rows, so neither the decoded table nor its
text is ever in memory as a whole.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from venuewise.data._parts import Part
from venuewise.data._text import Chunk, check_text, parse_chunks
from venuewise.data.units import UInt8
from venuewise.errors import DataError

ROWS_AT_ONCE: Final = 1 << 16
"""Rows that are decoded and written out as text at once: what reading holds beside its result."""
_SNIFFED_ROWS: Final = 64
_WANTED: Final = re.compile(
    r"ts_event|ts_recv|publisher_id|instrument_id|action|side|depth|price|size|sequence|symbol|synthetic"
    r"|(bid|ask)_(px|sz|ct)_\d\d"
)


def read_parquet(raw: bytes, file: str, *, levels: int | None, counts: bool) -> Part:
    """Parse the bytes of a Parquet file.

    Raises
    ------
    DataError
        At the first thing that breaks a rule of docs/data.md.
    """
    with _decoding(file):
        names = [name for name in pl.read_parquet_schema(io.BytesIO(raw)) if _WANTED.fullmatch(name)]
        table = pl.scan_parquet(io.BytesIO(raw)).select(names)
        rows = int(pl.scan_parquet(io.BytesIO(raw)).select(pl.len()).collect().item())
    if not names:
        expected = "publisher_id, ts_event, ask_px_00, ask_sz_00 at least"
        raise DataError(file, "no column of market data", expected)
    chunks = [
        Chunk(min(ROWS_AT_ONCE, rows - begin), partial(_text, table, file, begin, ROWS_AT_ONCE))
        for begin in range(0, rows, ROWS_AT_ONCE)
    ]
    sample = bytes(_text(table, file, 0, _SNIFFED_ROWS)[0]) if rows else b""
    return parse_chunks(
        names, chunks, file, levels=levels, counts=counts, name="Parquet", first_row=1, sample=sample
    )


def _text(table: pl.LazyFrame, file: str, begin: int, rows: int) -> tuple[UInt8, int, int]:
    """Return some rows as the text of a CSV file, and where it begins and ends."""
    with _decoding(file):
        frame = table.slice(begin, rows).collect()
    out = io.BytesIO()
    pl.DataFrame([_plain(column, file) for column in frame]).write_csv(out, include_header=False)
    text, stop = check_text(out.getvalue(), file, begin + 1)
    return np.frombuffer(text, np.uint8), 0, stop


@contextmanager
def _decoding(file: str) -> Iterator[None]:
    try:
        yield
    except (PolarsError, PanicException, OSError) as error:  # damage can make the decoder panic
        reason = str(error).split("\n", maxsplit=1)[0][:100]
        raise DataError(
            file, f"Parquet data that cannot be decoded ({reason})", "a whole, sound file"
        ) from None


def _plain(column: pl.Series, file: str) -> pl.Series:
    """Return a column as something that prints as CSV expects it."""
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        return column.dt.cast_time_unit("ns").to_physical()
    if dtype == pl.Binary:
        try:
            return column.cast(pl.String)
        except PolarsError:
            raise DataError(file, "bytes that are not text", "text or numbers", column=column.name) from None
    if dtype.is_nested() or dtype in (pl.Date, pl.Time, pl.Duration, pl.Object):
        raise DataError(file, f"a column of type {dtype}", "text, numbers or times", column=column.name)
    return column
