"""Market data in memory: one struct of numpy columns.

A row is one event of one venue's book together with the book right after it, as in Databento's MBP-10 and
MBP-1 schemas (a trade row shows the book before the trade: the cancel row that follows takes the shares
away). Prices are integers of 1e-9 dollars from the file to the fill, so money never rounds. A venue is an
index into `Events.publishers`; what that venue is called and charges is known one layer up, in
`venuewise.market`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from venuewise.data.units import (
    NS_PER_SECOND,
    PRICE_SCALE,
    UNDEFINED_PRICE,
    Int16,
    Int32,
    Int64,
    UInt8,
)
from venuewise.data.write import write_rows

__all__ = [
    "ACTION_ADD", "ACTION_CANCEL", "ACTION_CLEAR", "ACTION_FILL", "ACTION_MODIFY", "ACTION_NONE",
    "ACTION_TRADE", "NS_PER_SECOND", "PRICE_SCALE", "ROW_COLUMNS", "SIDE_ASK", "SIDE_BID", "SIDE_NONE",
    "UNDEFINED_PRICE", "Events", "Int16", "Int32", "Int64", "UInt8",
]  # fmt: skip

MBP10_RTYPE: Final = 10
FLAG_LAST: Final = 128
"""DBN flag bit: last row of an event."""
FLAG_PUBLISHER_SPECIFIC: Final = 2
"""DBN flag bit that the real feed sets on last rows too."""

ACTION_ADD: Final = ord("A")
ACTION_CANCEL: Final = ord("C")
ACTION_MODIFY: Final = ord("M")
ACTION_TRADE: Final = ord("T")
ACTION_FILL: Final = ord("F")
ACTION_CLEAR: Final = ord("R")
ACTION_NONE: Final = ord("N")
SIDE_BID: Final = ord("B")
"""Side of a resting bid; on a trade row, the side of a buying aggressor."""
SIDE_ASK: Final = ord("A")
SIDE_NONE: Final = ord("N")


@dataclass(frozen=True, slots=True)
class Events:
    """Rows of market data, in the order in which they were received.

    Attributes
    ----------
    ts_event, ts_recv : ndarray of int64, shape (n,)
        Nanoseconds UTC. `ts_recv` equals `ts_event` where the source has only one of the two.
    venue : ndarray of int16, shape (n,)
        Index into `publishers`.
    action, side, depth : ndarray of uint8, shape (n,)
        ASCII codes of the DBN characters (`ord("T")`, ...), and the level that changed.
        `N` and 0 where the source has none.
    price : ndarray of int64, shape (n,)
        Price of the event in 1e-9 dollars, `UNDEFINED_PRICE` where there is none.
    size : ndarray of int64, shape (n,)
        Shares of the event.
    sequence : ndarray of int64, shape (n,)
        Sequence number of the venue, 0 where the source has none.
    symbol : ndarray of int32, shape (n,)
        Index into `symbols`.
    bid_px, ask_px : ndarray of int64, shape (n, levels)
        Book after the event, best level first, in 1e-9 dollars; `UNDEFINED_PRICE` where a level is empty.
    bid_sz, ask_sz : ndarray of int64, shape (n, levels)
        Shares displayed; 0 where a level is empty.
    bid_ct, ask_ct : ndarray of int64, shape (n, levels)
        Orders at the level; shape (n, 0) where they were not read.
    publishers : tuple of int
        Publisher id of each venue.
    symbols : tuple of str
        Name of each symbol.
    source : tuple of str
        Files that the rows come from; empty for generated data.
    synthetic : bool
        True for data made by the generator, or widened to synthetic venues: never real quotes.
    time_column : str
        Column that orders the rows and that windows refer to: "ts_recv" or "ts_event".
    notes : tuple of str
        What reading changed or passed over, one sentence each (rows sorted, duplicates dropped, ...).
    """

    ts_event: Int64
    ts_recv: Int64
    venue: Int16
    action: UInt8
    side: UInt8
    depth: UInt8
    price: Int64
    size: Int64
    sequence: Int64
    symbol: Int32
    bid_px: Int64
    ask_px: Int64
    bid_sz: Int64
    ask_sz: Int64
    bid_ct: Int64
    ask_ct: Int64
    publishers: tuple[int, ...]
    symbols: tuple[str, ...]
    source: tuple[str, ...] = ()
    synthetic: bool = False
    time_column: str = "ts_recv"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ts_event)

    @property
    def levels(self) -> int:
        """Levels of the book held on each side."""
        return int(self.ask_px.shape[1])

    @property
    def ts(self) -> Int64:
        """Nanoseconds UTC that order the rows: the column that `time_column` names."""
        return self.ts_recv if self.time_column == "ts_recv" else self.ts_event

    def take(self, rows: slice | npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Events:
        """Return the rows chosen by a slice, by indices or by a mask; venues and symbols keep their codes."""
        return replace(
            self,
            **{f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name in ROW_COLUMNS},
        )

    def only_symbol(self, symbol: str) -> Events:
        """Return the rows of one symbol, with the venues that it trades at.

        Raises
        ------
        ValueError
            If the symbol does not occur.
        """
        if symbol not in self.symbols:
            raise ValueError(f"symbol: found {symbol!r}; expected one of {', '.join(self.symbols)}")
        if len(self.symbols) == 1:
            return self
        return self.take(self.symbol == self.symbols.index(symbol)).without_unused()

    def without_unused(self) -> Events:
        """Return the same rows without the venues and symbols that have none."""
        venues, symbols = np.unique(self.venue), np.unique(self.symbol)
        if len(venues) == len(self.publishers) and len(symbols) == len(self.symbols):
            return self
        return replace(
            self,
            venue=np.searchsorted(venues, self.venue).astype(np.int16),
            symbol=np.searchsorted(symbols, self.symbol).astype(np.int32),
            publishers=tuple(self.publishers[i] for i in venues),
            symbols=tuple(self.symbols[i] for i in symbols),
        )

    def to_frame(self, rows: slice = slice(None)) -> pl.DataFrame:
        """Return rows as a table in the MBP-10 layout.

        Parameters
        ----------
        rows : slice
            Without a step; all of them if not given.

        Returns
        -------
        polars.DataFrame
            Prices in 1e-9 dollars, null where there is none; times in nanoseconds. `flags` marks the last row
            of each event; `ts_in_delta` is receipt less event time; `instrument_id` is the symbol's position,
            from 1. Made data have a last column `synthetic`.
        """
        part = self.take(rows)
        publishers = np.array(part.publishers, np.uint16)
        columns: dict[str, pl.Series] = {
            "ts_recv": pl.Series(part.ts_recv),
            "ts_event": pl.Series(part.ts_event),
            "rtype": pl.repeat(MBP10_RTYPE, len(part), dtype=pl.UInt8, eager=True),
            "publisher_id": pl.Series(publishers[part.venue]),
            "instrument_id": pl.Series(part.symbol + 1),
            "action": _letters(part.action),
            "side": _letters(part.side),
            "depth": pl.Series(part.depth),
            "price": _price(part.price),
            "size": pl.Series(part.size),
            "flags": pl.Series(self._flags(range(len(self))[rows])),
            "ts_in_delta": pl.Series(part.ts_recv - part.ts_event),
            "sequence": pl.Series(part.sequence),
        }
        counted = part.bid_ct.shape[1] == part.levels
        for level in range(part.levels):
            columns[f"bid_px_{level:02}"] = _price(part.bid_px[:, level])
            columns[f"ask_px_{level:02}"] = _price(part.ask_px[:, level])
            columns[f"bid_sz_{level:02}"] = pl.Series(part.bid_sz[:, level])
            columns[f"ask_sz_{level:02}"] = pl.Series(part.ask_sz[:, level])
            if counted:
                columns[f"bid_ct_{level:02}"] = pl.Series(part.bid_ct[:, level])
                columns[f"ask_ct_{level:02}"] = pl.Series(part.ask_ct[:, level])
        columns["symbol"] = pl.Series(part.symbols, dtype=pl.String).gather(pl.Series(part.symbol))
        if part.synthetic:
            columns["synthetic"] = pl.repeat(True, len(part), eager=True)
        return pl.DataFrame(columns)

    def to_csv(self, path: str | Path) -> None:
        """Write the rows in the MBP-10 layout, with decimal prices and ISO-8601 times; Parquet has integers.

        Parameters
        ----------
        path : str or Path
            Ends in .csv, .csv.gz, .csv.zst or .parquet. Replaced if it exists; missing folders are made.

        Raises
        ------
        ConfigError
            If it ends otherwise, or cannot be written.
        """
        write_rows(self.to_frame, len(self), path)

    def _flags(self, rows: range) -> UInt8:
        """Return 130 for the last row of each event (a run of one venue, symbol and event time), else 0."""
        here = slice(rows.start, rows.stop)
        ahead = slice(rows.start + 1, rows.stop + 1)
        same = np.ones(len(self.venue[ahead]), np.bool_)
        for column in (self.venue, self.symbol, self.ts_event):
            same &= column[here][: len(same)] == column[ahead]
        flags = np.full(len(rows), FLAG_LAST | FLAG_PUBLISHER_SPECIFIC, np.uint8)
        flags[: len(same)][same] = 0
        return flags


def _letters(codes: npt.NDArray[np.uint8]) -> pl.Series:
    alphabet = pl.Series([chr(code) for code in range(128)])
    return alphabet.gather(pl.Series(codes))


def _price(units: Int64) -> pl.Series:
    price = pl.Series(units)
    missing = units == UNDEFINED_PRICE
    return price.set(pl.Series(missing), None) if missing.any() else price


ROW_COLUMNS: Final = frozenset(
    {
        "ts_event", "ts_recv", "venue", "action", "side", "depth", "price", "size", "sequence", "symbol",
        "bid_px", "ask_px", "bid_sz", "ask_sz", "bid_ct", "ask_ct",
    }
)  # fmt: skip
"""Fields of `Events` that have one entry (or one row of levels) for each row of data."""
