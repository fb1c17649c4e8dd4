"""Smart order routing on the Cont & Kukanov order-placement model.

Examples
--------
>>> import venuewise as vw
>>> events = vw.generate(venues=5, duration="20s", seed=7)
>>> result = vw.backtest(events, order_size=1000, workers=1)
>>> result.to_dict()["optimized"]["shares_filled"]
1000
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from venuewise._version import __version__

if TYPE_CHECKING:
    from venuewise.allocation.allocation import Allocation, Allocations, allocate, allocate_many
    from venuewise.allocation.cost import CostModel
    from venuewise.backtesting import backtest
    from venuewise.data.events import Events
    from venuewise.data.reader import read
    from venuewise.errors import AccountingError, ConfigError, DataError, VenuewiseError
    from venuewise.market.book import Book, Quotes
    from venuewise.market.quality import Quality, inspect
    from venuewise.market.venues import Venue, VenueTable, load_venues
    from venuewise.outflow.estimate import OutflowSample, estimate_outflow, queues_at
    from venuewise.outflow.markout import adverse_selection
    from venuewise.placement.outflow_laws import OutflowFit, fit_outflow
    from venuewise.placement.placement import Placement, place, placement_cost
    from venuewise.placement.problem import CommonFactorOutflow, placement_model
    from venuewise.placement.robbins_monro import RobbinsMonro
    from venuewise.report.result import BacktestResult
    from venuewise.research.grid import Grid
    from venuewise.simulation.state import Frictions
    from venuewise.strategies.base import ChildOrder, ParentOrder, Strategy
    from venuewise.strategies.builtin import BestAsk, Pov, Static, Twap, Vwap, VwapSchedule
    from venuewise.synthetic.generate import generate

__all__ = [
    "AccountingError",
    "Allocation",
    "Allocations",
    "BacktestResult",
    "BestAsk",
    "Book",
    "ChildOrder",
    "CommonFactorOutflow",
    "ConfigError",
    "CostModel",
    "DataError",
    "Events",
    "Frictions",
    "Grid",
    "OutflowFit",
    "OutflowSample",
    "ParentOrder",
    "Placement",
    "Pov",
    "Quality",
    "Quotes",
    "RobbinsMonro",
    "Static",
    "Strategy",
    "Twap",
    "Venue",
    "VenueTable",
    "VenuewiseError",
    "Vwap",
    "VwapSchedule",
    "__version__",
    "adverse_selection",
    "allocate",
    "allocate_many",
    "backtest",
    "estimate_outflow",
    "fit_outflow",
    "generate",
    "inspect",
    "load_venues",
    "place",
    "placement_cost",
    "placement_model",
    "queues_at",
    "read",
]

_HOMES = {
    "allocation.allocation": ("Allocation", "Allocations", "allocate", "allocate_many"),
    "allocation.cost": ("CostModel",),
    "backtesting": ("backtest",),
    "data.events": ("Events",),
    "data.reader": ("read",),
    "errors": ("AccountingError", "ConfigError", "DataError", "VenuewiseError"),
    "market.book": ("Book", "Quotes"),
    "market.quality": ("Quality", "inspect"),
    "market.venues": ("Venue", "VenueTable", "load_venues"),
    "outflow.estimate": ("OutflowSample", "estimate_outflow", "queues_at"),
    "outflow.markout": ("adverse_selection",),
    "placement.outflow_laws": ("OutflowFit", "fit_outflow"),
    "placement.placement": ("Placement", "place", "placement_cost"),
    "placement.problem": ("CommonFactorOutflow", "placement_model"),
    "placement.robbins_monro": ("RobbinsMonro",),
    "report.result": ("BacktestResult",),
    "research.grid": ("Grid",),
    "simulation.state": ("Frictions",),
    "strategies.base": ("ChildOrder", "ParentOrder", "Strategy"),
    "strategies.builtin": ("BestAsk", "Pov", "Static", "Twap", "Vwap", "VwapSchedule"),
    "synthetic.generate": ("generate",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import public names when they are first used, so that the command line starts at once."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"venuewise.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
