"""The kernels under `market`: rows to JSON bytes, and JSON bytes to rows.

Writing formats integers straight into one buffer. Reading accepts the plain subset of JSON that nearly every
message is made of (a flat object, non-negative decimal numbers, ASCII strings without escapes, null) and
turns prices to integers digit by digit, so no float is ever in between; a message outside that subset is left
to the slow and complete reader of `market`, which either reads it or tells what is wrong with it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.data.events import UNDEFINED_PRICE, Int64, UInt8
from venuewise.messages.names import MAX_SYMBOL, NO_ROOM, NameTable, find_name, number_name, same_bytes

# What a field holds.
KIND_COUNT: Final = 0  # integer from 0 to the field's limit
KIND_SIZE: Final = 1  # the same, or null for 0
KIND_PRICE: Final = 2  # decimal dollars above 0, or null
KIND_LETTER: Final = 3  # one letter of the allowed
KIND_SYMBOL: Final = 4
KIND_IGNORED: Final = 5  # a name of the layout that is not kept: any plain value

NEEDED: Final = 0b1111
"""Bits of the fields that every message has: time, publisher, best ask price and size."""

# What came of a message; `NO_ROOM` where its symbol is new and there is no room for it.
READ: Final = 1
LEFT_OVER: Final = 0

# Base fields: their places in a row, before the levels.
TS_EVENT: Final = 0
TS_RECV: Final = 1
PUBLISHER: Final = 2
SYMBOL: Final = 3
SEQUENCE: Final = 4
ACTION: Final = 5
SIDE: Final = 6
DEPTH: Final = 7
PRICE: Final = 8
SIZE: Final = 9
BASE_FIELDS: Final = 10
# After them, for levels 0..L-1: bid prices, ask prices, bid sizes, ask sizes.

MAX_BASE_BYTES: Final = 420
"""Bytes that the base fields of a message take at most, its symbol aside."""
MAX_FIELD_BYTES: Final = 36
"""Bytes that a field of a level takes at most, its name included."""

_UNDEFINED: Final = int(UNDEFINED_PRICE)
_SCALE_DIGITS: Final = 9
_NS_PER_DAY: Final = 86_400_000_000_000
_MAX_DIGITS: Final = 19
"""Digits of the largest int64."""
_QUOTE, _COLON, _COMMA, _DOT, _OPEN, _CLOSE = 34, 58, 44, 46, 123, 125
_ZERO, _NINE = 48, 57
# Unsigned numbers index an array without the question whether they count from its end: several times faster in a loop
# over bytes.
_ONE, _TEN, _ZERO_BYTE = np.uint64(1), np.uint64(10), np.uint64(48)


@kernel
def put_bytes(buffer: UInt8, at: int, text: UInt8, start: int, stop: int) -> int:
    into, source = np.uint64(at), np.uint64(start)
    for i in range(np.uint64(stop - start)):
        buffer[into + i] = text[source + i]
    return at + stop - start


@kernel
def put_text(buffer: UInt8, at: int, text: UInt8, ends: Int64, which: int) -> int:
    """Write one of several texts."""
    return put_bytes(buffer, at, text, 0 if which == 0 else ends[which - 1], ends[which])


@kernel
def put_digits(buffer: UInt8, at: int, value: int, width: int) -> int:
    """Write a non-negative integer with at least `width` digits."""
    rest = np.uint64(value)
    digits = 1
    while rest >= _TEN:
        rest //= _TEN
        digits += 1
    digits = max(digits, width)
    place, rest = np.uint64(at + digits), np.uint64(value)
    for _ in range(digits):
        place -= _ONE
        shorter = rest // _TEN
        buffer[place] = np.uint8(_ZERO_BYTE + (rest - shorter * _TEN))
        rest = shorter
    return at + digits


@kernel
def put_price(buffer: UInt8, at: int, value: int) -> int:
    """Write 1e-9 dollars as dollars, exactly, without needless zeros; null where there is no price."""
    if value == _UNDEFINED:
        buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3] = 110, 117, 108, 108
        return at + 4
    at = put_digits(buffer, at, value // 1_000_000_000, 1)
    buffer[at] = _DOT
    at = put_digits(buffer, at + 1, value % 1_000_000_000, _SCALE_DIGITS)
    while buffer[at - 1] == _ZERO and buffer[at - 2] != _DOT:
        at -= 1
    return at


@kernel
def put_timestamp(buffer: UInt8, at: int, ns: int) -> int:
    """Write nanoseconds since 1970 as 2024-08-01T13:36:32.491911683Z (proleptic Gregorian calendar).

    Years are counted from March, so that the leap day comes last; an era is 400 years of 146,097 days.
    """
    days, within = ns // _NS_PER_DAY, ns % _NS_PER_DAY
    days += 719_468
    era = days // 146_097
    day_of_era = days - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    seconds, fraction = within // 1_000_000_000, within % 1_000_000_000
    at = put_digits(buffer, at, year, 4)
    buffer[at] = 45
    at = put_digits(buffer, at + 1, month, 2)
    buffer[at] = 45
    at = put_digits(buffer, at + 1, day, 2)
    buffer[at] = 84
    at = put_digits(buffer, at + 1, seconds // 3600, 2)
    buffer[at] = _COLON
    at = put_digits(buffer, at + 1, seconds // 60 % 60, 2)
    buffer[at] = _COLON
    at = put_digits(buffer, at + 1, seconds % 60, 2)
    buffer[at] = _DOT
    at = put_digits(buffer, at + 1, fraction, _SCALE_DIGITS)
    buffer[at] = 90
    return at + 1


@kernel
def write_rows(
    rows: Int64,
    levels: int,
    names: UInt8,
    name_ends: Int64,
    symbols: UInt8,
    symbol_ends: Int64,
    buffer: UInt8,
) -> Int64:
    """Write rows as JSON objects, one after the other; return where each ends.

    Parameters
    ----------
    rows : ndarray of int64, shape (n, 10 + 4 levels)
        Base fields, then the levels' bid prices, ask prices, bid sizes and ask sizes. The symbol is a code.
    levels : int
        Levels of the book.
    names, name_ends : ndarray
        The text before each value in the order of writing, and where each text ends: "timestamp", the base
        fields, then for each level bid price, ask price, bid size, ask size.
    symbols, symbol_ends : ndarray
        Each symbol as a JSON string, and where each ends.
    buffer : ndarray of uint8
        Room for the output.
    """
    n = rows.shape[0]
    ends = np.empty(n, np.int64)
    at = 0
    for i in range(n):
        at = put_bytes(buffer, at, names, 0, name_ends[0])
        at = put_timestamp(buffer, at, rows[i, TS_EVENT])
        for field in range(BASE_FIELDS):
            at = put_bytes(buffer, at, names, name_ends[field], name_ends[field + 1])
            value = rows[i, field]
            if field == PRICE:
                at = put_price(buffer, at, value)
            elif field == SYMBOL:
                first = 0 if value == 0 else symbol_ends[value - 1]
                at = put_bytes(buffer, at, symbols, first, symbol_ends[value])
            elif field in {ACTION, SIDE}:
                buffer[at], buffer[at + 1], buffer[at + 2] = _QUOTE, value, _QUOTE
                at += 3
            else:
                at = put_digits(buffer, at, value, 1)
        text = BASE_FIELDS
        for level in range(levels):
            for part in range(4):
                at = put_bytes(buffer, at, names, name_ends[text], name_ends[text + 1])
                text += 1
                value = rows[i, BASE_FIELDS + part * levels + level]
                at = put_price(buffer, at, value) if part < 2 else put_digits(buffer, at, value, 1)
        buffer[at] = _CLOSE
        at += 1
        ends[i] = at
    return ends


@kernel
def _byte(text: UInt8, at: int) -> np.uint8:
    byte: np.uint8 = text[np.uint64(at)]
    return byte


@kernel
def _skip_space(text: UInt8, at: int, stop: int) -> int:
    while at < stop and (
        _byte(text, at) == 32 or _byte(text, at) == 10 or _byte(text, at) == 13 or _byte(text, at) == 9
    ):
        at += 1
    return at


@kernel
def _end_of_string(text: UInt8, at: int, stop: int) -> int:
    """Return the place of the quote that closes a plain string, or -1 where the string is not plain."""
    while at < stop:
        byte = _byte(text, at)
        if byte == _QUOTE:
            return at
        if byte < 32 or byte >= 127 or byte == 92:
            return -1
        at += 1
    return -1


@kernel
def _is_null(text: UInt8, at: int, stop: int) -> bool:
    return (
        at + 4 <= stop
        and _byte(text, at) == 110
        and _byte(text, at + 1) == 117
        and _byte(text, at + 2) == 108
        and _byte(text, at + 3) == 108
    )


@kernel
def _number(text: UInt8, at: int, stop: int) -> tuple[int, int, int]:
    """Read a non-negative number without exponent in one pass.

    Returns
    -------
    value, decimals, end : int
        The digits as one integer, how many of them follow the point, and where the number ends; the end is -1
        where there is no such number, or more digits than surely fit.
    """
    start = at
    value = 0
    while at < stop and _ZERO <= _byte(text, at) <= _NINE:
        value = value * 10 + (int(_byte(text, at)) - _ZERO)
        at += 1
    whole = at - start
    decimals = 0
    if at < stop and _byte(text, at) == _DOT:
        at += 1
        point = at
        while at < stop and _ZERO <= _byte(text, at) <= _NINE:
            value = value * 10 + (int(_byte(text, at)) - _ZERO)
            at += 1
        decimals = at - point
        if decimals == 0:
            return 0, 0, -1
    # 19 digits may pass the end of int64 and wrap round: the callers refuse what is negative or too large.
    if whole == 0 or whole + decimals > _MAX_DIGITS or (_byte(text, start) == _ZERO and whole > 1):
        return 0, 0, -1
    if at < stop and (_byte(text, at) == 101 or _byte(text, at) == 69):
        return 0, 0, -1
    return value, decimals, at


@kernel
def _end_of_number(text: UInt8, at: int, stop: int) -> int:
    """Return where a number ends that `_number` would read and nobody wants; -1 where there is no such number."""
    start = at
    while at < stop and _ZERO <= _byte(text, at) <= _NINE:
        at += 1
    digits = at - start
    if digits == 0 or (digits > 1 and _byte(text, start) == _ZERO):
        return -1
    if at < stop and _byte(text, at) == _DOT:
        point = at
        at += 1
        while at < stop and _ZERO <= _byte(text, at) <= _NINE:
            at += 1
        if at == point + 1:
            return -1
        digits += at - point - 1
    if digits > _MAX_DIGITS or (at < stop and (_byte(text, at) == 101 or _byte(text, at) == 69)):
        return -1
    return at


@kernel
def _read_row(
    text: UInt8, at: int, stop: int, row: Int64, names: NameTable, kinds: UInt8, columns: Int64, limits: Int64,
    needs: Int64, letters: UInt8, symbols: NameTable, order: Int64, powers: Int64,
) -> int:  # fmt: skip
    """Read one message into a row that holds the defaults; return `READ`, `LEFT_OVER` or `NO_ROOM`."""
    symbol, symbol_end = -1, -1
    at = _skip_space(text, at, stop)
    if at >= stop or _byte(text, at) != _OPEN:
        return LEFT_OVER
    have = 0
    ordinal = 0
    while True:
        at = _skip_space(text, at + 1, stop)
        if at >= stop or _byte(text, at) != _QUOTE:
            return LEFT_OVER
        name = at + 1
        # Messages of one producer name their fields in one order: try the field that stood here last time.
        field = order[ordinal] if ordinal < len(order) else -1
        first = names.ends[field - 1] if field > 0 else 0
        at = name + names.ends[field] - first if field >= 0 else stop
        if (
            at >= stop
            or _byte(text, at) != _QUOTE
            or not same_bytes(text, name, at, names.text, first, names.ends[field])
        ):
            at = _end_of_string(text, name, stop)
            if at < 0:
                return LEFT_OVER
            field = find_name(text, name, at, names)
            if ordinal < len(order):
                order[ordinal] = field
        ordinal += 1
        at = _skip_space(text, at + 1, stop)
        if at >= stop or _byte(text, at) != _COLON:
            return LEFT_OVER
        at = _skip_space(text, at + 1, stop)
        if at >= stop:
            return LEFT_OVER
        kind, column = KIND_IGNORED, -1
        if field >= 0:
            kind, column = kinds[field], columns[field]
            have |= needs[field]
        if _byte(text, at) == _QUOTE:
            start = at + 1
            at = _end_of_string(text, start, stop)
            if at < 0:
                return LEFT_OVER
            if kind == KIND_LETTER:
                if at != start + 1 or letters[_byte(text, start)] & limits[field] == 0:
                    return LEFT_OVER
                row[column] = _byte(text, start)
            elif kind == KIND_SYMBOL:
                if at - start > MAX_SYMBOL:
                    return LEFT_OVER
                symbol, symbol_end = start, at
            elif kind != KIND_IGNORED:
                return LEFT_OVER
            at += 1
        elif _is_null(text, at, stop):
            if kind == KIND_PRICE:
                row[column] = _UNDEFINED
            elif kind == KIND_SIZE:
                row[column] = 0
            elif kind != KIND_IGNORED:
                return LEFT_OVER
            at += 4
        elif kind == KIND_IGNORED:
            at = _end_of_number(text, at, stop)
            if at < 0:
                return LEFT_OVER
        else:
            value, decimals, at = _number(text, at, stop)
            if at < 0:
                return LEFT_OVER
            if kind == KIND_PRICE:
                if decimals > _SCALE_DIGITS:
                    return LEFT_OVER
                scale = powers[_SCALE_DIGITS - decimals]
                if value <= 0 or value > (_UNDEFINED - 1) // scale:
                    return LEFT_OVER
                row[column] = value * scale
            elif kind in {KIND_COUNT, KIND_SIZE}:
                if decimals > 0 or value < 0 or value > limits[field]:
                    return LEFT_OVER
                row[column] = value
            else:
                return LEFT_OVER
        at = _skip_space(text, at, stop)
        if at >= stop:
            return LEFT_OVER
        if _byte(text, at) == _CLOSE:
            break
        if _byte(text, at) != _COMMA:
            return LEFT_OVER
    if have != NEEDED:
        return LEFT_OVER
    if row[TS_RECV] == 0:
        row[TS_RECV] = row[TS_EVENT]
    if _skip_space(text, at + 1, stop) != stop:
        return LEFT_OVER
    if symbol >= 0:
        row[SYMBOL] = number_name(text, symbol, symbol_end, symbols)
        if row[SYMBOL] == NO_ROOM:
            return NO_ROOM
    return READ


@kernel
def read_rows(
    text: UInt8, ends: Int64, begin: int, names: NameTable, kinds: UInt8, columns: Int64, limits: Int64, needs: Int64,
    letters: UInt8, symbols: NameTable, order: Int64, rows: Int64, read: npt.NDArray[np.bool_],
) -> int:  # fmt: skip
    """Read messages from the `begin`-th on into rows; return the one whose new symbol has no room, or their number.

    Parameters
    ----------
    text, ends : ndarray
        The messages one after the other, and where each ends.
    names : NameTable
        The fields that are known, in the order of `kinds`, `columns`, `limits` and `needs`.
    kinds, columns : ndarray
        What a field holds, and its place in a row (-1 where the value is not kept).
    limits : ndarray of int64
        Largest value of each field; for a letter, the bit that marks the allowed ones in `letters`.
    needs : ndarray of int64
        A bit of `NEEDED` for each field that a message must have, 0 for the others.
    letters : ndarray of uint8, shape (256,)
        Bits of the letters allowed.
    symbols : NameTable
        Symbols known so far; new ones are added.
    order : ndarray of int64
        Field that stood at each place of the last message: kept between calls.
    rows : ndarray of int64, shape (n, columns)
        Filled with the defaults; receives the values.
    read : ndarray of bool, shape (n,)
        Receives which were read, the others being left to the complete reader.
    """
    powers = np.empty(_SCALE_DIGITS + 1, np.int64)
    powers[0] = 1
    for k in range(_SCALE_DIGITS):
        powers[k + 1] = 10 * powers[k]
    start = ends[begin - 1] if begin > 0 else 0
    for i in range(begin, len(ends)):
        outcome = _read_row(
            text,
            start,
            ends[i],
            rows[i],
            names,
            kinds,
            columns,
            limits,
            needs,
            letters,
            symbols,
            order,
            powers,
        )
        if outcome == NO_ROOM:
            return i
        read[i] = outcome == READ
        start = ends[i]
    return len(ends)
