"""The command line: parse, call, print.

JSON results go to stdout and nothing else does; notes and progress go to stderr. Exit code 0: done, 2: bad
input or usage (one line on stderr), 1: a fault of ours.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from venuewise import __version__
from venuewise.errors import ConfigError, VenuewiseError

if TYPE_CHECKING:
    from venuewise.report.result import BacktestResult

DEMO_GRID: Final = "lambda_under=0.002:0.026:5,lambda_over=0.01:0.05:5,theta_queue=0:0.008:5"
"""125 points in cents a share: on this scale the penalties decide which quotes are worth waiting for."""

app = typer.Typer(
    name="venuewise",
    help="Smart order router on the Cont & Kukanov order-placement model.",
    no_args_is_help=False,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"venuewise {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Smart order router on the Cont & Kukanov order-placement model."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _print_json(result: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(result), indent=2))


@app.command()
def venues(
    fees: Annotated[
        Path | None, typer.Option("--fees", help="TOML file of venues and fees laid over the packaged table.")
    ] = None,
) -> None:
    """Print the venue table as JSON: names, publisher ids, fees in dollars per share and their sources."""
    from venuewise.market.venues import load_venues

    _print_json({"venues": [venue.to_dict() for venue in load_venues(fees).venues]})


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


@app.command()
def demo(
    order_size: OrderSize = 5000,
    side: BookSide = "buy",
    seed: Seed = 7,
    out: Out = Path(),
) -> None:
    """Generate a multi-venue day, backtest the router on it, print the JSON, write output.json and results.png."""
    from venuewise.backtesting import backtest as run
    from venuewise.data.generate import generate

    typer.echo("generating ten minutes of five synthetic venues ...", err=True)
    events = generate(venues=5, symbols=["AAPL"], duration="10m", seed=seed)
    with _progress("backtest") as progress:
        result = run(
            events,
            order_size=order_size,
            side=_side(side),
            start="every:5s",
            horizon="60s",
            slice_seconds=10.0,
            grid=DEMO_GRID,
            seed=seed,
            progress=progress,
        )
    _report(result, out)


@app.command()
def backtest(
    files: Annotated[list[Path], typer.Argument(help="CSV, DBN or Parquet; several are merged by time.")],
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
    slice_seconds: Annotated[float, typer.Option("--slice", help="Seconds of a TWAP slice.")] = 60.0,
    latency_ms: Annotated[float, typer.Option(help="From decision to venue.")] = 0.0,
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
    bootstrap: Annotated[int, typer.Option(help="Samples for the intervals.")] = 2000,
    workers: Annotated[int | None, typer.Option(help="Threads. [default: one for each processor]")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Sort rows, drop duplicates, and count both.")
    ] = False,
    out: Out = Path(),
) -> None:
    """Tune the router, compare it with best ask, TWAP and VWAP; print the JSON, write output.json, results.png."""
    from venuewise.backtesting import backtest as run
    from venuewise.simulation.state import Frictions

    frictions = Frictions(
        latency_ms=latency_ms,
        queue_priority=queue_priority,
        slippage_bps=slippage_bps,
        adverse_probability=adverse_probability,
        adverse_move_bps=adverse_move_bps,
        adverse_left=adverse_left,
        refill=_choice("refill", refill, "update", "added"),
    )
    with _progress("backtest") as progress:
        result = run(
            files,
            order_size=order_size,
            side=_side(side),
            window=window,
            symbol=symbol,
            venues=venues,
            fee_table=fees,
            start=start,
            horizon=horizon,
            split=split,
            grid=grid,
            fill=_choice("fill", fill, "free", "exact_fill"),
            depth=depth,
            slice_seconds=slice_seconds,
            frictions=frictions,
            max_age_ms=max_age_ms,
            seed=seed,
            bootstrap=bootstrap,
            workers=workers,
            progress=progress,
            repair=repair,
        )
    _report(result, out)


def _report(result: BacktestResult, out: Path) -> None:
    """Print a result on stdout, and write its files."""
    saved = result.save(out)
    typer.echo(result.to_json())
    for path in saved:
        typer.echo(f"wrote {path}", err=True)


def _choice(option: str, found: str, *allowed: str) -> Any:
    if found not in allowed:
        raise ConfigError(f"{option}: found {found!r}; expected {' or '.join(allowed)}")
    return found


def _side(found: str) -> Any:
    return _choice("side", found, "buy", "sell")


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr for work that takes longer than a second."""
    from rich.console import Console
    from rich.progress import Progress

    began = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, visible=False)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=time.monotonic() - began > 1)

        yield tell


def main() -> None:
    """Run the command line; turn the user's errors into one line and exit code 2."""
    try:
        status = app(standalone_mode=False)
    except VenuewiseError as error:
        typer.echo(f"venuewise: {error}", err=True)
        sys.exit(2)
    except typer.TyperException as error:
        typer.echo(f"venuewise: {error.format_message()} (see --help)", err=True)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
