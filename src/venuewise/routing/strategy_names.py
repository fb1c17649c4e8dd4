"""Strategies by name, as orders ask for them: the same objects that decide in a backtest.

The built-in ones take their settings from the order's `params`, with the service's penalties as defaults; a class of
the user's own is given to the service as "module:Class" and made with the order's `params`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from venuewise.errors import ConfigError
from venuewise.strategies import BestAsk, BuiltIn, Pov, Static, Strategy, Twap, Vwap, VwapSchedule

BUILT_IN: Final[dict[str, type[BuiltIn]]] = {
    "best_ask": BestAsk,
    "twap": Twap,
    "vwap": Vwap,
    "optimized": Static,
    "vwap_schedule": VwapSchedule,
    "pov": Pov,
}


def load_strategy(path: str) -> tuple[str, Callable[..., Strategy]]:
    """Import a user's strategy.

    Parameters
    ----------
    path : str
        "module:Class"; modules of the working directory are found, too.

    Returns
    -------
    name : str
        What orders call it: the class's `name`, or else that of an object made without settings.
    make : callable
        Takes an order's `params`.

    Raises
    ------
    ConfigError
        If there is no such class, or it is no strategy.
    """
    module, _, attribute = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        make = getattr(importlib.import_module(module), attribute)
        name = getattr(make, "name", None)
        name = name if isinstance(name, str) else make().name
    except Exception as error:  # whatever the user's module does on import
        raise ConfigError(
            f"strategy {path!r}: found {type(error).__name__}: {error}; expected module:Class"
        ) from None
    if not callable(make) or not callable(getattr(make, "decide", None)):
        raise ConfigError(f"strategy {path!r}: found no method decide; expected decide(quotes, order, now)")
    if name in BUILT_IN:
        raise ConfigError(f"strategy {path!r}: found the name {name!r}; expected one that is not built in")
    return name, make


class StrategyBook:
    """Makes the strategy that an order names.

    Parameters
    ----------
    defaults : mapping
        Settings of built-in strategies where an order gives none: `lambda_over`, `lambda_under`, `theta_queue`.
    own : pair of str and callable, optional
        A user's strategy, as `load_strategy` returns it.
    """

    def __init__(
        self, defaults: Mapping[str, float], own: tuple[str, Callable[..., Strategy]] | None = None
    ) -> None:
        self.defaults = dict(defaults)
        self.own = own

    @property
    def names(self) -> tuple[str, ...]:
        """Names that orders may use."""
        return (*BUILT_IN, *((self.own[0],) if self.own is not None else ()))

    def make(self, name: str, params: Mapping[str, Any]) -> Strategy:
        """Return the strategy of an order.

        Raises
        ------
        ConfigError
            If there is none of this name, or its settings make no sense.
        """
        try:
            if self.own is not None and name == self.own[0]:
                return self.own[1](**params)
            if name not in BUILT_IN:
                raise ConfigError(f"strategy: found {name!r}; expected one of {', '.join(self.names)}")
            kind = BUILT_IN[name]
            known = [field.name for field in fields(kind) if field.name not in ("name", "router")]
            unknown = [key for key in params if key not in known]
            if unknown:
                expected = f"one of {', '.join(known)}" if known else "none"
                raise ConfigError(f"params: found {unknown[0]!r}; expected {expected}")
            defaults = {key: value for key, value in self.defaults.items() if key in known}
            return kind(**(defaults | dict(params)))
        except ConfigError:
            raise
        except Exception as error:  # a user's class, or params of the wrong type
            raise ConfigError(
                f"params: found {type(error).__name__}: {error}; expected the arguments of the strategy"
            ) from None
