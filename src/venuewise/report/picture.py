"""results.png: what each strategy cost against arrival, and how that cost built up.

Bars of total cash would all look alike (five basis points of a million dollars are invisible from zero), so cost is
drawn in basis points of the arrival price.
"""

from __future__ import annotations

import io
import warnings
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from venuewise.data.events import NS_PER_SECOND, PRICE_SCALE
from venuewise.market.book import sign_of
from venuewise.research.comparison import Comparison
from venuewise.simulation.state import FILL_FEES, FILL_PRICE, FILL_SHARES, FILL_TS

COLOURS: Final = ("#1b6ca8", "#c44e52", "#dd9a2b", "#6a9a58", "#7b5ea7", "#5c6670", "#b07aa1", "#3d3d3d")


def draw(comparison: Comparison, summary: dict[str, Any]) -> bytes:
    """Return a PNG of a comparison and its summary."""
    figure = Figure(figsize=(9.0, 8.0), dpi=120, layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(1.0, 1.0))
    settings = comparison.settings
    names = list(comparison.outcomes)
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}

    costs = summary["parent_orders"]["cost_vs_arrival_bps"]
    means = [costs[name]["mean"] for name in names]
    above.bar(names, means, color=[colour[name] for name in names], width=0.6, zorder=2)
    for position, name in enumerate(names):
        if costs[name]["interval_95"] is not None:
            low, high = costs[name]["interval_95"]
            mean = costs[name]["mean"]
            above.errorbar(
                position, mean, yerr=[[max(mean - low, 0)], [max(high - mean, 0)]],
                color="#222222", capsize=5, linewidth=1.2, zorder=3,
            )  # fmt: skip
    above.axhline(0, color="#222222", linewidth=0.8)
    single = {"optimized": summary["optimized"], **summary["baselines"], **summary.get("strategies", {})}
    labels = [
        f"{_plain(name)}\n{costs[name]['mean']:.2f} bps\n\\${single[name]['total_cost']:,.2f}"
        for name in names
    ]
    above.set_xticks(range(len(names)), labels)
    above.grid(axis="y", alpha=0.3, zorder=0)
    above.set_ylabel("cost vs arrival mid, fees included (bps)")
    orders = summary["parent_orders"]["n"]
    about = f"mean of {orders} parent orders, 95 % intervals" if orders > 1 else "one parent order"
    above.set_title(f"Total cost by strategy: {about}; $ for the first order", fontsize=11)

    start = comparison.quoted_on[0].begin
    end = (comparison.quoted_on[0].end - start) / NS_PER_SECOND
    earliest = end
    for name in names:
        run = comparison.outcomes[name][0]
        fills = run.fills
        sign = sign_of(run.side)
        paid = sign * (fills[:, FILL_PRICE] - run.arrival_price) * fills[:, FILL_SHARES] + fills[:, FILL_FEES]
        seconds = (fills[:, FILL_TS] - start) / NS_PER_SECOND
        earliest = min([earliest, *seconds[seconds > 0]])
        # Every line runs from the order's start to its end, so that strategies that are done early stay visible.
        below.step(
            [0.0, *seconds, end], [0.0, *np.cumsum(paid) / PRICE_SCALE, paid.sum() / PRICE_SCALE],
            where="post", color=colour[name], label=_plain(name), linewidth=1.8, alpha=0.9,
        )  # fmt: skip
    if 0 < earliest < end:  # Strategies act within milliseconds, TWAP within minutes: both have to be seen.
        below.set_xscale("symlog", linthresh=earliest)
        below.set_xlim(0, end)
        below.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    below.set_xlabel("seconds since the order's start (logarithmic after the first fill)")
    below.set_ylabel("cumulative cost vs arrival ($)")
    below.set_title("First parent order: how the cost built up", fontsize=11)
    below.grid(alpha=0.3)
    below.legend(loc="best", fontsize=9)

    mode = "out of sample" if settings.split else "in sample"
    synthetic = "  |  SYNTHETIC DATA" if comparison.events.synthetic else ""
    symbol = f" {_plain(settings.symbol)}" if settings.symbol else ""
    figure.suptitle(
        f"{settings.side} {settings.order_size:,}{symbol}  |  {len(comparison.venues)} venues  |  {mode}{synthetic}",
        fontsize=12, fontweight="bold",
    )  # fmt: skip
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a symbol in letters that the font lacks
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _plain(name: str) -> str:
    """Return a name as matplotlib prints it letter by letter: between two dollar signs it would read a formula."""
    return name.replace("$", r"\$")
