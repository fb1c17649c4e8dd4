"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venuewise.data.durations import parse_duration
from venuewise.errors import ConfigError

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("90s", 90 * SECOND),
        ("10m", 600 * SECOND),
        ("1h30m", 5400 * SECOND),
        (" 1H 30M ", 5400 * SECOND),
        ("250ms", SECOND // 4),
        ("1.5", 3 * SECOND // 2),
        ("0.5h", 1800 * SECOND),
        ("5us", 5_000),
        ("1ns", 1),
        (600, 600 * SECOND),
        (0.1, SECOND // 10),
    ],
)
def test_durations_are_read_exactly(text: str | float, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "ten", "10 minutes", "m", "1d", "-5s", "5s-", "1:30", "1m1", None])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigError, match="90s"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0", "0s", "-1", "inf", "nan", "400000000", "9999h", float("inf")])
def test_empty_and_endless_durations_are_refused(text: str | float) -> None:
    with pytest.raises(ConfigError, match="expected at least 1 ns and at most a year"):
        parse_duration(text)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    expected = (3600 * hours + 60 * minutes + seconds) * SECOND
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == expected
