"""`place`: market and limit orders for one order, with the proof of how good they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from venuewise.cli.app import app, print_json
from venuewise.errors import DataError


@app.command()
def place(
    request: Annotated[
        str, typer.Argument(help="JSON file with the order, the venues and the outflow; - for stdin.")
    ] = "-",
) -> None:
    """Split an order into market and limit orders and print the decision with its certificate as JSON."""
    from venuewise.outflow.placement_request import decide_placement, decode_placement

    if request == "-":
        text = sys.stdin.buffer.read()
    else:
        try:
            text = Path(request).read_bytes()
        except OSError as error:
            raise DataError(request, (error.strerror or str(error)).lower(), "a JSON file") from None
    print_json(decide_placement(decode_placement(text)))
