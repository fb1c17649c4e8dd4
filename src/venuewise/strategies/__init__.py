"""What to do now: from what the market shows and what the order needs to child orders."""

from venuewise.strategies.base import ChildOrder, ParentOrder, Strategy
from venuewise.strategies.builtin import BestAsk, BuiltIn, Pov, Static, Twap, Vwap, VwapSchedule, baselines

__all__ = [
    "BestAsk",
    "BuiltIn",
    "ChildOrder",
    "ParentOrder",
    "Pov",
    "Static",
    "Strategy",
    "Twap",
    "Vwap",
    "VwapSchedule",
    "baselines",
]
