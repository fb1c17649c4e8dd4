"""The one way in which kernels are compiled.

Kernels are cached on disk (the first run compiles, the next ones load), release the GIL (threads
run them side by side), follow IEEE division (no Python exceptions inside) and never use fast-math: the
same input gives the same bits everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def kernel(function: Kernel) -> Kernel:
    """Compile a function of arrays and scalars with numba; callers see its plain Python signature."""
    return cast(Kernel, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
