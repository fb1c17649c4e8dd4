"""A comparison as JSON: the classic keys first, then what makes them believable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import msgspec
import numpy as np

from venuewise._version import __version__
from venuewise.data.events import NS_PER_SECOND, PRICE_SCALE
from venuewise.data.reader import iso
from venuewise.data.sessions import Span
from venuewise.market.venues import Venue
from venuewise.report.sameness import sameness
from venuewise.research.comparison import ON_SCHEDULE, Comparison
from venuewise.research.grid import Parameters
from venuewise.research.intervals import LEVEL, METHOD, interval_of_mean, waves, why_none
from venuewise.simulation.engine import Outcome
from venuewise.simulation.state import FILL_FEES, FILL_LEVEL, FILL_PRICE, FILL_SHARES, FILL_VENUE

BASELINES = ("best_ask", "twap", "vwap")


def dollars(amount: float) -> float:
    """Return 1e-9 dollars as dollars."""
    return amount / PRICE_SCALE


def to_json(result: dict[str, object]) -> str:
    """Return a result as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode()


def summarise(comparison: Comparison) -> dict[str, object]:
    """Return the content of `output.json`."""
    settings, tuned, outcomes = comparison.settings, comparison.tuned, comparison.outcomes
    single = {name: runs[0] for name, runs in outcomes.items()}
    others = [name for name in outcomes if name != "optimized"]
    extra = [name for name in others if name not in BASELINES]
    result: dict[str, object] = {
        "best_parameters": tuned.best.to_dict(),
        "optimized": _figures(single["optimized"], tuned.best),
        "baselines": {name: _figures(single[name], tuned.best) for name in BASELINES},
        "savings_vs_baselines_bps": {
            name: savings_bps(single["optimized"], single[name]) for name in BASELINES
        },
        "synthetic": comparison.events.synthetic,
        "savings_by_latency": _savings_by_latency(comparison, others),
        "order": {
            "size": settings.order_size,
            "side": settings.side,
            "symbol": settings.symbol,
            "start": iso(comparison.quoted_on[0].begin),
            "end": iso(comparison.quoted_on[0].end),
            "arrival_price": dollars(single["optimized"].arrival_price),
        },
        "evaluation": _evaluation(comparison),
        "parent_orders": _parent_orders(comparison, others),
        "identification": tuned.to_dict(),
        "per_venue": {name: _per_venue(run, comparison.venues) for name, run in single.items()},
        "data": _data(comparison),
        "settings": {
            "venues": settings.venues,
            "depth": settings.depth,
            "fill": settings.fill,
            "slice_seconds": settings.slice_seconds,
            "participation": settings.participation,
            "max_age_ms": settings.max_age_ms,
            "grid": asdict(settings.grid),
            "frictions": asdict(settings.frictions),
        },
        "seed": settings.seed,
        "version": __version__,
    }
    if extra:
        result["strategies"] = {name: _figures(single[name], tuned.best) for name in extra}
        result["savings_vs_strategies_bps"] = {
            name: savings_bps(single["optimized"], single[name]) for name in extra
        }
    return result


def savings_bps(optimised: Outcome, other: Outcome) -> float:
    """Return what the router saved in basis points of the other's average price.

    1e4 (other - optimised) / other for a buy, the mirror image for a sell; averages over the whole order, with
    fees, shares left open at `Outcome.open_price`: filling less must not look like saving.
    """
    ours, theirs = optimised.cash_of_all / optimised.quantity, other.cash_of_all / other.quantity
    saved = theirs - ours if optimised.side == "buy" else ours - theirs
    return 1e4 * saved / theirs


def _figures(run: Outcome, penalties: Parameters) -> dict[str, object]:
    """Return the classic figures of one order.

    `total_cost` has the shares left open at their worst price and adds the model's penalty for them.
    """
    spent = run.cash_of_all if run.side == "buy" else -run.cash_of_all
    penalty = (penalties.lambda_under + penalties.theta_queue) * run.open
    return {
        "total_cash": dollars(run.cash),
        "avg_fill_px": dollars(run.cash / run.filled) if run.filled else None,
        "total_cost": dollars(spent) + penalty,
        "shares_filled": run.filled,
        "total_fill": run.filled,
        "shares_open": run.open,
        "open_shares_valued_at": dollars(run.open_price) if run.open else None,
        "shares_bought_at_end": run.swept,
        "fees": dollars(run.fees),
        "avg_price_without_fees": dollars(run.notional / run.filled) if run.filled else None,
        "cost_vs_arrival_bps": run.cost_bps,
        "child_orders": run.child_orders,
    }


def _span(orders: Sequence[Span], left_out: int) -> dict[str, object]:
    return {
        "from": iso(orders[0].begin),
        "to": iso(orders[-1].end),
        "parent_orders": len(orders),
        "without_quotes": left_out,
    }


def _evaluation(comparison: Comparison) -> dict[str, object]:
    split = comparison.settings.split
    return {
        "mode": "out_of_sample" if split else "in_sample",
        "split": split,
        "tuned_on": _span(comparison.tuned_on, comparison.without_quotes[0]),
        "quoted_on": _span(comparison.quoted_on, comparison.without_quotes[1]),
    }


def _mean(comparison: Comparison, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[str, object]:
    """Return the mean of one figure of all parent orders, with its interval."""
    found = interval_of_mean(values, comparison.settings.schedule.overlap(comparison.quoted_on))
    return {
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "interval_95": None if found is None else [found.low, found.high],
    }


def _paired(
    comparison: Comparison, outcomes: Mapping[str, Sequence[Outcome]], ours: str, theirs: str
) -> dict[str, object]:
    """Return what one strategy saved against another, order by order."""
    cost, other = (np.array([run.cost_bps for run in outcomes[name]]) for name in (ours, theirs))
    return {**_mean(comparison, other - cost), "share_of_orders_won": float(np.mean(other > cost))}


def _savings(
    comparison: Comparison, outcomes: Mapping[str, Sequence[Outcome]], others: Sequence[str]
) -> dict[str, object]:
    """Return what the router saved against each other strategy, and on TWAP's schedule against TWAP."""
    return {
        "savings_bps": {name: _paired(comparison, outcomes, "optimized", name) for name in others},
        "savings_on_one_schedule_bps": {"twap": _paired(comparison, outcomes, ON_SCHEDULE, "twap")},
    }


def _savings_by_latency(comparison: Comparison, others: Sequence[str]) -> list[dict[str, object]]:
    """Return the savings at the latency chosen and at others, the shortest first."""
    chosen = comparison.settings.frictions.latency_ms
    runs = {chosen: comparison.outcomes, **comparison.by_latency}
    return [
        {"latency_ms": latency, **_savings(comparison, runs[latency], others)} for latency in sorted(runs)
    ]


def _parent_orders(comparison: Comparison, others: Sequence[str]) -> dict[str, object]:
    """Return means over all parent orders, and paired savings with their intervals."""
    settings, outcomes, orders = comparison.settings, comparison.outcomes, comparison.quoted_on
    overlap = settings.schedule.overlap(orders)
    cost = {name: np.array([run.cost_bps for run in runs]) for name, runs in outcomes.items()}
    open_shares = {name: sum(run.open for run in runs) for name, runs in outcomes.items()}

    return {
        "n": len(orders),
        "all_fill_the_same": all(
            len({run.filled for run in runs}) == 1 for runs in zip(*outcomes.values(), strict=True)
        ),
        "horizon_seconds": (orders[0].end - orders[0].begin) / NS_PER_SECOND,
        "every_seconds": None if settings.schedule.every is None else settings.schedule.every / NS_PER_SECOND,
        "intervals": {
            "method": METHOD,
            "level": LEVEL,
            "overlap": overlap,
            "degrees_of_freedom": waves(len(orders), overlap) or None,
            "why_none": why_none(len(orders), overlap),
        },
        "cost_vs_arrival_bps": {
            name: {**_mean(comparison, values), "shares_open": open_shares[name]}
            for name, values in cost.items()
        },
        **_savings(comparison, outcomes, others),
        **sameness(comparison),
    }


def _per_venue(run: Outcome, venues: Sequence[Venue]) -> list[dict[str, object]]:
    """Return where the shares were filled: one entry for each venue and level that filled any."""
    fills = run.fills
    table = []
    for venue, level in sorted({(int(f[FILL_VENUE]), int(f[FILL_LEVEL])) for f in fills}):
        here = fills[(fills[:, FILL_VENUE] == venue) & (fills[:, FILL_LEVEL] == level)]
        shares = int(here[:, FILL_SHARES].sum())
        notional = sum(int(f[FILL_PRICE]) * int(f[FILL_SHARES]) for f in here)
        table.append(
            {
                "venue": venues[venue].name,
                "level": level,
                "shares": shares,
                "share_of_fill": shares / run.filled,
                "avg_price_without_fees": dollars(notional / shares),
                "fees": dollars(int(here[:, FILL_FEES].sum())),
                "fills": len(here),
            }
        )
    return table


def _notes(comparison: Comparison) -> list[str]:
    """Say what about the data changes what the figures mean."""
    if not comparison.one_sided:
        return []
    near, far = ("ask", "a bid") if comparison.settings.side == "buy" else ("bid", "an ask")
    return [f"No row shows {far}, so there is no mid: costs are measured against the best {near}."]


def _data(comparison: Comparison) -> dict[str, object]:
    events = comparison.events
    return {
        "files": list(events.source),
        "rows": len(events),
        "window": [iso(int(events.ts[0])), iso(int(events.ts[-1]))],
        "time_column": events.time_column,
        "levels": events.levels,
        "venues": [
            {
                "name": venue.name,
                "publisher_id": publisher,
                "taker_fee": venue.taker_fee_dollars,
                "maker_rebate": venue.maker_rebate_dollars,
                "rows": int(np.count_nonzero(events.venue == code)),
            }
            for code, (venue, publisher) in enumerate(zip(comparison.venues, events.publishers, strict=True))
        ],
        "synthetic": events.synthetic,
        "notes": [*events.notes, *_notes(comparison)],
    }
