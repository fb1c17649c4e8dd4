"""The command line: parse, call, print.

JSON results go to stdout and nothing else does; notes and progress go to stderr. Exit code 0: done, 2: bad
input or usage (one line on stderr), 1: a fault of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from venuewise import __version__
from venuewise.errors import ConfigError, VenuewiseError

Number = TypeVar("Number", int, float)

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


@app.command()
def generate(
    out: Annotated[Path, typer.Argument(help="File to write: .csv, .csv.gz, .csv.zst or .parquet.")],
    venues: Annotated[
        str, typer.Option(help="How many venues (1 to 16), or publisher ids separated by commas: 2,6,15.")
    ] = "5",
    symbols: Annotated[str, typer.Option(help="Symbols separated by commas.")] = "AAPL",
    duration: Annotated[str, typer.Option(help='Span: "90s", "10m", "1h30m" or seconds.')] = "10m",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 7,
    start: Annotated[str, typer.Option(help="First moment, ISO-8601.")] = "2024-10-21T14:00:00Z",
    rate: Annotated[float, typer.Option(help="Rows a second and symbol, about.")] = 400.0,
    price: Annotated[
        str | None, typer.Option(help="Opening price in dollars: one, or one a symbol separated by commas.")
    ] = None,
    tick: Annotated[float, typer.Option(help="Price grid in dollars.")] = 0.01,
    volatility: Annotated[float, typer.Option(help="Annualised volatility of the efficient price.")] = 0.25,
    half_spread: Annotated[float, typer.Option(help="Dollars between efficient price and quotes.")] = 0.0025,
    mean_queue: Annotated[float, typer.Option(help="Shares queued at the best.")] = 300.0,
    odd_lots: Annotated[float, typer.Option(help="Share of orders under 100 shares.")] = 0.35,
    trade_share: Annotated[
        float, typer.Option(help="Share of trades among the rows of the order flow.")
    ] = 0.05,
    delay_scale: Annotated[float, typer.Option(help="Multiplies the venues' delays.")] = 1.0,
) -> None:
    """Write a synthetic multi-venue market to a file and print what it holds as JSON."""
    from venuewise.data.generate import generate as generate_events
    from venuewise.data.write import output_suffix

    output_suffix(out)  # refuse a bad name before the work
    prices = None if price is None else _numbers("--price", price, float)
    ids = _numbers("--venues", venues, int)
    events = generate_events(
        venues=ids if "," in venues else ids[0],
        symbols=[symbol.strip() for symbol in symbols.split(",")],
        duration=duration,
        seed=seed,
        start=start,
        rate=rate,
        price=prices[0] if prices and len(prices) == 1 else prices,
        tick=tick,
        volatility=volatility,
        half_spread=half_spread,
        mean_queue=mean_queue,
        odd_lots=odd_lots,
        trade_share=trade_share,
        delay_scale=delay_scale,
    )
    events.to_csv(out)
    first, last = (events.ts[[0, -1]].tolist()) if len(events) else (None, None)
    _print_json(
        {
            "file": str(out),
            "rows": len(events),
            "first_ts": first,
            "last_ts": last,
            "venues": list(events.publishers),
            "symbols": list(events.symbols),
            "seed": seed,
            "synthetic": events.synthetic,
        }
    )


def _numbers(option: str, text: str, kind: Callable[[str], Number]) -> list[Number]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{option} must be numbers separated by commas, not {text!r}") from None


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
