"""What a strategy of the user's own would send at every row: the compiled books, and Python for the decision."""

from __future__ import annotations

import numpy as np

from venuewise.data.events import PRICE_SCALE, Int64, UInt8
from venuewise.market.book import Quotes
from venuewise.routing.child_choice import Choice, ask_strategy
from venuewise.routing.whatif_books import FAILED, Decisions, Plan, Rows, View, look, new_view, note_split
from venuewise.strategies import ParentOrder, Strategy


def ask_at_rows(
    strategy: Strategy, rows: Rows, row_of: Int64, decided_at: Int64, far_seen: UInt8, first: int, plan: Plan,
    fee: Int64, rebate: Int64, into: Decisions,
) -> list[str]:  # fmt: skip
    """Bring the books up to each row from `first` on, and ask the strategy there what a new order would send.

    The order arrives at the row and has `plan.horizon` to be done. What its child orders fill at once is costed; the
    rest of them is cancelled, and open.

    Returns
    -------
    list of str
        What was wrong with the strategy; status `FAILED` + i stands for the i-th.
    """
    view = new_view(row_of.shape[1], plan.depth)
    buy = plan.sign > 0
    reasons: dict[str, int] = {}
    for row in range(first, len(rows.ts)):
        at, now = row - first, int(rows.ts[row])
        k, take, far, reference = look(
            rows, row_of, decided_at, far_seen, row, first, plan, fee, rebate, view, into
        )
        if k == 0:
            continue
        mid = reference / PRICE_SCALE
        bid, ask = (far, take) if buy else (take, far)
        quotes = Quotes(
            "buy" if buy else "sell", view.price.copy(), view.size.copy(), fee, rebate, int(bid), int(ask),
            one_sided=not far_seen[rows.symbol[row]],
        )  # fmt: skip
        order = ParentOrder(quotes.side, plan.order_size, plan.order_size, now, now + plan.horizon, mid)
        chosen = ask_strategy(strategy, quotes, order, now)
        if isinstance(chosen, str):
            into.status[at] = FAILED + reasons.setdefault(chosen, len(reasons))
            continue
        _fill(chosen, k, plan.sign, view)
        note_split(at, k, mid, plan, view, into)
        for venue, shares, _ in chosen:
            into.shares[at, venue] = shares
    return list(reasons)


def _fill(chosen: Choice, k: int, sign: int, view: View) -> None:
    """Put the shares that child orders fill at once into the view."""
    view.shares[:k] = 0
    for venue, shares, limit in chosen:
        at = np.flatnonzero(view.near[:k] == venue)
        within = sign * view.near_price[at] <= sign * limit
        view.shares[at] = min(shares, int(view.near_size[at][within].sum()))
