"""`allocate`: one decision on a book in JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from venuewise.cli.app import AsJson, app, read_request, show


@app.command()
def allocate(
    file: Annotated[str, typer.Argument(help="Book as JSON; - or nothing reads stdin.")] = "-",
    as_json: AsJson = False,
) -> None:
    """Split one order over the quotes of a book, and print the decision; JSON off a terminal."""
    from venuewise.allocation.request import decide, decode_request
    from venuewise.cli.decision_summaries import allocation_summary

    show(decide(decode_request(read_request(file))), allocation_summary, as_json)
