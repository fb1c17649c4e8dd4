"""Writing `Events` to files, in the MBP-10 layout of the real feed.

CSV has decimal prices and ISO-8601 times with nanoseconds; Parquet has both as exact integers (1e-9 dollars,
nanoseconds). Generated data carries a last column `synthetic`. A file appears whole or not at all, and the
same rows give the same bytes, compressed or not.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final, cast

import numpy as np
import numpy.typing as npt
import polars as pl
import zstandard

from venuewise.data.events import NS_PER_SECOND, PRICE_SCALE, UNDEFINED_PRICE, Events, Int64
from venuewise.errors import ConfigError

SUFFIXES: Final = (".csv", ".csv.gz", ".csv.zst", ".parquet")
MBP10_RTYPE: Final = 10
FLAG_LAST: Final = 128
"""DBN flag bit: last row of an event."""
FLAG_PUBLISHER_SPECIFIC: Final = 2
"""DBN flag bit that the real feed sets on last rows too."""
_ROWS_A_SLICE: Final = 100_000  # bounds the memory for text
_EXACT_BELOW: Final = 10**15  # a float holds any 15 decimal digits, and prints them back


def write_events(events: Events, path: str | Path) -> None:
    """Write events to `.csv`, `.csv.gz`, `.csv.zst` or `.parquet`, as the name says.

    Parameters
    ----------
    events : Events
        Any rows and number of levels. `flags` marks the last row of each event; `ts_in_delta` is receipt less
        event time; `instrument_id` is the symbol's position, from 1.
    path : str or Path
        Replaced if it exists.

    Raises
    ------
    ConfigError
        If the name has another ending, or the file cannot be written.
    """
    target = Path(path)
    suffix = output_suffix(target)
    flags = _flags(events)
    try:
        with _replaced(target) as file:
            if suffix == ".parquet":
                _frame(events, flags).write_parquet(file, compression="zstd", statistics=False)
                return
            with ExitStack() as stack:
                out: IO[bytes] = file
                if suffix == ".csv.gz":  # no name and no time inside: the same rows give the same bytes
                    out = cast(
                        IO[bytes],
                        stack.enter_context(gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0)),
                    )
                elif suffix == ".csv.zst":
                    out = stack.enter_context(
                        zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False)
                    )
                for begin in range(0, max(len(events), 1), _ROWS_A_SLICE):
                    rows = slice(begin, begin + _ROWS_A_SLICE)
                    text = _as_text(_frame(events.take(rows), flags[rows]))
                    text.write_csv(out, include_header=begin == 0, float_scientific=False)
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror or error}") from None


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
    raise ConfigError(f"{path}: the name must end in {', '.join(SUFFIXES)}")


@contextmanager
def _replaced(target: Path) -> Iterator[IO[bytes]]:
    """Open a file beside the target that takes its place once it is written whole."""
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _flags(events: Events) -> npt.NDArray[np.uint8]:
    """Return 130 for the last row of each event (a run of one venue, symbol and event time), else 0."""
    same = (
        (events.venue[1:] == events.venue[:-1])
        & (events.symbol[1:] == events.symbol[:-1])
        & (events.ts_event[1:] == events.ts_event[:-1])
    )
    return np.where(np.append(same, False)[: len(events)], 0, FLAG_LAST | FLAG_PUBLISHER_SPECIFIC).astype(
        np.uint8
    )


def _frame(events: Events, flags: npt.NDArray[np.uint8]) -> pl.DataFrame:
    """Return the columns of the layout, times and prices as integers, missing prices null."""
    publishers = np.array(events.publishers, np.uint16)
    columns: dict[str, pl.Series] = {
        "ts_recv": pl.Series(events.ts_recv),
        "ts_event": pl.Series(events.ts_event),
        "rtype": pl.repeat(MBP10_RTYPE, len(events), dtype=pl.UInt8, eager=True),
        "publisher_id": pl.Series(publishers[events.venue]),
        "instrument_id": pl.Series(events.symbol + 1),
        "action": _letters(events.action),
        "side": _letters(events.side),
        "depth": pl.Series(events.depth),
        "price": _price(events.price),
        "size": pl.Series(events.size),
        "flags": pl.Series(flags),
        "ts_in_delta": pl.Series(events.ts_recv - events.ts_event),
        "sequence": pl.Series(events.sequence),
    }
    counted = events.bid_ct.shape[1] == events.levels
    for level in range(events.levels):
        columns[f"bid_px_{level:02}"] = _price(events.bid_px[:, level])
        columns[f"ask_px_{level:02}"] = _price(events.ask_px[:, level])
        columns[f"bid_sz_{level:02}"] = pl.Series(events.bid_sz[:, level])
        columns[f"ask_sz_{level:02}"] = pl.Series(events.ask_sz[:, level])
        if counted:
            columns[f"bid_ct_{level:02}"] = pl.Series(events.bid_ct[:, level])
            columns[f"ask_ct_{level:02}"] = pl.Series(events.ask_ct[:, level])
    columns["symbol"] = pl.Series(events.symbols, dtype=pl.String).gather(pl.Series(events.symbol))
    if events.synthetic:
        columns["synthetic"] = pl.repeat(True, len(events), eager=True)
    return pl.DataFrame(columns)


def _letters(codes: npt.NDArray[np.uint8]) -> pl.Series:
    alphabet = pl.Series([chr(code) for code in range(128)])
    return alphabet.gather(pl.Series(codes))


def _price(units: Int64) -> pl.Series:
    price = pl.Series(units)
    missing = units == UNDEFINED_PRICE
    return price.set(pl.Series(missing), None) if missing.any() else price


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
