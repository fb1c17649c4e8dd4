"""Smart order routing on the Cont & Kukanov order-placement model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from venuewise.errors import ConfigError, DataError, VenuewiseError

if TYPE_CHECKING:
    from venuewise.data.events import Events
    from venuewise.data.quality import Quality, inspect
    from venuewise.data.reader import read

__version__ = "0.1.0"

__all__ = ["ConfigError", "DataError", "Events", "Quality", "VenuewiseError", "inspect", "read"]

_HOMES = {
    "Events": "venuewise.data.events",
    "Quality": "venuewise.data.quality",
    "inspect": "venuewise.data.quality",
    "read": "venuewise.data.reader",
}


def __getattr__(name: str) -> object:
    """Import the public names when they are first used, so that `venuewise --help` need not wait for them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'venuewise' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
