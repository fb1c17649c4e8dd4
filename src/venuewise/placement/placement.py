"""How many shares to take now and how many to rest, and where: the placement problem of Cont and Kukanov.

An order of S shares is split once into M market shares and limit orders L_k at the best quotes of K venues,
each behind Q_k shares. In the horizon the outflow xi_k passes the front of queue k and fills
min(L_k, (xi_k - Q_k)+). `place` minimises the expected cost of the outcome over a sample of outflows, or in
closed form for one venue, and says how far from the optimum its answer can be at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from venuewise.errors import ConfigError
from venuewise.placement.closed_form import single_venue
from venuewise.placement.kernels import cancelled_cost, penalised_cost
from venuewise.placement.problem import (
    Overfill,
    PlacementModel,
    Side,
    number,
    outflow_sample,
    placement_model,
    whole_number,
)
from venuewise.placement.robbins_monro import RobbinsMonro
from venuewise.placement.solver import solve_placement

Float64 = npt.NDArray[np.float64]
Method = Literal["sample_average", "closed_form", "robbins_monro"]

BOX_WORK: Final = 3e7
MAX_BOXES: Final = 20_000
"""Default budget of branch and bound: boxes x samples x venues, and boxes; about a second."""
MOST_BOXES: Final = 1_000_000
MOST_SAMPLES: Final = 10_000_000
"""What `max_boxes` and `samples` may ask for: memory."""
SAME_SHARES: Final = 1e-7
"""Fills that miss a size by less than this part of the order are whole: solver rounding, not shortfall."""
NO_SHARES: Final = 1e-12
"""A smaller part of the order is no order: solver rounding."""
ROUNDING: Final = 1e-13
"""A relative gap that is the rounding of a sum of floats."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A split of the order, what it is expected to cost and do, and how good it provably is.

    Attributes
    ----------
    market : float
        M, shares to take now.
    limit : tuple of float
        L_k, shares to rest at each venue.
    cost : float
        Expected cost V in dollars against the mid; negative where resting earns more than the rest costs.
    lower_bound : float
        No placement costs less than this, in dollars.
    gap : float
        (cost - lower_bound) / |cost|: 0 is proven optimal.
    convex : bool
        Whether the problem as posed is convex.
    fill_probability, reach_probability : tuple of float
        By venue: P(xi_k >= Q_k + L_k), the outflow passes our whole order (0 without one), and
        P(xi_k > Q_k), it reaches our place in the queue.
    expected_fill : tuple of float
        Expected shares filled at each venue.
    p_short, p_over : float
        P(A < S) and P(A > S), A the shares filled in all.
    overbooking : float
        Shares sent beyond the order, (M + sum L_k - S)+.
    cap_binds : tuple of bool
        Whether L_k stands at its cap. With lambda_over <= h + r_k over-filling pays, and only the cap
        stops it.
    method, overfill, side : str
        As asked.
    samples : int
        Outflows that the cost is an average over; 0 for a distribution in closed form.
    boxes : int
        Boxes that branch and bound examined.
    """

    market: float
    limit: tuple[float, ...]
    cost: float
    lower_bound: float
    gap: float
    convex: bool
    fill_probability: tuple[float, ...]
    reach_probability: tuple[float, ...]
    expected_fill: tuple[float, ...]
    p_short: float
    p_over: float
    overbooking: float
    cap_binds: tuple[bool, ...]
    method: Method
    overfill: Overfill
    side: Side
    samples: int
    boxes: int

    @property
    def shares(self) -> Float64:
        """(M, L_1, ..., L_K): the `warm_start` of the next call."""
        return np.array([self.market, *self.limit])

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values, ready for JSON."""
        return asdict(self)


def place(
    order: float,
    *,
    half_spread: float,
    taker_fee: float | Sequence[float],
    rebate: npt.ArrayLike,
    queue: npt.ArrayLike,
    outflow: object,
    lambda_under: float,
    lambda_over: float,
    theta: float = 0.0,
    method: Method = "sample_average",
    overfill: Overfill = "penalise",
    adverse_selection: npt.ArrayLike = 0.0,
    cap: npt.ArrayLike | None = None,
    send_at_least: bool = False,
    side: Side = "buy",
    samples: int = 1000,
    seed: int = 0,
    warm_start: npt.ArrayLike | Placement | None = None,
    gap: float = 1e-6,
    max_boxes: int | None = None,
) -> Placement:
    """Split an order into market and limit orders at least expected cost.

    The cost of a placement X = (M, L_1, ..., L_K) under an outflow xi is

        v = (h + f) M - sum (h + r_k) fill_k + theta (M + sum L_k + (S - A)+)
            + lambda_u (S - A)+ + lambda_o (A - S)+,   fill_k = min(L_k, (xi_k - Q_k)+),   A = M + sum fill_k

    (Cont and Kukanov, section 2), and V = E[v] is minimised over 0 <= M <= S, 0 <= L_k <= cap_k.

    Parameters
    ----------
    order : float
        S, shares to trade, at least 0.
    half_spread : float
        h, half the bid-ask spread, dollars per share.
    taker_fee : float or sequence of float
        f, dollars per share, negative for a rebate; of several fees the lowest counts.
    rebate : array_like, shape (K,)
        r_k, what venue k pays a fill of a resting order, dollars per share.
    queue : array_like, shape (K,)
        Q_k, shares ahead of us at venue k.
    outflow : array_like of shape (N, K), or distributions
        xi: sampled jointly (rows), or one frozen scipy.stats distribution for each venue (independent), or an
        object with `sample(size, rng)`, such as `CommonFactorOutflow`. Infinity means filled for certain.
    lambda_under, lambda_over : float
        Cost of a share left open at the horizon, and of one bought too many, dollars, at least 0.
    theta : float, default 0
        Market impact of each share sent, dollars.
    method : {"sample_average", "closed_form", "robbins_monro"}
        Certified optimum over the sample; formula for a single venue; stochastic approximation, one step for
        each sample.
    overfill : {"penalise", "cancel"}
        "penalise": what the outflow reaches is filled, even beyond S. "cancel": resting orders are cancelled
        the moment S is filled (those at the best-paying venues counted as filled first), which makes the
        problem convex and costs no more.
    adverse_selection : array_like, shape (K,), default 0
        What a fill loses to the move of the mid after it, dollars per share; subtracted from the rebate.
    cap : array_like, shape (K,), optional
        Largest L_k in shares; S if not given.
    send_at_least : bool, default False
        Require M + sum L_k >= S.
    side : {"buy", "sell"}
        A sell rests at the best asks; all inputs are distances and sizes, so the split is the same.
    samples, seed : int
        Size and seed of the sample drawn from distributions.
    warm_start : array_like of shape (K + 1,) or Placement, optional
        Solution of a similar problem.
    gap : float, default 1e-6
        Relative gap to stop at.
    max_boxes : int, optional
        Budget of branch and bound; by default about a second's worth. Counted, not timed: deterministic.

    Returns
    -------
    Placement

    Raises
    ------
    ConfigError
        If a number is missing, not finite or out of its range, or the method does not apply.

    Examples
    --------
    >>> import numpy as np
    >>> from venuewise.placement.placement import place
    >>> outflow = np.random.default_rng(7).poisson(2200, (1000, 1))
    >>> p = place(1000, half_spread=0.02, taker_fee=0.003, rebate=[0.002], queue=[2000], outflow=outflow,
    ...           theta=0.0005, lambda_under=0.05, lambda_over=0.05)
    >>> round(p.market), round(p.limit[0]), p.gap < 1e-6
    (783, 217, True)
    """
    model = placement_model(
        order, half_spread=half_spread, taker_fee=taker_fee, rebate=rebate, queue=queue, theta=theta,
        lambda_under=lambda_under, lambda_over=lambda_over, adverse_selection=adverse_selection, cap=cap,
        send_at_least=send_at_least, overfill=overfill, side=side,
    )  # fmt: skip
    if method not in get_args(Method):
        raise ConfigError(f"method: found {method!r}; expected {' or '.join(get_args(Method))}")
    tolerance = number("gap", gap, least=1e-12)
    samples = whole_number("samples", samples, 1, MOST_SAMPLES)
    seed = whole_number("seed", seed, 0, 2**63 - 1)
    if max_boxes is not None:
        max_boxes = whole_number("max_boxes", max_boxes, 0, MOST_BOXES)
    start: npt.ArrayLike | None = None
    if warm_start is not None:
        start = warm_start.shares if isinstance(warm_start, Placement) else warm_start
        model.in_orders(start)
    if method == "closed_form":
        return _closed_form(model, outflow, samples, seed)
    drawn = outflow_sample(outflow, model.venues, samples, seed)
    if model.order == 0.0:
        return _describe(model, np.zeros(model.venues + 1), drawn, 0.0, 0.0, method, 0)
    excess = model.excess(drawn)
    solve_from = np.zeros(model.venues + 1) if start is None else model.in_orders(start)
    if method == "robbins_monro":
        stream = RobbinsMonro(model, steps=drawn.shape[0], start=start)
        stream.update(drawn)
        solve_from = model.in_orders(stream.placement)
        x = solve_from.copy()
    boxes_allowed = max_boxes
    if boxes_allowed is None:
        boxes_allowed = int(min(max(BOX_WORK / excess.size, 20), MAX_BOXES))
    warm = start is not None or method == "robbins_monro"
    cost, lower, boxes = solve_placement(
        excess, model.gain, model.prices, model.bounds, send_at_least, overfill == "penalise",
        tolerance, boxes_allowed, warm, solve_from,
    )  # fmt: skip
    if method == "sample_average":
        x = _whole_shares(model, excess, solve_from, cost)
    return _describe(model, x, drawn, sample_cost(model, excess, x), lower, method, boxes)


def placement_cost(
    shares: npt.ArrayLike,
    order: float,
    *,
    half_spread: float,
    taker_fee: float | Sequence[float],
    rebate: npt.ArrayLike,
    queue: npt.ArrayLike,
    outflow: object,
    lambda_under: float,
    lambda_over: float,
    theta: float = 0.0,
    overfill: Overfill = "penalise",
    adverse_selection: npt.ArrayLike = 0.0,
    samples: int = 1000,
    seed: int = 0,
) -> float:
    """Return the expected cost in dollars of a placement (M, L_1, ..., L_K) that is given.

    `shares` are at least 0; the other parameters are those of `place`. Score a placement on outflows that it
    was not chosen on: its cost on its own sample is biased downwards.

    Raises
    ------
    ConfigError
        As `place` does.
    """
    model = placement_model(
        order, half_spread=half_spread, taker_fee=taker_fee, rebate=rebate, queue=queue, theta=theta,
        lambda_under=lambda_under, lambda_over=lambda_over, adverse_selection=adverse_selection,
        overfill=overfill,
    )  # fmt: skip
    if model.order == 0.0:
        raise ConfigError("order: found 0 shares; expected more")
    samples = whole_number("samples", samples, 1, MOST_SAMPLES)
    seed = whole_number("seed", seed, 0, 2**63 - 1)
    x = model.in_orders(shares)
    if np.any(x < 0.0):
        raise ConfigError("shares: found a negative number; expected numbers of at least 0")
    drawn = outflow_sample(outflow, model.venues, samples, seed)
    return sample_cost(model, model.excess(drawn), x) * model.order


def sample_cost(model: PlacementModel, excess: Float64, x: Float64) -> float:
    """Mean cost of a placement over a sample, both in units of the order."""
    gain = model.gain
    if model.overfill == "penalise":
        return penalised_cost(x, excess, gain, model.prices)
    order = np.argsort(-gain, kind="mergesort")
    return cancelled_cost(x, excess, gain, order, model.prices, np.empty_like(x))


def _whole_shares(model: PlacementModel, excess: Float64, x: Float64, cost: float) -> Float64:
    """Round to whole shares where that costs nothing: outflows in whole shares have their optimum there."""
    whole = np.minimum(np.rint(x * model.order) / model.order, model.bounds)
    short = model.send_at_least and whole.sum() < 1.0 - 1e-12
    if not short and sample_cost(model, excess, whole) <= cost:
        return np.asarray(whole)
    return x


def _describe(
    model: PlacementModel, x: Float64, drawn: Float64, cost: float, lower: float, method: Method, boxes: int
) -> Placement:
    """Gather what a placement does on the sample; cost and bound come per share of the order."""
    order = model.order
    shares = np.where(x > NO_SHARES, x, 0.0) * order
    slack = SAME_SHARES * order
    behind = np.maximum(drawn - model.queue, 0.0)
    fills = np.minimum(behind, shares[1:])
    if model.overfill == "cancel":
        room = np.full(drawn.shape[0], max(order - shares[0], 0.0))
        for k in np.argsort(-model.gain, kind="mergesort"):
            if model.gain[k] < model.lambda_over:
                fills[:, k] = np.minimum(fills[:, k], room)
            room = np.maximum(room - fills[:, k], 0.0)
    filled = shares[0] + fills.sum(axis=1)
    total, bound = cost * order, min(lower, cost) * order
    overbooked = float(shares.sum()) - order
    return Placement(
        market=float(shares[0]),
        limit=tuple(shares[1:].tolist()),
        cost=total,
        lower_bound=bound,
        gap=_relative(total, bound),
        convex=model.convex,
        fill_probability=tuple(
            np.mean((behind >= shares[1:] - slack) & (shares[1:] > slack), axis=0).tolist()
        ),
        reach_probability=tuple(np.mean(behind > 0.0, axis=0).tolist()),
        expected_fill=tuple(fills.mean(axis=0).tolist()),
        p_short=float(np.mean(filled < order - slack)),
        p_over=float(np.mean(filled > order + slack)),
        overbooking=overbooked if overbooked > NO_SHARES * order else 0.0,
        cap_binds=tuple((shares[1:] >= model.cap - slack).tolist()) if order > 0 else (False,) * model.venues,
        method=method,
        overfill=model.overfill,
        side=model.side,
        samples=drawn.shape[0],
        boxes=boxes,
    )


def _relative(cost: float, bound: float) -> float:
    if cost - bound <= ROUNDING * abs(cost):
        return 0.0
    return (cost - bound) / abs(cost) if cost != 0.0 else float("inf")


def _closed_form(model: PlacementModel, outflow: Any, samples: int, seed: int) -> Placement:
    """Solve for the one venue that may be used."""
    usable = np.flatnonzero(model.cap > 0.0) if model.order > 0 else np.array([0])
    if usable.size != 1:
        raise ConfigError(
            f"method: found closed_form for {usable.size} usable venues; expected sample_average (it solves one)"
        )
    venue = int(usable[0])
    distribution = outflow
    sampled = 0
    if isinstance(outflow, Sequence) and len(outflow) == model.venues and hasattr(outflow[venue], "ppf"):
        distribution = outflow[venue]
    elif not hasattr(outflow, "ppf"):
        column = outflow_sample(outflow, model.venues, samples, seed)[:, venue]
        distribution, sampled = column, column.size
    found = single_venue(model, venue, distribution)

    def at_venue(value: float) -> tuple[float, ...]:
        return tuple(value if k == venue else 0.0 for k in range(model.venues))

    market = model.order - found.limit
    return Placement(
        market=market,
        limit=at_venue(found.limit),
        cost=found.cost,
        lower_bound=found.cost,
        gap=0.0,
        convex=True,
        fill_probability=at_venue(found.fill_probability if found.limit > 0.0 else 0.0),
        reach_probability=at_venue(found.reach_probability),
        expected_fill=at_venue(found.expected_fill),
        p_short=1.0 - found.fill_probability if found.limit > 0.0 else 0.0,
        p_over=0.0,
        overbooking=0.0,
        cap_binds=tuple(k == venue and 0.0 < float(model.cap[k]) <= found.limit for k in range(model.venues)),
        method="closed_form",
        overfill=model.overfill,
        side=model.side,
        samples=sampled,
        boxes=0,
    )
