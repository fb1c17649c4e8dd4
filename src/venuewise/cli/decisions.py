"""`allocate`: one decision on a book in JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from venuewise.cli.app import AsJson, app, show
from venuewise.errors import ConfigError


@app.command()
def allocate(
    file: Annotated[Path | None, typer.Argument(help="Book as JSON; without it, read from stdin.")] = None,
    as_json: AsJson = False,
) -> None:
    """Split one order over the quotes of a book, and print the decision; JSON off a terminal."""
    from venuewise.allocation.request import decide, decode_request
    from venuewise.cli.decision_summaries import allocation_summary

    try:
        text = sys.stdin.buffer.read() if file is None else file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    show(decide(decode_request(text)), allocation_summary, as_json)
