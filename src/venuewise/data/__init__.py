"""Market data: readers, writer, windows, sessions."""

from venuewise.data.events import Events
from venuewise.data.reader import read
from venuewise.data.window import Window, parse_window

__all__ = ["Events", "Window", "parse_window", "read"]
