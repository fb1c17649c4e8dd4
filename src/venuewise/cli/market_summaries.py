"""The summaries of `inspect`, `generate` and `venues`: what there is to trade on, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from venuewise.cli.terminal import count, listed, moment, number, percent, said, table

ACTIONS: Final = {
    "A": "add", "C": "cancel", "M": "modify", "T": "trade", "F": "fill", "R": "clear", "N": "none",
}  # fmt: skip


def inspection_summary(found: dict[str, Any]) -> Group:
    """Return the summary of what market data files hold."""
    return Group(*_inspection(found))


def generated_summary(made: dict[str, Any]) -> Group:
    """Return the summary of a market that was made up."""
    return Group(
        said(
            f"Wrote {made['file']}: {made['rows']:,} rows of synthetic data, {count(len(made['venues']), 'venue')}, "
            f"{listed(made['symbols'])}, seed {made['seed']}"
        )
    )


def venues_summary(found: dict[str, Any]) -> Group:
    """Return the table of venues."""
    rows = [
        [
            venue["name"],
            venue["mic"] or "",
            ", ".join(map(str, venue["publisher_ids"])),
            number(venue["taker_fee"], 6),
            number(venue["maker_rebate"], 6),
        ]
        for venue in found["venues"]
    ]
    return Group(
        table(["venue", "MIC", "publisher ids", "taker fee", "maker rebate"], rows, words=(0, 1, 2)),
        said("Dollars a share; a negative fee is paid to you. --json has the sources."),
    )


def _inspection(found: dict[str, Any]) -> Iterator[RenderableType]:
    for file, kind in list(zip(found["files"], found["formats"], strict=True))[:4]:
        yield said(f"{file}: {kind}", "bold")
    if len(found["files"]) > 4:
        yield said(f"and {count(len(found['files']) - 4, 'more file')}")
    kind = "synthetic" if found["synthetic"] else "real"
    yield said(
        f"{found['rows']:,} rows of {kind} data, {moment(found['first'])} to {moment(found['last'])} UTC; "
        f"{count(found['levels'], 'level')}, ordered by {found['time_column']}"
    )
    actions = (f"{n:,} {ACTIONS.get(key, key)}" for key, n in found["actions"].items())
    yield said(f"Actions: {', '.join(actions)}")
    yield Text()
    columns = ["two-sided", "locked", "crossed"]
    rows = [
        [symbol, found["sessions"][symbol], *map(percent, shares.values())]
        for symbol, shares in found["consolidated"].items()
    ]
    yield table(["symbol, all venues", "sessions", *columns], rows)
    rows = [
        [name, publisher, *map(percent, found["within_venue"][str(publisher)].values())]
        for name, publisher in zip(found["venue_names"], found["venues"], strict=True)
    ]
    yield table(["venue", "id", *columns], rows)
    yield said("two-sided: share of the time with a bid and an ask; locked and crossed: shares of that")
    yield said(*_order(found))
    yield said(
        f"Without a bid: {percent(found['missing_bid'])} of rows; without an ask: {percent(found['missing_ask'])}"
    )
    gaps = found["gaps"]
    longest = f"Longest silence: {number(gaps['longest_s'])} s"
    since = f" from {moment(gaps['longest_from'])} UTC" if gaps["longest_from"] else ""
    yield said(f"{longest}{since}; {count(gaps['count'], 'silence')} over {number(gaps['longer_than_s'])} s")
    for note in found["notes"]:
        yield said(f"Note: {note}")


def _order(found: dict[str, Any]) -> tuple[str, str]:
    """Return whether the rows are in order and told once, and a style for that."""
    late, twice = found["out_of_order"], found["duplicates"]
    if not late and not twice:
        return "Rows are in order, and none is repeated", "green"
    return f"{count(late, 'row')} out of order, {twice:,} repeated: backtest --repair mends both", "yellow"
