"""A synthetic market of several venues, in the layout of the real feed.

For examples, tests and benchmarks where no real data is at hand: the rows follow the conventions of MBP-10,
the books are consistent, and a seed gives the same bytes every time. It never passes for real data: its
`Events` say `synthetic`, and so do the files written from them. The model and its limits stand in
docs/synthetic.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from venuewise.data.durations import parse_duration
from venuewise.data.events import NS_PER_SECOND, PRICE_SCALE, Events
from venuewise.errors import ConfigError
from venuewise.synthetic.books import LEVELS, Books, Rows
from venuewise.synthetic.kernels import (
    BIG_MOVE,
    BIG_MOVE_SHARE,
    Flow,
    News,
    Quoting,
    Venues,
    efficient_price,
    simulate,
    stamp,
)


class _Profile(NamedTuple):
    """How a venue behaves: weight of its activity, queue at the best against the mean, delay to news."""

    activity: float
    queue: float
    delay_us: float


VENUE_PROFILES: Final[dict[int, _Profile]] = {
    2: _Profile(0.30, 1.3, 300),
    5: _Profile(0.18, 1.0, 450),
    8: _Profile(0.17, 1.1, 500),
    6: _Profile(0.10, 0.6, 700),
    15: _Profile(0.14, 0.9, 600),
    9: _Profile(0.10, 1.0, 800),
    43: _Profile(0.14, 1.0, 550),
    3: _Profile(0.05, 0.6, 900),
    16: _Profile(0.05, 0.7, 1000),
    7: _Profile(0.05, 0.6, 750),
    38: _Profile(0.05, 0.8, 1500),
    4: _Profile(0.03, 0.5, 1000),
    10: _Profile(0.03, 0.5, 1300),
    11: _Profile(0.02, 0.5, 1300),
    12: _Profile(0.02, 0.4, 2000),
    80: _Profile(0.01, 0.4, 2500),
}
"""Publisher ids that `venues=N` takes in this order; an inverted venue (6) is among the first five."""
OTHER_VENUE: Final = _Profile(0.05, 0.8, 1000)
"""Profile of any other publisher id."""
OPENING_PRICES: Final = (222.0, 415.0, 138.0, 186.0, 165.0, 582.0, 52.0, 34.0)
"""Dollars at which the first, second, ... symbol opens, in turn."""

MOST_VENUES: Final = 64
MOST_ROWS: Final = 20_000_000
NEWS_RATE: Final = 50.0
"""Jumps of the efficient price a second."""
TRADING_SECONDS_A_YEAR: Final = 252 * 23_400
_SYMBOL: Final = re.compile(r"[A-Za-z0-9._/-]{1,20}")
_FEED_DELAY_NS: Final = 160_000.0
_EDGE_TICKS: Final = 100  # between the bounds of the efficient price and those of the books
_MOST_TICKS: Final = 20_000
_HEADROOM: Final = 1.15  # rows foreseen against `rate`; a run that needs more is run again
_SPARE_ROWS: Final = 1_000
_BURST_GAP_NS: Final = 8_000.0  # at most, between the rows of one reaction
_JUMP_VARIANCE: Final = 1.0 - BIG_MOVE_SHARE + BIG_MOVE_SHARE * BIG_MOVE**2  # against its scale
# Measured over volatilities of 0.1 to 1 and rates of 200 to 1,600, to meet `rate` and `trade_share` closely:
_LEVELS_A_TRADE: Final = 1.32  # levels that a trade takes from
_FLOW_ROWS: Final = 1.65  # rows of adds and cancels for each add drawn; those beyond ten levels do not show
_REQUOTES: Final = 6.6  # rows a second and venue for each tick of volatility, where that is well over a tick


def generate(
    venues: int | Sequence[int] = 5,
    symbols: Sequence[str] = ("AAPL",),
    duration: str | float = "10m",
    seed: int = 7,
    *,
    start: str | int = "2024-10-21T14:00:00Z",
    rate: float = 400.0,
    price: float | Sequence[float] | None = None,
    tick: float = 0.01,
    volatility: float = 0.25,
    half_spread: float = 0.0025,
    mean_queue: float = 300.0,
    odd_lots: float = 0.35,
    trade_share: float = 0.05,
    delay_scale: float = 1.0,
) -> Events:
    """Generate rows of a market that several venues share.

    Parameters
    ----------
    venues : int or sequence of int
        How many venues, taken from `VENUE_PROFILES` in order (at most 16), or publisher ids (at most 64).
    symbols : sequence of str
        Independent markets, merged by time.
    duration : str or float
        Span: "90s", "10m", "1h30m" or seconds.
    seed : int
        Same seed and parameters, same bytes. A symbol's market depends on its position alone.
    start : str or int
        ISO-8601 time (UTC where it names no offset), or nanoseconds since 1970.
    rate : float
        Rows a second and symbol, about: at least what repricing alone writes, which grows with volatility.
    price : float or sequence of float, optional
        Opening price in dollars, one for all or one a symbol; by default from `OPENING_PRICES`.
    tick : float
        Price grid in dollars.
    volatility : float
        Of the efficient price, annualised (252 days of 6.5 hours).
    half_spread : float
        Dollars that quotes keep from the efficient price, before rounding outward to the tick.
    mean_queue : float
        Shares at the best around which a venue's queue settles, before its own factor.
    odd_lots : float
        Share of orders under 100 shares, from 0 to 1.
    trade_share : float
        Share of the rows of the order flow that are trades, from 0 to 0.4; stale quotes hit come on top.
    delay_scale : float
        Multiplies every venue's delay to the efficient price (0.3 to 2.5 ms on average).

    Returns
    -------
    Events
        10 levels with order counts, `synthetic` true.

    Raises
    ------
    ConfigError
        If a parameter makes no sense.

    Examples
    --------
    >>> events = generate(venues=2, duration="5s", seed=1)
    >>> events.publishers, events.levels, events.synthetic
    ((2, 5), 10, True)
    """
    publishers = _publishers(venues)
    names = _symbols(symbols)
    span = parse_duration(duration)
    begin = _start(start)
    tick_units = _units("tick", tick)
    openings = _openings(price, len(names))
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise ConfigError(f"seed: found {seed!r}; expected a whole number from 0 to 2^63 - 1")
    _between("rate", rate, 0.1, 1_000_000)
    _between("volatility", volatility, 0, 10)
    _between("half_spread", half_spread, 0, 100)
    _between("mean_queue", mean_queue, 1, 1e9)
    _between("odd_lots", odd_lots, 0, 1)
    _between("trade_share", trade_share, 0, 0.4)
    _between("delay_scale", delay_scale, 0, 100)
    expected = rate * span / NS_PER_SECOND * len(names)
    if expected > MOST_ROWS:
        raise ConfigError(
            f"rate and duration: found {expected:,.0f} rows; expected at most {MOST_ROWS:,} in one call"
        )

    profiles = [VENUE_PROFILES.get(publisher, OTHER_VENUE) for publisher in publishers]
    activity = np.cumsum([profile.activity for profile in profiles])
    tick_dollars = tick_units / PRICE_SCALE
    markets = [
        _market(
            _random([seed, index]),
            activity / activity[-1],
            np.array([profile.queue for profile in profiles]) * mean_queue,
            np.array([profile.delay_us for profile in profiles]) * (1_000.0 * delay_scale),
            opening=opening,
            tick=tick_units,
            sigma=opening * volatility / math.sqrt(TRADING_SECONDS_A_YEAR) / tick_dollars,
            half_spread=half_spread / tick_dollars,
            rate=float(rate),
            trade_share=float(trade_share),
            odd_lots=float(odd_lots),
            begin=begin,
            span=span,
        )
        for index, opening in enumerate(openings)
    ]
    rows, codes = _merged(markets)
    ts_recv, event_price, size = (rows.fields[field].copy() for field in (0, 5, 6))
    venue = rows.fields[1].astype(np.int16)
    action, side, depth = (rows.fields[field].astype(np.uint8) for field in (2, 3, 4))
    ts_event, sequence = np.empty_like(ts_recv), np.empty_like(ts_recv)
    feed_delays = np.array([_FEED_DELAY_NS + 7_000.0 * v for v in range(len(publishers))])
    stamp(_random([seed, len(names), 1]), ts_recv, venue, codes, action, feed_delays, ts_event, sequence)
    bid_px, ask_px, bid_sz, ask_sz, bid_ct, ask_ct = rows.levels
    return Events(
        ts_event=ts_event,
        ts_recv=ts_recv,
        venue=venue,
        action=action,
        side=side,
        depth=depth,
        price=event_price,
        size=size,
        sequence=sequence,
        symbol=codes,
        bid_px=bid_px,
        ask_px=ask_px,
        bid_sz=bid_sz,
        ask_sz=ask_sz,
        bid_ct=bid_ct,
        ask_ct=ask_ct,
        publishers=publishers,
        symbols=names,
        synthetic=True,
        notes=(f"generated with seed {seed}: not real quotes",),
    )


def _random(entropy: list[int]) -> npt.NDArray[np.uint64]:
    """Return the first state of a generator."""
    return np.random.SeedSequence(entropy).generate_state(4, np.uint64).astype(np.uint64)


def _market(
    random: npt.NDArray[np.uint64],
    activity: npt.NDArray[np.float64],
    queues: npt.NDArray[np.float64],
    delays_ns: npt.NDArray[np.float64],
    *,
    opening: float,
    tick: int,
    sigma: float,
    half_spread: float,
    rate: float,
    trade_share: float,
    odd_lots: float,
    begin: int,
    span: int,
) -> Rows:
    """Run one symbol. `sigma` is in ticks a square-root second, `half_spread` in ticks, times in ns."""
    venues = len(queues)
    seconds = span / NS_PER_SECOND
    opening_tick = opening * PRICE_SCALE / tick
    reach = math.ceil(6.0 * sigma * math.sqrt(seconds) + half_spread) + 2 * _EDGE_TICKS
    half_width = min(reach, _MOST_TICKS, round(opening_tick) - 1)
    if half_width < 2 * _EDGE_TICKS or half_spread > half_width - _EDGE_TICKS:
        raise ConfigError(
            f"price: found {opening:g}, too few ticks of {tick / PRICE_SCALE:g} above 0; "
            f"expected {2 * _EDGE_TICKS + 1} ticks or more, beyond half the spread"
        )
    base = round(opening_tick) - half_width
    width = 2 * half_width + 1
    jumps = int(NEWS_RATE * seconds + 6.0 * math.sqrt(NEWS_RATE * seconds) + 10)
    news_time = np.empty(jumps, np.int64)
    news_price = np.empty(jumps)
    first = opening_tick - base
    low, high = float(_EDGE_TICKS), float(width - _EDGE_TICKS)
    jump_scale = sigma / math.sqrt(NEWS_RATE * _JUMP_VARIANCE)
    efficient_price(random, news_time, news_price, first, low, high, jump_scale, NEWS_RATE)

    trade_weight = trade_share * _FLOW_ROWS / (_LEVELS_A_TRADE * (1.0 - 2.0 * trade_share))
    rows_a_draw = (2.0 * _LEVELS_A_TRADE * trade_weight + _FLOW_ROWS) / (trade_weight + 3.0)
    requotes = _REQUOTES * venues * sigma * sigma / (sigma + 0.6)
    if requotes > rate:
        raise ConfigError(
            f"rate: found {rate:g}, and some {requotes:,.0f} rows a second of repricing alone; "
            "expected a higher rate, less volatility or fewer venues"
        )
    draw_rate = max(rate - requotes, 0.3 * rate) / rows_a_draw
    gap_ns = min(_BURST_GAP_NS, 0.1 * NS_PER_SECOND / rate)

    capacity = int(_HEADROOM * rate * seconds) + _SPARE_ROWS
    while True:
        rows = Rows(np.empty((7, capacity), np.int64), np.empty((6, capacity, LEVELS), np.int64))
        books = Books(
            ticks=np.zeros((2, venues, 2, width), np.int64),
            best=np.full((venues, 2), -1, np.int64),
            top=np.zeros((6, venues, LEVELS), np.int64),
        )
        written = simulate(
            random.copy(), rows, books, News(news_time, news_price, first), Venues(activity, queues, delays_ns),
            Flow(draw_rate, trade_weight), Quoting(half_spread, odd_lots, gap_ns, base, tick), begin, begin + span,
        )  # fmt: skip
        if written <= capacity:
            return Rows(rows.fields[:, :written], rows.levels[:, :written])
        capacity = written  # the same seed needs just as many rows again


def _merged(markets: list[Rows]) -> tuple[Rows, npt.NDArray[np.int32]]:
    """Merge the symbols' rows by time of receipt; at equal times the earlier symbol comes first."""
    codes = np.repeat(np.arange(len(markets), dtype=np.int32), [market.fields.shape[1] for market in markets])
    if len(markets) == 1:
        return markets[0], codes
    fields = np.concatenate([market.fields for market in markets], axis=1)
    order = np.argsort(fields[0], kind="stable")
    levels = np.empty((6, len(order), LEVELS), np.int64)
    for block in range(6):
        together = np.concatenate([market.levels[block] for market in markets])
        np.take(together, order, axis=0, out=levels[block], mode="clip")  # clip: no copy for checking
    return Rows(fields[:, order], levels), codes[order]


def _publishers(venues: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(venues, int):
        if not 1 <= venues <= len(VENUE_PROFILES):
            raise ConfigError(
                f"venues: found {venues}; expected 1 to {len(VENUE_PROFILES)}, or a list of publisher ids"
            )
        return tuple(VENUE_PROFILES)[:venues]
    publishers = tuple(venues)
    if not 1 <= len(publishers) <= MOST_VENUES or len(set(publishers)) != len(publishers):
        raise ConfigError(
            f"venues: found {list(publishers)}; expected 1 to {MOST_VENUES} different publisher ids"
        )
    for publisher in publishers:
        if not isinstance(publisher, int) or isinstance(publisher, bool) or not 0 < publisher < 2**16:
            raise ConfigError(
                f"venues: found publisher id {publisher!r}; expected a whole number from 1 to 65535"
            )
    return publishers


def _symbols(symbols: Sequence[str]) -> tuple[str, ...]:
    names = (symbols,) if isinstance(symbols, str) else tuple(symbols)
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"symbols: found {list(names)}; expected one or more different names")
    for name in names:
        if not isinstance(name, str) or not _SYMBOL.fullmatch(name):
            raise ConfigError(f"symbols: found {name!r}; expected 1 to 20 letters, digits or any of . _ / -")
    return names


def _start(start: str | int) -> int:
    if isinstance(start, int):
        begin = start
    else:
        try:
            moment = datetime.fromisoformat(start)
        except (TypeError, ValueError):
            raise ConfigError(
                f"start: found {start!r}; expected an ISO-8601 time like 2024-10-21T14:00:00Z"
            ) from None
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
        begin = (since.days * 86_400 + since.seconds) * NS_PER_SECOND + since.microseconds * 1_000
    if not NS_PER_SECOND <= begin <= 2**62:
        raise ConfigError(f"start: found {start!r}; expected a time between 1970 and 2116")
    return begin


def _openings(price: float | Sequence[float] | None, symbols: int) -> list[float]:
    if price is None:
        return [OPENING_PRICES[index % len(OPENING_PRICES)] for index in range(symbols)]
    prices = [price] * symbols if isinstance(price, int | float) else list(price)
    if len(prices) != symbols:
        raise ConfigError(
            f"price: found {len(prices)} numbers for {symbols} symbols; expected one, or one a symbol"
        )
    for value in prices:
        _between("price", value, 1e-6, 1_000_000)
    return [float(value) for value in prices]


def _units(name: str, dollars: float) -> int:
    """Return dollars as a positive whole number of 1e-9 dollars, exactly as written."""
    try:
        units = Decimal(str(dollars)) * PRICE_SCALE
    except InvalidOperation:
        raise ConfigError(f"{name}: found {dollars!r}; expected a number of dollars") from None
    if not units.is_finite() or units != int(units) or not 1 <= units <= 100 * PRICE_SCALE:
        raise ConfigError(f"{name}: found {dollars!r}; expected a multiple of 0.000000001 dollars up to 100")
    return int(units)


def _between(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"{name}: found {value!r}; expected a number from {low:g} to {high:g}")
