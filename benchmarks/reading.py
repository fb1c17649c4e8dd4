"""Reading 200,000 rows of MBP-10: CSV against polars, DBN against the databento package.

The rows are drawn at random and written to a temporary directory; the cells have the widths of a real file's.
"""

from __future__ import annotations

import struct
import tempfile
import warnings
from pathlib import Path

import databento
import numpy as np
import polars as pl
import zstandard

import venuewise as vw
from benchmarks.table import Table, interleaved

ROWS = 200_000
LEVELS = 10
START_NS = 1_722_519_392_000_000_000
LEVEL_FIELDS = ("bid_px", "ask_px", "bid_sz", "ask_sz", "bid_ct", "ask_ct")
HEAD = (
    "ts_recv", "ts_event", "rtype", "publisher_id", "instrument_id", "action", "side", "depth", "price",
    "size", "flags", "ts_in_delta", "sequence",
)  # fmt: skip
RECORD = np.dtype(
    [
        ("length", "u1"), ("rtype", "u1"), ("publisher_id", "<u2"), ("instrument_id", "<u4"),
        ("ts_event", "<u8"), ("price", "<i8"), ("size", "<u4"), ("action", "S1"), ("side", "S1"),
        ("flags", "u1"), ("depth", "u1"), ("ts_recv", "<u8"), ("ts_in_delta", "<i4"), ("sequence", "<u4"),
    ]
    + [
        (f"{field}_{level:02d}", "<i8" if field.endswith("px") else "<u4")
        for level in range(LEVELS)
        for field in LEVEL_FIELDS
    ]
)  # fmt: skip


def records() -> np.ndarray:
    """Return MBP-10 records of one symbol at five venues, prices in cents, sizes with odd lots."""
    draw = np.random.default_rng(7)
    rows = np.zeros(ROWS, RECORD)
    rows["length"], rows["rtype"], rows["instrument_id"], rows["flags"] = RECORD.itemsize // 4, 10, 38, 130
    rows["publisher_id"] = draw.choice([2, 5, 8, 9, 43], ROWS)
    rows["ts_recv"] = START_NS + np.cumsum(draw.integers(1, 5_000_000, ROWS))
    rows["ts_event"] = rows["ts_recv"] - draw.integers(100_000, 200_000, ROWS).astype(np.uint64)
    rows["action"], rows["side"] = draw.choice(list("ACT"), ROWS), draw.choice(list("AB"), ROWS)
    rows["depth"] = draw.integers(0, LEVELS, ROWS)
    rows["size"] = draw.integers(1, 500, ROWS)
    rows["ts_in_delta"], rows["sequence"] = draw.integers(100_000, 200_000, ROWS), np.arange(1, ROWS + 1)
    mid = 22_282 + np.cumsum(draw.integers(-1, 2, ROWS))
    rows["price"] = mid * 10**7
    for level in range(LEVELS):
        rows[f"bid_px_{level:02d}"] = (mid - 1 - level) * 10**7
        rows[f"ask_px_{level:02d}"] = (mid + 1 + level) * 10**7
        for field in ("bid_sz", "ask_sz"):
            rows[f"{field}_{level:02d}"] = draw.integers(1, 900, ROWS)
        for field in ("bid_ct", "ask_ct"):
            rows[f"{field}_{level:02d}"] = draw.integers(1, 10, ROWS)
    return rows


def write_csv(rows: np.ndarray, path: Path) -> None:
    """Write records as Databento writes CSV: ISO times, decimal prices."""
    order = [*HEAD, *(f"{field}_{level:02d}" for level in range(LEVELS) for field in LEVEL_FIELDS)]
    columns: dict[str, pl.Series] = {}
    for name in order:
        values = np.ascontiguousarray(rows[name])
        if name in ("action", "side"):
            columns[name] = pl.Series(name, values.astype("U1"))
        elif name in ("ts_recv", "ts_event"):
            stamp = pl.Series(name, values.astype(np.int64)).cast(pl.Datetime("ns"))
            columns[name] = stamp.dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ")
        elif name == "price" or "_px_" in name:
            columns[name] = pl.Series(name, values / 1e9)
        else:
            columns[name] = pl.Series(name, values)
    columns["symbol"] = pl.Series("symbol", ["AAPL"] * len(rows))
    pl.DataFrame(list(columns.values())).write_csv(path)


def write_dbn(rows: np.ndarray, path: Path) -> None:
    """Write records as a DBN file of version 3."""
    width = 71
    fields = struct.pack("<16sHQQQBBBH", b"XNAS.ITCH", 2, START_NS, 2**63 - 1, 0, 1, 0, 0, width) + bytes(53)
    name, instrument = (text.ljust(width, b"\0") for text in (b"AAPL", b"38"))
    first, end = 20240801, 20240802
    mapping = name + struct.pack("<III", 1, first, end) + instrument
    fields += struct.pack("<II", 0, 1) + name + struct.pack("<III", 0, 0, 1) + mapping
    fields += bytes(-len(fields) % 8)  # version 3 pads the metadata to whole words
    raw = b"DBN\x03" + struct.pack("<I", len(fields)) + fields + rows.tobytes()
    path.write_bytes(zstandard.compress(raw) if path.suffix == ".zst" else raw)


def columns_read() -> list[str]:
    """Name the columns that `vw.read` reads, so that polars parses the same ones."""
    head = [n for n in HEAD if n not in ("rtype", "instrument_id", "flags", "ts_in_delta")]
    book = [f"{field}_{level:02d}" for level in range(LEVELS) for field in LEVEL_FIELDS[:4]]
    return [*head, *book, "symbol"]


def schema(*, parse_times: bool) -> dict[str, type[pl.DataType] | pl.DataType]:
    """Return the types of the columns for polars."""
    types: dict[str, type[pl.DataType] | pl.DataType] = {}
    for name in columns_read():
        if name.startswith("ts_"):
            types[name] = pl.Datetime("ns") if parse_times else pl.String
        elif name in ("action", "side", "symbol"):
            types[name] = pl.String
        else:
            types[name] = pl.Float64 if name == "price" or "_px_" in name else pl.Int64
    return types


def run() -> Table:
    """Measure all readers on the same rows."""
    warnings.simplefilter("ignore", ResourceWarning)  # the databento package leaves its files open
    with tempfile.TemporaryDirectory() as folder:
        csv, dbn, packed = (Path(folder, f"day{suffix}") for suffix in (".csv", ".dbn", ".dbn.zst"))
        rows = records()
        write_csv(rows, csv)
        write_dbn(rows, dbn)
        write_dbn(rows, packed)
        del rows
        wanted = columns_read()
        with_times, without = schema(parse_times=True), schema(parse_times=False)
        seconds = interleaved(
            lambda: vw.read(csv),
            lambda: pl.read_csv(csv, columns=wanted, schema_overrides=with_times),
            lambda: pl.read_csv(csv, columns=wanted, schema_overrides=without),
            lambda: vw.read(dbn),
            lambda: databento.DBNStore.from_file(dbn).to_ndarray(),
            lambda: _own_columns(databento.DBNStore.from_file(dbn).to_ndarray(), wanted),
            lambda: vw.read(packed),
            lambda: databento.DBNStore.from_file(packed).to_ndarray(),
            lambda: vw.read(dbn, levels=1),
        )
    names = (
        "CSV: venuewise.read", "CSV: polars, times parsed", "CSV: polars, times left as text",
        "DBN: venuewise.read", "DBN: databento, records as they stand", "DBN: databento, split into columns",
        "DBN zst: venuewise.read", "DBN zst: databento, records as they stand",
        "DBN: venuewise.read, one level",
    )  # fmt: skip
    ours = (0, 0, 0, 3, 3, 3, 6, 6, 3)
    table: list[tuple[str, ...]] = [
        (name, f"{ROWS / s / 1e6:.2f}", f"{s * 1e3:.0f}", f"{s / seconds[own]:.2f}")
        for name, s, own in zip(names, seconds, ours, strict=True)
    ]
    return Table(
        "Reading 200,000 MBP-10 rows",
        ("reader", "million rows/s", "ms", "time against venuewise"),
        table,
        (
            "polars parses the same columns; venuewise checks them too, and makes exact integers.",
            "The databento package returns a view of the file's records; venuewise checks and splits them.",
        ),
    )


def _own_columns(array: np.ndarray, names: list[str]) -> list[np.ndarray]:
    """Copy the columns out of the records, which is what any computation on them does first."""
    return [np.ascontiguousarray(array[name]) for name in names if name != "symbol"]


if __name__ == "__main__":
    for line in run().rows:
        print(*line, sep=" | ")
