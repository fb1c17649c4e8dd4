"""The command line: parse, call, print.

JSON results go to stdout and nothing else does; notes and progress go to stderr. Exit code 0: done, 2: bad
input or usage (one line on stderr), 1: a fault of ours.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from venuewise import __version__
from venuewise.errors import VenuewiseError

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
