"""The result of a backtest as users hold it: a dictionary, two files, a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from venuewise.files import write_whole
from venuewise.report.picture import draw
from venuewise.report.summary import summarise, to_json
from venuewise.research.comparison import Comparison


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What `venuewise.backtest` returns.

    Attributes
    ----------
    comparison : Comparison
        Every outcome of every strategy, down to the single fill of the first parent order.
    """

    comparison: Comparison

    def to_dict(self) -> dict[str, object]:
        """Return the content of `output.json`; docs/backtest.md explains every key."""
        return summarise(self.comparison)

    def to_json(self) -> str:
        """Return `output.json` as text: the same bytes for the same data, settings and seed."""
        return to_json(self.to_dict())

    def plot(self, path: str | Path = "results.png") -> Path:
        """Draw cost by strategy and cost over time into a PNG file, whole or not at all."""
        return write_whole({Path(path): draw(self.comparison, self.to_dict())})[0]

    def save(self, directory: str | Path = ".") -> tuple[Path, ...]:
        """Write `output.json` and `results.png` into a directory, both whole or none at all.

        Raises
        ------
        ConfigError
            If the directory cannot be made or written.
        """
        folder = Path(directory)
        return write_whole(
            {
                folder / "output.json": self.to_json().encode() + b"\n",
                folder / "results.png": draw(self.comparison, self.to_dict()),
            }
        )
