"""The kernel that turns the bytes of a CSV file into integer columns, in one pass and without floats.

Each column has a kind, and a place in one flat array (`base + row * stride`): a level column has the number
of levels as its stride, so a book comes out as a (rows, levels) array with no transposition. The pass stops
at the first cell that breaks a rule and says which one, so a bad file is diagnosed by the code that reads
the good ones.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from venuewise._jit import kernel
from venuewise.data._cells import (
    ACTIONS,
    BAD_ACTION,
    BAD_FLAG,
    BAD_SIDE,
    FIELDS,
    MISSING,
    OK,
    PRICE_ZERO,
    SIDES,
    SPACE,
    TIME_FORMAT,
    TOO_LARGE,
    TOO_MANY_TEXTS,
    count,
    flag,
    moment,
    price,
)  # fmt: skip
from venuewise.data.events import UNDEFINED_PRICE, Int64, UInt8

MOST_SHARES: Final = 10**15
"""Of a level or a trade: all levels of all venues still add up in an int64."""
SKIP, TIME, PRICE, COUNT, PUBLISHER, ACTION, SIDE, TEXT, FLAG, SMALL_COUNT, SIZE = range(11)
"""Kinds of column."""

R_CODE, R_ROW, R_COLUMN, R_START, R_STOP, R_FRACTION, R_ZEROED, R_TEXTS = range(8)
"""Places in the report of a pass: how it ended and where; the first row whose price has a fraction (-1:
none); sizes set to 0 because their price is missing; texts found."""

MAX_TEXTS: Final = 1 << 15
"""Distinct symbols that one file may hold."""

COMMA, NEWLINE, RETURN = 44, 10, 13
_MAX: Final = int(UNDEFINED_PRICE)


class Columns(NamedTuple):
    """How a line's fields are read, one entry for each: kind, place of the first value, step to the next, time format.

    `pairs` holds, for each price, its column, that of its size (-1: none) and whether it is a level of the
    book: a level without a price has no shares, and a price of 0 without shares is none.
    """

    kinds: Int64
    bases: Int64
    strides: Int64
    time_formats: Int64
    pairs: Int64


class Texts(NamedTuple):
    """Distinct texts found: where each stands, and a hash table of them (-1: free)."""

    starts: Int64
    stops: Int64
    buckets: Int64


@kernel
def _text(
    data: UInt8, start: int, stop: int, starts: Int64, stops: Int64, buckets: Int64, known: int
) -> tuple[int, int]:
    """Return (code of the text among those seen, how many are now known); code -1 when the table is full."""
    length = stop - start
    key = np.uint64(14695981039346656037)
    for i in range(start, stop):
        key = (key ^ np.uint64(data[i])) * np.uint64(1099511628211)
    place = np.int64(key & np.uint64(len(buckets) - 1))
    while buckets[place] >= 0:
        code = buckets[place]
        if stops[code] - starts[code] == length:
            same = True
            for i in range(length):
                if data[starts[code] + i] != data[start + i]:
                    same = False
                    break
            if same:
                return code, known
        place = (place + 1) & (len(buckets) - 1)
    if known == len(starts):
        return -1, known
    starts[known], stops[known] = start, stop
    buckets[place] = known
    return known, known + 1


@kernel
def _field(data: UInt8, line: int, stop: int, column: int) -> tuple[int, int]:
    """Return where a field of the line that begins at `line` stands."""
    begin = line
    for _ in range(column):
        while data[begin] != COMMA:
            begin += 1
        begin += 1
    end = begin
    while end < stop and data[end] != COMMA and data[end] != NEWLINE and data[end] != RETURN:
        end += 1
    return begin, end


@kernel
def parse_rows(
    data: UInt8,
    start: int,
    stop: int,
    first_row: int,
    layout: Columns,
    fixed: bool,
    flat: Int64,
    texts: Texts,
    report: Int64,
) -> None:
    """Parse the lines of data[start:stop] into `flat`, from row `first_row` on.

    `texts` receives the distinct texts. `report` says how the pass ended (see R_CODE and its neighbours).
    """
    kinds, bases, strides, time_formats, pairs = layout
    starts, stops, buckets = texts
    report[:] = 0
    report[R_FRACTION] = -1
    columns = len(kinds)
    known, row, position = 0, first_row, start
    while position < stop:
        column, line = 0, position
        last = False
        while not last:
            begin = position
            while position < stop and data[position] != COMMA and data[position] != NEWLINE:
                position += 1
            end = position
            last = position >= stop or data[position] == NEWLINE
            position += 1
            if column >= columns:
                column += 1
                continue
            kind = kinds[column]
            if kind == SKIP:
                column += 1
                continue
            if last and end > begin and data[end - 1] == RETURN:
                end -= 1
            while begin < end and data[begin] == SPACE:
                begin += 1
            while begin < end and data[end - 1] == SPACE:
                end -= 1
            code, value = OK, 0
            if kind == PRICE:
                if begin == end:
                    value = _MAX
                else:
                    code, value, fraction = price(data, begin, end, fixed)
                    if fraction and report[R_FRACTION] < 0:
                        report[R_FRACTION] = row
            elif kind == COUNT:
                if begin < end:
                    code, value = count(data, begin, end)
            elif begin == end and kind in (TIME, PUBLISHER):
                code = MISSING
            elif kind == TIME:
                code, value, style = moment(data, begin, end)
                if code == OK and style != time_formats[column]:
                    code = TIME_FORMAT
            elif kind in (PUBLISHER, SMALL_COUNT, SIZE):
                if begin < end:
                    code, value = count(data, begin, end)
                    most = 65535 if kind == PUBLISHER else 255 if kind == SMALL_COUNT else MOST_SHARES
                    if code == OK and value > most:
                        code = TOO_LARGE
            elif kind == ACTION:
                value = data[begin] if begin < end else 78
                if end - begin > 1 or not ACTIONS[value]:
                    code = BAD_ACTION
            elif kind == SIDE:
                value = data[begin] if begin < end else 78
                if end - begin > 1 or not SIDES[value]:
                    code = BAD_SIDE
            elif kind == TEXT:
                value, known = _text(data, begin, end, starts, stops, buckets, known)
                if value < 0:
                    code = TOO_MANY_TEXTS
            elif begin < end:  # FLAG
                value = flag(data, begin, end)
                if value < 0:
                    code = BAD_FLAG
            if code != OK:
                report[R_CODE], report[R_ROW], report[R_COLUMN] = code, row, column
                report[R_START], report[R_STOP] = begin, end
                fields = column + 1  # a missing or surplus field is the likelier cause of a bad cell after it
                while not last:
                    while position < stop and data[position] != COMMA and data[position] != NEWLINE:
                        position += 1
                    fields += 1
                    last = position >= stop or data[position] == NEWLINE
                    position += 1
                if fields != columns:
                    report[R_CODE], report[R_COLUMN] = FIELDS, fields
                return
            flat[bases[column] + row * strides[column]] = value
            column += 1
        if column != columns:
            report[R_CODE], report[R_ROW], report[R_COLUMN] = FIELDS, row, column
            return
        for pair in range(len(pairs)):
            column, sizes = pairs[pair, 0], pairs[pair, 1]
            at = bases[column] + row * strides[column]
            if 0 < flat[at] < _MAX:
                continue
            beside = bases[sizes] + row * strides[sizes]
            if sizes < 0 or flat[beside] == 0:
                flat[at] = _MAX
            elif flat[at] == 0:
                begin, end = _field(data, line, stop, column)
                report[R_CODE], report[R_ROW], report[R_COLUMN] = PRICE_ZERO, row, column
                report[R_START], report[R_STOP] = begin, end
                return
            elif pairs[pair, 2]:
                flat[beside] = 0
                report[R_ZEROED] += 1
        row += 1
    report[R_TEXTS] = known
