"""How the optimal placement moves with its inputs: the studies of Cont and Kukanov, section 4, redone.

Two venues, the paper's costs and queues. Each study varies one input and solves the certified sample-average problem
at every value: the price of a shortfall, the queue of one venue, its rebate, the size of the order, and
the correlation of the outflows. The last panel shows overbooking, limit orders beyond the order's size. Run
`python -m examples.sensitivity [sensitivity.png] [--quick]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from examples.table1 import COSTS, QUEUE
from venuewise.placement.placement import Placement, place

Float64 = npt.NDArray[np.float64]

ORDER: Final = 1000.0
VENUES: Final = 2
COLOURS: Final = {"market": "#444444", "first": "#0b6fb8", "second": "#d1661a", "extra": "#2f8f4e"}


@dataclass(frozen=True, slots=True)
class Study:
    """One input varied, and the placements that are best at its values."""

    title: str
    axis: str
    values: Sequence[float]
    placements: list[Placement]
    orders: Sequence[float]

    def market(self) -> list[float]:
        """M in per cent of the order."""
        return [100.0 * p.market / order for p, order in zip(self.placements, self.orders, strict=True)]

    def limit(self, venue: int) -> list[float]:
        """L_k in per cent of the order."""
        return [100.0 * p.limit[venue] / order for p, order in zip(self.placements, self.orders, strict=True)]

    def overbooking(self) -> list[float]:
        """Shares sent beyond the order, in per cent of it."""
        return [100.0 * p.overbooking / order for p, order in zip(self.placements, self.orders, strict=True)]


def outflows(
    samples: int, weight: float = 0.6, spread: float = 1.0, venues: int = VENUES, seed: int = 3
) -> Float64:
    """Draw the paper's outflows: `weight` of a common draw; `spread` widens them around their mean."""
    rng = np.random.default_rng(seed)
    drawn = weight * rng.poisson(2200, (samples, 1)) + (1.0 - weight) * rng.poisson(2200, (samples, venues))
    return np.asarray(np.maximum(2200.0 + spread * (drawn - 2200.0), 0.0))


def solve(samples: int, **change: Any) -> Placement:
    """Solve the baseline with some inputs changed."""
    arguments: dict[str, Any] = {**COSTS, "queue": [QUEUE] * VENUES, **change}
    arguments.setdefault("outflow", outflows(samples))
    return place(arguments.pop("order", ORDER), **arguments)


def studies(samples: int = 2000, points: int = 21) -> list[Study]:
    """Run all studies.

    Parameters
    ----------
    samples : int
        Outflows that each problem is solved on.
    points : int
        Values of each input.
    """

    def vary(title: str, axis: str, values: Float64, change: Callable[[float], dict[str, Any]]) -> Study:
        changes = [change(value) for value in values.tolist()]
        orders = [float(each.get("order", ORDER)) for each in changes]
        return Study(title, axis, values.tolist(), [solve(samples, **each) for each in changes], orders)

    return [
        vary(
            "Dearer shortfalls move shares to the market", "lambda_u, dollars per share",
            np.linspace(0.024, 0.12, points), lambda value: {"lambda_under": value},
        ),
        vary(
            "A longer queue sends its shares to the market", "queue at venue 1, shares",
            np.linspace(1400.0, 2400.0, points), lambda value: {"queue": [value, QUEUE]},
        ),
        vary(
            "A rebate draws them in", "rebate at venue 1, dollars per share",
            np.linspace(-0.02, 0.02, points), lambda value: {"rebate": [value, COSTS["rebate"]]},
        ),
        vary(
            "Large orders outgrow the queues", "order S, shares",
            np.linspace(200.0, 5000.0, points), lambda value: {"order": value},
        ),
        vary(
            "Outflows that move together help less", "weight of the common outflow",
            np.linspace(0.0, 1.0, points), lambda value: {"outflow": outflows(samples, value, 6.0)},
        ),
    ]  # fmt: skip


def overbooking_by_weight(samples: int = 2000, points: int = 9) -> dict[str, Study]:
    """Overbook against the dependence of outflows that are uncertain, for 2 venues and 4, and both over-fills."""
    weights = np.linspace(0.0, 1.0, points)
    found = {}
    for venues in (2, 4):
        for overfill in ("penalise", "cancel"):
            placements = [
                place(
                    ORDER, queue=[QUEUE] * venues, overfill=overfill,
                    outflow=outflows(samples, float(weight), 6.0, venues), **COSTS,
                )
                for weight in weights
            ]  # fmt: skip
            found[f"K = {venues}, {overfill}"] = Study(
                "", "weight of the common outflow", weights.tolist(), placements, [ORDER] * points
            )
    return found


def overbooking_lines(booked: dict[str, Study]) -> list[str]:
    """Say how much is overbooked at both ends and in the middle."""
    lines = []
    for name, study in booked.items():
        extra, middle = study.overbooking(), len(study.values) // 2
        lines.append(
            f"  {name}: {extra[0]:.0f} % beyond S when outflows are independent, {extra[middle]:.0f} % at weight "
            f"{study.values[middle]:g}, {extra[-1]:.0f} % when they are the same"
        )
    return lines


def plot(panels: list[Study], booked: dict[str, Study], file: Path) -> None:
    """Draw all studies on one page."""
    figure = Figure(figsize=(13, 7.4), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for axis, study in zip(axes[:5], panels, strict=True):
        axis.plot(study.values, study.market(), color=COLOURS["market"], label="market M", linewidth=2)
        axis.plot(study.values, study.limit(0), color=COLOURS["first"], label="limit at venue 1", linewidth=2)
        axis.plot(
            study.values,
            study.limit(1),
            color=COLOURS["second"],
            label="limit at venue 2",
            linewidth=2,
            linestyle="--",
        )
        axis.set_title(study.title, fontsize=11)
        axis.set_xlabel(study.axis)
        axis.set_ylabel("% of the order")
    axes[0].legend(frameon=False)
    for (name, study), colour, style in zip(
        booked.items(), (COLOURS["first"], COLOURS["first"], COLOURS["second"], COLOURS["second"]),
        ("-", ":", "-", ":"), strict=True,
    ):  # fmt: skip
        axes[5].plot(
            study.values, study.overbooking(), color=colour, linestyle=style, linewidth=2, label=name
        )
    axes[5].set_title("Overbooking: shares sent beyond the order", fontsize=11)
    axes[5].set_xlabel("weight of the common outflow")
    axes[5].set_ylabel("% of the order")
    axes[5].legend(frameon=False)
    for axis in axes:
        axis.set_ylim(bottom=0.0)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)


def main(arguments: Sequence[str]) -> None:
    """Run the studies, draw them, and print both ends and the middle of each."""
    quick = "--quick" in arguments
    names = [argument for argument in arguments if not argument.startswith("--")]
    file = Path(names[0] if names else "sensitivity.png")
    samples, points = (200, 4) if quick else (2000, 21)
    panels = studies(samples, points)
    booked = overbooking_by_weight(samples, 3 if quick else 9)
    plot(panels, booked, file)
    for study in panels:
        print(f"{study.title}; largest gap {max(p.gap for p in study.placements):.0e}")
        for i in (0, points // 2, points - 1):
            print(
                f"  {study.axis} {study.values[i]:g}: M {study.market()[i]:.1f}, L_1 {study.limit(0)[i]:.1f}, "
                f"L_2 {study.limit(1)[i]:.1f} % of S"
            )
    gap = max(p.gap for study in booked.values() for p in study.placements)
    print(f"Overbooking; largest gap {gap:.0e}")
    print("\n".join(overbooking_lines(booked)))
    print(file)


if __name__ == "__main__":
    main(sys.argv[1:])
