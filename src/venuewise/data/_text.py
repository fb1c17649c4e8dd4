"""CSV files: the header decides which columns are parsed and where they go; a kernel does the rest.

Chunks of lines are parsed side by side. Whether prices are decimal or fixed-point is decided for the whole
file at once: fixed-point if they are all integral and one of them is 10,000,000 or more.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from mmap import mmap
from typing import Final

import numpy as np

from venuewise.data import _cells as c
from venuewise.data import _csv as k
from venuewise.data._parts import Part, code_publishers, code_symbols, in_threads, threads
from venuewise.data.events import SIDE_NONE, UNDEFINED_PRICE, Events, Int64, UInt8
from venuewise.errors import DataError

REQUIRED: Final = ("publisher_id", "ts_event", "ask_px_00", "ask_sz_00")
_SCALARS: Final = {
    "ts_event": k.TIME, "ts_recv": k.TIME, "publisher_id": k.PUBLISHER, "action": k.ACTION, "side": k.SIDE,
    "depth": k.SMALL_COUNT, "price": k.PRICE, "size": k.SIZE, "sequence": k.COUNT, "synthetic": k.FLAG,
}  # fmt: skip
_DEFAULTS: Final = {
    "action": SIDE_NONE,
    "side": SIDE_NONE,
    "price": UNDEFINED_PRICE,
    "bid_px": UNDEFINED_PRICE,
    "ask_px": UNDEFINED_PRICE,
}
_BOOK: Final = ("bid_px", "bid_sz", "ask_px", "ask_sz")
_LEVEL: Final = re.compile(r"(bid|ask)_(px|sz|ct)_(\d\d)")
_SMALLEST_CHUNK: Final = 1 << 20
_COUNTED_AT_ONCE: Final = 1 << 18
_SNIFFED_BYTES: Final = 1 << 15
_NOT_ASCII: Final = 128

_EXPECTED: Final = {
    c.BAD_NUMBER: "a number",
    c.NEGATIVE: "0 or more",
    c.NOT_INTEGRAL: "a whole number",
    c.TOO_LARGE: "a smaller number",
    c.PRICE_NOT_POSITIVE: "a price above 0, or an empty cell where there is none",
    c.PRICE_ZERO: "a price above 0 for the shares beside it",
    c.PRICE_BIG: "decimal prices below 10,000,000 dollars, as in the rest of the file",
    c.PRICE_FRACTION: "fixed-point prices (whole numbers of 1e-9 dollars), as in the rest of the file",
    c.PRICE_TINY: "a fixed-point price of 100,000 (0.0001 dollars) or more, as in the rest of the file",
    c.BAD_TIME: "a UTC time such as 2024-08-01T13:36:32.492082308Z, or integer nanoseconds since 1970",
    c.TIME_FORMAT: "the time format of the first row (a file must not mix them)",
    c.TIME_NOT_NANOSECONDS: "nanoseconds since 1970 (19 digits today)",
    c.BAD_ACTION: "one of A, C, M, T, F, R, N",
    c.BAD_SIDE: "one of A, B, N",
    c.BAD_FLAG: "true, false, 1, 0 or an empty cell",
    c.MISSING: "a value: this column must not have gaps",
    c.TOO_MANY_TEXTS: f"at most {k.MAX_TEXTS} different symbols in a file",
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where each column of the file goes in the flat array."""

    header: list[str]
    kinds: Int64
    bases: Int64
    strides: Int64
    blocks: dict[str, tuple[int, int]]
    """Column or level group -> base and width (columns) of its block."""
    pairs: Int64
    """Column of a price, column of its size (-1: none), whether it is a level of the book; a row each."""
    total: int


@dataclass(frozen=True, slots=True)
class _Parsed:
    """What a pass over a chunk found: its report, the distinct texts, and the cell it stopped at, if any."""

    report: Int64
    texts: list[str]
    cell: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows as text, made when they are parsed: `text` returns bytes, where they begin and where they end."""

    rows: int
    text: Callable[[], tuple[UInt8, int, int]]


def read_text(raw: bytes | mmap, file: str, *, levels: int | None, counts: bool) -> Part:
    """Parse the bytes of a CSV file.

    Raises
    ------
    DataError
        At the first thing that breaks a rule of docs/data.md.
    """
    raw, stop = check_text(raw, file, 1)
    header_end = raw.find(b"\n", 0, stop)
    body = header_end + 1 if header_end >= 0 else stop
    header = raw[: header_end if header_end >= 0 else stop].decode().split(",")
    data = np.frombuffer(raw, np.uint8)
    cuts, lines = _cut(raw, body, stop)
    chunks = [
        Chunk(rows, partial(_piece, data, start, end))
        for rows, (start, end) in zip(lines, pairwise(cuts), strict=True)
    ]
    sample = raw[body : body + _SNIFFED_BYTES]
    return parse_chunks(
        header, chunks, file, levels=levels, counts=counts, name="CSV", first_row=2, sample=sample
    )


def _piece(data: UInt8, start: int, stop: int) -> tuple[UInt8, int, int]:
    return data, start, stop


def parse_chunks(
    header: list[str],
    chunks: list[Chunk],
    file: str,
    *,
    levels: int | None,
    counts: bool,
    name: str,
    first_row: int,
    sample: bytes,
) -> Part:
    """Parse rows of text, whatever file they are from.

    Parameters
    ----------
    header : list of str
        Names of the columns.
    chunks : list of Chunk
        The rows in their order.
    file, name : str
        The file and its format, for messages.
    levels, counts : int, bool
        As in `read`.
    first_row : int
        Number of the first row as people count it.
    sample : bytes
        The first rows once more, to tell the formats of prices and times by.

    Raises
    ------
    DataError
        At the first thing that breaks a rule of docs/data.md.
    """
    header = [cell.strip() for cell in header]
    lines = [chunk.rows for chunk in chunks]
    rows = sum(lines)
    header_row = first_row - 1 or None
    layout = _lay_out(header, file, header_row, rows, levels, counts)
    if rows == 0:
        raise DataError(file, "a header and no rows", "at least one row of data")
    first = [line.rstrip("\r").split(",") for line in sample.decode(errors="replace").split("\n")]
    formats = _sniff_times(first[0], layout)
    fixed = _sniff_prices(first, layout)
    flat = np.empty(layout.total, dtype=np.int64)
    columns = k.Columns(layout.kinds, layout.bases, layout.strides, formats, layout.pairs)
    first_rows = np.concatenate([[0], np.cumsum(lines)[:-1]])

    def parse(number: int) -> _Parsed:
        data, start, stop = chunks[number].text()
        starts, stops = np.empty(k.MAX_TEXTS, np.int64), np.empty(k.MAX_TEXTS, np.int64)
        buckets = np.full(2 * k.MAX_TEXTS, -1, np.int64)
        report = np.zeros(k.R_TEXTS + 1, np.int64)
        k.parse_rows(
            data, start, stop, int(first_rows[number]), columns, fixed, flat,
            k.Texts(starts, stops, buckets), report,
        )  # fmt: skip
        texts = [bytes(data[starts[i] : stops[i]]).decode() for i in range(report[k.R_TEXTS])]
        return _Parsed(report, texts, bytes(data[report[k.R_START] : report[k.R_STOP]]))

    results = in_threads(parse, range(len(lines)))
    error = _first_error(results)
    if error is not None and error.report[k.R_CODE] == c.PRICE_BIG:
        fractions = [row for row in (r.report[k.R_FRACTION] for r in results) if row >= 0]
        if not any(row <= error.report[k.R_ROW] for row in fractions):
            fixed = True  # whole numbers up to here: this large one shows that they are fixed-point
            results = in_threads(parse, range(len(lines)))
            error = _first_error(results)
    if error is not None:
        raise _error(error, file, layout.header, first_row)
    style = "integer" if (formats == c.TIME_INTEGER).any() else "ISO-8601"
    found = f"{name}, {'fixed-point' if fixed else 'decimal'} prices, {style} times"
    events = _assemble(layout, flat, rows, results, lines, file)
    return Part(events, file, found, first_row, "ts_recv" in header, "sequence" in header)


def check_text(raw: bytes | mmap, file: str, first_line: int) -> tuple[bytes | mmap, int]:
    """Refuse what is not text; return the text without mark and quotes, and where its last line ends.

    `first_line` is the number of the first line as people count it.
    """
    if np.frombuffer(raw, np.uint8).max() >= _NOT_ASCII:
        raw = _decodable(bytes(raw), file, first_line).removeprefix(b"\xef\xbb\xbf")
    _no_such_byte(raw, raw.find(b"\0"), file, first_line)
    if raw.find(b'"') >= 0:
        raw = _without_quotes(bytes(raw), file, first_line)
    stop = len(raw)  # blank lines at the end are no rows
    while stop and raw[stop - 1] in b"\r\n ":
        stop -= 1
    if stop == 0:
        raise DataError(file, "blank lines only", "a header and rows of data")
    return raw, stop


def _decodable(raw: bytes, file: str, first_line: int) -> bytes:
    """Refuse bytes that are not UTF-8, or a null byte before them."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        null = raw.find(b"\0", 0, error.start)
        _no_such_byte(raw, error.start if null < 0 else null, file, first_line)
    return raw


def _no_such_byte(raw: bytes | mmap, at: int, file: str, first_line: int) -> None:
    if at >= 0:
        row = raw[:at].count(b"\n") + first_line
        raise DataError(file, f"byte 0x{raw[at]:02x}, which is not text", "a CSV file in UTF-8", row=row)


def _without_quotes(raw: bytes, file: str, first_line: int) -> bytes:
    """Rewrite a CSV that uses quotes as one that does not; commas inside quotes become blanks."""
    lines: list[str] = []
    reader = csv.reader(io.StringIO(raw.decode(), newline=""), strict=True)
    try:
        for fields in reader:
            if reader.line_num != len(lines) + 1:
                raise DataError(
                    file,
                    "a line break inside quotes",
                    "one line for each row",
                    row=reader.line_num + first_line - 2,
                )
            lines.append(",".join(field.replace(",", " ").replace("\r", " ") for field in fields))
    except csv.Error as error:
        raise DataError(
            file, f"a broken quoted field ({error})", "matching quotes", row=reader.line_num + first_line - 1
        ) from None
    return "\n".join(lines).encode()


def _cut(raw: bytes | mmap, body: int, stop: int) -> tuple[list[int], list[int]]:
    """Cut the rows into chunks at line ends; return the positions of the cuts and the rows of each chunk."""
    if body >= stop:
        return [], []
    pieces = max(1, min(threads(), (stop - body) // _SMALLEST_CHUNK))
    cuts = [body]
    for piece in range(1, pieces):
        line_end = raw.find(b"\n", max(body + (stop - body) * piece // pieces, cuts[-1]), stop)
        if line_end >= 0:
            cuts.append(line_end + 1)
    cuts.append(stop)
    lines = [_line_feeds(np.frombuffer(raw, np.uint8, end - start, start)) for start, end in pairwise(cuts)]
    lines[-1] += 1  # the last line has no line feed left
    return cuts, lines


def _line_feeds(data: UInt8) -> int:
    """Count line feeds, a cache-sized piece at a time: three times as fast as bytes.count."""
    pieces = range(0, len(data), _COUNTED_AT_ONCE)
    return sum(int(np.count_nonzero(data[i : i + _COUNTED_AT_ONCE] == k.NEWLINE)) for i in pieces)


def _lay_out(
    header: list[str], file: str, header_row: int | None, rows: int, levels: int | None, counts: bool
) -> _Layout:
    seen = set(header)
    missing = [name for name in REQUIRED if name not in seen]
    if missing:
        shown = ", ".join(header[:6]) + (", ..." if len(header) > 6 else "")
        raise DataError(file, f"columns {shown[:120]!r}", f"also {', '.join(missing)}", row=header_row)
    for name in header:
        if header.count(name) > 1:
            raise DataError(file, f"two columns named {name!r}", "each column once", row=header_row)
    held = 1
    while any(f"{side}_px_{held:02d}" in seen for side in ("bid", "ask")):
        held += 1
    kept = held if levels is None else min(levels, held)
    text = next((name for name in ("symbol", "instrument_id") if name in seen), None)

    blocks: dict[str, tuple[int, int]] = {}
    total = 0
    groups = [*_BOOK, *(("bid_ct", "ask_ct") if counts else ())]
    for name, width in [*((n, 1) for n in (*_SCALARS, "symbol")), *((g, kept) for g in groups)]:
        blocks[name] = (total, width)
        total += rows * width
    kinds, bases, strides = (np.zeros(len(header), np.int64) for _ in range(3))
    for i, name in enumerate(header):
        level = _LEVEL.fullmatch(name)
        if name in _SCALARS:
            kinds[i], bases[i], strides[i] = _SCALARS[name], blocks[name][0], 1
        elif name == text:
            kinds[i], bases[i], strides[i] = k.TEXT, blocks["symbol"][0], 1
        elif level and int(level[3]) < kept and f"{level[1]}_{level[2]}" in blocks:
            kinds[i] = k.PRICE if level[2] == "px" else k.SIZE
            bases[i] = blocks[f"{level[1]}_{level[2]}"][0] + int(level[3])
            strides[i] = kept
    for side in ("bid", "ask"):
        for number in range(kept):
            pair = [f"{side}_{what}_{number:02d}" for what in ("px", "sz")]
            there = [name in seen for name in pair]
            if any(there) and not all(there):
                raise DataError(
                    file,
                    f"{pair[there.index(True)]} alone",
                    f"also {pair[there.index(False)]}",
                    row=header_row,
                )
    place = {name: i for i, name in enumerate(header)}
    pairs = [
        (i, place.get("size" if name == "price" else name.replace("_px_", "_sz_"), -1), name != "price")
        for i, name in enumerate(header)
        if kinds[i] == k.PRICE
    ]
    return _Layout(header, kinds, bases, strides, blocks, np.array(pairs, np.int64), total)


def _sniff_times(cells: list[str], layout: _Layout) -> Int64:
    """Return the time format of each time column in the first row."""
    formats = np.zeros(len(layout.header), np.int64)
    for i, cell in enumerate(cells[: len(formats)]):
        if layout.kinds[i] == k.TIME:
            raw = np.frombuffer(cell.strip().encode() or b"-", np.uint8)
            formats[i] = c.moment(raw, 0, len(raw))[2]
    return formats


def _sniff_prices(lines: list[list[str]], layout: _Layout) -> bool:
    """Guess from the first rows whether prices are fixed-point. The pass over all rows corrects the guess."""
    columns = np.flatnonzero(layout.kinds == k.PRICE)
    fixed = False
    for cells in lines[:-1]:  # the last one may be cut
        for i in columns:
            try:
                value = float(cells[i]) if i < len(cells) else 0.0
            except ValueError:
                continue
            if not value.is_integer():
                return False
            fixed |= c.FIXED_FROM <= value < 9.2e18
    return fixed


def _first_error(results: list[_Parsed]) -> _Parsed | None:
    """Return the first chunk, hence the first row, that went wrong."""
    return next((result for result in results if result.report[k.R_CODE] != c.OK), None)


def _error(parsed: _Parsed, file: str, header: list[str], first_row: int) -> DataError:
    code, row, column = (int(x) for x in parsed.report[: k.R_COLUMN + 1])
    if code == c.FIELDS:
        return DataError(file, f"{column} fields", f"{len(header)}, as in the header", row=first_row + row)
    cell = parsed.cell.decode(errors="replace")
    found = "an empty cell" if not cell else repr(cell if len(cell) <= 40 else cell[:37] + "...")
    return DataError(file, found, _EXPECTED[code], row=first_row + row, column=header[column])


def _assemble(
    layout: _Layout,
    flat: Int64,
    rows: int,
    results: list[_Parsed],
    lines: list[int],
    file: str,
) -> Events:
    """Cut the flat array into columns, and join what the chunks found."""
    present = set(layout.header)

    def scalar(name: str) -> Int64:
        column = flat[layout.blocks[name][0] :][:rows]
        if name not in present:
            column[:] = _DEFAULTS.get(name, 0)
        return column

    def book(name: str) -> Int64:
        base, width = layout.blocks.get(name, (0, 0))
        matrix = flat[base : base + rows * width].reshape(rows, width)
        for level in range(width):
            if f"{name}_{level:02d}" not in present:
                matrix[:, level] = _DEFAULTS.get(name, 0)
        return matrix

    names: list[str] = []
    codes = flat[layout.blocks["symbol"][0] :][:rows]
    row = 0
    for result, count in zip(results, lines, strict=True):
        if result.texts:
            codes[row : row + count] += len(names)
        else:  # no column names the instrument
            codes[row : row + count] = 0
        names += result.texts
        row += count
    symbol, symbols = code_symbols(codes, names or [""])
    venue, publishers = code_publishers(scalar("publisher_id"))
    zeroed = sum(int(result.report[k.R_ZEROED]) for result in results)
    ts_event = scalar("ts_event")
    return Events(
        ts_event=ts_event,
        ts_recv=scalar("ts_recv") if "ts_recv" in present else ts_event,
        venue=venue,
        action=scalar("action").astype(np.uint8),
        side=scalar("side").astype(np.uint8),
        depth=scalar("depth").astype(np.uint8),
        price=scalar("price"),
        size=scalar("size"),
        sequence=scalar("sequence"),
        symbol=symbol,
        bid_px=book("bid_px"),
        ask_px=book("ask_px"),
        bid_sz=book("bid_sz"),
        ask_sz=book("ask_sz"),
        bid_ct=book("bid_ct"),
        ask_ct=book("ask_ct"),
        publishers=publishers,
        symbols=symbols,
        source=(file,),
        synthetic=bool(scalar("synthetic").any()),
        notes=(f"{file}: sizes without a price, read as 0: {zeroed}.",) if zeroed else (),
    )
