"""Spans of time as people write them: "90s", "10m", "1h30m", "250ms", or a plain number of seconds."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final

from venuewise.data.events import NS_PER_SECOND
from venuewise.errors import ConfigError

_UNITS: Final = {
    "h": 3600 * NS_PER_SECOND,
    "m": 60 * NS_PER_SECOND,
    "s": NS_PER_SECOND,
    "ms": NS_PER_SECOND // 1_000,
    "us": NS_PER_SECOND // 1_000_000,
    "ns": 1,
}
_PARTS: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|us|ns|m|s))+")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)")
_LONGEST: Final = 366 * 24 * 3600 * NS_PER_SECOND


def parse_duration(duration: str | float, name: str = "duration") -> int:
    """Return a duration in nanoseconds.

    Parameters
    ----------
    duration : str or float
        Seconds, or text of numbers with units h, m, s, ms, us or ns.
    name : str
        What it is the duration of, for messages.

    Raises
    ------
    ConfigError
        If it cannot be understood, is not positive, or is longer than a year.

    Examples
    --------
    >>> parse_duration("1h30m") == parse_duration(5400)
    True
    >>> parse_duration("0.25s")
    250000000
    """
    text = str(duration).strip().lower().replace(" ", "")
    understood = "one such as 90s, 10m or 1h30m, or a number of seconds"
    if _PARTS.fullmatch(text):
        nanoseconds = sum(Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    else:
        try:
            nanoseconds = Decimal(text) * NS_PER_SECOND
        except InvalidOperation:
            raise ConfigError(f"{name}: found {duration!r}; expected {understood}") from None
    if not Decimal(nanoseconds).is_finite() or not 1 <= nanoseconds <= _LONGEST:
        raise ConfigError(f"{name}: found {duration!r}; expected at least 1 ns and at most a year")
    return int(nanoseconds)
