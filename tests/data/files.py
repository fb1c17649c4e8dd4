"""Small market data files for the tests of reading."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

NS = 1_722_519_392_000_000_000
"""2024-08-01T13:36:32Z."""
UNDEFINED = 2**63 - 1

Row = dict[str, object]


def row(**changes: object) -> Row:
    """One row of a one-level CSV, with some cells changed."""
    usual: Row = {
        "ts_recv": "2024-08-01T13:36:32.000000200Z",
        "ts_event": "2024-08-01T13:36:32.000000100Z",
        "publisher_id": 2,
        "action": "A",
        "side": "B",
        "depth": 0,
        "price": "222.81",
        "size": 100,
        "sequence": 1,
        "bid_px_00": "222.81",
        "ask_px_00": "222.83",
        "bid_sz_00": 421,
        "ask_sz_00": 36,
        "symbol": "AAPL",
    }
    return usual | changes


def rows(count: int, **changes: object) -> list[Row]:
    """That many rows, a second apart, with sequence numbers from 1."""
    return [
        row(ts_recv=f"2024-08-01T13:36:{i:02d}.5Z", ts_event=f"2024-08-01T13:36:{i:02d}Z", sequence=i + 1)
        | changes
        for i in range(count)
    ]


def text(table: Sequence[Row]) -> str:
    """The rows as CSV text; the first row names the columns."""
    lines = [",".join(table[0])]
    lines += [",".join(str(cell) for cell in line.values()) for line in table]
    return "\n".join(lines) + "\n"


def write(path: Path, table: Sequence[Row]) -> Path:
    path.write_text(text(table))
    return path


def metadata(
    schema: str = "mbp-10",
    *,
    version: int = 3,
    ts_out: bool = False,
    mappings: Sequence[tuple[str, dt.date, dt.date, str]] = (),
) -> bytes:
    """Encode the metadata of a DBN file.

    A mapping is (symbol, first day, day after the last, instrument id).
    """
    header = struct.Struct("<16sHQQQBBB")
    width = 22 if version == 1 else 71
    number = {"mbp-1": 1, "mbp-10": 2, "trades": 4}[schema]
    raw = header.pack(b"XNAS.ITCH", number, NS, UNDEFINED, 0, 1, 0, int(ts_out))
    if version == 1:
        raw = struct.pack("<16sHQQQQBBB", b"XNAS.ITCH", number, NS, UNDEFINED, 0, 0, 1, 0, int(ts_out))
        raw += bytes(47)
    else:
        raw += struct.pack("<H", width) + bytes(53)
    names = sorted({name for name, *_ in mappings})
    raw += struct.pack("<I", 0) + struct.pack("<I", len(names))
    raw += b"".join(name.encode().ljust(width, b"\0") for name in names)
    raw += struct.pack("<I", 0) + struct.pack("<I", 0)
    raw += struct.pack("<I", len(names))
    for name in names:
        spans = [m for m in mappings if m[0] == name]
        raw += name.encode().ljust(width, b"\0") + struct.pack("<I", len(spans))
        for _, first, end, instrument in spans:
            raw += struct.pack("<II", _yyyymmdd(first), _yyyymmdd(end))
            raw += instrument.encode().ljust(width, b"\0")
    return b"DBN" + bytes([version]) + struct.pack("<I", len(raw)) + raw


def _yyyymmdd(day: dt.date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def record(
    levels: Iterable[tuple[int, int, int, int, int, int]],
    *,
    ts_recv: int = NS,
    ts_event: int = NS - 100,
    publisher: int = 2,
    instrument: int = 38,
    price: int = 222_810_000_000,
    size: int = 100,
    action: str = "A",
    side: str = "B",
    depth: int = 0,
    sequence: int = 1,
    rtype: int | None = None,
    ts_out: int | None = None,
) -> bytes:
    """Pack one MBP record; a level is bid_px, ask_px, bid_sz, ask_sz, bid_ct, ask_ct."""
    book = b"".join(struct.pack("<qqIIII", *level) for level in levels)
    tail = b"" if ts_out is None else struct.pack("<Q", ts_out)
    kind = (1 if len(book) == 32 else 10) if rtype is None else rtype
    words = (48 + len(book) + len(tail)) // 4
    head = struct.pack(
        "<BBHIQqIccBBQiI",
        words, kind, publisher, instrument, ts_event, price, size, action.encode("latin1"),
        side.encode("latin1"), 130, depth, ts_recv, 165_000, sequence,
    )  # fmt: skip
    return head + book + tail
