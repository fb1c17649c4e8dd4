"""`place`: market and limit orders for one order, with the proof of how good they are."""

from __future__ import annotations

from typing import Annotated

import typer

from venuewise.cli.app import AsJson, app, read_request, show


@app.command()
def place(
    request: Annotated[
        str,
        typer.Argument(
            help="JSON file with the order, the venues and the outflow; - or nothing reads stdin."
        ),
    ] = "-",
    as_json: AsJson = False,
) -> None:
    """Split an order into market and limit orders and print the decision with its certificate; JSON off a terminal."""
    from venuewise.cli.decision_summaries import placement_summary
    from venuewise.outflow.placement_request import decide_placement, decode_placement

    show(decide_placement(decode_placement(read_request(request))), placement_summary, as_json)
