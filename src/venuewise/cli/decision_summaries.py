"""The summaries of `allocate` and `place`: where the shares go, what that costs, and what is proven about it.

Both are made from the decision's JSON alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from venuewise.cli.terminal import count, dollars, listed, number, percent, price, said, table

ALL_SHOWN: Final = 10
"""Up to so many venues are all shown; of more, those that get shares."""


def allocation_summary(decision: dict[str, Any]) -> Group:
    """Return the summary of an allocation."""
    return Group(*_allocation(decision))


def placement_summary(decision: dict[str, Any]) -> Group:
    """Return the summary of a placement."""
    return Group(*_placement(decision))


def _order(decision: dict[str, Any]) -> str:
    symbol = "" if decision["symbol"] is None else f" of {decision['symbol']}"
    return f"{decision['side'].capitalize()} {number(decision['order_size'])} shares{symbol}"


def _chosen(venues: list[dict[str, Any]], key: str) -> tuple[list[dict[str, Any]], str]:
    """Return the venues to show, and a line on those that are not."""
    if len(venues) <= ALL_SHOWN:
        return venues, ""
    used = [venue for venue in venues if venue[key] > 0]
    return used, f"{count(len(venues) - len(used), 'more venue')} without shares" if len(used) < len(
        venues
    ) else ""


def _allocation(decision: dict[str, Any]) -> Iterator[RenderableType]:
    summary, name = decision["execution_summary"], "ask" if decision["side"] == "buy" else "bid"
    filled = (
        f"{number(summary['total_executed'])} fill at once ({percent(summary['fill_rate'])} of the order)"
    )
    amiss = "".join(
        f", {number(summary[key])} {what}"
        for key, what in (("underfill", "stay open"), ("overfill", "too many"))
        if summary[key]
    )
    yield said(f"{_order(decision)}: {filled}{amiss}", "bold")
    yield Text()
    shown, others = _chosen(decision["venues"], "allocation")
    rows = [
        [
            venue["venue_id"],
            price(venue[name]),
            number(venue[f"{name}_size"]),
            number(venue["fee"], 6),
            number(venue["allocation"]),
            number(venue["allocation"] - sum(venue["taken"])),
        ]
        for venue in shown
    ]
    yield table(["venue", name, "shown", "fee, $", "sent", "of it rest"], rows)
    if others:
        yield said(others)
    cash = summary["cash_spent"]
    yield said(
        f"Cash {'paid' if cash >= 0 else 'received'}: {dollars(abs(cash))}, fees and rebates included; "
        f"cost by the model: {dollars(decision['total_cost'], 4)}, penalties included"
    )
    gap = decision["gap"]
    proof = (
        "nothing is proven about it" if gap is None
        else "proven to be the cheapest" if gap == 0
        else f"at most {dollars(gap, 4)} above the cheapest"
    )  # fmt: skip
    yield said(f"Method {decision['algorithm']}, {decision['fill']}: {proof}")


def _placement(decision: dict[str, Any]) -> Iterator[RenderableType]:
    resting = [venue for venue in decision["venues"] if venue["limit"] > 0]
    rest = f"{number(sum(venue['limit'] for venue in resting), 1)} to rest at {count(len(resting), 'venue')}"
    yield said(f"{_order(decision)}: {number(decision['market'], 1)} at the market now, {rest}", "bold")
    yield Text()
    shown, others = _chosen(decision["venues"], "limit")
    rows = [
        [
            venue["venue"],
            number(venue["queue"], 1),
            f"{number(venue['limit'], 1)}{' (cap)' if venue['cap_binds'] else ''}",
            number(venue["expected_fill"], 1),
            percent(venue["reach_probability"]),
            percent(venue["fill_probability"]),
        ]
        for venue in shown
    ]
    yield table(["venue", "queue", "rests", "fills", "P(any)", "P(all)"], rows)
    if others:
        yield said(others)
    yield said("queue: shares ahead; fills: expected shares; P: chance that any of it, or all of it, fills")
    beyond = decision["overbooking"]
    sent = f"; {number(beyond, 1)} shares are sent beyond the order" if round(beyond, 1) else ""
    yield said(
        f"The order ends short in {percent(decision['p_short'])} of cases, "
        f"over-filled in {percent(decision['p_over'])} (overfill: {decision['overfill']}){sent}"
    )
    yield said(*_certificate(decision))
    if "estimate" in decision:
        yield said(_estimate(decision["estimate"]))


def _certificate(decision: dict[str, Any]) -> tuple[str, str]:
    """Return what is proven about the cost, and a style for it."""
    proof = decision["certificate"]
    on = f"{proof['samples']:,} samples" if proof["samples"] else "this distribution"
    cost = f"Expected cost {dollars(proof['cost'], 3)} against the mid"
    bound, gap = proof["lower_bound"], proof["gap"]
    if bound is None:
        return f"{cost}; nothing is proven about it", "yellow"
    short = "" if gap is None else " (gap below 0.01 %)" if gap < 1e-4 else f" (gap {100 * gap:,.2f} %)"
    if proof["within_gap"]:
        return f"{cost}; proven on {on}: none costs less than {dollars(bound, 3)}{short}", "green"
    return f"{cost}; not proven best on {on}: another may cost {dollars(bound, 3)}{short}", "yellow"


def _estimate(found: dict[str, Any]) -> str:
    kind = "synthetic data" if found["synthetic"] else "real data"
    return (
        f"Outflow estimated from {found['windows']:,} windows of {number(found['horizon_ns'] / 1e9)} s, {kind}: "
        f"{listed(found['file'])}; half-spread {dollars(found['half_spread'], 4)}"
    )
