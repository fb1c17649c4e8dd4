"""The synthetic market: consistent books, rows as in the real feed, plausible statistics."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import venuewise as vw
from venuewise import cli
from venuewise.data.events import ROW_COLUMNS, UNDEFINED_PRICE, Events
from venuewise.errors import ConfigError
from venuewise.synthetic.generate import VENUE_PROFILES, generate
from venuewise.synthetic.kernels import efficient_price
from venuewise.synthetic.random import exponential, normal, order_size, uniform

MASK = 2**64 - 1


def digest(events: Events) -> str:
    sha = hashlib.sha256()
    for name in sorted(ROW_COLUMNS):
        sha.update(getattr(events, name).tobytes())
    return sha.hexdigest()


@pytest.fixture(scope="module")
def market() -> Events:
    return generate(duration="3m", seed=11)


Level = tuple[int, int, int]


def side_of(events: Events, row: int, side: str) -> list[Level]:
    columns = (
        (events.bid_px, events.bid_sz, events.bid_ct)
        if side == "B"
        else (events.ask_px, events.ask_sz, events.ask_ct)
    )
    levels = zip(*(column[row].tolist() for column in columns), strict=True)
    return [level for level in levels if level[0] != UNDEFINED_PRICE]


def check_row(events: Events, row: int, before: int) -> None:
    """Check a row's book against the venue's book before it and the event."""
    action, side = chr(events.action[row]), chr(events.side[row])
    price, size, depth = int(events.price[row]), int(events.size[row]), int(events.depth[row])
    other = "A" if side == "B" else "B"
    if action == "T":  # the side is the aggressor's, and the book is still the old one
        assert side_of(events, row, "B") == side_of(events, before, "B")
        assert side_of(events, row, "A") == side_of(events, before, "A")
        best_price, best_size, _ = side_of(events, row, other)[0]
        assert (price, depth) == (best_price, 0)
        assert size <= best_size
        return
    assert side_of(events, row, other) == side_of(events, before, other)
    old, new = side_of(events, before, side), side_of(events, row, side)
    at = {level[0]: i for i, level in enumerate(old)}.get(price)
    if action == "A":
        if at is None:
            better = sum(level[0] > price if side == "B" else level[0] < price for level in old)
            expected = [*old[:better], (price, size, 1), *old[better:]][:10]
            assert depth == better
        else:
            expected = [*old[:at], (price, old[at][1] + size, old[at][2] + 1), *old[at + 1 :]]
            assert depth == at
        assert new == expected
        return
    assert action == "C"
    assert at == depth
    remaining = old[depth][1] - size
    assert remaining >= 0
    if remaining == 0:
        expected = [*old[:depth], *old[depth + 1 :]]
        assert new[: len(expected)] == expected
        assert len(new) <= 10
        return
    orders = new[depth][2]
    after_trade = chr(events.action[before]) == "T"
    assert orders <= old[depth][2] if after_trade else orders == old[depth][2] - 1
    assert new == [*old[:depth], (price, remaining, orders), *old[depth + 1 :]]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    venues=st.one_of(
        st.integers(1, 6), st.lists(st.integers(1, 65_535), min_size=1, max_size=5, unique=True)
    ),
    market=st.sampled_from([(222.0, 0.01), (2.5, 0.01), (415.0, 0.05), (31.0, 0.005), (0.5, 0.0001)]),
    volatility=st.sampled_from([0.0, 0.25, 3.0]),
    half_spread=st.sampled_from([0.0, 0.0025, 0.04]),
    mean_queue=st.sampled_from([1.0, 60.0, 300.0, 5_000.0]),
    odd_lots=st.sampled_from([0.0, 0.35, 1.0]),
    delay_scale=st.sampled_from([0.0, 1.0, 50.0]),
)
def test_every_row_is_the_book_of_its_venue_after_its_event(
    seed: int, venues: Any, market: tuple[float, float], **parameters: Any
) -> None:
    price, tick = market
    events = generate(
        venues=venues, symbols=("X", "Y"), duration="0.4s", rate=2_000, seed=seed, price=price, tick=tick,
        trade_share=0.1, **parameters,
    )  # fmt: skip
    assert len(events)
    units = round(tick * 1e9)
    for px, sz, ct, direction in (
        (events.bid_px, events.bid_sz, events.bid_ct, -1),
        (events.ask_px, events.ask_sz, events.ask_ct, 1),
    ):
        there = px != UNDEFINED_PRICE
        assert ((sz > 0) == there).all()
        assert ((ct > 0) == there).all()
        assert (ct <= sz).all()
        assert (px[there] % units == 0).all()
        assert (px[there] > 0).all()
        assert (there[:, :-1] | ~there[:, 1:]).all(), "a level stands behind an empty one"
        both = there[:, :-1] & there[:, 1:]
        assert (direction * (px[:, 1:] - px[:, :-1])[both] > 0).all()
    quoted = (events.bid_px[:, 0] != UNDEFINED_PRICE) & (events.ask_px[:, 0] != UNDEFINED_PRICE)
    assert (events.bid_px[quoted, 0] < events.ask_px[quoted, 0]).all(), (
        "a venue's own book is locked or crossed"
    )
    assert (events.size > 0).all()

    assert (np.diff(events.ts_recv) >= 0).all()
    assert (events.ts_event < events.ts_recv).all()
    for code in range(len(events.publishers)):
        mine = events.venue == code
        assert (np.diff(events.ts_event[mine]) >= 0).all()
        steps = np.diff(events.sequence[mine])
        assert set(steps.tolist()) <= {0, 1}
        for symbol in range(2):
            rows = np.flatnonzero(mine & (events.symbol == symbol)).tolist()
            for previous, row in itertools.pairwise(rows):
                check_row(events, row, previous)


def test_a_trade_is_completed_by_a_cancel_of_the_resting_side(market: Events) -> None:
    trades = np.flatnonzero(market.action == ord("T"))
    cancels = trades + 1
    assert (market.action[cancels] == ord("C")).all()
    for column in (market.ts_recv, market.ts_event, market.sequence, market.venue, market.price, market.size):
        assert (column[trades] == column[cancels]).all()
    assert (market.side[trades] != market.side[cancels]).all()
    assert not market.depth[trades].any()
    assert not market.depth[cancels].any()
    alone = np.setdiff1d(np.arange(len(market)), np.concatenate([trades, cancels]))
    assert market.sequence[alone].size == np.unique(market.sequence[alone] * 8 + market.venue[alone]).size


def test_default_market_has_the_rows_spread_and_sizes_of_a_liquid_stock(market: Events) -> None:
    seconds = 180
    assert 220_000 / 600 < len(market) / seconds < 260_000 / 600
    added, cancelled, traded = (float((market.action == ord(letter)).mean()) for letter in "ACT")
    assert 0.04 < traded < 0.08
    assert 0.8 < cancelled / added < 1.2
    assert added + cancelled + traded == pytest.approx(1)
    adds = market.size[market.action == ord("A")]
    assert 0.3 < (adds < 100).mean() < 0.4
    assert adds.max() > 1_000, "no heavy tail"
    trades = market.size[market.action == ord("T")]
    assert 0.2 < (trades < 100).mean() < 0.7
    assert 0.4 < (market.side[market.action == ord("T")] == ord("B")).mean() < 0.6
    for code in range(5):
        mine = market.venue == code
        spread = (market.ask_px[mine, 0] - market.bid_px[mine, 0]) / 1e7
        held = np.diff(market.ts_recv[mine], append=market.ts_recv[-1])
        assert 1 <= np.average(spread, weights=held) < 2
        for sizes in (market.bid_sz[mine, 0], market.ask_sz[mine, 0]):
            assert 100 < sizes.mean() < 500
    shares = np.bincount(market.venue, minlength=5) / len(market)
    assert shares.max() > 2 * shares.min()
    assert 215 < (market.bid_px[:, 0] / 1e9).mean() < 229


def consolidated(events: Events) -> tuple[float, float, float]:
    """Return the shares of time in which asks differ, the market is locked, and it is crossed."""
    venues = len(events.publishers)
    frame = pl.DataFrame(
        {f"{side}{v}": pl.Series(np.where(events.venue == v, px[:, 0], -1)) for v in range(venues)
         for side, px in (("b", events.bid_px), ("a", events.ask_px))}
    ).select(pl.all().replace(-1, None).forward_fill())  # fmt: skip
    complete = ~np.array(frame.select(pl.any_horizontal(pl.all().is_null())).to_series().to_list())
    bids = frame.select(pl.max_horizontal("^b.*$")).to_series().to_numpy()
    asks = frame.select(pl.min_horizontal("^a.*$")).to_series().to_numpy()
    worst = frame.select(pl.max_horizontal("^a.*$")).to_series().to_numpy()
    held = np.diff(events.ts_recv, append=events.ts_recv[-1])[complete]
    differ, locked, crossed = (
        (x[complete] * held).sum() / held.sum() for x in (worst > asks, bids == asks, bids > asks)
    )
    return float(differ), float(locked), float(crossed)


def test_venues_quote_different_prices_for_a_part_of_the_time_and_cross_briefly(market: Events) -> None:
    differ, locked, crossed = consolidated(market)
    assert 0.05 < differ < 0.6
    assert 0 < locked < 0.02
    assert 0 < crossed < 0.005


def test_longer_delays_lock_the_market_longer(market: Events) -> None:
    prompt = consolidated(generate(duration="60s", seed=3, delay_scale=0.0))
    late = consolidated(generate(duration="60s", seed=3, delay_scale=50.0))
    assert prompt[1] + prompt[2] < 0.001
    assert late[1] + late[2] > 0.02


def test_a_seed_gives_the_same_bytes_and_another_does_not() -> None:
    first, again, other = (digest(generate(duration="2s", seed=seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_bytes_of_a_seed_do_not_change_between_machines_and_versions() -> None:
    events = generate(venues=3, symbols=("A", "B"), duration="2s", seed=2024, price=[50.0, 20.0])
    assert digest(events) == "be45fbf64e78f7cb9098ebb9c7e52b45f0071c3ec8640b37bcd736bc42e66b6f"


def test_a_run_longer_than_foreseen_is_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = generate(duration="2s", seed=9)
    monkeypatch.setattr("venuewise.synthetic.generate._HEADROOM", 0.1)
    monkeypatch.setattr("venuewise.synthetic.generate._SPARE_ROWS", 0)
    assert digest(generate(duration="2s", seed=9)) == digest(whole)


def test_a_symbols_market_does_not_depend_on_the_others() -> None:
    alone = generate(symbols=["AAPL"], duration="3s", seed=4)
    both = generate(symbols=["AAPL", "MSFT"], duration="3s", seed=4)
    mine = both.only_symbol("AAPL")
    for name in ("ts_recv", "venue", "action", "price", "size", "bid_px", "ask_sz", "ask_ct"):
        assert (getattr(alone, name) == getattr(mine, name)).all(), name
    other = both.only_symbol("MSFT")
    assert 400 < other.ask_px[0, 0] / 1e9 < 430
    assert abs(len(other) - len(mine)) < 0.5 * len(mine)


def test_generated_events_say_that_they_are_synthetic() -> None:
    events = vw.generate(venues=[6, 77], symbols="ZZ", duration=1, start=1_700_000_000_000_000_000)
    assert events.synthetic
    assert events.source == ()
    assert "not real" in events.notes[0]
    assert events.publishers == (6, 77)
    assert events.symbols == ("ZZ",)
    assert events.ts_recv[0] >= 1_700_000_000_000_000_000
    assert events.ts_recv[-1] < 1_700_000_001_000_000_000
    with pytest.raises(AttributeError, match="no attribute 'degenerate'"):
        vw.degenerate  # noqa: B018


def test_an_inverted_venue_is_among_the_first_five() -> None:
    assert 6 in list(VENUE_PROFILES)[:5]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"venues": 0}, "expected 1 to 16, or a list"),
        ({"venues": 17}, "expected 1 to 16, or a list"),
        ({"venues": []}, "1 to 64 different"),
        ({"venues": [2, 2]}, "different publisher ids"),
        ({"venues": [0]}, "venues: found publisher id"),
        ({"venues": ["XNAS"]}, "venues: found publisher id"),
        ({"symbols": []}, "one or more different"),
        ({"symbols": ["A", "A"]}, "different names"),
        ({"symbols": ["A,B"]}, "letters, digits"),
        (
            {"duration": "soon"},
            "duration: found 'soon'; expected one such as 90s, 10m or 1h30m, or a number of seconds",
        ),
        ({"duration": "300h"}, "expected at most 20,000,000"),
        ({"seed": -1}, "seed: found"),
        ({"seed": 1.5}, "seed: found"),
        ({"start": "tomorrow"}, "ISO-8601"),
        ({"start": "1969-01-01"}, "between 1970"),
        ({"rate": 0}, "rate: found"),
        ({"rate": float("nan")}, "rate: found"),
        ({"rate": "fast"}, "rate: found"),
        ({"rate": 10}, "some 60 rows a second of repricing alone"),
        ({"volatility": 9}, "less volatility"),
        ({"price": [1.0, 2.0]}, "found 2 numbers for 1 symbols"),
        ({"price": 0}, "price: found"),
        ({"price": 1.0}, "too few ticks"),
        ({"price": 10.0, "half_spread": 9.5}, "too few ticks"),
        ({"tick": 0}, "tick: found"),
        ({"tick": 1e-10}, "tick: found"),
        ({"tick": "small"}, "tick: found"),
        ({"tick": float("nan")}, "tick: found"),
        ({"volatility": -0.1}, "volatility: found"),
        ({"half_spread": -1}, "half_spread: found"),
        ({"mean_queue": 0}, "mean_queue: found"),
        ({"odd_lots": 1.1}, "odd_lots: found"),
        ({"trade_share": 0.5}, "trade_share: found"),
        ({"delay_scale": True}, "delay_scale: found"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_in_one_line(
    parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        generate(**parameters)
    assert "\n" not in str(caught.value)


def test_start_is_read_in_any_time_zone() -> None:
    starts: list[str | int] = [
        "2024-10-21T14:00:00Z",
        "2024-10-21T10:00:00-04:00",
        "2024-10-21T14:00:00",
        1_729_519_200_000_000_000,
    ]
    assert len({digest(generate(venues=1, duration="0.2s", start=start)) for start in starts}) == 1


def test_random_bits_are_those_of_xoshiro256plusplus() -> None:
    def rotl(x: int, k: int) -> int:
        return ((x << k) | (x >> (64 - k))) & MASK

    s = [1, 2, 3, 2**63 + 5]
    state = np.array(s, np.uint64)
    for _ in range(1_000):
        value = (rotl((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 45)
        assert uniform(state) == (value >> 11) / 2**53


def test_draws_have_the_distributions_that_they_claim() -> None:
    state = np.array([3, 1, 4, 1], np.uint64)
    for _ in range(100):
        uniform(state)
    exponentials = [exponential(state) for _ in range(20_000)]
    assert stats.kstest(exponentials, "expon").pvalue > 0.001
    normals = np.array([normal(state) for _ in range(20_000)])
    assert abs(normals.mean()) < 0.03
    assert abs(normals.std() - 1) < 0.03
    sizes = np.array([order_size(state, 0.35) for _ in range(20_000)])
    assert abs((sizes < 100).mean() - 0.35) < 0.015
    assert sizes.min() == 1
    assert sizes.max() <= 5_000
    assert not (sizes[sizes >= 100] % 100).any()


def test_efficient_price_moves_with_the_volatility_asked_for() -> None:
    state = np.array([9, 9, 8, 7], np.uint64)
    times, prices = np.empty(500, np.int64), np.empty(500)
    ends = []
    for _ in range(2_000):
        efficient_price(state, times, prices, 5_000.0, 0.0, 10_000.0, 1.0, 50.0)
        ends.append(prices[-1] - 5_000.0)
    assert np.mean(np.square(ends)) == pytest.approx(500 * (0.98 + 0.02 * 25), rel=0.12)
    assert times[-1] / 1e9 == pytest.approx(10, rel=0.25)


def test_efficient_price_stays_within_its_bounds() -> None:
    times, prices = np.empty(5_000, np.int64), np.empty(5_000)
    efficient_price(np.array([9, 9, 8, 7], np.uint64), times, prices, 10.0, 5.0, 15.0, 40.0, 50.0)
    assert prices.min() >= 5
    assert prices.max() <= 15


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["venuewise", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_command_writes_the_file_and_says_what_it_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "day.csv"
    arguments = (
        "generate",
        str(out),
        "--venues",
        "2,6",
        "--symbols",
        "A,B",
        "--duration",
        "2s",
        "--price",
        "40,50",
    )
    assert run(monkeypatch, *arguments, "--seed", "3") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["venues"], printed["symbols"], printed["seed"]) == ([2, 6], ["A", "B"], 3)
    assert printed["synthetic"] is True
    frame = pl.read_csv(out)
    assert len(frame) == printed["rows"]
    assert frame["synthetic"].all()
    assert set(frame["publisher_id"]) == {2, 6}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("day.txt",), "day.txt: found another ending; expected one of .csv, .csv.gz, .csv.zst, .parquet"),
        (("day.csv", "--venues", "two"), "--venues: found 'two'; expected numbers"),
        (("day.csv", "--price", "a,b"), "--price: found 'a,b'; expected numbers"),
        (
            ("day.csv", "--duration", "1y"),
            "duration: found '1y'; expected one such as 90s, 10m or 1h30m, or a number of seconds",
        ),
        (("/dev/null/day.csv", "--duration", "1s"), "expected a file that can be written"),
    ],
)
def test_command_refuses_bad_arguments_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "generate", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []
