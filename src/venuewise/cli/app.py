"""The application that the commands register with, and what they share."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from venuewise._version import __version__
from venuewise.errors import ConfigError, DataError
from venuewise.files import read_bytes
from venuewise.printable import printable_json

if TYPE_CHECKING:
    from rich.console import RenderableType

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on a terminal, too.")]

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


def put(text: str | bytes) -> None:
    """Print a result on stdout."""
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        found = f"standard output: found {error.strerror or error}"
        raise ConfigError(f"{found}; expected one that can be written") from None


def read_request(file: str) -> bytes:
    """Return the text of a request: that of a file, or what stands on stdin for "-".

    Raises
    ------
    DataError
        If it cannot be read.
    """
    expected = "a JSON file"
    if file != "-":
        return read_bytes(Path(file), expected)
    if sys.stdin is None:
        raise DataError("standard input", "none, it is closed", expected)
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        found = f"what cannot be read ({error.strerror or error})"
        raise DataError("standard input", found, expected) from None


def print_json(result: object) -> None:
    put(msgspec.json.format(printable_json(msgspec.json.encode(result)), indent=2))


def show(
    result: dict[str, Any], summary: Callable[[dict[str, Any]], RenderableType], as_json: bool = False
) -> None:
    """Print a result: its summary on a terminal; JSON anywhere else, or where it is asked for."""
    if as_json or sys.stdout is None or not sys.stdout.isatty():  # None: it was closed before we began
        print_json(result)
        return
    from venuewise.cli.terminal import drawn

    put(drawn(summary(msgspec.json.decode(msgspec.json.encode(result)))))


def choice(option: str, found: str, *allowed: str) -> Any:
    if found not in allowed:
        raise ConfigError(f"{option}: found {found!r}; expected {' or '.join(allowed)}")
    return found


def side_of(found: str) -> Any:
    return choice("side", found, "buy", "sell")


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr for work that takes longer than a second."""
    from rich.console import Console
    from rich.progress import Progress

    began = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, visible=False)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=time.monotonic() - began > 1)

        yield tell
