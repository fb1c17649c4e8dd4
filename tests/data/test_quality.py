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
from venuewise.cli import main
from venuewise.data.events import UNDEFINED_PRICE
from venuewise.data.quality import TimeShares, quoted_time
from venuewise.data.window import NS_PER_DAY


def at(seconds: float, **changes: object) -> Row:
    return row(ts_recv=f"2024-08-01T13:00:{seconds:09.6f}Z", sequence=int(seconds * 10) + 1) | changes


def test_shares_of_locked_and_crossed_time_are_weighted_by_time(tmp_path: Path) -> None:
    table = [
        at(0, publisher_id=2, bid_px_00="10.00", ask_px_00="10.02"),
        at(1, publisher_id=9, bid_px_00="10.02", ask_px_00="10.04"),  # locked for 3 s
        at(4, publisher_id=9, bid_px_00="10.03", ask_px_00="10.03"),  # crossed for 2 s, and locked in itself
        at(
            6, publisher_id=2, bid_px_00="", bid_sz_00=0, ask_px_00="", ask_sz_00=0
        ),  # one venue left, locked, 4 s
        at(10, publisher_id=9, bid_px_00="", bid_sz_00=0, ask_px_00="10.05"),
        at(20, publisher_id=9, bid_px_00="", bid_sz_00=0, ask_px_00="10.05"),  # one-sided for 10 s
    ]
    quality = vw.inspect(write(tmp_path / "day.csv", table))
    assert quality.consolidated == {"AAPL": TimeShares(0.5, 0.7, 0.2)}
    assert quality.within_venue == {2: TimeShares(0.3, 0.0, 0.0), 9: TimeShares(9 / 19, 6 / 9, 0.0)}
    assert (quality.missing_bid, quality.missing_ask) == (3 / 6, 1 / 6)


PRICE = st.one_of(st.just(int(UNDEFINED_PRICE)), st.integers(1, 4))
EVENT = st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 2), PRICE, PRICE)


@given(drawn=st.lists(EVENT, max_size=25), step=st.sampled_from([1, NS_PER_DAY // 7]))
def test_quoted_time_equals_a_count_of_ticks(drawn: list[tuple[int, int, int, int, int]], step: int) -> None:
    expected_symbol, expected_venue = np.zeros((2, 4), int), np.zeros((3, 4), int)
    quotes: dict[int, dict[int, tuple[int, int]]] = {0: {}, 1: {}}
    before: dict[int, int] = {}
    now, times = 0, []
    for wait, symbol, venue, bid, ask in drawn:
        now += wait * step
        times.append(now)
        if symbol in before and before[symbol] // NS_PER_DAY == now // NS_PER_DAY:
            lasted = now - before[symbol]
            sides = [[(b, a)] for b, a in quotes[symbol].values()] + [list(quotes[symbol].values())]
            targets = [expected_venue[v] for v in quotes[symbol]] + [expected_symbol[symbol]]
            for pairs, target in zip(sides, targets, strict=True):
                bids = [b for b, _ in pairs if b != UNDEFINED_PRICE]
                asks = [a for _, a in pairs if a != UNDEFINED_PRICE]
                target[0] += lasted
                if bids and asks:
                    target[1] += lasted
                    target[2] += lasted * (max(bids) == min(asks))
                    target[3] += lasted * (max(bids) > min(asks))
        else:
            quotes[symbol] = {}
        quotes[symbol][venue] = (bid, ask)
        before[symbol] = now
    columns = np.array([row[1:] for row in drawn], dtype=np.int64).reshape(-1, 4).T
    by_symbol, by_venue = quoted_time(
        np.array(times, np.int64), columns[0].astype(np.int32), columns[1].astype(np.int16),
        columns[2].copy(), columns[3].copy(), 2, 3,
    )  # fmt: skip
    assert by_symbol.tolist() == expected_symbol.tolist()
    assert by_venue.tolist() == expected_venue.tolist()


def test_disorder_and_repetition_are_counted_and_not_refused(tmp_path: Path) -> None:
    table = rows(5)
    table = [table[1], table[0], table[2], table[2], table[2], *table[3:]]
    quality = vw.inspect(write(tmp_path / "day.csv", table))
    assert (quality.rows, quality.out_of_order, quality.duplicates) == (5, 1, 2)
    assert len(quality.notes) == 2


def test_gaps_within_a_day_are_counted_and_nights_are_not(tmp_path: Path) -> None:
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
