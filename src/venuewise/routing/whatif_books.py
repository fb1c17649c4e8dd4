"""Books of many symbols: what every venue last showed on the side to take, and the best price of the other side.

The venues of a symbol stand side by side in one pool of arrays, in the order of their publisher ids, whatever the order
they were first heard of: a router that starts anew from saved rows decides as one that never stopped. A stretch of the
pool that is full moves to its end, with twice the room. So memory follows what is shown, not symbols x venues, and a
batch touches only what it tells of.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from venuewise._jit import kernel
from venuewise.data.events import ACTION_CLEAR, UNDEFINED_PRICE, Events, Int64
from venuewise.data.sessions import begins_session
from venuewise.market.book import shown
from venuewise.messages.names import Names

UNHEARD: Final = np.iinfo(np.int64).min
"""Time of a venue that has a place in a symbol's book, and has not spoken in its session."""
NEVER: Final = -1
SEEN: Final = 1
SEEN_AND_SAVED: Final = 2
_FIRST_ROOM: Final = 4


class Rows(NamedTuple):
    """The rows of a batch, as one side sees them.

    `symbol` and `venue` are codes of `Books`; `slot` is filled when a row is heard, and holds until the pool changes.
    """

    ts: Int64
    symbol: Int64
    venue: Int64
    publisher: Int64
    take_px: Int64
    take_sz: Int64
    far_px: Int64
    slot: Int64


class Pool(NamedTuple):
    """What venues last showed, by slot; and where the slots of each symbol are.

    Attributes
    ----------
    publisher, venue : ndarray of int64
        Publisher id, and code of the venue in `Books.publishers`.
    ts : ndarray of int64
        Time of the last row, ns; `UNHEARD` where there was none in the session.
    take_px, take_sz : ndarray of int64, shape (slots, depth)
    far_px : ndarray of int64
    row : ndarray of int64
        Row of the batch under way that came last; of no meaning before one came.
    used : ndarray of int64, shape (1,)
        Slots handed out.
    first, venues, room : ndarray of int64
        For each symbol: its first slot, its venues, and the slots it has.
    decided_at : ndarray of int64
        For each symbol: time of the last decision, ns; `NEVER` before it.
    far_seen : ndarray of int64
        For each symbol: whether the side opposite to the one to take was ever shown; `SEEN` until that is saved.
    """

    publisher: Int64
    venue: Int64
    ts: Int64
    take_px: Int64
    take_sz: Int64
    far_px: Int64
    row: Int64
    used: Int64
    first: Int64
    venues: Int64
    room: Int64
    decided_at: Int64
    far_seen: Int64


@kernel
def place_of(pool: Pool, symbol: int, publisher: int) -> int:
    """Return the slot of the symbol's first venue whose publisher id is not smaller."""
    low: int = pool.first[symbol]
    high: int = low + pool.venues[symbol]
    while low < high:
        middle = (low + high) // 2
        if pool.publisher[middle] < publisher:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _move(pool: Pool, start: int, stop: int) -> None:
    """Copy a slot."""
    pool.publisher[stop], pool.venue[stop], pool.ts[stop] = (
        pool.publisher[start],
        pool.venue[start],
        pool.ts[start],
    )
    pool.far_px[stop], pool.row[stop] = pool.far_px[start], pool.row[start]
    for level in range(pool.take_px.shape[1]):
        pool.take_px[stop, level], pool.take_sz[stop, level] = (
            pool.take_px[start, level],
            pool.take_sz[start, level],
        )


@kernel
def admit(pool: Pool, rows: Rows, begin: int) -> int:
    """Make a place for the venue of each row from `begin` on; return the first row for which there is no room."""
    for row in range(begin, len(rows.ts)):
        symbol, publisher = rows.symbol[row], rows.publisher[row]
        slot, count = place_of(pool, symbol, publisher), pool.venues[symbol]
        if slot < pool.first[symbol] + count and pool.publisher[slot] == publisher:
            continue
        if count == pool.room[symbol]:
            room, start = max(2 * count, _FIRST_ROOM), pool.used[0]
            if start + room > len(pool.ts):
                return row
            for i in range(count):
                _move(pool, pool.first[symbol] + i, start + i)
            slot += start - pool.first[symbol]
            pool.first[symbol], pool.room[symbol], pool.used[0] = start, room, start + room
        for after in range(pool.first[symbol] + count, slot, -1):
            _move(pool, after - 1, after)
        pool.publisher[slot], pool.venue[slot], pool.ts[slot] = publisher, rows.venue[row], UNHEARD
        pool.venues[symbol] = count + 1
    return len(rows.ts)


@kernel
def hear(pool: Pool, rows: Rows, row: int) -> None:
    """Take over what a row shows, into the place that its venue has."""
    slot = place_of(pool, rows.symbol[row], rows.publisher[row])
    rows.slot[row] = slot
    pool.ts[slot], pool.far_px[slot], pool.row[slot] = rows.ts[row], rows.far_px[row], row
    if rows.far_px[row] != UNDEFINED_PRICE and pool.far_seen[rows.symbol[row]] == 0:
        pool.far_seen[rows.symbol[row]] = SEEN
    for level in range(pool.take_px.shape[1]):
        pool.take_px[slot, level] = rows.take_px[row, level]
        pool.take_sz[slot, level] = rows.take_sz[row, level]


@kernel
def forget_if_over(pool: Pool, symbol: int, now: int) -> bool:
    """Empty a symbol's books where a row at `now` begins a session; tell whether it does.

    The rows that the venues last sent say when the symbol was last heard of, so what is saved of them says it too.
    """
    first, last = pool.first[symbol], pool.first[symbol] + pool.venues[symbol]
    before = UNHEARD
    for slot in range(first, last):
        before = max(before, pool.ts[slot])
    if before == UNHEARD or not begins_session(before, now):
        return False
    for slot in range(first, last):
        pool.ts[slot] = UNHEARD
    pool.decided_at[symbol] = NEVER
    return True


@kernel
def hear_all(pool: Pool, rows: Rows) -> None:
    """Take over what all rows show."""
    for row in range(len(rows.ts)):
        hear(pool, rows, row)


@kernel
def rows_that_stand(pool: Pool, rows: Rows) -> Int64:
    """Return the rows of a batch, all heard, that are in the books: no later one replaces them, no session ended."""
    found = np.empty(len(rows.ts), np.int64)
    k = 0
    for row in range(len(rows.ts)):
        if pool.row[rows.slot[row]] == row and pool.ts[rows.slot[row]] != UNHEARD:
            found[k] = row
            k += 1
    return found[:k]


def as_books_take_them(batch: Events, depth: int) -> Events:
    """Return the rows with so many levels; those that clear a book show nothing, whatever came with them."""
    clears = (batch.action == ACTION_CLEAR)[:, None]
    cleared = bool(clears.any())
    if batch.levels == depth and not cleared:
        return batch

    def fitted(levels: Int64, nothing: int) -> Int64:
        whole = np.full((len(batch), depth), nothing, np.int64)
        kept = min(depth, levels.shape[1])
        whole[:, :kept] = np.where(clears, nothing, levels[:, :kept]) if cleared else levels[:, :kept]
        return whole

    return replace(
        batch,
        bid_px=fitted(batch.bid_px, UNDEFINED_PRICE),
        ask_px=fitted(batch.ask_px, UNDEFINED_PRICE),
        bid_sz=fitted(batch.bid_sz, 0),
        ask_sz=fitted(batch.ask_sz, 0),
    )


def unheard(pool: Pool, symbol: int) -> list[int]:
    """Return the publisher ids of the symbol's venues that have not spoken in its session."""
    slots = slice(int(pool.first[symbol]), int(pool.first[symbol] + pool.venues[symbol]))
    found: list[int] = pool.publisher[slots][pool.ts[slots] == UNHEARD].tolist()
    return found


class Books:
    """The pool, and the names behind its codes.

    Parameters
    ----------
    depth : int
        Levels held.
    buy : bool
        Whether asks are what may be taken.

    Attributes
    ----------
    publishers : list of int
        Publisher ids, in the order in which they were first heard of.
    symbols : Names
        The same of symbols.
    pool : Pool
    """

    def __init__(self, depth: int, buy: bool) -> None:
        self.buy = buy
        self.publishers: list[int] = []
        self.symbols = Names()
        self._venue_of: dict[int, int] = {}
        self._seen: tuple[str, ...] = ()
        self._code_of = np.empty(0, np.int64)
        self.pool = _pool(_FIRST_ROOM, _FIRST_ROOM, depth)

    def code_of(self, symbol: str) -> int:
        """Return the code of a symbol, a new one where it is not known yet."""
        code = self.symbols.code(symbol)
        if code == len(self.pool.first):
            self.pool = _wider(self.pool, len(self.pool.ts), 2 * code)
        return code

    def _codes_of(self, symbols: tuple[str, ...]) -> Int64:
        """Return the codes of a batch's symbols; batches of one decoder add to those of the batch before."""
        if symbols is not self._seen:
            known = len(self._seen)
            if symbols[:known] != self._seen:
                known = 0
            new = [self.code_of(symbol) for symbol in symbols[known:]]
            self._code_of = np.concatenate([self._code_of[:known], np.array(new, np.int64)])
            self._seen = symbols
        return self._code_of

    def rows_of(self, batch: Events) -> Rows:
        """Return the rows of a batch in this object's codes, and make places for their venues."""
        asks, bids = (batch.ask_px, batch.ask_sz), (batch.bid_px, batch.bid_sz)
        (take_px, take_sz), far = (asks, bids) if self.buy else (bids, asks)
        venues, venue = np.unique(batch.venue, return_inverse=True)
        ids = [batch.publishers[code] for code in venues.tolist()]
        for publisher in ids:
            if self._venue_of.setdefault(publisher, len(self.publishers)) == len(self.publishers):
                self.publishers.append(publisher)
        rows = Rows(
            ts=np.ascontiguousarray(batch.ts),
            symbol=self._codes_of(batch.symbols)[batch.symbol],
            venue=np.array([self._venue_of[publisher] for publisher in ids], np.int64)[venue],
            publisher=np.array(ids, np.int64)[venue],
            take_px=np.ascontiguousarray(take_px),
            take_sz=np.ascontiguousarray(take_sz),
            far_px=shown(*far),
            slot=np.empty(len(batch), np.int64),
        )
        done = 0
        while (done := admit(self.pool, rows, done)) < len(batch):
            self.pool = _wider(self.pool, 2 * len(self.pool.ts), len(self.pool.first))
        return rows


def _pool(slots: int, symbols: int, depth: int) -> Pool:
    """Return an empty pool: what is known of a slot lies together in memory, and so do the slots of a symbol."""
    cells = np.zeros((slots, 5 + 2 * depth), np.int64)
    publisher, venue, ts, far_px, row = cells[:, :5].T
    by_symbol = np.zeros((symbols, 5), np.int64)
    first, venues, room, decided_at, far_seen = by_symbol.T
    decided_at[:] = NEVER
    return Pool(
        publisher, venue, ts, cells[:, 5 : 5 + depth], cells[:, 5 + depth :], far_px, row, np.zeros(1, np.int64), first,
        venues, room, decided_at, far_seen,
    )  # fmt: skip


def _wider(pool: Pool, slots: int, symbols: int) -> Pool:
    """Return a pool of more slots and symbols with the same in it."""
    wider = _pool(slots, symbols, pool.take_px.shape[1])
    for old, new in zip(pool, wider, strict=True):
        new[: len(old)] = old
    return wider
