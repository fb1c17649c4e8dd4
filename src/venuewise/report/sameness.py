"""Which strategies came out the same, and which settings or data make that so.

Two names in a table are two baselines only if they trade differently. How often they came to the same shares for the
same money is counted order by order; where a setting or the data leave them no choice, the result says so in a
sentence.
"""

from __future__ import annotations

from venuewise.data.events import NS_PER_SECOND
from venuewise.data.sessions import Span
from venuewise.research.comparison import ON_SCHEDULE, Comparison
from venuewise.research.volume import BUCKET
from venuewise.strategies import Twap
from venuewise.strategies.kernels import slice_length


def sameness(comparison: Comparison) -> dict[str, object]:
    """Return how the schedules were set, which strategies came out the same, and why where they had to.

    Returns
    -------
    dict
        `schedules`; `same_outcome`: in how many parent orders two strategies filled the same shares for the same money
        (to 1e-9 dollars), each pair once; `same_as`: the pairs that did so in all of them; `notes`: sentences.
    """
    outcomes, orders = comparison.outcomes, comparison.quoted_on
    alike: dict[str, dict[str, int]] = {}
    names = list(outcomes)
    for later, name in enumerate(names):
        for earlier in names[:later]:
            pairs = zip(outcomes[name], outcomes[earlier], strict=True)
            count = sum((a.filled, a.notional, a.fees) == (b.filled, b.notional, b.fees) for a, b in pairs)
            if count:
                alike.setdefault(name, {})[earlier] = count
    everywhere = {
        name: [other for other, count in others.items() if count == len(orders)]
        for name, others in alike.items()
    }
    lengths = [_slice(comparison, order.begin, order.end) for order in orders]
    return {
        "schedules": {
            "slice_seconds": lengths[0] / NS_PER_SECOND,
            "volume_curves": comparison.volume_curves,
            "volume_bucket_seconds": BUCKET / NS_PER_SECOND,
            "participation": comparison.settings.participation,
        },
        "same_outcome": alike,
        "same_as": {name: others for name, others in everywhere.items() if others},
        "notes": _notes(comparison, lengths),
    }


def _slice(comparison: Comparison, begin: int, end: int) -> int:
    """Return the length of TWAP's slices in an order's time, ns."""
    return int(slice_length(Twap(slice_seconds=comparison.settings.slice_seconds).parameters, begin, end))


def _notes(comparison: Comparison, lengths: list[int]) -> list[str]:
    orders, notes = comparison.quoted_on, []
    single = sum(length >= order.end - order.begin for length, order in zip(lengths, orders, strict=True))
    if single:
        notes.append(
            f"twap, vwap_schedule: {_of(single, orders)} have one slice, which is all at once: a slice is "
            f"{max(lengths) / NS_PER_SECOND:g} s, the order's time no longer; twap is best_ask there, and "
            f"{ON_SCHEDULE} is optimized"
        )
    flat = len(orders) - comparison.volume_curves
    if flat:
        notes.append(
            f"vwap_schedule: {_of(flat, orders)} have no earlier session with trades to take a volume curve from; "
            "volume is taken to come evenly, which is twap"
        )
    within = sum(order.begin // BUCKET == order.end // BUCKET for order in orders)
    if within and comparison.volume_curves:
        notes.append(
            f"vwap_schedule: {_of(within, orders)} lie within one bucket of {BUCKET / NS_PER_SECOND:g} s, in which "
            "volume is taken to come evenly, which is twap"
        )
    if len(comparison.venues) == 1 and comparison.settings.depth == 1:
        notes.append("vwap: with one venue and one level there is one quote to take, which is best_ask")
    if not comparison.trades_printed:
        notes.append("pov: the data print no trade, so nothing is due before the end")
    return notes


def _of(count: int, orders: list[Span]) -> str:
    return f"{count} of {len(orders)} orders"
