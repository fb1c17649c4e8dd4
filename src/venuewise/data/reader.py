"""`read`: market data files in, one `Events` out.

Each file is read by its format, checked for order and repetition, and merged with the others by time; equal
times keep the order of the files. What was mended on request is counted in `Events.notes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from venuewise.data._dbn import read_dbn
from venuewise.data._files import load
from venuewise.data._parquet import read_parquet
from venuewise.data._parts import Part
from venuewise.data._text import read_text
from venuewise.data.events import UNDEFINED_PRICE, Events, Int64
from venuewise.data.window import Window, parse_window
from venuewise.errors import ConfigError, DataError
from venuewise.files import real_path, shown

Column = npt.NDArray[np.integer]
Source = str | Path | Sequence[str | Path]

_SCALARS: Final = (
    "sequence", "ts_event", "ts_recv", "venue", "action", "side", "depth", "price", "size", "symbol",
)  # fmt: skip
_BOOK: Final = ("bid_px", "ask_px", "bid_sz", "ask_sz", "bid_ct", "ask_ct")
_REMEDY: Final = "(repair=True, or --repair, {})"


@dataclass(frozen=True, slots=True)
class Counted:
    """Events, with what reading them mended: rows that stood out of order, and repeated rows dropped."""

    events: Events
    out_of_order: int
    duplicates: int
    formats: tuple[str, ...]


def read(
    source: Source,
    *,
    window: str | tuple[str, str] | None = None,
    levels: int | None = None,
    symbols: str | Sequence[str] | None = None,
    counts: bool = False,
    repair: bool = False,
) -> Events:
    """Read market data files.

    Parameters
    ----------
    source : path, or sequence of paths
        CSV, Parquet or DBN (MBP-10, MBP-1) files, CSV and DBN also as .zst or .gz. Several files are merged
        by ts_recv, or by ts_event if one of them lacks that; at equal times the order of the files decides.
    window : pair of str, or str, optional
        Keep the rows from the first to the second time, both included: UTC times of day, applied to each day
        of the data, or full ISO-8601 times. See `venuewise.data.window.parse_window`.
    levels : int, optional
        Keep only that many levels of the book.
    symbols : str or sequence of str, optional
        Keep only these symbols.
    counts : bool
        Read the numbers of orders (bid_ct, ask_ct) too.
    repair : bool
        Sort rows that are out of order and drop repeated ones, with a note, instead of refusing the file.

    Returns
    -------
    Events

    Raises
    ------
    DataError
        If a file cannot be read, or nothing is left of it. The message names file, row and column.
    ConfigError
        If an argument makes no sense.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "day.csv")
    >>> row = "2,222.83,36,2024-08-01T13:36:32Z"
    >>> _ = path.write_text(f"publisher_id,ask_px_00,ask_sz_00,ts_event\\n{row}\\n")
    >>> read(path).ask_px
    array([[222830000000]])
    """
    return read_counted(
        source, window=window, levels=levels, symbols=symbols, counts=counts, repair=repair
    ).events


def read_counted(
    source: Source,
    *,
    window: str | tuple[str, str] | None,
    levels: int | None,
    symbols: str | Sequence[str] | None,
    counts: bool,
    repair: bool,
) -> Counted:
    """Read as `read` does, and also return what was mended and which formats were met."""
    if levels is not None and levels < 1:
        raise ConfigError(f"levels: found {levels}; expected 1 or more")
    span = None if window is None else parse_window(window)
    paths = _paths(source)
    parts = [_read_file(path, levels, counts) for path in paths]
    time_column = "ts_recv" if all(part.has_recv for part in parts) else "ts_event"
    notes: list[str] = []
    if time_column == "ts_event" and any(part.has_recv for part in parts):
        lacking = ", ".join(part.file for part in parts if not part.has_recv)
        notes.append(f"Rows are in the order of ts_event, since there is no ts_recv in {lacking}.")
    moved = dropped = 0
    files = []
    for part in parts:
        events, part_moved, part_dropped = _in_order(part, time_column, repair)
        moved, dropped = moved + part_moved, dropped + part_dropped
        files.append(events)
    events = _merge(files) if len(files) > 1 else files[0]
    events = replace(events, time_column=time_column, notes=(*notes, *events.notes))
    names = ", ".join(str(path) for path in paths)
    if symbols is not None:
        events = _only_symbols(events, [symbols] if isinstance(symbols, str) else list(symbols), names)
    if span is not None:
        events = in_window(events, span, names)
    elif symbols is not None:
        events = events.without_unused()
    return Counted(events, moved, dropped, tuple(part.format for part in parts))


def iso(ns: int) -> str:
    """Return nanoseconds since 1970 as ISO-8601 UTC with nanoseconds."""
    return f"{np.datetime64(ns, 'ns')}Z"


def _paths(source: Source) -> list[Path]:
    paths = [Path(source)] if isinstance(source, str | Path) else [Path(item) for item in source]
    if not paths:
        raise ConfigError("files: found none; expected at least one")
    seen: dict[str, Path] = {}
    for path in paths:
        real = real_path(path)
        if real in seen:
            raise DataError(shown(path), f"the same file as {shown(seen[real])}", "each file once")
        seen[real] = path
    return paths


def _read_file(path: Path, levels: int | None, counts: bool) -> Part:
    data, kind = load(path)
    file = shown(path)
    if kind == "dbn":
        return read_dbn(data, file, levels=levels, counts=counts)
    if kind == "parquet":
        return read_parquet(bytes(data), file, levels=levels, counts=counts)
    return read_text(data, file, levels=levels, counts=counts)


def _in_order(part: Part, time_column: str, repair: bool) -> tuple[Events, int, int]:
    """Check, or mend, the order of one file's rows; return them, rows out of order, and rows dropped."""
    events = replace(part.events, time_column=time_column)
    notes = list(events.notes)
    backwards = np.flatnonzero(events.ts[1:] < events.ts[:-1]) + 1
    if len(backwards):
        if not repair:
            row = int(backwards[0])
            raise DataError(
                part.file,
                f"{iso(int(events.ts[row]))} after {iso(int(events.ts[row - 1]))}",
                f"times that do not go backwards {_REMEDY.format('sorts them')}",
                row=part.first_row + row,
                column=time_column,
            )
        events = events.take(np.argsort(events.ts, kind="stable"))
        notes.append(f"{part.file}: rows out of order, sorted by {time_column}: {len(backwards)}.")
    repeated = _repeated(events) if part.has_sequence else np.empty(0, np.int64)
    if len(repeated):
        if not repair:
            row = int(repeated[0])
            raise DataError(
                part.file,
                f"the same row as the one before (sequence {events.sequence[row]})",
                f"each row once {_REMEDY.format('drops the repetition')}",
                row=part.first_row + row,
            )
        events = events.take(np.delete(np.arange(len(events)), repeated))
        notes.append(f"{part.file}: duplicate rows, dropped: {len(repeated)}.")
    return replace(events, notes=tuple(notes)), len(backwards), len(repeated)


def _repeated(events: Events) -> Int64:
    """Return the rows that equal the row before them in every column, and carry a sequence number."""
    rows = np.flatnonzero((events.sequence[1:] == events.sequence[:-1]) & (events.sequence[1:] != 0)) + 1
    for name in (*_SCALARS, *_BOOK):
        column = getattr(events, name)
        same = column[rows] == column[rows - 1]
        rows = rows[same if same.ndim == 1 else same.all(axis=1)]
    return rows


def _merge(files: list[Events]) -> Events:
    """Join the rows of several files in the order of time; equal times keep the order of the files."""
    publishers = tuple(sorted({p for events in files for p in events.publishers}))
    symbols = tuple(sorted({s for events in files for s in events.symbols}))
    depth = {name: max(getattr(events, name).shape[1] for events in files) for name in _BOOK}
    columns: dict[str, list[Column]] = {name: [] for name in (*_SCALARS, *_BOOK)}
    for events in files:
        for name in _SCALARS:
            columns[name].append(getattr(events, name))
        columns["venue"][-1] = _recode(events.venue, events.publishers, publishers)
        columns["symbol"][-1] = _recode(events.symbol, events.symbols, symbols)
        for name in _BOOK:
            column = getattr(events, name)
            missing = depth[name] - column.shape[1]
            empty = UNDEFINED_PRICE if name.endswith("px") else 0
            columns[name].append(np.pad(column, ((0, 0), (0, missing)), constant_values=empty))
    rows: dict[str, Any] = {name: np.concatenate(pieces) for name, pieces in columns.items()}
    joined = replace(
        files[0],
        **rows,
        publishers=publishers,
        symbols=symbols,
        source=tuple(file for events in files for file in events.source),
        synthetic=any(events.synthetic for events in files),
        notes=tuple(note for events in files for note in events.notes),
    )
    order = np.argsort(joined.ts, kind="stable")
    return joined.take(order)


def _recode(codes: Column, old: Sequence[object], new: Sequence[object]) -> Column:
    table: Column = np.array([new.index(item) for item in old], dtype=codes.dtype)
    return table[codes]


def _only_symbols(events: Events, wanted: list[str], names: str) -> Events:
    unknown = [symbol for symbol in wanted if symbol not in events.symbols]
    if unknown:
        shown = ", ".join(events.symbols[:10]) + (", ..." if len(events.symbols) > 10 else "")
        raise DataError(names, f"no symbol {', '.join(unknown)}", f"one of {shown}")
    codes = [events.symbols.index(symbol) for symbol in wanted]
    return events if set(wanted) == set(events.symbols) else events.take(np.isin(events.symbol, codes))


def in_window(events: Events, window: Window, names: str) -> Events:
    """Keep the rows of a window; the venues and symbols that have none are dropped.

    Raises
    ------
    DataError
        If there are none; `names` says of what.
    """
    kept = events.take(window.rows(events.ts))
    if len(kept) == 0:
        first, last = (iso(int(t)) for t in (events.ts[0], events.ts[-1]))
        raise DataError(names, f"no rows in the window {window.text}", f"one inside {first} to {last}")
    return kept.without_unused()
