"""Estimate queue outflows from market data: joint samples over venues, strictly from the past.

The outflow xi_k of venue k over a horizon T is what leaves the front of the queue that we would have joined at
its best quote: shares executed there, and shares cancelled ahead of us, the latter in proportion to our place
(see `outflow_kernels`). Windows of all venues start together, so a row of the sample keeps the
dependence between venues. A window enters the estimate at time t only once it has ended by t.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from venuewise.data.durations import parse_duration
from venuewise.data.events import ACTION_CLEAR, UNDEFINED_PRICE, Events
from venuewise.data.sessions import begins_session, session_starts
from venuewise.errors import ConfigError
from venuewise.outflow.kernels import AWAY, INVALID, THROUGH, VenueRows, Windows, measure_windows
from venuewise.placement.problem import Side

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]
Passing = Literal["trade", "quote"]

NS_PER_DAY: Final = 86_400_000_000_000
MOST_WINDOWS: Final = 1_000_000
"""More of them would overlap nearly whole, and fill the memory."""


@dataclass(frozen=True, slots=True)
class OutflowSample:
    """Outflows of all venues in windows that start together.

    Attributes
    ----------
    publishers : tuple of int
        Publisher id of each venue (K).
    horizon : int
        Length of a window in nanoseconds.
    side : {"buy", "sell"}
        Side of the order that would rest: bids for a buy.
    start : ndarray of int64, shape (N,)
        Starts of the windows, nanoseconds UTC.
    queue : ndarray, shape (N, K)
        Q_k, shares displayed at the best quote at the start.
    price : ndarray of int64, shape (N, K)
        That quote, in 1e-9 dollars.
    executed, cancelled, behind : ndarray, shape (N, K)
        Shares traded at that price, cancelled ahead of us, and cancelled behind us.
    passed, away : ndarray of bool, shape (N, K)
        Whether the market went through our price (we are filled), or ended at a better quote (we are behind).
    """

    publishers: tuple[int, ...]
    horizon: int
    side: Side
    start: Int64
    queue: Float64
    price: Int64
    executed: Float64
    cancelled: Float64
    behind: Float64
    passed: npt.NDArray[np.bool_]
    away: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def outflow(self) -> Float64:
        """xi in shares, shape (N, K): executed + cancelled ahead; infinite where the market passed our price."""
        return np.where(self.passed, np.inf, self.executed + self.cancelled)

    def take(self, rows: npt.NDArray[np.bool_] | Int64) -> OutflowSample:
        """Return some of the windows."""
        columns = ("start", "queue", "price", "executed", "cancelled", "behind", "passed", "away")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def known_at(
        self,
        at: int,
        *,
        lookback: str | float | None = None,
        time_of_day: str | float | None = None,
    ) -> OutflowSample:
        """Return the windows that a decision at time `at` may know of.

        Parameters
        ----------
        at : int
            Nanoseconds UTC. Only windows that have ended by then are kept.
        lookback : str or float, optional
            How far back windows may start, such as "10m"; without it, to the beginning.
        time_of_day : str or float, optional
            Keep windows that start within this much of the same UTC time of day, on any day.
        """
        keep = self.start + self.horizon <= at
        if lookback is not None:
            keep &= self.start >= at - parse_duration(lookback, "lookback")
        if time_of_day is not None:
            apart = np.abs((self.start - at) % NS_PER_DAY)
            keep &= np.minimum(apart, NS_PER_DAY - apart) <= parse_duration(time_of_day, "time_of_day")
        return self.take(keep)


def estimate_outflow(
    events: Events,
    *,
    horizon: str | float = "60s",
    every: str | float | None = None,
    side: Side = "buy",
    passing: Passing = "trade",
    symbol: str | None = None,
) -> OutflowSample:
    """Measure queue outflows on a grid of start times.

    Parameters
    ----------
    events : Events
        Market data of one symbol, or with `symbol` given.
    horizon : str or float, default "60s"
        T, as text with units or in seconds.
    every : str or float, optional
        Time between starts; the horizon if not given. Closer starts give more windows that overlap, and
        overlapping windows are not independent.
    side : {"buy", "sell"}
        A buy rests at the best bids, a sell at the best asks.
    passing : {"trade", "quote"}
        What proves that the market went through our price and filled us: a trade beyond it or an opposite
        quote at it ("trade"), or a best quote worse than ours as well ("quote", the more hopeful reading: the
        queue may have been cancelled away with no seller in sight).
    symbol : str, optional
        Which symbol, where the data hold several.

    Returns
    -------
    OutflowSample
        Windows in which every venue had a quote at the start, each within one session (`venuewise.data.sessions`).

    Raises
    ------
    ConfigError
        If the data hold several symbols and none is chosen, or an option is not known.

    Examples
    --------
    >>> import venuewise as vw
    >>> events = vw.generate(venues=2, duration="60s", seed=7)
    >>> sample = vw.estimate_outflow(events, horizon="5s")
    >>> sample.outflow.shape
    (10, 2)
    """
    if side not in get_args(Side):
        raise ConfigError(f"side: found {side!r}; expected {' or '.join(get_args(Side))}")
    if passing not in get_args(Passing):
        raise ConfigError(f"passing: found {passing!r}; expected {' or '.join(get_args(Passing))}")
    events = one_symbol(events, symbol)
    span = parse_duration(horizon, "horizon")
    step = span if every is None else parse_duration(every, "every")
    venues = len(events.publishers)
    # Windows start and end in one session, and see the rows of that session alone.
    firsts = session_starts(events.ts)
    ends = np.append(firsts[1:], len(events))
    times = [
        range(int(events.ts[first]) + step, int(events.ts[last]) - span + 1, step)
        for first, last in zip(firsts, ends - 1, strict=True)
    ]
    windows = sum(map(len, times))
    if windows > MOST_WINDOWS:
        name, found = ("horizon", horizon) if every is None else ("every", every)
        raise ConfigError(
            f"{name}: found {found!r}, which makes {windows:,} windows; expected at most {MOST_WINDOWS:,}"
        )
    grids = [some.start + step * np.arange(len(some), dtype=np.int64) for some in times]
    starts = np.concatenate([np.empty(0, np.int64), *grids])
    upto = np.cumsum([grid.size for grid in grids])
    shape = (venues, starts.size)
    queue, executed, cancelled, behind = (np.zeros(shape) for _ in range(4))
    price = np.full(shape, UNDEFINED_PRICE)
    end = np.full(shape, INVALID, np.uint8)
    own_px, own_sz, other_px = own_side(events, side)
    for k in range(venues):
        of_venue = np.flatnonzero(events.venue == k)
        for first, last, grid, stop in zip(firsts, ends, grids, upto, strict=True):
            rows = of_venue[np.searchsorted(of_venue, first) : np.searchsorted(of_venue, last)]
            some = slice(stop - grid.size, stop)
            measure_windows(
                grid, span, side == "sell", passing == "quote",
                VenueRows(
                    events.ts[rows], events.ts_event[rows], events.action[rows], events.side[rows],
                    events.price[rows], events.size[rows], own_px[rows], own_sz[rows], other_px[rows, 0],
                ),
                Windows(
                    queue[k, some], price[k, some], executed[k, some], cancelled[k, some], behind[k, some], end[k, some]
                ),
            )  # fmt: skip
    sample = OutflowSample(
        publishers=events.publishers,
        horizon=span,
        side=side,
        start=starts,
        queue=queue.T,
        price=price.T,
        executed=executed.T,
        cancelled=cancelled.T,
        behind=behind.T,
        passed=(end == THROUGH).T,
        away=(end == AWAY).T,
    )
    return sample.take(np.all(end != INVALID, axis=0))


def queues_at(events: Events, at: int, *, side: Side = "buy", symbol: str | None = None) -> Float64:
    """Return the shares displayed at each venue's best quote at a time: the queues that we would join.

    Parameters
    ----------
    events : Events
        Market data of one symbol, or with `symbol` given.
    at : int
        Nanoseconds UTC; rows up to and including it count, if they are of its session.
    side : {"buy", "sell"}
        Best bids for a buy, best asks for a sell.
    symbol : str, optional
        Which symbol, where the data hold several.

    Returns
    -------
    ndarray, shape (K,)
        NaN where a venue has no quote.
    """
    events = one_symbol(events, symbol)
    _, own_sz, _ = own_side(events, side)
    queues = np.full(len(events.publishers), np.nan)
    past = int(np.searchsorted(events.ts, at, side="right"))
    if past == 0 or begins_session(int(events.ts[past - 1]), at):
        return queues
    first = int(session_starts(events.ts[:past])[-1])
    for k in range(queues.size):
        rows = first + np.flatnonzero(events.venue[first:past] == k)
        if rows.size and events.action[rows[-1]] != ACTION_CLEAR and own_sz[rows[-1], 0] > 0:
            queues[k] = own_sz[rows[-1], 0]
    return queues


def own_side(events: Events, side: Side) -> tuple[Int64, Int64, Int64]:
    """Prices and sizes of the side that an order rests on, and prices of the opposite side."""
    if side == "buy":
        return events.bid_px, events.bid_sz, events.ask_px
    return events.ask_px, events.ask_sz, events.bid_px


def one_symbol(events: Events, symbol: str | None) -> Events:
    """Return the rows of the symbol asked for, or of the only one."""
    if symbol is None:
        if len(events.symbols) > 1:
            raise ConfigError(
                f"symbol: found {', '.join(events.symbols)} in the data; expected a choice of one"
            )
        return events
    if symbol not in events.symbols:
        raise ConfigError(f"symbol: found {symbol!r}; expected one of {', '.join(events.symbols)}")
    return events.only_symbol(symbol)
