"""`venuewise.backtest`: from files or events to a result that can be printed, saved and drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from venuewise.data.events import Events
from venuewise.data.reader import in_window, read
from venuewise.data.window import parse_window
from venuewise.errors import ConfigError
from venuewise.market.book import Side
from venuewise.market.venues import VenueTable, load_venues
from venuewise.report.result import BacktestResult
from venuewise.research.comparison import Progress, Settings, compare
from venuewise.research.grid import Grid
from venuewise.research.schedule import Schedule
from venuewise.simulation.engine import MOST_SHARES
from venuewise.simulation.state import LATENCY_MS, Frictions
from venuewise.strategies import Strategy
from venuewise.synthetic.widen import widen

TOPIC: Final = "kafka://"
"""Before the name of a topic that is read instead of a file."""
MOST_MS = 10**12
"""Longest age in ms, some 30 years: in nanoseconds it still is an int64."""


def backtest(
    source: Events | str | Path | Sequence[str | Path],
    *,
    order_size: int = 5000,
    side: Side = "buy",
    window: str | tuple[str, str] | None = None,
    symbol: str | None = None,
    venues: str = "asis",
    fee_table: VenueTable | str | Path | None = None,
    start: str | None = None,
    horizon: str | None = None,
    split: float = 0.5,
    grid: Grid | str | None = None,
    strategies: Sequence[Strategy] = (),
    fill: Literal["free", "exact_fill"] = "free",
    depth: int | None = None,
    slice_seconds: float | None = None,
    participation: float = 0.1,
    latency_ms: float | None = None,
    frictions: Frictions | None = None,
    max_age_ms: float | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
    repair: bool = False,
) -> BacktestResult:
    """Tune the static router and compare it with best ask, TWAP, VWAP and any strategy of yours.

    Parameters
    ----------
    source : Events, path, sequence of paths, or "kafka://TOPIC"
        Market data; paths are read with `venuewise.read`.
    order_size : int
        Shares of every parent order.
    side : {"buy", "sell"}
    window : str or tuple of str, optional
        UTC times between which the data count: ("13:36:32", "13:45:14"), or both in one text.
    symbol : str, optional
        Needed where the data hold several.
    venues : str
        "asis"; "levels" (walk all levels of one book); "synthetic:N" (widen one venue to N synthetic ones).
    fee_table : VenueTable or path, optional
        Replaces or extends the packaged fees.
    start : str, optional
        "first" (default), one order at the beginning of each part; "every:30s", one at each multiple.
    horizon : str, optional
        Time that each order has. Default: all there is for a single order, a fifth of it for many.
    split : float
        Share of the time that parameters are chosen on; results are quoted from the rest. 0: both on all.
    grid : Grid or str, optional
        Parameters to try (`Grid.parse` reads text). Default: the classic 125 points.
    strategies : sequence of Strategy
        Compared beside the built-in ones, under their own names.
    fill : {"free", "exact_fill"}
        May the router leave shares for later?
    depth : int, optional
        Levels of each venue that strategies see. Default 1, with `venues="levels"` all.
    slice_seconds : float, optional
        Slices of TWAP and of the VWAP schedule. Default: a minute where an order has time for ten of them, else a
        tenth of its time.
    participation : float
        Share of the printed volume that `pov` keeps to.
    latency_ms : float, optional
        From a decision to the venue. Default: that of `frictions`; 0.5 where they are not given. 0: none.
    frictions : Frictions, optional
        Latency, queue priority, slippage, adverse selection, taken as they are. Default: latency alone.
    max_age_ms : float, optional
        A venue that has been silent for longer does not take part. Default: no limit.
    seed : int
        Draws the synthetic venues and the adverse moves.
    workers : int, optional
        Threads; the result does not depend on it. Default: one for each processor.
    progress : callable, optional
        Called with the runs done and the runs in all.
    repair : bool
        Sort rows that go back in time and drop duplicates, instead of refusing the file.

    Raises
    ------
    DataError
        If the data cannot be read.
    ConfigError
        If a setting makes no sense.
    AccountingError
        If shares or money do not reconcile; a fault of ours.

    Examples
    --------
    >>> import venuewise as vw
    >>> events = vw.generate(duration="20s", seed=3)
    >>> result = vw.backtest(events, order_size=800, grid="lambda_under=0.005:0.02:4", workers=1)
    >>> result.to_dict()["optimized"]["shares_filled"]
    800
    """
    for name, value, least, most in (
        ("order_size", order_size, 1, MOST_SHARES), ("seed", seed, 0, 2**63 - 1),
        ("max_age_ms", max_age_ms, 0, MOST_MS), ("workers", workers, 1, 1024),
    ):  # fmt: skip
        if value is not None and not least <= value <= most:
            raise ConfigError(f"{name}: found {value}; expected a number from {least} to {most}")
    table = fee_table if isinstance(fee_table, VenueTable) else load_venues(fee_table)
    if isinstance(source, Events):
        if window is not None:
            raise ConfigError("window: found one beside data in memory; expected it with files only")
        events = source
    elif isinstance(source, str) and source.startswith(TOPIC):
        events = _topic(source.removeprefix(TOPIC), window)
    else:
        if not isinstance(source, str | Path) and any(str(item).startswith(TOPIC) for item in source):
            raise ConfigError(f"found a topic among {len(source)} sources; expected it alone")
        events = read(source, window=window, repair=repair)
    events = _one_symbol(events, symbol)
    events, depth = _venues(events, venues, depth, seed)
    settings = Settings(
        order_size=order_size,
        side=side,
        symbol=events.symbols[int(events.symbol[0])] if len(events) else "",
        venues=venues,
        schedule=Schedule.parse(start, horizon),
        split=split,
        grid=grid if isinstance(grid, Grid) else Grid() if grid is None else Grid.parse(grid),
        fill=fill,
        depth=depth,
        slice_seconds=slice_seconds,
        participation=participation,
        frictions=_frictions(frictions, latency_ms),
        max_age_ms=max_age_ms,
        seed=seed,
    )
    return BacktestResult(
        compare(settings, events, table, strategies, workers or os.cpu_count() or 1, progress)
    )


def _frictions(frictions: Frictions | None, latency_ms: float | None) -> Frictions:
    if frictions is None:
        return Frictions(latency_ms=LATENCY_MS if latency_ms is None else latency_ms)
    return frictions if latency_ms is None else replace(frictions, latency_ms=latency_ms)


def _topic(topic: str, window: str | tuple[str, str] | None) -> Events:
    """Read what a topic holds; the broker is that of the settings (KAFKA_BOOTSTRAP_SERVERS)."""
    try:
        from venuewise.kafka.settings import check_topic, load
        from venuewise.kafka.source import read_topic
    except ImportError as error:
        raise ConfigError(
            f"{TOPIC}{topic}: found no {error.name}, which reading a topic needs; "
            "expected pip install 'venuewise[kafka]'"
        ) from None
    check_topic(topic, TOPIC + topic)
    events, poison = read_topic(load(), topic)
    if poison:
        note = f"{len(poison)} messages of the topic are no market data; the first: {poison[0].reason}."
        events = replace(events, notes=(*events.notes, note))
    return events if window is None else in_window(events, parse_window(window), TOPIC + topic)


def _one_symbol(events: Events, symbol: str | None) -> Events:
    present = sorted({events.symbols[code] for code in np.unique(events.symbol)})
    if symbol is None and len(present) > 1:
        raise ConfigError(
            f"symbol: found {len(present)} ({', '.join(present[:8])}); expected a choice of one"
        )
    if symbol is not None and symbol not in present:
        raise ConfigError(f"symbol: found {symbol!r}; expected one of {', '.join(present[:8])}")
    return events if symbol is None else events.only_symbol(symbol)


def _venues(events: Events, venues: str, depth: int | None, seed: int) -> tuple[Events, int]:
    if depth is not None and depth < 1:
        raise ConfigError(f"depth: found {depth}; expected at least 1 level")
    if venues == "asis":
        return events, depth or 1
    if venues == "levels":
        if len(events.publishers) != 1:
            raise ConfigError(
                f"venues levels: found {len(events.publishers)} venues; expected the book of one"
            )
        return events, depth or events.levels
    number = venues.removeprefix("synthetic:")
    if venues.startswith("synthetic:") and number.isdecimal():
        return widen(events, int(number), seed), depth or 1
    raise ConfigError(f"venues: found {venues!r}; expected asis, levels or synthetic:N")
