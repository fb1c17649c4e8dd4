"""Adverse selection of resting orders: how the market moves after it has filled them.

A buy order that rests is filled by sellers, and sellers are sometimes right: the mid falls after the fill. The
average fall over a delay, in dollars per share, comes off the rebate in the placement model (`adverse_selection`
of `place`). It is measured on all trades at which an order resting at that venue was filled, weighted by size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from venuewise.data.durations import parse_duration
from venuewise.data.events import ACTION_TRADE, PRICE_SCALE, SIDE_ASK, SIDE_BID, Events
from venuewise.data.sessions import session_starts
from venuewise.market.book import best_prices, mid_prices
from venuewise.outflow.estimate import one_symbol
from venuewise.placement.problem import Side

Float64 = npt.NDArray[np.float64]


def adverse_selection(
    events: Events, *, delay: str | float = "1s", side: Side = "buy", symbol: str | None = None
) -> Float64:
    """Measure what fills of resting orders lose to the move of the mid after them.

    Parameters
    ----------
    events : Events
        Market data of one symbol, or with `symbol` given; the past only, if a decision is to rest on it.
    delay : str or float, default "1s"
        How long after the trade the mid is looked at again, as text with units or in seconds.
    side : {"buy", "sell"}
        Side of the resting order: a buy is filled by sellers and loses when the mid falls.
    symbol : str, optional
        Which symbol, where the data hold several.

    Returns
    -------
    ndarray, shape (K,)
        Dollars per share by venue, size-weighted; negative where the market moved in our favour, NaN where a
        venue has no trade of that kind with a mid before it and `delay` after it, in one session.

    Raises
    ------
    ConfigError
        If the data hold several symbols and none is chosen.

    Examples
    --------
    >>> import venuewise as vw
    >>> events = vw.generate(venues=2, duration="20s", seed=7)
    >>> vw.adverse_selection(events, delay="500ms").shape
    (2,)
    """
    events = one_symbol(events, symbol)
    wait = parse_duration(delay, "delay")
    venues = len(events.publishers)
    mid = mid_prices(*best_prices(events))
    aggressor = SIDE_ASK if side == "buy" else SIDE_BID
    filled = np.flatnonzero((events.action == ACTION_TRADE) & (events.side == aggressor))
    # A trade whose session ends before the delay does is not looked back on.
    edges = np.append(session_starts(events.ts)[1:], len(events))
    if len(events):
        last = edges[np.searchsorted(edges, filled, side="right")] - 1
        filled = filled[events.ts[filled] + wait <= events.ts[last]]
    later = np.searchsorted(events.ts, events.ts[filled] + wait, side="right") - 1
    lost = (mid[filled] - mid[later]) / PRICE_SCALE * (1.0 if side == "buy" else -1.0)
    known = np.isfinite(lost)
    filled, lost = filled[known], lost[known]
    shares = events.size[filled].astype(np.float64)
    traded = np.bincount(events.venue[filled], shares, venues)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(events.venue[filled], shares * lost, venues) / traded)
