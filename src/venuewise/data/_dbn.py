"""DBN files (Databento's binary encoding, versions 1 to 3) with MBP-10 or MBP-1 records.

A record of these schemas is a fixed number of 8-byte words, the same in all three versions: a 48-byte head,
then 32 bytes for each level (bid and ask price, bid and ask size, bid and ask count). One kernel checks the
records and copies them into columns; the databento_dbn package decodes the metadata in front of them.
"""

from __future__ import annotations

import datetime as dt
from mmap import mmap
from typing import Final, NamedTuple

import databento_dbn
import numpy as np

from venuewise._jit import kernel
from venuewise.data import _cells
from venuewise.data._parts import Part, code_publishers, code_symbols, in_threads, threads
from venuewise.data.events import UNDEFINED_PRICE, Events, Int64, UInt8
from venuewise.errors import DataError

_SCHEMAS: Final = {"mbp-10": (10, 10), "mbp-1": (1, 1)}
"""Schema -> record type, levels."""
_HEAD_WORDS, _LEVEL_WORDS = 6, 4
_NEWEST_VERSION: Final = 3
_NS_PER_DAY: Final = 86_400_000_000_000
_SMALLEST_CHUNK: Final = 4096

_OK, _RTYPE, _TIME, _ACTION, _SIDE, _PRICE, _LEVEL_PRICE = range(7)
_COLUMNS: Final = {
    _RTYPE: "rtype",
    _TIME: "ts_event or ts_recv",
    _ACTION: "action",
    _SIDE: "side",
    _PRICE: "price",
}
_EXPECTED: Final = {
    _TIME: "nanoseconds since 1970",
    _ACTION: "one of A, C, M, T, F, R, N",
    _SIDE: "one of A, B, N",
    _PRICE: "a price above 0; where there is none, 2**63 - 1, or 0 with no shares",
}
S_TS_EVENT, S_TS_RECV, S_PRICE, S_SIZE, S_SEQUENCE, S_PUBLISHER, S_INSTRUMENT = range(7)
"""Rows of the scalar block that `unpack` fills."""


class Columns(NamedTuple):
    """What `unpack` fills: `scalars` (7, rows), then action, side and depth (3, rows), then each (rows, levels)."""

    scalars: Int64
    characters: UInt8
    bid_px: Int64
    ask_px: Int64
    bid_sz: Int64
    ask_sz: Int64
    bid_ct: Int64
    ask_ct: Int64


@kernel
def unpack(
    words: Int64,
    start: int,
    stop: int,
    rtype: int,
    levels: int,
    counts: bool,
    columns: Columns,
    report: Int64,
) -> None:
    """Copy the records words[start:stop] (one record a row, 8-byte words) into columns.

    `report` receives how it ended: code, row, what was found,
    the word it was found in, and the sizes set to 0 because their price is missing.
    """
    scalars, characters, bid_px, ask_px, bid_sz, ask_sz, bid_ct, ask_ct = columns
    report[:] = 0
    low = np.int64(0xFFFFFFFF)
    for row in range(start, stop):
        head, flags = words[row, 0], words[row, 3]
        action, side = (flags >> 32) & 255, (flags >> 40) & 255
        found, code, word = np.int64(0), _OK, 0
        if (head >> 8) & 255 != rtype or head & 255 != (words.shape[1] * 2) & 255:
            code, found = _RTYPE, (head >> 8) & 255
        elif words[row, 1] < 0 or words[row, 4] < 0 or words[row, 4] == UNDEFINED_PRICE:
            code, found = _TIME, words[row, 1] if words[row, 1] < 0 else words[row, 4]
        elif not _cells.ACTIONS[action]:
            code, found = _ACTION, action
        elif not _cells.SIDES[side]:
            code, found = _SIDE, side
        own = words[row, 2]
        if own == 0 and flags & low == 0:
            own = UNDEFINED_PRICE
        if code == _OK and own <= 0:
            code, found = _PRICE, own
        scalars[S_TS_EVENT, row] = words[row, 1]
        scalars[S_TS_RECV, row] = words[row, 4]
        scalars[S_PRICE, row] = own
        scalars[S_SIZE, row] = flags & low
        scalars[S_SEQUENCE, row] = (words[row, 5] >> 32) & low
        scalars[S_PUBLISHER, row] = (head >> 16) & 65535
        scalars[S_INSTRUMENT, row] = (head >> 32) & low
        characters[0, row], characters[1, row], characters[2, row] = action, side, (flags >> 56) & 255
        for level in range(levels):
            at = _HEAD_WORDS + level * _LEVEL_WORDS
            bid, ask, sizes = words[row, at], words[row, at + 1], words[row, at + 2]
            bid_size, ask_size = sizes & low, (sizes >> 32) & low
            if bid == 0 and bid_size == 0:
                bid = UNDEFINED_PRICE
            if ask == 0 and ask_size == 0:
                ask = UNDEFINED_PRICE
            if bid <= 0 or ask <= 0:
                code, word = _LEVEL_PRICE, at + (bid > 0)
                found = words[row, word]
            if bid == UNDEFINED_PRICE and bid_size != 0:
                bid_size = np.int64(0)
                report[4] += 1
            if ask == UNDEFINED_PRICE and ask_size != 0:
                ask_size = np.int64(0)
                report[4] += 1
            bid_px[row, level], ask_px[row, level] = bid, ask
            bid_sz[row, level], ask_sz[row, level] = bid_size, ask_size
            if counts:
                orders = words[row, at + 3]
                bid_ct[row, level], ask_ct[row, level] = orders & low, (orders >> 32) & low
        if code != _OK:
            report[0], report[1], report[2], report[3] = code, row, found, word
            return


def read_dbn(data: bytes | mmap, file: str, *, levels: int | None, counts: bool) -> Part:
    """Parse the bytes of a DBN file.

    Raises
    ------
    DataError
        If the metadata or a record is damaged, cut off or of another schema.
    """
    body, metadata = _metadata(data, file)
    schema = str(metadata.schema) if metadata.schema is not None else "a mix of schemas"
    if schema not in _SCHEMAS:
        raise DataError(file, f"DBN schema {schema}", "mbp-10 or mbp-1")
    rtype, held = _SCHEMAS[schema]
    width = _HEAD_WORDS + _LEVEL_WORDS * held + (1 if metadata.ts_out else 0)
    rows, loose = divmod(len(data) - body, 8 * width)
    if loose:
        raise DataError(
            file, f"{loose} bytes after {rows} records", f"whole records of {8 * width} bytes", row=rows + 1
        )
    if rows == 0:
        raise DataError(file, "metadata and no records", "at least one record")
    # The kernel reads aligned words; metadata of odd length (version 3 pads it) costs one copy.
    raw = np.frombuffer(data, np.uint8, rows * 8 * width, body)
    if body % 8:
        raw = raw.copy()
        raw.flags.writeable = False  # as the mapped file is: one signature of the kernel for both
    words = raw.view(np.int64).reshape(rows, width)

    kept = held if levels is None else min(levels, held)
    scalars, characters = np.empty((7, rows), np.int64), np.empty((3, rows), np.uint8)
    bid_px, ask_px, bid_sz, ask_sz = (np.empty((rows, kept), np.int64) for _ in range(4))
    bid_ct, ask_ct = (np.empty((rows, kept if counts else 0), np.int64) for _ in range(2))
    columns = Columns(scalars, characters, bid_px, ask_px, bid_sz, ask_sz, bid_ct, ask_ct)
    pieces = max(1, min(threads(), rows // _SMALLEST_CHUNK))
    cuts = [rows * i // pieces for i in range(pieces + 1)]

    def work(piece: int) -> Int64:
        report = np.zeros(5, np.int64)
        unpack(words, cuts[piece], cuts[piece + 1], rtype, kept, counts, columns, report)
        return report

    reports = in_threads(work, range(pieces))
    for report in reports:
        if report[0] != _OK:
            raise _error(file, report, schema, rtype)
    zeroed = int(sum(report[4] for report in reports))
    venue, publishers = code_publishers(scalars[S_PUBLISHER])
    codes, names = _symbols(metadata, scalars[S_INSTRUMENT], scalars[S_TS_RECV])
    symbol, symbols = code_symbols(codes, names)
    events = Events(
        ts_event=scalars[S_TS_EVENT],
        ts_recv=scalars[S_TS_RECV],
        venue=venue,
        action=characters[0],
        side=characters[1],
        depth=characters[2],
        price=scalars[S_PRICE],
        size=scalars[S_SIZE],
        sequence=scalars[S_SEQUENCE],
        symbol=symbol,
        bid_px=bid_px,
        ask_px=ask_px,
        bid_sz=bid_sz,
        ask_sz=ask_sz,
        bid_ct=bid_ct,
        ask_ct=ask_ct,
        publishers=publishers,
        symbols=symbols,
        source=(file,),
        notes=(f"{file}: sizes without a price, read as 0: {zeroed}.",) if zeroed else (),
    )
    return Part(events, file, f"DBN version {data[3]}, {schema}", 1, has_recv=True, has_sequence=True)


def _metadata(data: bytes | mmap, file: str) -> tuple[int, databento_dbn.Metadata]:
    """Return where the records start, and the metadata."""
    if len(data) < 8:
        raise DataError(file, f"DBN metadata cut off at byte {len(data)}", "at least 8 bytes of it")
    version = data[3]
    if not 1 <= version <= _NEWEST_VERSION:
        raise DataError(file, f"DBN version {version}", f"version 1 to {_NEWEST_VERSION}")
    body = 8 + int.from_bytes(data[4:8], "little")
    if len(data) < body:
        raise DataError(file, f"DBN metadata cut off at byte {len(data)}", f"{body} bytes of it")
    try:
        return body, databento_dbn.Metadata.decode(bytes(data[:body]))
    except (databento_dbn.DBNError, ValueError) as error:
        raise DataError(file, f"DBN metadata that cannot be decoded ({error})", "a sound DBN file") from None


def _symbols(metadata: databento_dbn.Metadata, ids: Int64, times: Int64) -> tuple[Int64, list[str]]:
    """Name each row's instrument by the metadata's mapping on the day of its ts_recv; by its id failing that.

    Returns codes into a list of names in which a name may repeat.
    """
    if (ids == ids[0]).all():
        distinct, codes = ids[:1], np.zeros(len(ids), np.int64)
    else:
        distinct, codes = np.unique(ids, return_inverse=True)
        codes = codes.astype(np.int64)
    names = [str(i) for i in distinct]
    place = {name: i for i, name in enumerate(names)}
    epoch = dt.date(1970, 1, 1)
    for symbol, intervals in metadata.mappings.items():
        for interval in intervals:
            instrument, name = place.get(interval["symbol"]), symbol
            if instrument is None and symbol in place:  # mapped the other way round, from ids to names
                instrument, name = place[symbol], interval["symbol"]
            if instrument is None or not name:
                continue
            first, end = ((interval[side] - epoch).days * _NS_PER_DAY for side in ("start_date", "end_date"))
            rows = (ids == distinct[instrument]) & (times >= first) & (times < end)
            codes[rows] = len(names)
            names.append(name)
    used = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    place_of = np.zeros(len(names), np.int64)
    place_of[used] = np.arange(len(used))
    return place_of[codes], [names[i] for i in used]


def _error(file: str, report: Int64, schema: str, rtype: int) -> DataError:
    code, row, found, word, _ = (int(x) for x in report)
    shown = repr(chr(found)) if code in (_ACTION, _SIDE) else str(found)
    if code == _LEVEL_PRICE:
        level, side = divmod(word - _HEAD_WORDS, _LEVEL_WORDS)
        column, expected = f"{('bid', 'ask')[side]}_px_{level:02d}", _EXPECTED[_PRICE]
    else:
        column = _COLUMNS[code]
        expected = _EXPECTED.get(code, f"{rtype} and a record length that fits, as schema {schema} has")
    return DataError(file, shown, expected, row=row + 1, column=column)
