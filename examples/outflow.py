"""Queue outflows estimated from a day of data: what passed, and which distributions fit.

Reads market data files, or generates a day if none is given; measures the outflow of every venue over a horizon, and
what resting orders lost to the mid after their fills; fits four laws to each venue and draws the observed
distribution beside the fitted ones. Run
`python -m examples.outflow [FILE...] [--horizon=60s] [--out=outflow.png] [--quick]`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, get_args

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

import venuewise as vw
from venuewise.placement.outflow_laws import Family

Float64 = npt.NDArray[np.float64]

COLOURS: Final = {"poisson": "#999999", "exponential": "#2f8f4e", "gamma": "#d1661a", "empirical": "#0b6fb8"}
MOST_PANELS: Final = 4
DELAYS: Final = ("1s", "10s")
"""When the mid is looked at again after a fill."""


def fits_by_venue(sample: vw.OutflowSample) -> list[dict[str, vw.OutflowFit]]:
    """Fit every family to every venue."""
    return [
        {family: vw.fit_outflow(sample.outflow[:, k], family) for family in get_args(Family)}
        for k in range(len(sample.publishers))
    ]


def table(
    sample: vw.OutflowSample,
    fits: list[dict[str, vw.OutflowFit]],
    names: Sequence[str],
    lost: dict[str, Float64],
) -> list[str]:
    """Say what was measured, what fills lost to the mid after each delay, and how well each law fits."""
    lines = []
    for k, name in enumerate(names):
        lines.append(
            f"{name}: {len(sample)} windows of {sample.horizon / 1e9:g} s, {np.mean(sample.passed[:, k]):.0%} went "
            f"through our price, {np.mean(sample.away[:, k]):.0%} left us behind"
        )
        lines.append(
            f"  mean shares: queue {sample.queue[:, k].mean():.1f}, executed {sample.executed[:, k].mean():.1f}, "
            f"cancelled ahead {sample.cancelled[:, k].mean():.1f}, behind {sample.behind[:, k].mean():.1f}"
        )
        delays = ", ".join(f"{100 * values[k]:.3f} after {delay}" for delay, values in lost.items())
        lines.append(f"  fills lost to the mid, cents a share: {delays}")
        for family, fit in fits[k].items():
            parameters = ", ".join(f"{key} {value:.4g}" for key, value in fit.parameters.items())
            aic = "" if np.isnan(fit.aic) else f"AIC {fit.aic:.1f}, "
            lines.append(
                f"  {family:11s} {parameters}; P(0) {fit.zero:.2f}; {aic}"
                f"distance {fit.distance:.3f}, p = {fit.p_value:.3f}"
            )
    return lines


def plot(
    sample: vw.OutflowSample,
    fits: list[dict[str, vw.OutflowFit]],
    names: Sequence[str],
    title: str,
    file: Path,
) -> None:
    """Draw the probability that the outflow exceeds x, observed and fitted, for each venue."""
    shown = min(len(names), MOST_PANELS)
    figure = Figure(figsize=(7.4 if shown == 1 else 11.0, 4.2 * ((shown + 1) // 2)), layout="constrained")
    axes = np.atleast_1d(figure.subplots((shown + 1) // 2, min(shown, 2), squeeze=False)).ravel()
    for k in range(shown):
        axis, outflow = axes[k], sample.outflow[:, k]
        finite = np.sort(outflow[np.isfinite(outflow)])
        reach = float(np.quantile(finite, 0.98)) * 1.15 + 1.0
        grid = np.linspace(0.0, reach, 400)
        observed = [float(np.mean(outflow > shares)) for shares in grid]
        axis.step(grid, observed, where="post", color="black", linewidth=2.2, label="observed")
        for family, fit in fits[k].items():
            axis.plot(
                grid,
                fit.sf(grid),
                color=COLOURS[family],
                linewidth=1.4,
                label=f"{family}, p = {fit.p_value:.2g}",
            )
        axis.axhline(sample.passed[:, k].mean(), color="#bbbbbb", linestyle=":", linewidth=1)
        axis.text(
            reach, sample.passed[:, k].mean() - 0.055, "went through our price", ha="right", color="#777777"
        )
        axis.set(xlim=(0.0, reach), ylim=(0.0, 1.0), xlabel="x, shares", ylabel="P(outflow > x)")
        axis.set_title(names[k], fontsize=11)
        axis.legend(frameon=False, fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[shown:]:
        axis.set_visible(False)
    figure.suptitle(title)
    figure.savefig(file, dpi=110)


def main(arguments: Sequence[str]) -> None:
    """Measure, fit, print and draw."""
    options = dict(argument[2:].partition("=")[::2] for argument in arguments if argument.startswith("--"))
    files = [argument for argument in arguments if not argument.startswith("--")]
    if files:
        events = vw.read(files)
    else:
        events = vw.generate(venues=2, duration="60s" if "quick" in options else "10m", seed=7)
    horizon = options.get("horizon", "60s" if files else "0.2s")
    sample = vw.estimate_outflow(events, horizon=horizon)
    names = [venue.name for venue in vw.load_venues().resolve(events.publishers)]
    fits = fits_by_venue(sample)
    lost = {delay: vw.adverse_selection(events, delay=delay) for delay in DELAYS}
    print("\n".join(table(sample, fits, names, lost)))
    out = Path(options.get("out", "outflow.png"))
    kind = "generated data" if events.synthetic else ", ".join(Path(source).name for source in events.source)
    plot(
        sample, fits, names, f"Outflow at the best bid in {horizon}, {', '.join(events.symbols)}, {kind}", out
    )
    print(out)


if __name__ == "__main__":
    main(sys.argv[1:])
