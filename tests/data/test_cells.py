"""The kernels that parse one cell, against Python's own parsers."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venuewise.data import _cells

NANO = Decimal("1e-9")


def _bytes(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(text.encode(), np.uint8)


def price(text: str, fixed: bool = False) -> tuple[int, int, bool]:
    raw = _bytes(text)
    return _cells.price(raw, 0, len(raw), fixed)


def moment(text: str) -> tuple[int, int, int]:
    raw = _bytes(text)
    return _cells.moment(raw, 0, len(raw))


@given(units=st.integers(1, 10**16 - 1), extra_zeros=st.integers(0, 4), plus=st.booleans())
def test_a_decimal_price_is_exact_to_the_last_of_nine_decimals(
    units: int, extra_zeros: int, plus: bool
) -> None:
    shown = "+" * plus + f"{Decimal(units) * NANO:.9f}" + "0" * extra_zeros
    assert price(shown) == (_cells.OK, units, units % 10**9 != 0)


@given(units=st.integers(1, 10**16 - 1))
def test_a_decimal_price_needs_no_trailing_zeros(units: int) -> None:
    shown = f"{Decimal(units) * NANO:.9f}".rstrip("0").rstrip(".")
    assert price(shown)[:2] == (_cells.OK, units)


@given(value=st.floats(1e-8, 9_999_999.0))
def test_the_noise_of_a_float_rounds_to_the_nearest_ninth_decimal(value: float) -> None:
    expected = int((Decimal(repr(value)) / NANO).to_integral_value(ROUND_HALF_UP))
    assert price(repr(value))[:2] == (_cells.OK, expected)


@given(units=st.integers(_cells.SMALLEST_FIXED, 2**63 - 10_000))
def test_a_fixed_point_price_is_taken_as_it_is_also_with_a_float_suffix(units: int) -> None:
    assert price(str(units), fixed=True)[:2] == (_cells.OK, units)
    assert price(f"{units}.0", fixed=True)[:2] == (_cells.OK, units)


@pytest.mark.parametrize("shown", ["0", "0.00", "-0", "0e5", "0.00000000000"])
@pytest.mark.parametrize("fixed", [True, False])
def test_a_price_of_zero_is_left_to_the_row_to_judge(shown: str, fixed: bool) -> None:
    assert price(shown, fixed) == (_cells.OK, 0, False)


@pytest.mark.parametrize("shown", ["9223372036854775807", "9.223372036854776e+18", "9223372036854775807.0"])
@pytest.mark.parametrize("fixed", [True, False])
def test_the_sentinel_is_no_price_however_it_is_written(shown: str, fixed: bool) -> None:
    assert price(shown, fixed)[:2] == (_cells.OK, 2**63 - 1)


@pytest.mark.parametrize(
    ("shown", "fixed", "code"),
    [
        ("-0.5", False, _cells.PRICE_NOT_POSITIVE),
        ("0.0000000001", False, _cells.PRICE_NOT_POSITIVE),
        ("-1.5", False, _cells.PRICE_NOT_POSITIVE),
        ("-222810000000", True, _cells.PRICE_NOT_POSITIVE),
        ("10000000", False, _cells.PRICE_BIG),
        ("10000000.01", False, _cells.PRICE_BIG),
        ("1e300", False, _cells.PRICE_BIG),
        ("222.81", True, _cells.PRICE_FRACTION),
        ("222", True, _cells.PRICE_TINY),
        *((junk, fixed, _cells.BAD_NUMBER) for junk in (
            "nan", "NaN", "inf", "-inf", "Infinity", "1,5", "1.2.3", "12a", "abc", "-", ".", "e5", "1e",
            "1e+", "0x10", "1_000", "1 000", "$5", "--1",
        ) for fixed in (True, False)),
    ],
)  # fmt: skip
def test_what_is_no_price_says_why(shown: str, fixed: bool, code: int) -> None:
    assert price(shown, fixed)[0] == code


@given(value=st.integers(0, 2**63 - 1), style=st.sampled_from(["{}", "{}.0", "{}.000", "+{}"]))
def test_a_count_is_an_integer_also_when_written_as_a_float(value: int, style: str) -> None:
    raw = _bytes(style.format(value))
    assert _cells.count(raw, 0, len(raw)) == (_cells.OK, value)


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ("-1", _cells.NEGATIVE),
        ("36.5", _cells.NOT_INTEGRAL),
        ("1e30", _cells.TOO_LARGE),
        ("x", _cells.BAD_NUMBER),
    ],
)
def test_what_is_no_count_says_why(shown: str, code: int) -> None:
    raw = _bytes(shown)
    assert _cells.count(raw, 0, len(raw))[0] == code


NANOSECONDS = st.integers(0, int(np.datetime64("2261-12-31T23:59:59.999999999", "ns").astype(np.int64)))


@given(
    ns=NANOSECONDS, digits=st.integers(1, 9), separator=st.sampled_from("T "), zone=st.sampled_from(["", "Z"])
)
def test_an_iso_time_is_exact_to_the_nanosecond(ns: int, digits: int, separator: str, zone: str) -> None:
    ns -= ns % 10 ** (9 - digits)
    shown = str(np.datetime64(ns, "ns"))[: 20 + digits].replace("T", separator) + zone
    assert moment(shown)[:2] == (_cells.OK, ns)


@given(
    time=st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2261, 1, 1)),
    minutes=st.integers(-15 * 60, 15 * 60),
)
def test_an_offset_is_taken_into_account(time: dt.datetime, minutes: int) -> None:
    zoned = time.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    since = zoned - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    expected = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    assert moment(zoned.isoformat()) == (_cells.OK, expected, _cells.TIME_ZONED)
    assert moment(zoned.strftime("%Y-%m-%d %H:%M:%S.%f%z"))[1] == expected


@given(day=st.integers(-3, 35), month=st.integers(0, 14), year=st.integers(1970, 2261))
def test_a_date_is_accepted_if_and_only_if_the_calendar_has_it(day: int, month: int, year: int) -> None:
    shown = f"{year:04d}-{month:02d}-{day:02d}T00:00:00Z"
    try:
        expected = int(np.datetime64(dt.date(year, month, day), "ns").astype(np.int64))
    except ValueError:
        assert moment(shown)[0] == _cells.BAD_TIME
    else:
        assert moment(shown)[:2] == (_cells.OK, expected)


@pytest.mark.parametrize(
    "shown",
    [
        "2024-08-01T24:00:00Z", "2024-08-01T13:60:00Z", "2024-08-01T13:36:60Z", "2024-08-01T13:36:32.Z",
        "2024-08-01T13:36:32.1234567890Z", "2024-08-01T13:36:32+1", "2024-08-01T13:36:32 UTC", "2024-08-01",
        "2024-08-01T13:36:3", "2024/08/01T13:36:32Z", "01-08-2024 13:36:32", "2024-08-01x13:36:32Z", "noon",
        "2024-08-01T13:36:32+25:00", "1.7e18", "-1722519392000000000", "9223372036854775807",
        "18446744073709551615", "99999999999999999999",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(shown: str) -> None:
    assert moment(shown)[0] == _cells.BAD_TIME


@pytest.mark.parametrize("shown", ["1722519392", "1722519392000", "1722519392000000"])
def test_seconds_milliseconds_and_microseconds_do_not_pass_for_nanoseconds(shown: str) -> None:
    assert moment(shown)[0] == _cells.TIME_NOT_NANOSECONDS


def test_integer_nanoseconds_are_taken_as_they_are() -> None:
    assert moment("1722519392492082308") == (_cells.OK, 1722519392492082308, _cells.TIME_INTEGER)
