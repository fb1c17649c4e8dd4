"""Writing rows to files, in the MBP-10 layout of the real feed.

CSV has decimal prices and ISO-8601 times with nanoseconds; Parquet has both as exact integers (1e-9 dollars,
nanoseconds). Generated data carries a last column `synthetic`. A file appears whole or not at all, and the
same rows give the same bytes, compressed or not.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, cast

import polars as pl
import zstandard

from venuewise.data.units import NS_PER_SECOND, PRICE_SCALE
from venuewise.errors import ConfigError
from venuewise.files import shown, whole_file

SUFFIXES: Final = (".csv", ".csv.gz", ".csv.zst", ".parquet")
_ROWS_A_SLICE: Final = 100_000  # bounds the memory for text
_EXACT_BELOW: Final = 10**15  # a float holds any 15 decimal digits, and prints them back


def write_rows(frame: Callable[[slice], pl.DataFrame], rows: int, path: str | Path) -> None:
    """Write rows to `.csv`, `.csv.gz`, `.csv.zst` or `.parquet`, as the name says.

    Parameters
    ----------
    frame : callable
        Returns a slice of the rows as a table (see `Events.to_frame`): integer prices and times.
    rows : int
        How many rows there are.
    path : str or Path
        Replaced if it exists; missing folders are made.

    Raises
    ------
    ConfigError
        If the name has another ending, or the file cannot be written.
    """
    target = Path(path)
    suffix = output_suffix(target)
    with whole_file(target) as file, ExitStack() as stack:
        if suffix == ".parquet":
            frame(slice(0, rows)).write_parquet(file, compression="zstd", statistics=False)
            return
        out: IO[bytes] = file
        if suffix == ".csv.gz":  # no name and no time inside: the same rows give the same bytes
            unnamed = gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0)
            out = cast(IO[bytes], stack.enter_context(unnamed))
        elif suffix == ".csv.zst":
            compressor = zstandard.ZstdCompressor(level=3)
            out = stack.enter_context(compressor.stream_writer(file, closefd=False))
        for begin in range(0, max(rows, 1), _ROWS_A_SLICE):
            text = _as_text(frame(slice(begin, begin + _ROWS_A_SLICE)))
            text.write_csv(out, include_header=begin == 0, float_scientific=False)


def output_suffix(path: Path) -> str:
    """Return the ending that says the format.

    Raises
    ------
    ConfigError
        If it is none of `SUFFIXES`.
    """
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return suffix
    raise ConfigError(f"{shown(path)}: found another ending; expected one of {', '.join(SUFFIXES)}")


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn integer prices into decimals and integer times into ISO-8601."""
    prices = [name for name in frame.columns if name == "price" or name[4:6] == "px"]
    return frame.with_columns(
        *(_iso_time(frame[name]) for name in ("ts_recv", "ts_event")),
        *(_decimal(frame[name]) for name in prices),
    )


def _iso_time(time: pl.Series) -> pl.Series:
    """Write each second once: formatting whole timestamps takes ten times as long."""
    parts = pl.DataFrame({"second": time // NS_PER_SECOND, "rest": time % NS_PER_SECOND})
    seconds = parts.select(pl.col("second").unique(maintain_order=True)).with_columns(
        pl.from_epoch("second").dt.strftime("%Y-%m-%dT%H:%M:%S.").alias("text")
    )
    return (
        parts.join(seconds, on="second", how="left", maintain_order="left")
        .select(
            pl.concat_str("text", pl.col("rest").cast(pl.String).str.zfill(9), pl.lit("Z")).alias(time.name)
        )
        .to_series()
    )


def _decimal(price: pl.Series) -> pl.Series:
    largest, smallest = price.max(), price.min()
    if not isinstance(largest, int) or not isinstance(smallest, int):
        return price.cast(pl.Float64)
    if max(largest, -smallest) < _EXACT_BELOW:
        # The nearest float prints as the decimal it came from; numpy divides to the nearest, polars does not.
        dollars = pl.Series(price.name, price.fill_null(0).to_numpy() / PRICE_SCALE)
        return dollars.set(price.is_null(), None) if price.null_count() else dollars
    digits = pl.select(
        pl.concat_str(
            pl.when(price < 0).then(pl.lit("-")).otherwise(pl.lit("")),
            (price.abs() // PRICE_SCALE).cast(pl.String),
            pl.lit("."),
            (price.abs() % PRICE_SCALE).cast(pl.String).str.zfill(9),
        ).alias(price.name)
    )
    return digits.to_series()
