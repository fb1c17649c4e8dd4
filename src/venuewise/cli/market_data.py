"""`generate`, `inspect` and `venues`: what there is to trade on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from venuewise.cli.app import AsJson, app, show
from venuewise.errors import ConfigError

Number = TypeVar("Number", int, float)


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
    as_json: AsJson = False,
) -> None:
    """Write a synthetic multi-venue market to a file and print what it holds."""
    from venuewise.cli.market_summaries import generated_summary
    from venuewise.data.write import output_suffix
    from venuewise.synthetic.generate import generate as generate_events

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
    show(
        {
            "file": str(out),
            "rows": len(events),
            "first_ts": first,
            "last_ts": last,
            "venues": list(events.publishers),
            "symbols": list(events.symbols),
            "seed": seed,
            "synthetic": events.synthetic,
        },
        generated_summary,
        as_json,
    )


def _numbers(option: str, text: str, kind: Callable[[str], Number]) -> list[Number]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{option}: found {text!r}; expected numbers separated by commas") from None


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV, DBN or Parquet files.")],
    window: Annotated[
        str | None, typer.Option(help="Only rows from A to B, UTC: 13:36:32-13:45:14, or full times A/B.")
    ] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="Only this symbol; may be repeated.")] = None,
    long_gap: Annotated[float, typer.Option(help="Seconds of silence that count as a gap.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Print what market data files hold and how clean they are; JSON off a terminal."""
    from venuewise.cli.market_summaries import inspection_summary
    from venuewise.market.quality import inspect as inspect_files
    from venuewise.market.venues import load_venues

    quality = inspect_files(list(files), window=window, symbols=symbol or None, long_gap=long_gap)
    found = quality.to_dict()
    found["venue_names"] = [venue.name for venue in load_venues().resolve(quality.venues)]
    show(found, inspection_summary, as_json)


@app.command()
def venues(
    fees: Annotated[
        Path | None, typer.Option("--fees", help="TOML file of venues and fees laid over the packaged table.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the venue table: names, publisher ids, fees in dollars per share; their sources as JSON."""
    from venuewise.cli.market_summaries import venues_summary
    from venuewise.market.venues import load_venues

    show({"venues": [venue.to_dict() for venue in load_venues(fees).venues]}, venues_summary, as_json)
