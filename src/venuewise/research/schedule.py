"""When parent orders start, and which part of the data they are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from venuewise.data.durations import parse_duration
from venuewise.data.events import NS_PER_SECOND
from venuewise.data.sessions import Span
from venuewise.errors import ConfigError

SINGLE: Final = "first"
MOST_ORDERS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """Start times of parent orders.

    Attributes
    ----------
    every : int or None
        Nanoseconds between starts; None for a single order at the beginning.
    horizon : int or None
        Nanoseconds that each order has; None for all the time there is.
    """

    every: int | None
    horizon: int | None

    @classmethod
    def parse(cls, start: str | None, horizon: str | None) -> Schedule:
        """Read "first" or "every:30s", and a duration.

        Raises
        ------
        ConfigError
        """
        text = SINGLE if start is None else start.strip()
        span = None if horizon is None else parse_duration(horizon, "horizon")
        if text == SINGLE:
            return cls(None, span)
        if not text.startswith("every:"):
            raise ConfigError(
                f"start: found {start!r}; expected first, or every: and a duration, as in every:30s"
            )
        return cls(parse_duration(text.removeprefix("every:"), "start"), span)

    def orders(self, sessions: Sequence[Span]) -> list[Span]:
        """Return the time that each parent order has, in order; every order ends within its session.

        A single order without a horizon has all of the longest session. With many orders and no horizon, each has
        a fifth of the longest session, so that all have the same.

        Parameters
        ----------
        sessions : sequence of Span
            Times of trading, in order.

        Raises
        ------
        ConfigError
            If not a single order fits, or more than 100,000 do.
        """
        longest = max(session.end - session.begin for session in sessions)
        horizon = self.horizon
        if horizon is None and self.every is not None:
            horizon = max(longest // 5, 1)
        if horizon is None:
            return [next(session for session in sessions if session.end - session.begin == longest)]
        if horizon > longest:
            raise ConfigError(
                f"horizon: found {horizon / NS_PER_SECOND:g} s; expected at most the "
                f"{longest / NS_PER_SECOND:g} s there are"
            )
        room = [session for session in sessions if session.end - session.begin >= horizon]
        if self.every is None:
            return [Span(room[0].begin, room[0].begin + horizon)]
        starts = [range(session.begin, session.end - horizon + 1, self.every) for session in room]
        count = sum(map(len, starts))
        if count > MOST_ORDERS:
            raise ConfigError(
                f"start: found {count} orders, one every {self.every / NS_PER_SECOND:g} s; expected at most "
                f"{MOST_ORDERS}"
            )
        return [Span(start, start + horizon) for times in starts for start in times]

    def overlap(self, orders: list[Span]) -> int:
        """Return how many orders run at once."""
        if self.every is None or not orders:
            return 1
        return max(-(-(orders[0].end - orders[0].begin) // self.every), 1)


def split_sessions(sessions: Sequence[Span], share: float) -> tuple[list[Span], list[Span]]:
    """Cut sessions in two; the first part gets `share` of their time, nights not counted. Share 0: both get all.

    Raises
    ------
    ConfigError
        If `share` is not in [0, 1), or leaves no time for one of the parts.

    Examples
    --------
    >>> split_sessions([Span(0, 10), Span(100, 110)], 0.75)
    ([Span(begin=0, end=10), Span(begin=100, end=105)], [Span(begin=106, end=110)])
    """
    if not 0 <= share < 1:
        raise ConfigError(f"split: found {share}; expected 0 (tune and quote on the same data) to below 1")
    if share == 0:
        return list(sessions), list(sessions)
    total = sum(session.end - session.begin for session in sessions)
    left = int(total * share)
    if not 0 < left < total:
        raise ConfigError(
            f"split: found {share} of {total / NS_PER_SECOND:g} s of trading; expected time on both sides of it "
            "(split 0 tunes and quotes on the same data)"
        )
    first: list[Span] = []
    second: list[Span] = []
    for session in sessions:
        cut = min(session.begin + left, session.end)
        if left > 0:
            first.append(Span(session.begin, cut))
        if left <= 0:
            second.append(session)
        elif cut < session.end:
            second.append(Span(cut + 1, session.end))
        left -= session.end - session.begin
    return first, second
