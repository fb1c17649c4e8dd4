"""When in the day does volume come? Curves from the sessions before, for orders worked on a volume schedule.

A session's curve knows nothing of that session: the volume of its own later buckets is not known while an order is
worked, and its earlier ones say nothing of how the rest of the day is shaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from venuewise.data.events import NS_PER_SECOND, Int64
from venuewise.data.sessions import Span

BUCKET: Final = 300 * NS_PER_SECOND
"""Length of a bucket, ns: five minutes."""
BUCKETS: Final = 288
"""Buckets of a UTC day."""


def curves_before(ts: Int64, printed: Int64, sessions: Sequence[Span]) -> list[tuple[float, ...]]:
    """Return for each session the volume a second in each bucket of the day, over all sessions before it.

    Buckets that no earlier session has seen get the mean of the others; a session with none before it, or with no trade
    in them, gets an empty curve.

    Parameters
    ----------
    ts, printed : ndarray of int64, shape (n,)
        Times of the rows (ns), and the shares that trades have printed up to each row.
    sessions : sequence of Span
        In order.
    """
    shares, seconds = np.zeros(BUCKETS), np.zeros(BUCKETS)
    so_far = np.concatenate([[0], printed])
    curves = []
    for session in sessions:
        curves.append(_rates(shares, seconds))
        number = np.arange(session.begin // BUCKET, session.end // BUCKET + 1)
        begins = np.maximum(number * BUCKET, session.begin)
        ends = np.minimum((number + 1) * BUCKET, session.end + 1)
        volume = so_far[np.searchsorted(ts, ends)] - so_far[np.searchsorted(ts, begins)]
        np.add.at(shares, number % BUCKETS, volume)
        np.add.at(seconds, number % BUCKETS, (ends - begins) / NS_PER_SECOND)
    return curves


def _rates(shares: npt.NDArray[np.float64], seconds: npt.NDArray[np.float64]) -> tuple[float, ...]:
    if not shares.any():
        return ()
    seen = seconds > 0
    rates = np.full(BUCKETS, shares.sum() / seconds.sum())
    rates[seen] = shares[seen] / seconds[seen]
    return tuple(rates.tolist())
