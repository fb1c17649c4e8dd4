"""How fast the synthetic market is generated and written."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.table import Table, interleaved
from venuewise.synthetic.generate import generate


def run() -> Table:
    """Time ten minutes of five venues: in memory, and to each kind of file."""
    events = generate()
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory, f"day.{ending}") for ending in ("csv", "csv.zst", "csv.gz", "parquet")]
        seconds = interleaved(
            generate,
            lambda: generate(symbols=("A", "B")),
            *(lambda file=file: events.to_csv(file) for file in files),
        )
        megabytes = [f"{file.stat().st_size / 1e6:.0f} MB" for file in files]
    both = len(generate(symbols=("A", "B")))
    names = ["generate, 1 symbol", "generate, 2 symbols", *(f"write .{file.name[4:]}" for file in files)]
    rows = [len(events), both, *([len(events)] * len(files))]
    return Table(
        title="Synthetic market",
        header=("what", "rows", "seconds", "rows/s", "file"),
        rows=[
            (name, f"{count:,}", f"{taken:.2f}", f"{count / taken:,.0f}", size)
            for name, count, taken, size in zip(names, rows, seconds, ["", "", *megabytes], strict=True)
        ],
        notes=("5 venues, 10 minutes, 10 levels with order counts; median of 5 turns, compiled beforehand.",),
    )
