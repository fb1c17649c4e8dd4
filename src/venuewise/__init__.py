"""Smart order routing on the Cont & Kukanov order-placement model."""

from venuewise.model.allocation import Allocation, Allocations, allocate, allocate_many
from venuewise.model.cost import CostModel

__all__ = ["Allocation", "Allocations", "CostModel", "allocate", "allocate_many"]

__version__ = "0.1.0"
