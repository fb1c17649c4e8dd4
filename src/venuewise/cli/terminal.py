"""How a summary is drawn on a terminal, and the words and figures that all summaries are made of.

Whatever comes from data (names, notes, paths) is drawn as it stands: it is never read as rich markup, and
characters that a terminal would obey are shown escaped.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from venuewise.printable import printable

MOST_ROWS: Final = 30
"""Longer tables of a summary are cut here, and say so: the JSON has all."""
INTERVAL: Final = "95 %"
"""Header of a column of intervals."""
NARROWEST: Final = 60
"""Columns that a summary takes at least: on a narrower terminal lines run on, but no digit is lost."""


def drawn(summary: RenderableType) -> bytes:
    """Return a summary as stdout shows it: as wide as the terminal, without colour where NO_COLOR or TERM forbid it."""
    console = Console(
        file=sys.stdout,
        force_terminal=True,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        width=max(shutil.get_terminal_size().columns, NARROWEST),
    )
    with console.capture() as captured:
        console.print(summary)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return "\n".join(lines).encode(console.encoding, "backslashreplace")


def said(words: object, style: str = "") -> Text:
    """Return words as they stand, with what a terminal would obey (escapes, line breaks, bidi marks) escaped.

    Parameters
    ----------
    words : object
        What `str` makes text of.
    style : str
        A rich style, as in "bold green"; it must not be the only sign of anything.
    """
    return Text(printable(str(words)), style)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], words: Sequence[int] = (0,)
) -> RenderableType:
    """Return a table of words and figures, with an empty line below.

    Parameters
    ----------
    columns : sequence of str
        Headers.
    rows : iterable of sequences
        Cells: `Text` as it is, anything else by `said`. Rows beyond `MOST_ROWS` are counted, not shown.
    words : sequence of int
        Columns of words: set to the left, and broken into lines where the terminal is narrow. So are intervals;
        single figures stay whole.
    """
    found = Table(
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, header_style="bold"
    )
    for i, name in enumerate(columns):
        breaks = i in words or name == INTERVAL
        found.add_column(
            said(name),
            justify="left" if i in words else "right",
            no_wrap=not breaks,
            overflow="fold" if breaks else "ellipsis",
        )
    rows = list(rows)
    for row in rows[:MOST_ROWS]:
        found.add_row(*(cell if isinstance(cell, Text) else said(cell) for cell in row))
    parts: list[RenderableType] = [found]
    if len(rows) > MOST_ROWS:
        parts.append(said(f"and {len(rows) - MOST_ROWS:,} more"))
    return Group(*parts, Text())


def bps(value: float) -> str:
    """Return signed basis points with two decimals; what rounds to nothing has no sign."""
    rounded = round(value, 2)
    return f"{rounded:+,.2f}" if rounded else "0.00"


def between(interval: Sequence[float] | None) -> str:
    """Return an interval of basis points in words."""
    return "none" if interval is None else f"{bps(interval[0])} to {bps(interval[1])}"


def dollars(value: float, decimals: int = 2) -> str:
    """Return an amount of money with its sign before the dollar."""
    amount = f"{abs(value):,.{decimals}f}"
    return f"-${amount}" if value < 0 and float(amount.replace(",", "")) else f"${amount}"


def number(value: float, decimals: int = 3) -> str:
    """Return a number with thousands separated, and no more decimals than it has."""
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def price(value: float | None) -> str:
    """Return a price with two to four decimals."""
    if value is None:
        return "none"
    whole, _, fraction = f"{value:,.4f}".partition(".")
    return f"{whole}.{fraction[:2]}{fraction[2:].rstrip('0')}"


def percent(share: float) -> str:
    """Return a share as a percentage that is 0 or 100 only where the share is 0 or 1."""
    rounded = round(100 * share, 1)
    if rounded == 0 and share > 0:
        return "<0.1 %"
    if rounded == 100 and share < 1:
        return ">99.9 %"
    return f"{rounded:g} %"


def count(n: int, one: str) -> str:
    """Return how many there are: "1 order", "1,200 orders"."""
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"


def moment(iso: str) -> str:
    """Return an ISO-8601 time to the second, for reading."""
    return iso[:19].replace("T", " ")


def listed(names: Sequence[object], most: int = 4) -> str:
    """Return names by commas, those beyond `most` as their number."""
    few = ", ".join(str(name) for name in names[:most])
    return few if len(names) <= most else f"{few} and {len(names) - most:,} more"
