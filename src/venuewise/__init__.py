"""Smart order routing on the Cont & Kukanov order-placement model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from venuewise.data.generate import generate

__all__ = ["__version__", "generate"]
__version__ = "0.1.0"

_HOMES = {"generate": "venuewise.data.generate"}


def __getattr__(name: str) -> object:
    """Import public names when they are first used, so that the command line starts at once."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
