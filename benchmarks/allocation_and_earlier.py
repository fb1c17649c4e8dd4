"""One static allocation against the search of earlier routers, on the same book."""

from __future__ import annotations

import numpy as np

import venuewise as vw
from benchmarks.earlier_brute_force import Venue
from benchmarks.earlier_brute_force import allocate as earlier_allocate
from benchmarks.table import Table, interleaved

ORDER = 5_000
CALLS = 20_000
EARLIER_CALLS = {3: 20, 4: 3}
SIZES = (1_800, 2_100, 1_500, 1_700)
ASKS = (222.11, 222.12, 222.12, 222.13)


def run() -> Table:
    """Time `allocate` beside the plain search at 3 and 4 venues."""
    rows: list[tuple[str, ...]] = []
    for venues, calls in EARLIER_CALLS.items():
        prices, sizes = ASKS[:venues], SIZES[:venues]
        quotes = [Venue(ask, size, 0.003, 0.002) for ask, size in zip(prices, sizes, strict=True)]
        arrays = (np.array(prices), np.array(sizes), np.full(venues, 0.003), np.full(venues, 0.002))

        def earlier(quotes: list[Venue] = quotes, calls: int = calls) -> None:
            for _ in range(calls):
                earlier_allocate(ORDER, quotes, lambda_over=0.4, lambda_under=0.6, theta_queue=0.3)

        def ours(arrays: tuple[np.ndarray, ...] = arrays) -> None:
            ask, ask_size, fee, rebate = arrays
            for _ in range(CALLS):
                vw.allocate(
                    ORDER, ask=ask, ask_size=ask_size, fee=fee, rebate=rebate,
                    lambda_over=0.4, lambda_under=0.6, theta_queue=0.3,
                )  # fmt: skip

        slow, fast = interleaved(earlier, ours)
        slow, fast = slow / calls, fast / CALLS
        rows.append((str(venues), f"{slow * 1e3:.2f} ms", f"{fast * 1e6:.2f} us", f"{slow / fast:,.0f}x"))
    return Table(
        "One allocation against the search of earlier routers in plain Python",
        ("venues", "earlier search", "allocate", "ratio"),
        rows,
        (
            "5,000 shares, one level a venue, m = 0. The search has a grid of 100 shares and cannot rest an",
            "excess; allocate is exact to the share.",
        ),
    )
