"""What a what-if router saves: the last row of each venue and symbol, as market data that says the book alone.

Where a partition has many symbols, nearly every row is the last of its venue, and saving it must cost little beside
deciding at it: so keys and values are written by one kernel.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from venuewise._jit import kernel
from venuewise.data.events import Events, Int64, UInt8
from venuewise.messages.market import joined_text
from venuewise.messages.market_kernels import put_bytes, put_digits, put_price, put_text
from venuewise.messages.names import NameTable

BOOK: Final = b"book|"
"""First part of a key; symbol and publisher id follow, with the same sign between them."""
CLOCK: Final = b"clock|"
"""Key, with the symbol, of the time of the last decision where there is an interval between decisions."""
FAR: Final = b"far|"
"""Key, with the symbol, of an entry that says which side, opposite to the one to take, was ever shown."""
_BAR: Final = ord("|")
_CLOSE: Final = ord("}")
_LONGEST_NUMBER: Final = 21
_NAMES: Final = ("ts_event", "ts_recv", "publisher_id", "symbol")
_LEVEL_NAMES: Final = ("bid_px", "ask_px", "bid_sz", "ask_sz")


class BookWriter:
    """Writes rows as entries of the state.

    Parameters
    ----------
    depth : int
        Levels of the book.
    """

    def __init__(self, depth: int) -> None:
        names = [*_NAMES, *(f"{name}_{level:02d}" for level in range(depth) for name in _LEVEL_NAMES)]
        before = [f',"{name}":' for name in names]
        self._before, self._before_ends = joined_text(["{" + before[0][1:], *before[1:]])
        self._room = len(BOOK) + len(self._before) + (len(names) + 1) * _LONGEST_NUMBER

    def write(
        self,
        batch: Events,
        which: Int64,
        symbol: Int64,
        publisher: Int64,
        plain: NameTable,
        quoted: NameTable,
        longest: int,
    ) -> list[tuple[bytes, bytes]]:
        """Return keys and values of some rows of a batch.

        Parameters
        ----------
        which : ndarray of int64
            The rows.
        symbol, publisher : ndarray of int64
            Code of the symbol and publisher id of each row of the batch.
        plain, quoted : NameTable
            Symbols by their code, as they are and as JSON strings.
        longest : int
            Bytes that a quoted symbol has at most.
        """
        buffer = np.empty(len(which) * (self._room + 2 * longest), np.uint8)
        ends = _write_books(
            batch.ts_event, batch.ts_recv, batch.bid_px, batch.ask_px, batch.bid_sz, batch.ask_sz, which, symbol,
            publisher, plain, quoted, np.frombuffer(BOOK, np.uint8), self._before, self._before_ends, buffer,
        ).tolist()  # fmt: skip
        text = buffer[: ends[-1]].tobytes()
        return [
            (text[start:middle], text[middle:end])
            for start, middle, end in zip([0, *ends[1:-1:2]], ends[::2], ends[1::2], strict=True)
        ]


@kernel
def _write_books(
    ts_event: Int64, ts_recv: Int64, bid_px: Int64, ask_px: Int64, bid_sz: Int64, ask_sz: Int64, which: Int64,
    symbol: Int64, publisher: Int64, plain: NameTable, quoted: NameTable, key: UInt8, before: UInt8,
    before_ends: Int64, buffer: UInt8,
) -> Int64:  # fmt: skip
    """Write key and value of each row, one after the other; return where they end."""
    ends = np.empty(2 * len(which), np.int64)
    at = 0
    for i in range(len(which)):
        row = which[i]
        code = symbol[row]
        at = put_bytes(buffer, at, key, 0, len(key))
        at = put_text(buffer, at, plain.text, plain.ends, code)
        buffer[at] = _BAR
        at = put_digits(buffer, at + 1, publisher[row], 1)
        ends[2 * i] = at
        at = put_text(buffer, at, before, before_ends, 0)
        at = put_digits(buffer, at, ts_event[row], 1)
        at = put_text(buffer, at, before, before_ends, 1)
        at = put_digits(buffer, at, ts_recv[row], 1)
        at = put_text(buffer, at, before, before_ends, 2)
        at = put_digits(buffer, at, publisher[row], 1)
        at = put_text(buffer, at, before, before_ends, 3)
        at = put_text(buffer, at, quoted.text, quoted.ends, code)
        for level in range(bid_px.shape[1]):
            first = 4 + 4 * level
            at = put_text(buffer, at, before, before_ends, first)
            at = put_price(buffer, at, bid_px[row, level])
            at = put_text(buffer, at, before, before_ends, first + 1)
            at = put_price(buffer, at, ask_px[row, level])
            at = put_text(buffer, at, before, before_ends, first + 2)
            at = put_digits(buffer, at, bid_sz[row, level], 1)
            at = put_text(buffer, at, before, before_ends, first + 3)
            at = put_digits(buffer, at, ask_sz[row, level], 1)
        buffer[at] = _CLOSE
        at += 1
        ends[2 * i + 1] = at
    return ends
