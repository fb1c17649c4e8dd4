"""Kernels that parse one cell of a CSV file: numbers, prices, times, flags.

They work on bytes and integers alone. A decimal price becomes an integer of 1e-9 dollars digit by digit,
hence exactly, where a float would have rounded it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from venuewise._jit import kernel
from venuewise.data.events import UNDEFINED_PRICE, UInt8

TIME_INTEGER, TIME_ZONED, TIME_NAIVE = 1, 2, 3
"""Formats of a time: integer nanoseconds, ISO-8601 with Z or an offset, ISO-8601 without."""

(
    OK, BAD_NUMBER, NEGATIVE, NOT_INTEGRAL, TOO_LARGE, PRICE_NOT_POSITIVE, PRICE_BIG, PRICE_FRACTION,
    PRICE_TINY, BAD_TIME, TIME_FORMAT, TIME_NOT_NANOSECONDS, BAD_ACTION, BAD_SIDE, BAD_FLAG, MISSING,
    FIELDS, TOO_MANY_TEXTS, PRICE_ZERO,
) = range(19)  # fmt: skip
"""What a pass over the rows can end with."""

FIXED_FROM: Final = 10_000_000
"""An integral price from here on is fixed-point: no share costs 10,000,000 dollars."""
SMALLEST_FIXED: Final = 100_000
"""A fixed-point price under 0.0001 dollars, the finest tick there is, must be a decimal price gone astray."""
POINT, MINUS, PLUS, SPACE, ZERO, COLON = 46, 45, 43, 32, 48, 58
_MAX: Final = int(UNDEFINED_PRICE)
_TENTH: Final = _MAX // 10
_EARLIEST_NS: Final = 100_000_000_000_000_000
_POWERS: Final = np.array([10**i for i in range(19)], dtype=np.int64)
_DAYS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
ACTIONS: Final = np.zeros(256, dtype=np.bool_)
ACTIONS[[ord(c) for c in "ACMTFRN"]] = True
SIDES: Final = np.zeros(256, dtype=np.bool_)
SIDES[[ord(c) for c in "ABN"]] = True


@kernel
def number(data: UInt8, start: int, stop: int) -> tuple[int, int, int]:
    """Parse a number; returns (code, mantissa, exponent of ten). Digits beyond int64 are dropped."""
    i = start
    negative = False
    if i < stop and (data[i] == MINUS or data[i] == PLUS):
        negative = data[i] == MINUS
        i += 1
    mantissa, exponent, digits = 0, 0, 0
    point = False
    while i < stop:
        byte = data[i]
        if ZERO <= byte < COLON:
            digit = byte - ZERO
            digits += 1
            if mantissa < _TENTH or (mantissa == _TENTH and digit <= 7):
                mantissa = mantissa * 10 + digit
                if point:
                    exponent -= 1
            elif not point:
                exponent += 1
        elif byte == POINT and not point:
            point = True
        else:
            break
        i += 1
    if digits == 0:
        return BAD_NUMBER, 0, 0
    if i < stop:  # an exponent, or rubbish
        if (data[i] != 101 and data[i] != 69) or i + 1 == stop:
            return BAD_NUMBER, 0, 0
        i += 1
        downwards = data[i] == MINUS
        if data[i] == MINUS or data[i] == PLUS:
            i += 1
        if i == stop or stop - i > 4:
            return BAD_NUMBER, 0, 0
        power = 0
        while i < stop:
            digit = data[i] - ZERO
            if digit < 0 or digit > 9:
                return BAD_NUMBER, 0, 0
            power = power * 10 + digit
            i += 1
        exponent += -power if downwards else power
    return OK, -mantissa if negative else mantissa, exponent


@kernel
def integral(mantissa: int, exponent: int) -> tuple[int, int]:
    """Return (code, mantissa * 10**exponent) where that is an int64."""
    if mantissa == 0:
        return OK, 0
    while exponent < 0:
        if mantissa % 10 != 0:
            return NOT_INTEGRAL, 0
        mantissa //= 10
        exponent += 1
    while exponent > 0:
        if mantissa > _TENTH or mantissa < -_TENTH:
            return TOO_LARGE, 0
        mantissa *= 10
        exponent -= 1
    return OK, mantissa


@kernel
def count(data: UInt8, start: int, stop: int) -> tuple[int, int]:
    """Parse an integer >= 0, also one written as a float ("36.0"); returns (code, value)."""
    if stop - start <= 18:
        value = 0
        i = start
        while i < stop:
            digit = data[i] - ZERO
            if digit < 0 or digit > 9:
                break
            value = value * 10 + digit
            i += 1
        if i == stop:
            return OK, value
    code, mantissa, exponent = number(data, start, stop)
    if code != OK:
        return code, 0
    if mantissa < 0:
        return NEGATIVE, 0
    return integral(mantissa, exponent)


@kernel
def _is_undefined(mantissa: int, exponent: int) -> bool:
    """Whether a number is 2**63 - 1, to the 15 digits that survive a float; in 1e-9 dollars or in dollars."""
    value = float(mantissa) * 10.0**exponent
    return abs(value - 9.223372036854775807e18) < 9e3 or abs(value - 9.223372036854775807e9) < 9e-6


@kernel
def price(data: UInt8, start: int, stop: int, fixed: bool) -> tuple[int, int, bool]:
    """Parse a price; returns (code, 1e-9 dollars, whether it had a fraction).

    Decimals beyond the ninth are rounded to it, half up: they are the noise of a float. A price of 0 is
    returned as such: whether it may stand there depends on the shares beside it.
    """
    if not fixed and stop - start <= 17:  # the common case: digits, a point, at most nine digits
        mantissa = 0
        decimals, fraction = -1, 0
        i = start
        while i < stop:
            digit = data[i] - ZERO
            if 0 <= digit <= 9:
                mantissa = mantissa * 10 + digit
                if decimals >= 0:
                    decimals += 1
                    fraction |= digit
            elif data[i] == POINT and decimals < 0 and i > start:
                decimals = 0
            else:
                break
            i += 1
        places = max(decimals, 0)
        if i == stop and places <= 9 and mantissa < FIXED_FROM * _POWERS[places]:
            return OK, mantissa * _POWERS[9 - places], fraction != 0
    code, mantissa, exponent = number(data, start, stop)
    if code != OK:
        return code, 0, False
    if mantissa == 0:
        return OK, 0, False
    if mantissa < 0:
        return PRICE_NOT_POSITIVE, 0, False
    if _is_undefined(mantissa, exponent):
        return OK, _MAX, False
    code, value = integral(mantissa, exponent)
    if fixed:
        if code == NOT_INTEGRAL:
            return PRICE_FRACTION, 0, True
        if code == OK and value < SMALLEST_FIXED:
            return PRICE_TINY, 0, False
        return code, value, False
    if code == TOO_LARGE or (code == OK and value >= FIXED_FROM):
        return PRICE_BIG, 0, False
    if code == OK:
        return OK, value * _POWERS[9], False
    if (
        exponent >= -11 and mantissa >= FIXED_FROM * _POWERS[-exponent]
    ):  # with more decimals it is less for sure
        return PRICE_BIG, 0, True
    shift = exponent + 9
    while shift < -1:  # keep one digit below 1e-9 to round by
        mantissa //= 10
        shift += 1
    if shift == -1:
        mantissa = (mantissa + 5) // 10
    else:
        mantissa *= _POWERS[shift]
    if mantissa == 0:
        return PRICE_NOT_POSITIVE, 0, True
    return OK, mantissa, True


@kernel
def _digits(data: UInt8, start: int, length: int) -> int:
    """Parse exactly `length` digits; -1 if one of them is none."""
    value = 0
    for i in range(start, start + length):
        digit = data[i] - ZERO
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@kernel
def moment(data: UInt8, start: int, stop: int) -> tuple[int, int, int]:
    """Parse a time; returns (code, ns since 1970 UTC, format). A time without a zone is UTC."""
    length = stop - start
    if length < 16 or data[start + 4] != MINUS:
        value = 0
        if length > 19:
            return BAD_TIME, 0, 0
        for i in range(start, stop):
            digit = data[i] - ZERO
            if digit < 0 or digit > 9:
                return BAD_TIME, 0, 0
            if value > _TENTH or (value == _TENTH and digit >= 7):  # 2**63 - 1 itself means "no time"
                return BAD_TIME, 0, 0
            value = value * 10 + digit
        if value < _EARLIEST_NS:
            return TIME_NOT_NANOSECONDS, 0, 0
        return OK, value, TIME_INTEGER
    year, month, day = _digits(data, start, 4), _digits(data, start + 5, 2), _digits(data, start + 8, 2)
    hour, minute = _digits(data, start + 11, 2), _digits(data, start + 14, 2)
    separator = data[start + 10]
    if data[start + 7] != MINUS or separator not in (84, SPACE) or data[start + 13] != COLON:
        return BAD_TIME, 0, 0
    if year < 1970 or year > 2261 or month < 1 or month > 12 or day < 1:
        return BAD_TIME, 0, 0
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > _DAYS[month - 1] + leap or hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return BAD_TIME, 0, 0
    i = start + 16
    second, nanosecond = 0, 0
    if i < stop and data[i] == COLON:
        if i + 3 > stop:
            return BAD_TIME, 0, 0
        second = _digits(data, i + 1, 2)
        if second < 0 or second > 59:
            return BAD_TIME, 0, 0
        i += 3
        if i < stop and data[i] == POINT:
            i += 1
            first = i
            while i < stop and ZERO <= data[i] < COLON:
                nanosecond = nanosecond * 10 + data[i] - ZERO
                i += 1
                if i - first > 9:
                    return BAD_TIME, 0, 0
            if i == first:
                return BAD_TIME, 0, 0
            nanosecond *= _POWERS[9 - (i - first)]
    style, offset = TIME_NAIVE, 0
    if i < stop:
        style = TIME_ZONED
        rest = stop - i
        if data[i] == PLUS or data[i] == MINUS:
            if rest == 6 and data[i + 3] == COLON:
                hours, minutes = _digits(data, i + 1, 2), _digits(data, i + 4, 2)
            elif rest == 5:
                hours, minutes = _digits(data, i + 1, 2), _digits(data, i + 3, 2)
            elif rest == 3:
                hours, minutes = _digits(data, i + 1, 2), 0
            else:
                return BAD_TIME, 0, 0
            if hours < 0 or hours > 15 or minutes < 0 or minutes > 59:
                return BAD_TIME, 0, 0
            offset = (hours * 60 + minutes) * (1 if data[i] == PLUS else -1)
        elif rest != 1 or data[i] != 90:
            return BAD_TIME, 0, 0
    # Days since 1970-01-01, with the year counted from March so that the leap day comes last.
    shifted = year - (1 if month <= 2 else 0)
    in_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400 + in_year - 719468
    seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second
    return OK, seconds * 1_000_000_000 + nanosecond, style


@kernel
def flag(data: UInt8, start: int, stop: int) -> int:
    """Parse true/false, any case, or 1/0; -1 for anything else."""
    if stop - start == 1 and (data[start] == 48 or data[start] == 49):
        value: int = data[start] - ZERO
        return value
    first = data[start] | 32
    if stop - start == 4 and first == 116 and (data[start + 3] | 32) == 101:
        return 1
    if stop - start == 5 and first == 102 and (data[start + 4] | 32) == 101:
        return 0
    return -1
