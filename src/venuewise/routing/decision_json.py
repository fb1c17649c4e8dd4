"""The kernel that writes decisions as JSON: everything that is the same in all messages is text made beforehand."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from venuewise._jit import kernel
from venuewise.data.events import UNDEFINED_PRICE, Int64, UInt8
from venuewise.messages.market_kernels import put_digits, put_price, put_text, put_timestamp
from venuewise.routing.whatif_decisions import DECIDED, Decisions

ROOM: Final = 420
"""Bytes that a decision takes at most, its texts and venues aside."""
VENUE_ROOM: Final = 100
"""Bytes that a venue's numbers take at most."""

# Texts of `Texts.common`, in order.
OPENING: Final = 0  # {"symbol":
AFTER_SYMBOL: Final = 1  # ,"timestamp":"
AFTER_TIME: Final = 2  # ","order_size":...,"algorithm":"exact"
MID: Final = 3
ALLOCATION: Final = 4
COST: Final = 5
EXECUTED: Final = 6
UNDERFILL: Final = 7
OVERFILL: Final = 8
CASH: Final = 9
FILL_RATE: Final = 10
VENUES: Final = 11
VENUE_SIZE: Final = 12
REAL: Final = 13
SYNTHETIC: Final = 14
REFUSED: Final = 15  # the reasons, by status, from NO_QUOTE on

_MINUS, _DOT, _COMMA, _CLOSE_LIST, _CLOSE = 45, 46, 44, 93, 125
_NANO: Final = 1_000_000_000
_NO_PRICE: Final = int(UNDEFINED_PRICE)


class Texts(NamedTuple):
    """Texts one after the other, and where each ends.

    Attributes
    ----------
    common, common_ends
        Those named above.
    symbols, symbol_ends
        Each symbol as a JSON string.
    before, before_ends
        For each venue, from its opening to its price.
    after, after_ends
        For each venue, from its size to its allocation.
    """

    common: UInt8
    common_ends: Int64
    symbols: UInt8
    symbol_ends: Int64
    before: UInt8
    before_ends: Int64
    after: UInt8
    after_ends: Int64


@kernel
def put_decimal(buffer: UInt8, at: int, value: float) -> int:
    """Write a number with the nine decimals that prices have, needless zeros left out."""
    if value < 0.0:
        buffer[at] = _MINUS
        at += 1
        value = -value
    whole = int(value)
    fraction = round((value - whole) * _NANO)
    if fraction == _NANO:
        whole, fraction = whole + 1, 0
    at = put_digits(buffer, at, whole, 1)
    buffer[at] = _DOT
    at = put_digits(buffer, at + 1, fraction, 9)
    while buffer[at - 1] == 48 and buffer[at - 2] != _DOT:
        at -= 1
    return at


@kernel
def write_decisions(
    ts: Int64, symbol: Int64, synthetic: UInt8, decisions: Decisions, order_size: int, sign: int, texts: Texts,
    buffer: UInt8,
) -> Int64:  # fmt: skip
    """Write a JSON object for each decision or refusal, one after the other; return where each ends.

    Parameters
    ----------
    ts, symbol, synthetic : ndarray, shape (n,)
        Time (ns since 1970), code of the symbol, and whether the data are made up.
    decisions : Decisions
    order_size : int
        Shares wanted.
    sign : int
        1 for a buy, -1 for a sell: cash spent is negative for a sell.
    texts : Texts
    buffer : ndarray of uint8
        Room for the output.
    """
    n = len(ts)
    ends = np.empty(n, np.int64)
    common, common_ends = texts.common, texts.common_ends
    at = 0
    for i in range(n):
        first, last = decisions.first[i], decisions.first[i] + decisions.venues[i]
        at = put_text(buffer, at, common, common_ends, OPENING)
        at = put_text(buffer, at, texts.symbols, texts.symbol_ends, symbol[i])
        at = put_text(buffer, at, common, common_ends, AFTER_SYMBOL)
        at = put_timestamp(buffer, at, ts[i])
        at = put_text(buffer, at, common, common_ends, AFTER_TIME)
        if decisions.status[i] != DECIDED:
            at = put_text(buffer, at, common, common_ends, REFUSED + decisions.status[i] - 1)
        else:
            at = put_text(buffer, at, common, common_ends, MID)
            at = put_decimal(buffer, at, decisions.mid[i])
            at = put_text(buffer, at, common, common_ends, ALLOCATION)
            for place in range(first, last):
                if place > first:
                    buffer[at] = _COMMA
                    at += 1
                at = put_digits(buffer, at, decisions.shares[place], 1)
            at = put_text(buffer, at, common, common_ends, COST)
            at = put_decimal(buffer, at, decisions.cost[i])
            executed = decisions.executed[i]
            at = put_text(buffer, at, common, common_ends, EXECUTED)
            at = put_digits(buffer, at, executed, 1)
            at = put_text(buffer, at, common, common_ends, UNDERFILL)
            at = put_digits(buffer, at, max(order_size - executed, 0), 1)
            at = put_text(buffer, at, common, common_ends, OVERFILL)
            at = put_digits(buffer, at, max(executed - order_size, 0), 1)
            at = put_text(buffer, at, common, common_ends, CASH)
            at = put_decimal(buffer, at, sign * decisions.cash[i])
            at = put_text(buffer, at, common, common_ends, FILL_RATE)
            at = put_decimal(buffer, at, min(executed, order_size) / order_size)
            at = put_text(buffer, at, common, common_ends, VENUES)
            for place in range(first, last):
                if place > first:
                    buffer[at] = _COMMA
                    at += 1
                venue, size = decisions.venue[place], decisions.size[place]
                at = put_text(buffer, at, texts.before, texts.before_ends, venue)
                at = put_price(buffer, at, decisions.price[place] if size > 0 else _NO_PRICE)
                at = put_text(buffer, at, common, common_ends, VENUE_SIZE)
                at = put_digits(buffer, at, size, 1)
                at = put_text(buffer, at, texts.after, texts.after_ends, venue)
                at = put_digits(buffer, at, decisions.shares[place], 1)
                buffer[at] = _CLOSE
                at += 1
            buffer[at] = _CLOSE_LIST
            at += 1
        at = put_text(buffer, at, common, common_ends, SYNTHETIC if synthetic[i] else REAL)
        ends[i] = at
    return ends
