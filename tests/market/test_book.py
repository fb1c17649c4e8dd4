"""The consolidated book: who takes part, what the best prices are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.markets import HOUR, START, TICK, events_of, random_events
from venuewise.data.events import ACTION_ADD, ACTION_CLEAR, UNDEFINED_PRICE
from venuewise.errors import ConfigError
from venuewise.market.book import (
    NO_AGE_LIMIT,
    Book,
    best_prices,
    mid_prices,
    reference_price,
    sign_of,
    view_quotes,
)

NO_FEES = np.zeros(3, np.int64)


def book_after(events, levels: int = 3, max_age: int | None = None) -> Book:  # type: ignore[no-untyped-def]
    book = Book(NO_FEES[: len(events.publishers)], NO_FEES[: len(events.publishers)], levels, max_age)
    for row in range(len(events)):
        book.update(events, row)
    return book


def test_best_bid_and_offer_come_from_all_venues() -> None:
    events = events_of([0, 1], [0, 1], [[(1004, 5)], [(1003, 7)]], [[(1000, 5)], [(999, 5)]])
    quotes = book_after(events).quotes("buy")
    assert (quotes.bid, quotes.ask) == (1000 * TICK, 1003 * TICK)
    assert quotes.mid == pytest.approx(10.015)
    assert quotes.spread == pytest.approx(0.03)
    assert quotes.best == 1
    assert book_after(events).quotes("sell").best == 0


def test_a_clear_takes_the_venue_out() -> None:
    events = events_of(
        [0, 1, 2], [0, 1, 1], [[(1004, 5)], [(1003, 7)], []], [[(1000, 5)], [(999, 5)], []],
        [ACTION_ADD, ACTION_ADD, ACTION_CLEAR],
    )  # fmt: skip
    quotes = book_after(events).quotes("buy")
    assert quotes.ask == 1004 * TICK
    assert quotes.size[1].sum() == 0


def test_a_silent_venue_takes_no_part() -> None:
    events = events_of([0, 100], [0, 1], [[(1001, 5)], [(1003, 7)]], [[(1000, 5)], [(999, 5)]])
    assert book_after(events, max_age=100).quotes("buy").ask == 1001 * TICK
    assert book_after(events, max_age=99).quotes("buy").ask == 1003 * TICK
    assert book_after(events, max_age=99).quotes("buy", now=START + 500).ask == UNDEFINED_PRICE


@pytest.mark.parametrize("bid", [1001, 1002])
def test_a_venue_locked_or_crossed_in_itself_takes_no_part(bid: int) -> None:
    events = events_of([0, 1], [0, 1], [[(1001, 5)], [(1003, 7)]], [[(bid, 5)], [(999, 5)]])
    quotes = book_after(events).quotes("buy")
    assert (quotes.bid, quotes.ask) == (999 * TICK, 1003 * TICK)


def test_venues_that_cross_each_other_all_take_part_and_the_mid_stays_the_midpoint() -> None:
    events = events_of([0, 1], [0, 1], [[(1001, 5)], [(1006, 7)]], [[(1000, 5)], [(1003, 5)]])
    quotes = book_after(events).quotes("buy")
    assert quotes.size[:, 0].tolist() == [5, 7]
    assert quotes.mid == pytest.approx(10.02)
    assert quotes.spread == pytest.approx(-0.02)


def test_an_empty_book_has_no_mid() -> None:
    quotes = Book(NO_FEES, NO_FEES).quotes("buy")
    assert quotes.mid is None
    assert quotes.spread is None
    assert quotes.best is None


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 60), side=st.sampled_from(["buy", "sell"]))
def test_book_agrees_with_a_dictionary_of_last_rows(seed: int, rows: int, side: str) -> None:
    events = random_events(seed, rows)
    quotes = book_after(events).quotes("buy" if side == "buy" else "sell")
    last = {int(events.venue[row]): row for row in range(rows)}
    live = {v: r for v, r in last.items() if events.action[r] != ACTION_CLEAR}
    bids, asks = [], []
    for v in range(3):
        r = live.get(v)
        bid = None if r is None or events.bid_sz[r, 0] == 0 else int(events.bid_px[r, 0])
        ask = None if r is None or events.ask_sz[r, 0] == 0 else int(events.ask_px[r, 0])
        usable = r is not None and not (bid is not None and ask is not None and bid >= ask)
        shown = (events.ask_sz if side == "buy" else events.bid_sz)[r] if usable else np.zeros(3)
        assert quotes.size[v, : len(shown)].tolist() == shown.tolist()
        if usable:
            bids += [] if bid is None else [bid]
            asks += [] if ask is None else [ask]
    assert quotes.bid == max(bids, default=UNDEFINED_PRICE)
    assert quotes.ask == min(asks, default=UNDEFINED_PRICE)


def test_a_side_is_buy_or_sell() -> None:
    with pytest.raises(ConfigError, match="side: found 'hold'"):
        sign_of("hold")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_best_prices_of_all_rows_are_those_of_the_book_and_of_plain_python(seed: int) -> None:
    events = random_events(seed, nights=True)
    bid, ask = best_prices(events)
    fee = np.zeros(len(events.publishers), np.int64)
    book = Book(fee, fee, levels=events.levels)
    shown: dict[int, tuple[list[int], list[int]]] = {}
    for row in range(len(events)):
        book.update(events, row)
        quotes = book.quotes("buy")
        assert (quotes.bid, quotes.ask) == (bid[row], ask[row])
        if row and events.ts[row] - events.ts[row - 1] > HOUR:
            shown = {}
        sides = [
            [int(px[row, 0])] if sz[row, 0] > 0 and events.action[row] != ACTION_CLEAR else []
            for px, sz in ((events.bid_px, events.bid_sz), (events.ask_px, events.ask_sz))
        ]
        shown[int(events.venue[row])] = (sides[0], sides[1])
        part = [(b, a) for b, a in shown.values() if not (b and a and b[0] >= a[0])]
        assert bid[row] == max([p for b, _ in part for p in b], default=UNDEFINED_PRICE)
        assert ask[row] == min([p for _, a in part for p in a], default=UNDEFINED_PRICE)
        mid = (int(bid[row]) + int(ask[row])) / 2 / 1e9
        assert quotes.mid == (None if UNDEFINED_PRICE in (bid[row], ask[row]) else pytest.approx(mid))


def test_a_book_is_forgotten_over_the_night_and_stands_for_no_time_at_night() -> None:
    events = events_of([0, 20 * HOUR], [0, 1], [[(1001, 9)], [(1009, 9)]], [[(999, 9)], [(1007, 9)]])
    fee = np.zeros(2, np.int64)
    book = Book(fee, fee, levels=1)
    book.update(events, 0)
    assert book.quotes("buy", now=START + HOUR).ask == 1001 * TICK
    assert book.quotes("buy", now=START + HOUR + 1).best is None
    book.update(events, 1)
    assert (book.quotes("buy").bid, book.quotes("buy").ask) == (1007 * TICK, 1009 * TICK)


@pytest.mark.parametrize("sign", [1, -1])
def test_what_may_be_taken_is_what_is_shown_less_what_is_ours_and_less_what_is_on_its_way(sign: int) -> None:
    # Half of what is shown is within reach: 30, 10, 4 and 1, and 20. Of the first venue's levels we took 40, 4, 0, 0;
    # 8 shares are on their way there, best level first. The second says nothing; the third shows the other side alone.
    none = UNDEFINED_PRICE
    px = (
        np.array([[1001, 1002, 1003, 1004], [none] * 4, [1002, 1003, 1005, none]])
        if sign > 0
        else np.array([[1002, 1001, 1000, 999], [none] * 4, [1001, 1000, 998, none]])
    )
    sz = np.array([[61, 21, 8, 2], [0, 0, 0, 0], [40, 0, 1, 0]])
    far = np.array([1000 if sign > 0 else 1003, 1001 if sign > 0 else 1002, 999 if sign > 0 else 1004])
    taken = np.array([[40, 4, 0, 0], [0] * 4, [0] * 4])
    price, size = np.empty((3, 4), np.int64), np.empty((3, 4), np.int64)
    best = view_quotes(
        px, sz, far, np.array([7, 8, 9]), np.arange(3), taken, np.array([8, 3, 0]),
        0.5, 9, NO_AGE_LIMIT, sign, price, size,
    )  # fmt: skip
    assert size.tolist() == [[0, 0, 2, 1], [0] * 4, [20, 0, 0, 0]]
    assert price.tolist() == [px[0].tolist(), [none] * 4, [px[2, 0], none, px[2, 2], none]]
    assert best == (px[0, 0], far[1])  # the best prices, whoever's shares they are


@pytest.mark.parametrize(("side", "ticks"), [("buy", 1003), ("sell", 1000)])
def test_a_single_share_makes_a_best_price(side: str, ticks: int) -> None:
    events = events_of([0, 1], [0, 1], [[(1003, 1)], [(1004, 90)]], [[(1000, 1)], [(999, 90)]])
    quotes = book_after(events).quotes("buy" if side == "buy" else "sell")
    assert (quotes.bid, quotes.ask) == (1000 * TICK, 1003 * TICK)
    assert (quotes.price[0, 0], quotes.size[0, 0]) == (ticks * TICK, 1)


def test_of_a_side_that_nobody_shows_there_is_no_best_price_and_no_mid() -> None:
    none = UNDEFINED_PRICE
    mids = mid_prices(np.array([1000, none, 1000, none]), np.array([1003, 1003, none, none]))
    assert mids[0] == 1001.5
    assert np.isnan(mids[1:]).all()
    for take, far, one_sided, expected in (
        (1003, 1000, False, 1001.5),
        (1003, none, False, np.nan),
        (none, 1000, False, np.nan),
        (1003, none, True, 1003.0),
        (none, none, True, np.nan),
    ):
        assert reference_price(take, far, one_sided) == pytest.approx(expected, nan_ok=True)
