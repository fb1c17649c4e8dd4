"""Windows as people write them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venuewise.data.window import NS_PER_DAY, parse_window

SECOND = 10**9


@pytest.mark.parametrize("text", ["13:36:32-13:45:14", "13:36:32/13:45:14", "13:36:32Z..13:45:14.000"])
def test_two_times_of_day_make_a_daily_window(text: str) -> None:
    window = parse_window(text)
    assert (window.start, window.end, window.daily) == (48_992 * SECOND, 49_514 * SECOND, True)
    assert parse_window(("13:36:32", "13:45:14")).end == window.end


@pytest.mark.parametrize("separator", ["/", ".."])
def test_two_full_times_make_a_window_of_their_own(separator: str) -> None:
    window = parse_window(f"2024-08-01T13:36:32Z{separator}2024-08-01 15:45:14+02:00")
    assert (window.start, window.end, window.daily) == (1_722_519_392 * SECOND, 1_722_519_914 * SECOND, False)


@given(
    times=st.lists(st.integers(0, 5 * NS_PER_DAY), min_size=1).map(sorted),
    bounds=st.lists(st.integers(0, 86_399), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_a_daily_window_keeps_the_times_whose_time_of_day_lies_in_it(
    times: list[int], bounds: list[int]
) -> None:
    start, end = (f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in bounds)
    ts = np.array(times)
    kept = ts[parse_window((start, end)).rows(ts)]
    assert kept.tolist() == [t for t in times if bounds[0] * SECOND <= t % NS_PER_DAY <= bounds[1] * SECOND]
