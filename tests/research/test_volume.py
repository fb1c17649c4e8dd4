"""Volume curves: what earlier sessions printed by the time of day, and nothing of the session itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from venuewise.data.events import NS_PER_SECOND
from venuewise.data.sessions import Span, sessions_of
from venuewise.research.volume import BUCKET, BUCKETS, curves_before

DAY = BUCKET * BUCKETS
OPEN = 14 * 3600 * NS_PER_SECOND


def test_a_curve_is_volume_a_second_by_the_time_of_day_over_the_sessions_before() -> None:
    minutes = np.arange(0, 21) * 60 * NS_PER_SECOND
    ts = np.concatenate([day * DAY + OPEN + minutes for day in range(3)])
    shares = np.concatenate([np.full(21, 600), np.where(minutes < BUCKET, 1800, 600), np.full(21, 10**6)])
    first, second, third = curves_before(ts, np.cumsum(shares), sessions_of(ts))
    assert first == ()
    at = OPEN // BUCKET
    assert second[at : at + 4] == (10.0,) * 4
    assert third[at : at + 4] == (20.0, 10.0, 10.0, 10.0)
    mean = np.sum(shares[:42]) / (2 * (1200 + 1e-9))
    assert np.isclose(third[0], mean)  # a time of day that nobody has seen


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7200), st.integers(0, 500)), min_size=2, max_size=60), st.integers(1, 4)
)
def test_curves_agree_with_counting_row_by_row(rows: list[tuple[int, int]], days: int) -> None:
    rows = sorted(rows)
    ts = np.array([day * DAY + OPEN + s * NS_PER_SECOND for day in range(days) for s, _ in rows])
    shares = np.array([size + day for day in range(days) for _, size in rows])
    sessions = sessions_of(ts)
    curves = curves_before(ts, np.cumsum(shares), sessions)
    assert len(curves) == len(sessions)
    for curve, session in zip(curves, sessions, strict=True):
        before = [other for other in sessions if other.end < session.begin]
        volume, seconds = np.zeros(BUCKETS), np.zeros(BUCKETS)
        for earlier in before:
            for t, size in zip(ts, shares, strict=True):
                if earlier.begin <= t <= earlier.end:
                    volume[t // BUCKET % BUCKETS] += size
            for bucket in range(earlier.begin // BUCKET, earlier.end // BUCKET + 1):
                inside = min(earlier.end + 1, (bucket + 1) * BUCKET) - max(earlier.begin, bucket * BUCKET)
                seconds[bucket % BUCKETS] += inside / NS_PER_SECOND
        if not volume.any():
            assert curve == ()
            continue
        mean = volume.sum() / seconds.sum()
        expected = [v / s if s else mean for v, s in zip(volume, seconds, strict=True)]
        np.testing.assert_allclose(curve, expected, rtol=1e-9)


def test_a_curve_does_not_know_its_own_session() -> None:
    ts = np.concatenate([day * DAY + OPEN + np.arange(0, 3600, 60) * NS_PER_SECOND for day in range(2)])
    shares = np.full(len(ts), 100)
    spoiled = np.where(ts >= DAY, 7 * shares, shares)
    sessions = [Span(int(ts[0]), int(ts[59])), Span(int(ts[60]), int(ts[-1]))]
    assert curves_before(ts, np.cumsum(shares), sessions) == curves_before(ts, np.cumsum(spoiled), sessions)
