"""What a parent order sends: what its strategy says, checked; and the sweep through the whole book at its end.

A choice is a list of (venue, shares, limit), venues by their index in the ladder, limits in 1e-9 dollars.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from venuewise.data.events import UNDEFINED_PRICE
from venuewise.market.book import Quotes, sign_of
from venuewise.routing.parent_state import Working
from venuewise.strategies import ParentOrder, Strategy

Choice = list[tuple[int, int, int]]
_LONGEST: Final = 200


def ask_strategy(strategy: Strategy, quotes: Quotes, order: ParentOrder, now: int) -> Choice | str:
    """Return the child orders that a strategy wants now, or what is wrong with them.

    A strategy may be anyone's: what it does wrong is said on the row's line, and stops nothing else.
    """
    name = f"strategy {strategy.name}"
    try:
        decided = strategy.decide(quotes, order, now)
        chosen = sorted((int(c.venue), int(c.shares), int(c.limit)) for c in decided if c.shares)
    except Exception as error:
        return f"{name} failed: {type(error).__name__}: {error}"[:_LONGEST]
    venues = {venue for venue, _, _ in chosen}
    if len(venues) != len(chosen) or any(
        not (0 <= venue < len(quotes.price) and shares > 0 and 0 <= limit <= UNDEFINED_PRICE)
        for venue, shares, limit in chosen
    ):
        return f"{name}: found child orders {chosen}; expected shares for a venue, once each"[:_LONGEST]
    total = sum(shares for _, shares, _ in chosen)
    if total > order.open:
        return (
            f"{name}: found child orders of {total} shares; expected at most the {order.open} that are open"
        )
    return chosen


def ask_for_order(working: Working, quotes: Quotes, now: int, printed: int) -> Choice | str:
    """Return the child orders that the strategy of a parent order wants now, within its limit, or what is wrong.

    `printed` are the shares that the market has printed since the order's start.
    """
    parent = working.parent
    assert parent.start is not None
    assert parent.arrival_price is not None
    order = ParentOrder(
        parent.order.side,
        parent.quantity,
        parent.open,
        parent.start,
        parent.end,
        parent.arrival_price,
        printed,
    )
    chosen = ask_strategy(working.strategy, quotes, order, now)
    if isinstance(chosen, str) or parent.limit is None:
        return chosen
    nearer = min if parent.order.side == "buy" else max
    return [(venue, shares, nearer(limit, parent.limit)) for venue, shares, limit in chosen]


def choose_sweep(quotes: Quotes, wanted: int) -> Choice:
    """Spread shares over all that is offered, the best price first (ties: lower index), as a backtest's end does."""
    sign = sign_of(quotes.side)
    offered = sorted(
        (sign * int(quotes.price[venue, level]), venue, level)
        for venue, level in np.argwhere(quotes.size > 0).tolist()
    )
    totals: dict[int, tuple[int, int]] = {}
    for signed_price, venue, level in offered:
        shares = min(int(quotes.size[venue, level]), wanted)
        if not shares:
            break
        wanted -= shares
        totals[venue] = totals.get(venue, (0, 0))[0] + shares, sign * signed_price
    return [(venue, shares, limit) for venue, (shares, limit) in sorted(totals.items())]
