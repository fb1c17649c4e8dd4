"""What a strategy of the user's own would send at every row: the compiled books, and Python for the decision."""

from __future__ import annotations

import numpy as np

from venuewise.data.events import PRICE_SCALE, Int64
from venuewise.market.book import Quotes
from venuewise.routing.child_choice import Choice, ask_strategy
from venuewise.routing.whatif_books import Pool, Rows
from venuewise.routing.whatif_decisions import FAILED, Decisions, Plan, View, look, new_view, note_split
from venuewise.strategies import ParentOrder, Strategy


def ask_at_rows(
    strategy: Strategy, pool: Pool, rows: Rows, plan: Plan, fee: Int64, rebate: Int64, venues: int,
    into: Decisions,
) -> list[str]:  # fmt: skip
    """Bring the books up to each row, and ask the strategy there what a new order would send.

    The order arrives at the row and has `plan.horizon` to be done. The strategy sees the venues that have quoted the
    symbol, at most so many `venues`. What its child orders fill at once is costed; the rest of them is cancelled, and
    open.

    Returns
    -------
    list of str
        What was wrong with the strategy; status `FAILED` + i stands for the i-th.
    """
    view = new_view(venues, plan.depth)
    buy = plan.sign > 0
    reasons: dict[str, int] = {}
    for row in range(len(rows.ts)):
        now = int(rows.ts[row])
        k, take, far, reference = look(pool, rows, row, plan, fee, rebate, view, into)
        if k == 0:
            continue
        mid = reference / PRICE_SCALE
        first, heard = int(into.first[row]), int(into.venues[row])
        codes = into.venue[first : first + heard]
        bid, ask = (far, take) if buy else (take, far)
        quotes = Quotes(
            "buy" if buy else "sell", view.price[:heard].copy(), view.size[:heard].copy(), fee[codes], rebate[codes],
            int(bid), int(ask), one_sided=not pool.far_seen[rows.symbol[row]],
        )  # fmt: skip
        order = ParentOrder(quotes.side, plan.order_size, plan.order_size, now, now + plan.horizon, mid)
        chosen = ask_strategy(strategy, quotes, order, now)
        if isinstance(chosen, str):
            into.status[row] = FAILED + reasons.setdefault(chosen, len(reasons))
            continue
        _fill(chosen, k, plan.sign, view)
        note_split(row, k, mid, plan, view, into)
        for venue, shares, _ in chosen:
            into.shares[first + venue] = shares
    return list(reasons)


def _fill(chosen: Choice, k: int, sign: int, view: View) -> None:
    """Put the shares that child orders fill at once into the view."""
    view.shares[:k] = 0
    for venue, shares, limit in chosen:
        at = np.flatnonzero(view.near[:k] == venue)
        within = sign * view.near_price[at] <= sign * limit
        view.shares[at] = min(shares, int(view.near_size[at][within].sum()))
