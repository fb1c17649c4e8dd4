"""`allocate`: one decision from JSON to JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from venuewise.cli.app import app, print_json
from venuewise.errors import ConfigError


@app.command()
def allocate(
    file: Annotated[Path | None, typer.Argument(help="Book as JSON; without it, read from stdin.")] = None,
) -> None:
    """Split one order over the quotes of a book, and print the decision as JSON."""
    from venuewise.allocation.request import decide, decode_request

    try:
        text = sys.stdin.buffer.read() if file is None else file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    print_json(decide(decode_request(text)))
