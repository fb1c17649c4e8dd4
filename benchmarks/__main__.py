"""Print every table: `make bench`, or `python -m benchmarks reading backtesting` for some of them."""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
import sys

import benchmarks
from benchmarks.table import Table


def modules() -> list[str]:
    """Return the names of the benchmark modules: those that have a `run`."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    return [name for name in names if hasattr(importlib.import_module(f"benchmarks.{name}"), "run")]


def render(table: Table) -> str:
    """Return a table as aligned text."""
    rows = [table.header, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    notes = [f"  {note}" for note in table.notes]
    return "\n".join(["", f"## {table.title}", lines[0], rule, *lines[1:], *notes])


def main(wanted: list[str]) -> None:
    """Run the benchmarks named, or all of them, and print their tables."""
    known = modules()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"benchmarks: found {', '.join(unknown)}; expected some of {', '.join(known)}")
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors")
    print(
        "Ratios compare medians of runs that took turns in this one process; absolute times vary by machine."
    )
    for name in wanted or known:
        print(render(importlib.import_module(f"benchmarks.{name}").run()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
