"""What `inspect` reports."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import venuewise as vw
from tests.data.files import Row, row, rows, write
from tests.markets import HOUR, TICK, events_of
from venuewise.cli import main
from venuewise.data.events import UNDEFINED_PRICE
from venuewise.market.quality import TimeShares, quoted_time


def at(seconds: float, **changes: object) -> Row:
    return row(ts_recv=f"2024-08-01T13:00:{seconds:09.6f}Z", sequence=int(seconds * 10) + 1) | changes


def test_shares_of_locked_and_crossed_time_are_weighted_by_time(tmp_path: Path) -> None:
    table = [
        at(0, publisher_id=2, bid_px_00="10.00", ask_px_00="10.02"),
        at(1, publisher_id=9, bid_px_00="10.02", ask_px_00="10.04"),  # the two lock each other for 3 s
        at(4, publisher_id=9, bid_px_00="10.03", ask_px_00="10.05"),  # and cross for 2 s
        at(
            6, publisher_id=9, bid_px_00="10.03", ask_px_00="10.03"
        ),  # locked in itself: takes no part for 2 s
        at(8, publisher_id=2, bid_px_00="", bid_sz_00=0, ask_px_00="", ask_sz_00=0),  # nobody left
        at(10, publisher_id=9, bid_px_00="", bid_sz_00=0, ask_px_00="10.05"),
        at(20, publisher_id=9, bid_px_00="", bid_sz_00=0, ask_px_00="10.05"),  # one-sided for 10 s
    ]
    quality = vw.inspect(write(tmp_path / "day.csv", table))
    assert quality.consolidated == {"AAPL": TimeShares(8 / 20, 3 / 8, 2 / 8)}
    assert quality.within_venue == {2: TimeShares(8 / 20, 0.0, 0.0), 9: TimeShares(9 / 19, 4 / 9, 0.0)}
    assert (quality.missing_bid, quality.missing_ask) == (3 / 7, 1 / 7)
    assert quality.sessions == {"AAPL": 1}


PRICE = st.one_of(st.just(int(UNDEFINED_PRICE)), st.integers(1, 4).map(lambda ticks: ticks * TICK))
EVENT = st.tuples(st.integers(0, 3), st.integers(0, 2), PRICE, PRICE, st.sampled_from("AAAAR"))


@given(drawn=st.lists(EVENT, max_size=25), step=st.sampled_from([1, HOUR // 2 + 1]))
def test_quoted_time_equals_a_count_of_ticks(drawn: list[tuple[int, int, int, int, str]], step: int) -> None:
    expected, expected_venue = np.zeros(4, int), np.zeros((3, 4), int)
    quotes: dict[int, tuple[int, int]] = {}
    before, now, times = None, 0, []
    for wait, venue, bid, ask, action in drawn:
        now += wait * step
        times.append(now)
        if before is not None and now - before <= HOUR:
            lasted = now - before
            part = [(b, a) for b, a in quotes.values() if UNDEFINED_PRICE in (b, a) or b < a]
            for pairs, target in ((part, expected), *(([q], expected_venue[v]) for v, q in quotes.items())):
                bids = [b for b, _ in pairs if b != UNDEFINED_PRICE]
                asks = [a for _, a in pairs if a != UNDEFINED_PRICE]
                target[0] += lasted
                if bids and asks:
                    target[1] += lasted
                    target[2] += lasted * (max(bids) == min(asks))
                    target[3] += lasted * (max(bids) > min(asks))
        else:
            quotes = {}
        quotes[venue] = (int(UNDEFINED_PRICE), int(UNDEFINED_PRICE)) if action == "R" else (bid, ask)
        before = now
    if not drawn:
        return
    bid_side, ask_side = (
        [[] if p == UNDEFINED_PRICE else [(p // TICK, 5)] for p in side]
        for side in ([d[2] for d in drawn], [d[3] for d in drawn])
    )
    events = events_of(times, [d[1] for d in drawn], ask_side, bid_side, [ord(d[4]) for d in drawn], venues=3)
    within = np.zeros((3, 4), np.int64)
    assert quoted_time(events, within).tolist() == expected.tolist()
    assert within.tolist() == expected_venue.tolist()


def test_each_symbol_has_sessions_of_its_own(tmp_path: Path) -> None:
    # One symbol trades all along, the other is silent for two hours: its time and its quotes have a gap there.
    table = [
        row(ts_recv=f"2024-08-01T{13 + i // 2}:{30 * (i % 2):02d}:00Z", sequence=i + 1, symbol="AAA")
        for i in range(6)
    ]
    other = [("13:00:01", "10.00", 5), ("15:10:00", "10.00", 5), ("15:10:10", "", 0)]
    for i, (time, px, shares) in enumerate(other):
        about = {"sequence": 90 + i, "symbol": "BBB", "bid_px_00": px, "bid_sz_00": shares}
        table.append(row(ts_recv=f"2024-08-01T{time}Z", **about))
    table.sort(key=lambda one: str(one["ts_recv"]))
    quality = vw.inspect(write(tmp_path / "day.csv", table))
    assert quality.sessions == {"AAA": 1, "BBB": 1}  # a moment by itself is no session
    assert quality.consolidated["BBB"].two_sided == 1.0
    assert (quality.gaps.count, quality.gaps.longest_s) == (6, 1800.0)


def test_disorder_and_repetition_are_counted_and_not_refused(tmp_path: Path) -> None:
    table = rows(5)
    table = [table[1], table[0], table[2], table[2], table[2], *table[3:]]
    quality = vw.inspect(write(tmp_path / "day.csv", table))
    assert (quality.rows, quality.out_of_order, quality.duplicates) == (5, 1, 2)
    assert len(quality.notes) == 2


def test_gaps_within_a_session_are_counted_and_nights_are_not(tmp_path: Path) -> None:
    times = ["01T13:00:00Z", "01T13:00:05Z", "01T13:02:00Z", "01T13:04:00Z", "02T13:00:00Z"]
    table = [row(ts_recv=f"2024-08-{time}", sequence=i + 1) for i, time in enumerate(times)]
    gaps = vw.inspect(write(tmp_path / "day.csv", table)).gaps
    assert (gaps.count, gaps.longest_s, gaps.longest_from) == (2, 120.0, "2024-08-01T13:02:00.000000000Z")
    assert vw.inspect(tmp_path / "day.csv", long_gap=4.5).gaps.count == 3
    with pytest.raises(vw.ConfigError, match="above 0"):
        vw.inspect(tmp_path / "day.csv", long_gap=0)


def test_the_command_prints_json_and_nothing_else(
    real_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = real_data / "aapl_xnas_20241021_mbp10.csv"
    monkeypatch.setattr(sys, "argv", ["venuewise", "inspect", str(path)])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    assert (caught.value.code, err) == (0, "")
    found = json.loads(out)
    assert found["actions"] == {"A": 2695, "C": 2019, "T": 286}
    assert (found["rows"], found["levels"], found["symbols"], found["venues"]) == (5000, 10, ["AAPL"], [2])
    assert found["formats"] == ["CSV, decimal prices, ISO-8601 times"]
    assert found["first"] == "2024-10-21T11:54:29.221230963Z"
    assert not found["synthetic"]


@pytest.mark.parametrize("options", [["--window", "01:00-02:00"], ["--symbol", "MSFT"], ["--window", "soon"]])
def test_the_command_refuses_what_leaves_nothing(
    tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "day.csv", rows(3))
    monkeypatch.setattr(sys, "argv", ["venuewise", "inspect", str(path), *options])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out, err.count("\n")) == (2, "", 1)
