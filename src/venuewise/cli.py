"""The command line: parse, call, print.

JSON results go to stdout and nothing else does; notes and progress go to stderr. Exit code 0: done, 2: bad
input or usage (one line on stderr), 1: a fault of ours.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from venuewise import __version__
from venuewise.errors import ConfigError, VenuewiseError

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


@app.command()
def allocate(
    file: Annotated[Path | None, typer.Argument(help="Book as JSON; without it, read from stdin.")] = None,
) -> None:
    """Split one order over the quotes of a book, and print the decision as JSON."""
    import msgspec

    from venuewise.decisions import decide, decode_request

    try:
        text = sys.stdin.buffer.read() if file is None else file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    decision = msgspec.json.encode(decide(decode_request(text)))
    typer.echo(msgspec.json.format(decision, indent=2))


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
