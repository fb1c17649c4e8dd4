"""Windows of time, as people write them: two UTC times of day, or two moments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from venuewise.data import _cells
from venuewise.data.events import Int64
from venuewise.errors import ConfigError

NS_PER_DAY: Final = 86_400_000_000_000
_EXAMPLE: Final = "13:36:32-13:45:14, or 2024-08-01T13:36:32Z/2024-08-01T13:45:14Z"
_TIME_OF_DAY: Final = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,9})?)?Z?")


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to and including `end`.

    Attributes
    ----------
    start, end : int
        Nanoseconds: since midnight UTC if `daily`, since 1970 UTC if not.
    daily : bool
        Whether the window holds for each day of the data.
    text : str
        The window as it was given.
    """

    start: int
    end: int
    daily: bool
    text: str

    def rows(self, ts: Int64) -> slice | npt.NDArray[np.bool_]:
        """Choose the rows of sorted times `ts` that lie in the window."""
        shift = 0
        if self.daily and len(ts):
            shift = int(ts[0]) // NS_PER_DAY * NS_PER_DAY
            if int(ts[-1]) - shift >= NS_PER_DAY:
                time_of_day = ts % NS_PER_DAY
                return (time_of_day >= self.start) & (time_of_day <= self.end)
        first, last = np.searchsorted(ts, [self.start + shift, self.end + shift + 1])
        return slice(int(first), int(last))


def parse_window(window: str | tuple[str, str]) -> Window:
    """Parse a window given as a pair or as text, "A-B", "A/B" or "A..B".

    Parameters
    ----------
    window : str or pair of str
        Two UTC times of day ("13:36:32"), or two full times ("2024-08-01T13:36:32Z"). Full times in one text
        are parted by "/" or "..", since "-" occurs in dates.

    Raises
    ------
    ConfigError
        If that is no window, or it does not end after it starts.

    Examples
    --------
    >>> window = parse_window("13:36:32-13:45:14")
    >>> (window.end - window.start) // 1_000_000_000, window.daily
    (522, True)
    """
    if isinstance(window, str):
        text = window
        parts = re.split(r"\.\.|/", text) if re.search(r"\.\.|/", text) else text.split("-")
    else:
        parts, text = list(window), "/".join(str(part) for part in window)
    if len(parts) != 2:
        raise ConfigError(f"window: found {text!r}; expected two times, such as {_EXAMPLE}")
    (start, first_daily), (end, last_daily) = (_moment(str(part).strip(), text) for part in parts)
    if first_daily != last_daily:
        raise ConfigError(
            f"window: found {text!r}; expected two times of day or two full times, not one of each"
        )
    if start >= end:
        raise ConfigError(
            f"window: found {text!r}; expected an end after the start (a window does not pass midnight)"
        )
    return Window(start, end, first_daily, text)


def _moment(text: str, window: str) -> tuple[int, bool]:
    daily = _TIME_OF_DAY.fullmatch(text) is not None
    raw = np.frombuffer((f"1970-01-01T{text}" if daily else text).encode() or b"-", np.uint8)
    code, ns, _ = _cells.moment(raw, 0, len(raw))
    if code != _cells.OK:
        raise ConfigError(
            f"window: found {window!r}, of which {text!r} is no time; expected such as {_EXAMPLE}"
        )
    return int(ns), daily
