"""`inspect`: what a file holds, and how far it can be trusted, before anything is computed from it.

Shares of time weigh each state of the quotes by how long it stood: a market crossed for a microsecond counts
for a microsecond. Time is counted within UTC days only, and each day begins with no quotes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.data.events import NS_PER_SECOND, UNDEFINED_PRICE, Events, Int16, Int32, Int64, UInt8
from venuewise.data.reader import Source, iso, read_counted
from venuewise.data.window import NS_PER_DAY
from venuewise.errors import ConfigError

_OBSERVED, _QUOTED, _LOCKED, _CROSSED = range(4)
LONG_GAP_SECONDS: Final = 60.0
"""A silence from here on is counted as a gap, unless another length is asked for."""


@dataclass(frozen=True, slots=True)
class TimeShares:
    """Shares of time in which quotes stood in a certain relation.

    Attributes
    ----------
    two_sided : float
        Share of the observed time in which there was both a bid and an ask.
    locked, crossed : float
        Shares of the two-sided time in which the best bid equalled, or exceeded, the best ask.
    """

    two_sided: float
    locked: float
    crossed: float


@dataclass(frozen=True, slots=True)
class Gaps:
    """Silences between one row and the next of the same UTC day.

    Attributes
    ----------
    longer_than_s : float
        What counts as a gap, in seconds.
    count : int
        How many there are.
    longest_s : float
        The longest silence, gap or not, in seconds; 0 with fewer than two rows.
    longest_from : str
        When that one began; empty with fewer than two rows.
    """

    longer_than_s: float
    count: int
    longest_s: float
    longest_from: str


@dataclass(frozen=True, slots=True)
class Quality:
    """What `inspect` found.

    Attributes
    ----------
    files, formats : tuple of str
        The files, and what each turned out to be.
    rows : int
        Rows in the window.
    first, last : str
        Times of the first and the last row, ISO-8601 UTC.
    time_column : str
        Column that orders the rows.
    levels : int
        Levels of the book on each side.
    symbols : tuple of str
    venues : tuple of int
        Publisher ids.
    actions, sides : dict
        Rows by action and by side, as DBN characters.
    consolidated : dict of str to TimeShares
        For each symbol, the best bid and ask over all its venues.
    within_venue : dict of int to TimeShares
        For each publisher id, the venue's own quotes, over all its symbols.
    gaps : Gaps
    out_of_order, duplicates : int
        Rows whose time is before that of the row above them, and rows that repeat the one above; both in the
        whole files, whatever the window.
    missing_bid, missing_ask : float
        Shares of rows without a best bid, or ask.
    synthetic : bool
        Whether the data is generated.
    notes : tuple of str
        What reading changed.
    """

    files: tuple[str, ...]
    formats: tuple[str, ...]
    rows: int
    first: str
    last: str
    time_column: str
    levels: int
    symbols: tuple[str, ...]
    venues: tuple[int, ...]
    actions: dict[str, int]
    sides: dict[str, int]
    consolidated: dict[str, TimeShares]
    within_venue: dict[int, TimeShares]
    gaps: Gaps
    out_of_order: int
    duplicates: int
    missing_bid: float
    missing_ask: float
    synthetic: bool
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers, ready for JSON."""
        return asdict(self)


def inspect(
    source: Source,
    *,
    window: str | tuple[str, str] | None = None,
    symbols: str | Sequence[str] | None = None,
    long_gap: float = LONG_GAP_SECONDS,
) -> Quality:
    """Describe market data files. Rows out of order and repeated rows are counted, not refused.

    Parameters
    ----------
    source, window, symbols
        As for `venuewise.read`.
    long_gap : float
        Silence that counts as a gap, in seconds.

    Returns
    -------
    Quality

    Raises
    ------
    DataError
        If a file cannot be read, or nothing is left of it.
    ConfigError
        If an argument makes no sense.
    """
    if not long_gap > 0:
        raise ConfigError(f"long_gap is {long_gap}; expected seconds above 0")
    read = read_counted(source, window=window, levels=None, symbols=symbols, counts=False, repair=True)
    events = read.events
    consolidated, within = quoted_time(
        events.ts,
        events.symbol,
        events.venue,
        np.ascontiguousarray(events.bid_px[:, 0]),
        np.ascontiguousarray(events.ask_px[:, 0]),
        len(events.symbols),
        len(events.publishers),
    )
    return Quality(
        files=events.source,
        formats=read.formats,
        rows=len(events),
        first=iso(int(events.ts[0])),
        last=iso(int(events.ts[-1])),
        time_column=events.time_column,
        levels=events.levels,
        symbols=events.symbols,
        venues=events.publishers,
        actions=_by_character(events.action),
        sides=_by_character(events.side),
        consolidated=dict(zip(events.symbols, map(_shares, consolidated), strict=True)),
        within_venue=dict(zip(events.publishers, map(_shares, within), strict=True)),
        gaps=_gaps(events, long_gap),
        out_of_order=read.out_of_order,
        duplicates=read.duplicates,
        missing_bid=float(np.mean(events.bid_px[:, 0] == UNDEFINED_PRICE)),
        missing_ask=float(np.mean(events.ask_px[:, 0] == UNDEFINED_PRICE)),
        synthetic=events.synthetic,
        notes=events.notes,
    )


@kernel
def quoted_time(
    ts: Int64, symbol: Int32, venue: Int16, bid: Int64, ask: Int64, symbols: int, venues: int
) -> tuple[Int64, Int64]:
    """Return nanoseconds observed, two-sided, locked and crossed, by symbol and by venue.

    Between two rows of a symbol, its quotes are those after the first of the two. Best prices `bid` and `ask`
    have one entry for each row.
    """
    by_symbol, by_venue = np.zeros((symbols, 4), np.int64), np.zeros((venues, 4), np.int64)
    bids = np.full((symbols, venues), -1, np.int64)
    asks = np.full((symbols, venues), UNDEFINED_PRICE, np.int64)
    seen = np.zeros((symbols, venues), np.bool_)
    before = np.full(symbols, -1, np.int64)
    for row in range(len(ts)):
        s = symbol[row]
        same_day = before[s] >= 0 and ts[row] // NS_PER_DAY == before[s] // NS_PER_DAY
        elapsed = ts[row] - before[s]
        if same_day and elapsed > 0:
            best_bid, best_ask = np.int64(-1), np.int64(UNDEFINED_PRICE)
            for v in range(venues):
                if seen[s, v]:
                    best_bid, best_ask = max(best_bid, bids[s, v]), min(best_ask, asks[s, v])
                    by_venue[v, _OBSERVED] += elapsed
                    if bids[s, v] > 0 and asks[s, v] != UNDEFINED_PRICE:
                        by_venue[v, _QUOTED] += elapsed
                        by_venue[v, _LOCKED] += elapsed * (bids[s, v] == asks[s, v])
                        by_venue[v, _CROSSED] += elapsed * (bids[s, v] > asks[s, v])
            by_symbol[s, _OBSERVED] += elapsed
            if best_bid > 0 and best_ask != UNDEFINED_PRICE:
                by_symbol[s, _QUOTED] += elapsed
                by_symbol[s, _LOCKED] += elapsed * (best_bid == best_ask)
                by_symbol[s, _CROSSED] += elapsed * (best_bid > best_ask)
        elif not same_day:
            bids[s], asks[s], seen[s] = -1, UNDEFINED_PRICE, False
        before[s] = ts[row]
        bids[s, venue[row]] = bid[row] if bid[row] != UNDEFINED_PRICE else -1
        asks[s, venue[row]] = ask[row]
        seen[s, venue[row]] = True
    return by_symbol, by_venue


def _shares(nanoseconds: Int64) -> TimeShares:
    observed, quoted, locked, crossed = (int(ns) for ns in nanoseconds)
    two_sided = quoted / observed if observed else 0.0
    return TimeShares(two_sided, locked / quoted if quoted else 0.0, crossed / quoted if quoted else 0.0)


def _by_character(codes: UInt8) -> dict[str, int]:
    counts: npt.NDArray[np.int64] = np.bincount(codes)
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}


def _gaps(events: Events, long_gap: float) -> Gaps:
    ts = events.ts
    silent = np.where(ts[1:] // NS_PER_DAY == ts[:-1] // NS_PER_DAY, np.diff(ts), 0)
    if len(silent) == 0:
        return Gaps(long_gap, 0, 0.0, "")
    longest = int(silent.argmax())
    return Gaps(
        longer_than_s=long_gap,
        count=int(np.count_nonzero(silent > long_gap * NS_PER_SECOND)),
        longest_s=int(silent[longest]) / NS_PER_SECOND,
        longest_from=iso(int(ts[longest])),
    )
