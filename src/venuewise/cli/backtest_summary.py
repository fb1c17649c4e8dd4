"""The summary of a backtest: the verdict against best ask in one sentence, then every strategy in a table.

It is made from the content of `output.json` alone (docs/backtest.md explains its keys), and says nothing that
the numbers there do not: where an interval holds 0 it says that no difference was shown, and where there is none, why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from venuewise.cli.terminal import INTERVAL, between, bps, count, listed, moment, number, percent, said, table

HEADLINE: Final = "best_ask"
"""The strategy that the verdict is about."""


def backtest_summary(result: dict[str, Any], files: Sequence[Path] = ()) -> Group:
    """Return the summary of a backtest.

    Parameters
    ----------
    result : dict
        What `output.json` holds.
    files : sequence of Path
        Files that were written.
    """
    return Group(*_parts(result, files))


def strategy_name(key: str, side: str) -> str:
    """Return what a strategy of the JSON is called: a seller's best ask is the best bid."""
    names = {
        "optimized": "router",
        "best_ask": "best ask" if side == "buy" else "best bid",
        "twap": "TWAP",
        "vwap": "VWAP, one shot",
        "vwap_schedule": "VWAP over time",
        "pov": "POV",
        "optimized_twap": "router, as TWAP",
    }
    return names.get(key, key)


def verdict(result: dict[str, Any], against: str = HEADLINE) -> Text:
    """Return what was saved against a strategy in one sentence: figure, interval, and on what it rests."""
    orders = result["parent_orders"]
    saved = orders["savings_bps"][against]
    other = strategy_name(against, result["order"]["side"])
    mean, interval = bps(saved["mean"]), saved["interval_95"]
    rest = [_sample(result), f"latency {_latency(result)} ms", _kind(result)]
    n = count(orders["n"], "order")
    if interval is None:
        why = orders["intervals"]["why_none"]
        text = f"No verdict against {other}: {mean} bps, without an interval ({why}); {', '.join([n, *rest])}"
        return said(text, "bold yellow")
    bounds = f"{INTERVAL} {between(interval)}"
    if interval[0] > 0:
        return said(f"Saved {mean} bps against {other}, {', '.join([bounds, n, *rest])}", "bold green")
    if interval[1] < 0:
        return said(f"Lost {mean} bps against {other}, {', '.join([bounds, n, *rest])}", "bold red")
    return said(
        f"No difference from {other} that {n} can show: {mean} bps, {', '.join([bounds, *rest])}",
        "bold yellow",
    )


def _parts(result: dict[str, Any], files: Sequence[Path]) -> Iterator[RenderableType]:
    orders, data = result["parent_orders"], result["data"]
    yield said(_what(result))
    yield said(_evidence(result))
    yield Text()
    yield verdict(result)
    yield _routing_alone(result)
    yield Text()
    yield _strategies(result)
    yield _by_latency(result)
    yield said(
        "cost: mean against the arrival mid in bps, fees included, lower is better; "
        "saved: by the router, in bps; won: orders in which the router was cheaper; "
        "routing alone: saved by the router as TWAP against TWAP, on the same slices"
    )
    if not orders["all_fill_the_same"]:
        yield said(
            "Not all filled the same: shares left open are valued at the worst price that was shown.",
            "yellow",
        )
    left_out = result["evaluation"]["quoted_on"]["without_quotes"]
    if left_out:
        yield said(f"{count(left_out, 'order')} left out: no usable quote, or no mid.", "yellow")
    best, found = result["best_parameters"], result["identification"]
    tie = f"{found['tied']:,} of {found['tried']:,} points do the same"
    yield said(
        f"Penalties, dollars a share: {', '.join(f'{key} {value:g}' for key, value in best.items())}; {tie}"
    )
    for note in [*orders["notes"], *data["notes"]]:
        yield said(f"Note: {note}")
    if files:
        yield said(f"Files: {', '.join(map(str, files))}; --json prints the JSON here")


def _routing_alone(result: dict[str, Any]) -> Text:
    """Return what routing saves where the schedule is the same, in one sentence."""
    saved = result["parent_orders"]["savings_on_one_schedule_bps"]["twap"]
    interval = saved["interval_95"]
    bounds = "no interval" if interval is None else f"{INTERVAL} {between(interval)}"
    won = percent(saved["share_of_orders_won"])
    return said(f"Routing alone, on TWAP's slices: {bps(saved['mean'])} bps, {bounds}, {won} of orders won")


def _what(result: dict[str, Any]) -> str:
    order, orders = result["order"], result["parent_orders"]
    text = f"{order['symbol']}: {order['side']} {order['size']:,} shares, {count(orders['n'], 'order')} "
    text += f"of {number(orders['horizon_seconds'])} s"
    if orders["every_seconds"] is not None:
        text += f", one every {number(orders['every_seconds'])} s"
    return text


def _evidence(result: dict[str, Any]) -> str:
    data, evaluation = result["data"], result["evaluation"]
    files = f" ({listed(data['files'])})" if data["files"] else ""
    text = (
        f"{_kind(result).capitalize()}{files}: {data['rows']:,} rows, {count(len(data['venues']), 'venue')}; "
    )
    quoted = evaluation["quoted_on"]
    tuned = moment(evaluation["tuned_on"]["from"])
    if evaluation["mode"] == "in_sample":
        return text + f"in sample, tuned and quoted on the same orders from {tuned} UTC"
    return text + f"tuned from {tuned}, quoted from {moment(quoted['from'])} to {moment(quoted['to'])} UTC"


def _kind(result: dict[str, Any]) -> str:
    return "synthetic data" if result["synthetic"] else "real data"


def _sample(result: dict[str, Any]) -> str:
    return str(result["evaluation"]["mode"]).replace("_", " ")


def _latency(result: dict[str, Any]) -> str:
    return number(result["settings"]["frictions"]["latency_ms"])


def _strategies(result: dict[str, Any]) -> RenderableType:
    """Return the table of strategies, the router first."""
    orders, order = result["parent_orders"], result["order"]
    wanted = orders["n"] * order["size"]
    rows = []
    for key, cost in orders["cost_vs_arrival_bps"].items():
        saved = orders["savings_bps"].get(key)
        rows.append(
            [
                strategy_name(key, order["side"]),
                bps(cost["mean"]),
                between(cost["interval_95"]),
                *(["", "", ""] if saved is None else [*_saved(saved), percent(saved["share_of_orders_won"])]),
                percent(1 - cost["shares_open"] / wanted),
            ]
        )
    return table(["strategy", "cost", INTERVAL, "saved", INTERVAL, "won", "filled"], rows)


def _saved(saved: dict[str, Any]) -> list[Text]:
    interval = saved["interval_95"]
    style = "" if interval is None else "green" if interval[0] > 0 else "red" if interval[1] < 0 else ""
    return [said(bps(saved["mean"]), style), said(between(interval), style)]


def _by_latency(result: dict[str, Any]) -> RenderableType:
    """Return the table of savings by latency, the one of the headline marked."""
    chosen = result["settings"]["frictions"]["latency_ms"]
    rows = [
        [
            f"{number(entry['latency_ms'])} ms{' (chosen)' if entry['latency_ms'] == chosen else ''}",
            *_saved(entry["savings_bps"][HEADLINE]),
            *_saved(entry["savings_on_one_schedule_bps"]["twap"]),
        ]
        for entry in result["savings_by_latency"]
    ]
    against = strategy_name(HEADLINE, result["order"]["side"])
    return table(["latency", f"vs {against}", INTERVAL, "routing alone", INTERVAL], rows)
