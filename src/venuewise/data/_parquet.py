"""Parquet files, by the rules of CSV: the columns wanted are written out as text and parsed as such.

Floats print as the shortest text that reads back as the same float, so nothing is lost on the way, and one
parser holds all rules and all messages.
"""

from __future__ import annotations

import io
import re
from typing import Final

import polars as pl
from polars.exceptions import PanicException, PolarsError

from venuewise.data._parts import Part
from venuewise.data._text import read_text
from venuewise.errors import DataError

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
    try:
        names = [name for name in pl.read_parquet_schema(io.BytesIO(raw)) if _WANTED.fullmatch(name)]
        frame = pl.read_parquet(io.BytesIO(raw), columns=names)
    except (PolarsError, PanicException, OSError) as error:  # damage can make the decoder panic
        reason = str(error).split("\n", maxsplit=1)[0][:100]
        raise DataError(
            file, f"Parquet data that cannot be decoded ({reason})", "a whole, sound file"
        ) from None
    if not names:
        expected = "publisher_id, ts_event, ask_px_00, ask_sz_00 at least"
        raise DataError(file, "no column of market data", expected)
    columns = [_plain(frame[name], file) for name in names]
    text = pl.DataFrame(columns).write_csv().encode()
    return read_text(text, file, levels=levels, counts=counts, name="Parquet", first_row=1)


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
