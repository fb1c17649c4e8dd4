"""When parent orders start, and which part of the data they are for."""

from __future__ import annotations

from dataclasses import dataclass

from venuewise.data.durations import parse_duration
from venuewise.errors import ConfigError

SINGLE = "first"


@dataclass(frozen=True, slots=True)
class Span:
    """Times between which parent orders run, nanoseconds UTC, both ends included."""

    begin: int
    end: int


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
        span = None if horizon is None else parse_duration(horizon)
        if text == SINGLE:
            return cls(None, span)
        if not text.startswith("every:"):
            raise ConfigError(
                f"start: found {start!r}; expected first, or every: and a duration, as in every:30s"
            )
        return cls(parse_duration(text.removeprefix("every:")), span)

    def orders(self, span: Span) -> list[Span]:
        """Return the time that each parent order has, in order; every order ends within the span.

        With many orders and no horizon, each has a fifth of the span, so that all have the same.

        Raises
        ------
        ConfigError
            If not a single order fits.
        """
        length = span.end - span.begin
        if self.every is None:
            if self.horizon is not None and self.horizon > length:
                raise ConfigError(
                    f"horizon: found {self.horizon / 1e9:g} s; expected at most the {length / 1e9:g} s there are"
                )
            return [Span(span.begin, span.end if self.horizon is None else span.begin + self.horizon)]
        horizon = max(length // 5, 1) if self.horizon is None else self.horizon
        starts = range(span.begin, span.end - horizon + 1, self.every)
        if not starts:
            raise ConfigError(
                f"horizon: found {horizon / 1e9:g} s; expected at most the {length / 1e9:g} s there are"
            )
        return [Span(start, start + horizon) for start in starts]

    def overlap(self, orders: list[Span]) -> int:
        """Return how many orders run at once: the length of the bootstrap's blocks."""
        if self.every is None or not orders:
            return 1
        return max(-(-(orders[0].end - orders[0].begin) // self.every), 1)


def split_span(span: Span, share: float) -> tuple[Span, Span]:
    """Cut a span in two; the first part gets `share` of the time. With share 0 both are the whole span.

    Raises
    ------
    ConfigError
        If `share` is not in [0, 1), or leaves no time for one of the parts.
    """
    if not 0 <= share < 1:
        raise ConfigError(f"split: found {share}; expected 0 (tune and quote on the same data) to below 1")
    if share == 0:
        return span, span
    cut = span.begin + int((span.end - span.begin) * share)
    if not span.begin < cut < span.end:
        length = (span.end - span.begin) / 1e9
        raise ConfigError(
            f"split: found {share} of {length:g} s of data; expected time on both sides of it "
            "(split 0 tunes and quotes on the same data)"
        )
    return Span(span.begin, cut), Span(cut + 1, span.end)
