"""The parameters to try, and what it means when several are equally good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from venuewise.errors import ConfigError

MOST_POINTS = 100_000
NAMES = ("lambda_over", "lambda_under", "theta_queue")


@dataclass(frozen=True, slots=True)
class Parameters:
    """One point of the grid, in dollars a share."""

    lambda_over: float
    lambda_under: float
    theta_queue: float

    @property
    def open_share(self) -> float:
        """What leaving a share open costs, to the last bit: all that marketable child orders depend on."""
        return self.lambda_under + self.theta_queue

    def to_dict(self) -> dict[str, float]:
        """Return the three by their names."""
        return {name: getattr(self, name) for name in NAMES}


@dataclass(frozen=True, slots=True)
class Grid:
    """Values tried for each parameter; the default is the classic grid of 5 x 5 x 5 = 125 points."""

    lambda_over: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    lambda_under: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9, 1.1)
    theta_queue: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)

    def __post_init__(self) -> None:
        """Refuse values that are no penalties."""
        for name in NAMES:
            values = getattr(self, name)
            if not values or not all(0 <= value < np.inf for value in values):
                raise ConfigError(f"grid {name}: found {values}; expected numbers of dollars, 0 or more")
        if len(self) > MOST_POINTS:
            raise ConfigError(f"grid: found {len(self)} points; expected at most {MOST_POINTS}")

    def __len__(self) -> int:
        return len(self.lambda_over) * len(self.lambda_under) * len(self.theta_queue)

    def __iter__(self) -> Iterator[Parameters]:
        for over, under, theta in product(self.lambda_over, self.lambda_under, self.theta_queue):
            yield Parameters(over, under, theta)

    @classmethod
    def parse(cls, text: str) -> Grid:
        """Read a grid from text such as "lambda_under=0.005:0.045:5,theta_queue=0".

        Each part is `name=low:high:count` or `name=value`; a name that is left out keeps its classic values.

        Raises
        ------
        ConfigError
        """
        values: dict[str, tuple[float, ...]] = {}
        for part in (piece.strip() for piece in text.split(",")):
            name, _, spec = part.partition("=")
            pieces = spec.split(":")
            try:
                if name not in NAMES or name in values or len(pieces) not in (1, 3):
                    raise ValueError
                if len(pieces) == 1:
                    values[name] = (float(pieces[0]),)
                else:
                    low, high, count = float(pieces[0]), float(pieces[1]), int(pieces[2])
                    if not (1 <= count <= 1000 and np.isfinite([low, high]).all()):
                        raise ValueError
                    steps = np.linspace(low, high, count)
                    values[name] = tuple(round(float(step), 12) for step in steps)
            except ValueError:
                raise ConfigError(
                    f"grid: found {part!r}; expected name=low:high:count or name=value, the name one of "
                    f"{', '.join(NAMES)}, each at most once"
                ) from None
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best parameters, and all those that do exactly as well.

    Attributes
    ----------
    best : Parameters
    tied : tuple of Parameters
        Every point of the grid with the best score, `best` included.
    tried : int
        Points of the grid.
    scored : int
        Points that can decide differently, each of which was run once.
    """

    best: Parameters
    tied: tuple[Parameters, ...]
    tried: int
    scored: int

    RULE: ClassVar[str] = "smallest lambda_under, then lambda_over, then theta_queue"
    WHY: ClassVar[str] = (
        "the penalties act only through lambda_under + theta_queue and lambda_over + theta_queue, and only where "
        "they change which shares are taken; marketable child orders never over-fill, so lambda_over changes nothing"
    )

    def to_dict(self) -> dict[str, object]:
        """Return the `identification` part of a result."""
        return {
            "tied": len(self.tied),
            "tried": self.tried,
            "scored": self.scored,
            "identified": len(self.tied) == 1,
            "rule": self.RULE,
            "why": self.WHY,
            "tied_parameters": [parameters.to_dict() for parameters in self.tied],
        }


def choose(scores: dict[Parameters, tuple[int, int]]) -> Tuned:
    """Choose the parameters with the lowest score (shares left open, then money), ties by the stated rule."""
    scored = len({parameters.open_share for parameters in scores})
    lowest = min(scores.values())
    tied = tuple(parameters for parameters, score in scores.items() if score == lowest)
    best = min(tied, key=lambda p: (p.lambda_under, p.lambda_over, p.theta_queue))
    return Tuned(best, tied, len(scores), scored)
