"""The main job: 125 combinations and four strategies on a generated nine-minute day of five venues.

Each size runs in a process of its own, so that its peak memory is its own too. The numbers exclude making the
data and compiling (an order on a small day comes first).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import venuewise as vw
from benchmarks.table import Table
from venuewise.market.venues import fees
from venuewise.simulation import engine
from venuewise.simulation.state import market_of
from venuewise.strategies import Static, baselines

SIZES = (50_000, 200_000, 800_000)
ROWS_PER_SECOND = 200_000 / 540.0
CENTS = "lambda_under=0.002:0.026:5,lambda_over=0.01:0.05:5,theta_queue=0:0.008:5"


def literal(events: vw.Events) -> int:
    """Run 125 combinations times 4 strategies over the whole day, nothing left out, one after the other."""
    taker_fee, rebate = fees(vw.load_venues().resolve(events.publishers))
    market = market_of(events, "buy", taker_fee, rebate)
    task = engine.make_task(market, "buy", 5000, int(events.ts[0]), int(events.ts[-1]))
    conditions = vw.Frictions().conditions(0)
    filled = 0
    for over, under, theta in product(*[[0.002, 0.004, 0.006, 0.008, 0.01]] * 3):
        for strategy in (Static(lambda_over=over, lambda_under=under, theta_queue=theta), *baselines()):
            filled += engine.run(market, task, strategy, conditions, 1, record=False).filled
    return filled


def peak_kb() -> int:
    """Return the most memory that this process has held; getrusage would add what its parent held."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def child(rows: int) -> None:
    """Measure one size and print it as JSON."""
    vw.backtest(vw.generate(duration="2s", seed=1), order_size=100, grid=CENTS)
    events = vw.generate(venues=5, duration=rows / ROWS_PER_SECOND, rate=ROWS_PER_SECOND, seed=7)
    loaded = peak_kb()
    started = time.perf_counter()
    vw.backtest(events, grid=CENTS)
    tuned = time.perf_counter()
    vw.backtest(events, grid=CENTS, start="every:30s", horizon="60s")
    many = time.perf_counter()
    vw.backtest(events, grid=CENTS, start="every:5s", horizon="30s")
    crowd = time.perf_counter()
    literal(events)
    done = time.perf_counter()
    peak = peak_kb()
    print(
        json.dumps(
            {
                "rows": len(events),
                "single": tuned - started,
                "many": many - tuned,
                "crowd": crowd - many,
                "literal": done - crowd,
                "loaded": loaded / 1024,
                "peak": peak / 1024,
            }
        )
    )


def run_child(rows: int) -> dict[str, float]:
    """Return the measurements of one size, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.backtesting", str(rows)],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def run() -> Table:
    """Measure all sizes."""
    found = [run_child(rows) for rows in SIZES]
    rows: list[tuple[str, ...]] = [
        (
            f"{int(f['rows']):,}",
            f"{f['single']:.2f} s",
            f"{f['many']:.2f} s",
            f"{f['crowd']:.2f} s",
            f"{f['literal']:.2f} s",
            f"{f['literal'] / f['rows'] * 1e6:.2f} us",
            f"{f['peak']:.0f} MB",
            f"{f['peak'] - f['loaded']:.0f} MB",
        )
        for f in found
    ]
    return Table(
        "Backtest: 125 combinations x 4 strategies, 5 venues, 5,000 shares",
        (
            "rows",
            "tune + quote",
            "same, every 30 s",
            "same, every 5 s",
            "all 500 runs",
            "a row of data",
            "peak",
            "beyond the data",
        ),
        rows,
        (
            "tune + quote: 125 combinations on the first half, 4 strategies on the second, two threads.",
            "all 500 runs: every combination with every strategy over the whole day, one thread.",
            "Generating the data and compiling are excluded.",
        ),
    )


if __name__ == "__main__":
    child(int(sys.argv[1]))
