"""`demo` and `backtest`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from venuewise.cli.app import AsJson, app, choice, progress_bar, show, side_of

if TYPE_CHECKING:
    from venuewise.market.book import Side
    from venuewise.report.result import BacktestResult

DEMO_GRID: Final = "lambda_under=0.002:0.026:5,lambda_over=0.01:0.05:5,theta_queue=0:0.008:5"
"""125 points in cents a share: on this scale the penalties decide which quotes are worth waiting for."""

OrderSize = Annotated[int, typer.Option("--order-size", help="Shares of every parent order.")]
BookSide = Annotated[str, typer.Option(help="buy takes asks, sell takes bids.")]
Start = Annotated[str, typer.Option(help="first: one order; every:30s: one at each multiple.")]
Horizon = Annotated[
    str | None, typer.Option(help="Time each order has. [default: all there is, with every: a fifth of it]")
]
Split = Annotated[
    float,
    typer.Option(help="Share of the time to tune on; results are quoted from the rest. 0: both on all."),
]
GridText = Annotated[
    str | None,
    typer.Option(
        "--grid", help="Penalties to try: name=low:high:count or name=value, by commas. [default: 125 points]"
    ),
]
Out = Annotated[Path, typer.Option(help="Directory for output.json and results.png.")]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn at random.")]
Window = Annotated[str | None, typer.Option(help="UTC times, as in 13:36:32-13:45:14.")]


def demo_result(
    order_size: int = 5000,
    side: Side = "buy",
    seed: int = 7,
    progress: Callable[[int, int], None] | None = None,
) -> BacktestResult:
    """Return the backtest of the demo: ten minutes of five synthetic venues, 54 parent orders out of sample."""
    from venuewise.backtesting import backtest as run
    from venuewise.synthetic.generate import generate

    return run(
        generate(venues=5, symbols=["AAPL"], duration="10m", seed=seed),
        order_size=order_size,
        side=side,
        start="every:5s",
        horizon="30s",
        grid=DEMO_GRID,
        seed=seed,
        progress=progress,
    )


@app.command()
def demo(
    order_size: OrderSize = 5000,
    side: BookSide = "buy",
    seed: Seed = 7,
    out: Out = Path(),
    as_json: AsJson = False,
) -> None:
    """Generate a multi-venue day, backtest the router on it, print a summary, write output.json and results.png."""
    with progress_bar("backtest") as progress:
        result = demo_result(order_size, side_of(side), seed, progress)
    _report(result, out, as_json)
    typer.echo(
        "ten minutes of five synthetic venues, tuned on the first half, quoted on the second", err=True
    )


@app.command()
def backtest(
    files: Annotated[
        list[str], typer.Argument(help="CSV, DBN or Parquet; several are merged by time. Or kafka://TOPIC.")
    ],
    order_size: OrderSize = 5000,
    side: BookSide = "buy",
    window: Window = None,
    symbol: Annotated[str | None, typer.Option(help="Needed where the files hold several.")] = None,
    venues: Annotated[
        str,
        typer.Option(help="asis; levels: walk all levels of one book; synthetic:N: widen one venue to N."),
    ] = "asis",
    fees: Annotated[Path | None, typer.Option(help="TOML file of venues and their fees.")] = None,
    start: Start = "first",
    horizon: Horizon = None,
    split: Split = 0.5,
    grid: GridText = None,
    fill: Annotated[
        str, typer.Option(help="free: shares may wait; exact_fill: all must go somewhere.")
    ] = "free",
    depth: Annotated[int | None, typer.Option(help="Levels of each venue that strategies see.")] = None,
    slice_seconds: Annotated[
        float | None,
        typer.Option(
            "--slice",
            help="Seconds of a slice of TWAP and of the VWAP schedule. [default: 60, or a tenth of a horizon too short "
            "for ten of these]",
        ),
    ] = None,
    participation: Annotated[
        float, typer.Option(help="Share of the printed volume that pov keeps to.")
    ] = 0.1,
    latency_ms: Annotated[
        float, typer.Option(help="From decision to venue; the result also has 0 and ten times as much.")
    ] = 0.5,
    queue_priority: Annotated[float, typer.Option(help="Share of the displayed size that fills.")] = 1.0,
    slippage_bps: Annotated[float, typer.Option(help="Added to every price paid.")] = 0.0,
    adverse_probability: Annotated[
        float, typer.Option(help="Chance that a child order meets a worse market (0.1 is usual).")
    ] = 0.0,
    adverse_move_bps: Annotated[float, typer.Option(help="How much worse.")] = 5.0,
    adverse_left: Annotated[float, typer.Option(help="Share of the size that is left then.")] = 0.8,
    refill: Annotated[
        str, typer.Option(help="Shares taken come back when the quote changes (update) or never (added).")
    ] = "update",
    max_age_ms: Annotated[
        float | None, typer.Option(help="Venues silent for longer do not take part.")
    ] = None,
    seed: Seed = 0,
    workers: Annotated[int | None, typer.Option(help="Threads. [default: one for each processor]")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Sort rows, drop duplicates, and count both.")
    ] = False,
    out: Out = Path(),
    as_json: AsJson = False,
) -> None:
    """Tune the router, compare it with best ask, TWAP, VWAP, POV; print a summary, write output.json, results.png."""
    from venuewise.backtesting import backtest as run
    from venuewise.simulation.state import Frictions

    frictions = Frictions(
        latency_ms=latency_ms,
        queue_priority=queue_priority,
        slippage_bps=slippage_bps,
        adverse_probability=adverse_probability,
        adverse_move_bps=adverse_move_bps,
        adverse_left=adverse_left,
        refill=choice("refill", refill, "update", "added"),
    )
    with progress_bar("backtest") as progress:
        result = run(
            files[0] if len(files) == 1 else files,
            order_size=order_size,
            side=side_of(side),
            window=window,
            symbol=symbol,
            venues=venues,
            fee_table=fees,
            start=start,
            horizon=horizon,
            split=split,
            grid=grid,
            fill=choice("fill", fill, "free", "exact_fill"),
            depth=depth,
            slice_seconds=slice_seconds,
            participation=participation,
            frictions=frictions,
            max_age_ms=max_age_ms,
            seed=seed,
            workers=workers,
            progress=progress,
            repair=repair,
        )
    _report(result, out, as_json)


def _report(result: BacktestResult, out: Path, as_json: bool) -> None:
    """Print a result on stdout, and write its files."""
    from venuewise.cli.backtest_summary import backtest_summary

    saved = result.save(out)
    show(result.to_dict(), partial(backtest_summary, files=saved), as_json)
    for path in saved:
        typer.echo(f"wrote {path}", err=True)
