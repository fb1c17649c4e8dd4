"""Speed of the static allocation: one call from Python, and a stack of books in bulk."""

from __future__ import annotations

from functools import partial

import numpy as np

import venuewise as vw
from benchmarks.table import Table, interleaved

CALLS = 20_000
BOOKS = 50_000


def run() -> Table:
    """Time `allocate` on arrays and on lists, and `allocate_many`."""
    rng = np.random.default_rng(7)
    rows: list[tuple[str, ...]] = []
    for venues in (3, 10, 64):
        ask = np.round(222.10 + 0.01 * rng.integers(0, 6, (BOOKS, venues)), 2)
        ask_size = rng.integers(1, 12, (BOOKS, venues)) * 100
        fee, rebate = np.full(venues, 0.003), np.full(venues, 0.002)
        first, first_size = ask[0].copy(), ask_size[0].copy()

        def one(
            a: object,
            s: object,
            f: object = fee,
            r: object = rebate,
            n: int = 150 * venues,
            calls: int = CALLS,
        ) -> None:
            for _ in range(calls):
                vw.allocate(
                    n, ask=a, ask_size=s, fee=f, rebate=r,  # type: ignore[arg-type]
                    lambda_over=0.4, lambda_under=0.6, theta_queue=0.3, mid=222.095,
                )  # fmt: skip

        def bulk(
            a: object = ask, s: object = ask_size, f: object = fee, r: object = rebate, n: int = 150 * venues
        ) -> None:
            vw.allocate_many(
                n, ask=a, ask_size=s, fee=f, rebate=r,  # type: ignore[arg-type]
                lambda_over=0.4, lambda_under=0.6, theta_queue=0.3, mid=222.095,
            )  # fmt: skip

        single, lists, many = interleaved(
            partial(one, first, first_size),
            partial(
                one, first.tolist(), first_size.tolist(), fee.tolist(), rebate.tolist(), calls=CALLS // 10
            ),
            bulk,
        )
        rows.append(
            (
                str(venues),
                f"{single / CALLS * 1e6:.2f} us",
                f"{lists / (CALLS // 10) * 1e6:.1f} us",
                f"{many / BOOKS * 1e9:.0f} ns",
            )
        )
    return Table(
        "Static allocation, exact",
        ("venues", "one call, arrays", "one call, lists", "a book, in bulk"),
        rows,
        (
            "One level a venue, order = 150 shares a venue, m = mid. Calls go through the public functions,",
            "checks of the book included; lists (of prices, sizes, fees and rebates) are converted to arrays first.",
        ),
    )
