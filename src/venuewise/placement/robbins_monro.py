"""Stochastic approximation of the placement: one outflow observation, one small step.

The scheme of Robbins and Monro as Cont and Kukanov run it (section 4 of the paper): step against the
subgradient of v(X, xi) at the latest observation, with a constant step size, project onto the bounds, and
answer with the average of the iterates. It needs no sample in memory, so it follows a live market; it
certifies nothing, and with 1,000 observations it stops short where the order is large against the queues.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.errors import ConfigError
from venuewise.placement.problem import PlacementModel, outflow_sample, whole_number

Float64 = npt.NDArray[np.float64]


@kernel
def take_steps(
    excess: Float64, gain: Float64, prices: Float64, high: Float64, size: float, x: Float64, total: Float64
) -> None:
    """Step through the samples in turn; `x` is the iterate, `total` the sum of all iterates.

    Units and names as in `kernels`; `prices[0]` includes theta, as does `prices[2]`.
    """
    venues, samples = excess.shape
    for n in range(samples):
        filled = x[0]
        for k in range(venues):
            filled += min(x[1 + k], excess[k, n])
        value = -prices[2] if filled < 1.0 else (prices[3] if filled > 1.0 else 0.0)
        for k in range(venues):
            step = prices[1]
            if excess[k, n] > x[1 + k]:
                step += value - gain[k]
            x[1 + k] = min(max(x[1 + k] - size * step, 0.0), high[1 + k])
        x[0] = min(max(x[0] - size * (prices[0] + value), 0.0), high[0])
        for j in range(venues + 1):
            total[j] += x[j]


class RobbinsMonro:
    """The solution as it follows a stream of outflow observations.

    Parameters
    ----------
    model : PlacementModel
        Order, costs, queues. `overfill` must be "penalise"; `send_at_least` does not apply.
    steps : int, default 1000
        Observations that the step size is tuned for: gamma = sqrt(K) S / sqrt(steps * G), G the sum of the
        squared bounds of the subgradient.
    start : array_like, shape (K + 1,), optional
        First iterate (M, L_1, ..., L_K) in shares; S / (K + 1) each if not given.

    Raises
    ------
    ConfigError
        If the model cancels orders in time or requires that the order is sent.

    Examples
    --------
    >>> import numpy as np
    >>> import venuewise as vw
    >>> model = vw.placement_model(1000, half_spread=0.02, taker_fee=0.003, rebate=0.002, queue=[2000, 2000],
    ...                            theta=0.0005, lambda_under=0.05, lambda_over=0.05)
    >>> stream = vw.RobbinsMonro(model, steps=1000)
    >>> for observed in np.random.default_rng(7).poisson(2200, (1000, 2)):
    ...     stream.update(observed)
    >>> stream.observations, bool(abs(stream.placement.sum() - 1000) < 150)
    (1000, True)
    """

    def __init__(
        self, model: PlacementModel, *, steps: int = 1000, start: npt.ArrayLike | None = None
    ) -> None:
        if model.overfill != "penalise":
            raise ConfigError(
                f"overfill: found {model.overfill!r}; expected penalise, whose cost robbins_monro follows"
            )
        if model.send_at_least:
            raise ConfigError(
                "send_at_least: found it for robbins_monro, which knows bounds only; expected method sample_average"
            )
        steps = whole_number("steps", steps, 1, 2**63 - 1)
        self._model = model
        self._gain, self._prices, self._high = model.gain, model.prices, model.bounds
        venues = self._gain.size
        steepest = (self._prices[0] + model.lambda_under + model.lambda_over) ** 2 + float(
            np.sum((self._gain + self._prices[2] + model.lambda_over) ** 2)
        )
        self._size = float(np.sqrt(venues / (steps * steepest))) if steepest > 0.0 else 0.0
        first = np.full(venues + 1, 1.0 / (venues + 1)) if start is None else model.in_orders(start)
        self._iterate = np.clip(first, 0.0, self._high)
        self._total = np.zeros(venues + 1)
        self.observations = 0

    def update(self, outflow: npt.ArrayLike) -> None:
        """Take one step for each row of outflows, shape (n, K) or (K,), in shares.

        Raises
        ------
        ConfigError
            If the shape is another, or a number is negative or NaN.
        """
        rows = outflow_sample(np.atleast_2d(np.asarray(outflow)), self._model.venues, 1, 0)
        excess = self._model.excess(rows)
        take_steps(excess, self._gain, self._prices, self._high, self._size, self._iterate, self._total)
        self.observations += rows.shape[0]

    @property
    def placement(self) -> Float64:
        """Average of the iterates, (M, L_1, ..., L_K) in shares; the start before the first observation."""
        mean = self._total / self.observations if self.observations else self._iterate
        return np.asarray(mean * self._model.order)
