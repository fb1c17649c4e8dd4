"""`inspect`: what a file holds, and how far it can be trusted, before anything is computed from it.

Shares of time weigh each state of the quotes by how long it stood: a market crossed for a microsecond counts
for a microsecond. Time is counted within a symbol's sessions only (`venuewise.data.sessions`), and each begins with no
quotes. The consolidated best is that of `venuewise.market.book`, which routers and backtests see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.data.events import (
    ACTION_CLEAR,
    NS_PER_SECOND,
    UNDEFINED_PRICE,
    Events,
    Int16,
    Int64,
    UInt8,
)
from venuewise.data.reader import Source, iso, read_counted
from venuewise.data.sessions import SESSION_GAP, begins_session, sessions_of
from venuewise.errors import ConfigError
from venuewise.market.book import best_prices, shown

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
    """Silences of all symbols, between one row and the next; those of more than an hour end sessions instead.

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
    sessions : dict of str to int
        Sessions of each symbol: one for each day, unless data are missing in between.
    consolidated : dict of str to TimeShares
        For each symbol, the best bid and ask over the venues that take part: those crossed with themselves do not.
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
    sessions: dict[str, int]
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
        raise ConfigError(f"long_gap: found {long_gap}; expected seconds above 0")
    read = read_counted(source, window=window, levels=None, symbols=symbols, counts=False, repair=True)
    events = read.events
    sessions: dict[str, int] = {}
    consolidated: dict[str, TimeShares] = {}
    within = np.zeros((len(events.publishers), 4), np.int64)
    best = replace(
        events, **{name: getattr(events, name)[:, :1] for name in ("bid_px", "bid_sz", "ask_px", "ask_sz")}
    )
    for code, symbol in enumerate(events.symbols):
        part = best if len(events.symbols) == 1 else best.take(events.symbol == code)
        sessions[symbol] = len(sessions_of(part.ts))
        consolidated[symbol] = _shares(quoted_time(part, within))
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
        sessions=sessions,
        consolidated=consolidated,
        within_venue=dict(zip(events.publishers, map(_shares, within), strict=True)),
        gaps=_gaps(events, long_gap),
        out_of_order=read.out_of_order,
        duplicates=read.duplicates,
        missing_bid=float(np.mean(events.bid_px[:, 0] == UNDEFINED_PRICE)),
        missing_ask=float(np.mean(events.ask_px[:, 0] == UNDEFINED_PRICE)),
        synthetic=events.synthetic,
        notes=events.notes,
    )


def quoted_time(events: Events, within: Int64) -> Int64:
    """Return nanoseconds observed, two-sided, locked and crossed of the consolidated best, for one symbol's rows.

    The same for each venue by itself is added to `within`, shape (venues, 4). Between two rows, the quotes are those
    after the first of the two.
    """
    cleared = events.action == ACTION_CLEAR
    bid, ask = (
        np.where(cleared, UNDEFINED_PRICE, shown(px, sz))
        for px, sz in ((events.bid_px, events.bid_sz), (events.ask_px, events.ask_sz))
    )
    total = np.zeros(4, np.int64)
    add_times(np.ascontiguousarray(events.ts), events.venue, bid, ask, *best_prices(events), total, within)
    return total


@kernel
def add_times(
    ts: Int64, venue: Int16, bid: Int64, ask: Int64, best_bid: Int64, best_ask: Int64, total: Int64, within: Int64
) -> None:  # fmt: skip
    """Add the times between one symbol's rows: of the best prices to `total`, of each venue's own to `within`."""
    venues = len(within)
    last = np.full(venues, -1, np.int64)
    for row in range(1, len(ts)):
        last[venue[row - 1]] = row - 1
        elapsed = ts[row] - ts[row - 1]
        if begins_session(ts[row - 1], ts[row]):
            last[:] = -1
            continue
        add_time(total, elapsed, best_bid[row - 1], best_ask[row - 1])
        for v in range(venues):
            if last[v] >= 0:
                add_time(within[v], elapsed, bid[last[v]], ask[last[v]])


@kernel
def add_time(total: Int64, elapsed: int, bid: int, ask: int) -> None:
    """Add a time during which these prices stood."""
    total[_OBSERVED] += elapsed
    if bid != UNDEFINED_PRICE and ask != UNDEFINED_PRICE:
        total[_QUOTED] += elapsed
        total[_LOCKED] += elapsed * (bid == ask)
        total[_CROSSED] += elapsed * (bid > ask)


def _shares(nanoseconds: Int64) -> TimeShares:
    observed, quoted, locked, crossed = (int(ns) for ns in nanoseconds)
    two_sided = quoted / observed if observed else 0.0
    return TimeShares(two_sided, locked / quoted if quoted else 0.0, crossed / quoted if quoted else 0.0)


def _by_character(codes: UInt8) -> dict[str, int]:
    counts: npt.NDArray[np.int64] = np.bincount(codes)
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}


def _gaps(events: Events, long_gap: float) -> Gaps:
    ts = events.ts
    silent = np.diff(ts)
    silent = np.where(silent > SESSION_GAP, 0, silent)
    if len(silent) == 0:
        return Gaps(long_gap, 0, 0.0, "")
    longest = int(silent.argmax())
    return Gaps(
        longer_than_s=long_gap,
        count=int(np.count_nonzero(silent > long_gap * NS_PER_SECOND)),
        longest_s=int(silent[longest]) / NS_PER_SECOND,
        longest_from=iso(int(ts[longest])),
    )
