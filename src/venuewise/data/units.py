"""What a column of market data is made of: its array types, and the units of its prices and times."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int16 = npt.NDArray[np.int16]
UInt8 = npt.NDArray[np.uint8]

PRICE_SCALE: Final = 1_000_000_000
"""Price integers per dollar."""
UNDEFINED_PRICE: Final = np.iinfo(np.int64).max
"""A price that is not there, as in DBN."""
NS_PER_SECOND: Final = 1_000_000_000
