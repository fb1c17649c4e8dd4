"""`place`: market and limit orders for one order, with the proof of how good they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from venuewise.cli.app import AsJson, app, show
from venuewise.errors import DataError


@app.command()
def place(
    request: Annotated[
        str, typer.Argument(help="JSON file with the order, the venues and the outflow; - for stdin.")
    ] = "-",
    as_json: AsJson = False,
) -> None:
    """Split an order into market and limit orders and print the decision with its certificate; JSON off a terminal."""
    from venuewise.cli.decision_summaries import placement_summary
    from venuewise.outflow.placement_request import decide_placement, decode_placement

    if request == "-":
        text = sys.stdin.buffer.read()
    else:
        try:
            text = Path(request).read_bytes()
        except OSError as error:
            raise DataError(request, (error.strerror or str(error)).lower(), "a JSON file") from None
    show(decide_placement(decode_placement(text)), placement_summary, as_json)
