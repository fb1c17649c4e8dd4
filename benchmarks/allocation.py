"""Speed of the static allocation: one call, in bulk, and against the plain search of earlier routers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import venuewise as vw
from benchmarks.earlier_brute_force import Venue
from benchmarks.earlier_brute_force import allocate as earlier_allocate
from benchmarks.table import Table, interleaved

CALLS = 20_000
BOOKS = 50_000
ORDER = 5_000
PENALTIES = {"lambda_over": 0.4, "lambda_under": 0.6, "theta_queue": 0.3}
EARLIER_CALLS = {3: 20, 4: 3}
EARLIER_SIZES = (1_800, 2_100, 1_500, 1_700)
EARLIER_ASKS = (222.11, 222.12, 222.12, 222.13)


def _repeat(call: Callable[[], object], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            call()

    return run


def _one_and_bulk() -> list[tuple[str, ...]]:
    rng = np.random.default_rng(7)
    rows = []
    for venues in (3, 10, 64):
        ask = np.round(222.10 + 0.01 * rng.integers(0, 6, (BOOKS, venues)), 2)
        ask_size = rng.integers(1, 12, (BOOKS, venues)) * 100
        fee, rebate = np.full(venues, 0.003), np.full(venues, 0.002)
        first, first_size = ask[0].copy(), ask_size[0].copy()
        first_list, size_list = first.tolist(), first_size.tolist()
        order = int(150 * venues)
        common = {"fee": fee, "rebate": rebate, "mid": 222.095, **PENALTIES}

        def one(
            a: object = first, s: object = first_size, n: int = order, model: dict[str, object] = common
        ) -> object:
            return vw.allocate(n, ask=a, ask_size=s, **model)  # type: ignore[arg-type]

        def from_lists(
            a: object = first_list, s: object = size_list, call: Callable[..., object] = one
        ) -> object:
            return call(a, s)

        def bulk(
            a: object = ask, s: object = ask_size, n: int = order, model: dict[str, object] = common
        ) -> object:
            return vw.allocate_many(n, ask=a, ask_size=s, **model)  # type: ignore[arg-type]

        single, lists, many = interleaved(_repeat(one, CALLS), _repeat(from_lists, CALLS // 10), bulk)
        rows.append(
            (
                str(venues),
                f"{single / CALLS * 1e6:.2f} us",
                f"{lists / (CALLS // 10) * 1e6:.1f} us",
                f"{many / BOOKS * 1e9:.0f} ns",
            )
        )
    return rows


def run() -> list[Table]:
    """Time `allocate` and `allocate_many`, then `allocate` beside the earlier search."""
    against = []
    for venues, calls in EARLIER_CALLS.items():
        quotes = [
            Venue(ask, size, 0.003, 0.002)
            for ask, size in zip(EARLIER_ASKS[:venues], EARLIER_SIZES[:venues], strict=True)
        ]
        ask, size = np.array(EARLIER_ASKS[:venues]), np.array(EARLIER_SIZES[:venues])
        fee, rebate = np.full(venues, 0.003), np.full(venues, 0.002)

        def earlier(q: list[Venue] = quotes) -> object:
            return earlier_allocate(ORDER, q, **PENALTIES)

        def ours(a: object = ask, s: object = size, f: object = fee, r: object = rebate) -> object:
            return vw.allocate(ORDER, ask=a, ask_size=s, fee=f, rebate=r, **PENALTIES)  # type: ignore[arg-type]

        slow, fast = interleaved(_repeat(earlier, calls), _repeat(ours, CALLS))
        slow, fast = slow / calls, fast / CALLS
        against.append((str(venues), f"{slow * 1e3:.2f} ms", f"{fast * 1e6:.2f} us", f"{slow / fast:,.0f}x"))
    return [
        Table(
            "Static allocation, exact",
            ("venues", "one call, arrays", "one call, lists", "a book, in bulk"),
            _one_and_bulk(),
            (
                "One level a venue, order = 150 shares a venue, m = mid. Calls go through the public functions,",
                "checks of the book included. Lists and numbers of other types are converted first.",
            ),
        ),
        Table(
            "One allocation against the search of earlier routers in plain Python, 100-share grid",
            ("venues", "earlier search", "allocate", "ratio"),
            against,
            ("5,000 shares, m = 0; allocate is exact to the share where the search has a grid of 100.",),
        ),
    ]
