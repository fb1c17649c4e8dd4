"""Random numbers for kernels: xoshiro256++ and draws made of IEEE-exact operations alone.

Logarithms and cosines differ in their last bit between machines; sums, comparisons and square roots do not.
So a seed gives the same bytes everywhere. The state is an array of four unsigned integers, changed in place.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel

UInt64 = npt.NDArray[np.uint64]


@kernel
def _bits(random: UInt64) -> np.uint64:
    a, b, c, d = random[0], random[1], random[2], random[3]
    s = a + d
    result = ((s << np.uint64(23)) | (s >> np.uint64(41))) + a
    t = b << np.uint64(17)
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = (d << np.uint64(45)) | (d >> np.uint64(19))
    random[0], random[1], random[2], random[3] = a, b, c, d
    return np.uint64(result)


@kernel
def uniform(random: UInt64) -> float:
    """Draw from [0, 1)."""
    return float(np.int64(_bits(random) >> np.uint64(11))) * (1.0 / 9007199254740992.0)


@kernel
def below(random: UInt64, n: int) -> int:
    """Draw a whole number from 0 to n - 1."""
    return int(uniform(random) * n)


@kernel
def exponential(random: UInt64) -> float:
    """Draw with mean 1 by von Neumann's comparisons: a logarithm's last bit differs between machines."""
    whole = 0.0
    while True:
        first = uniform(random)
        previous = first
        falls = 1
        while True:
            following = uniform(random)
            if following >= previous:
                break
            previous = following
            falls += 1
        if falls % 2 == 1:
            return whole + first
        whole += 1.0


@kernel
def normal(random: UInt64) -> float:
    """Draw with mean 0 and variance 1: twelve uniforms, close to a normal and bounded by 6."""
    total = -6.0
    for _ in range(12):
        total += uniform(random)
    return total


@kernel
def order_size(random: UInt64, odd_lots: float) -> int:
    """Draw shares: odd lots leaning small, else round lots with a tail of exponent 2, at most 5,000."""
    if uniform(random) < odd_lots:
        u = uniform(random)
        return 1 + int(99.0 * u * u)
    return 100 * min(int(1.0 / math.sqrt(1.0 - uniform(random))), 50)
