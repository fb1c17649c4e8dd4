"""Sessions: the stretches of time in which one symbol trades. This is their one definition.

A session ends where every venue of the symbol is silent for longer than `SESSION_GAP`. Nothing may reach over its
edge: a venue takes part in a session from its first row in it, and no order, window, markout or schedule is
held from one session into the next. The rule looks at the symbol's own rows alone and never ahead, so a live router
finds the same edges as a backtest of the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from venuewise._jit import kernel
from venuewise.data.events import NS_PER_SECOND, Int64

SESSION_GAP: Final = 3600 * NS_PER_SECOND
"""A silence of all venues longer than this (ns) ends a session."""


@dataclass(frozen=True, slots=True)
class Span:
    """Times from `begin` up to and including `end`, nanoseconds UTC."""

    begin: int
    end: int


@kernel
def begins_session(before: int, now: int) -> bool:
    """Tell whether a row at `now` begins a session, where the symbol's row before it was at `before` (ns)."""
    return now - before > SESSION_GAP


def session_starts(ts: Int64) -> Int64:
    """Return the first row of each session, for the sorted times (ns) of one symbol's rows.

    Examples
    --------
    >>> import numpy as np
    >>> hour = 3_600_000_000_000
    >>> session_starts(np.array([0, 1, hour, 2 * hour, 3 * hour + 1]))
    array([0, 4])
    """
    if len(ts) == 0:
        return np.empty(0, np.int64)
    return np.concatenate([[0], np.flatnonzero(np.diff(ts) > SESSION_GAP) + 1]).astype(np.int64)


def sessions_of(ts: Int64) -> list[Span]:
    """Return the sessions of one symbol's rows, whose sorted times (ns) are given.

    A session of a single moment, such as the clear of all books at night, is none, unless there is no other.
    """
    firsts = session_starts(ts)
    lasts = np.append(firsts[1:], len(ts)) - 1
    spans = [Span(int(ts[first]), int(ts[last])) for first, last in zip(firsts, lasts, strict=True)]
    return [span for span in spans if span.begin < span.end] or spans
