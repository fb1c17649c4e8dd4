"""Placement decisions as JSON: the request that `venuewise place` reads, and the decision that it prints.

A request names the order, the costs and the venues with their queues, and gives the outflow as samples, as
distributions, or as a market data file to estimate it from, in which case queues, spread and fees are taken
from the file and the venue table unless they are given. It is checked field by field while it is decoded, so
a mistake is told with its path.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from venuewise.data.events import PRICE_SCALE, UNDEFINED_PRICE, Events
from venuewise.data.reader import read
from venuewise.errors import ConfigError
from venuewise.market.book import best_prices
from venuewise.market.venues import load_venues
from venuewise.outflow.estimate import OutflowSample, Passing, estimate_outflow, one_symbol, queues_at
from venuewise.outflow.markout import adverse_selection
from venuewise.placement.placement import Method, Placement, place
from venuewise.placement.problem import LARGEST, Overfill, Side
from venuewise.requests import decode_json

Float64 = npt.NDArray[np.float64]

FEWEST_WINDOWS: Final = 2
"""A distribution estimated from less is none."""
SMALLEST_PARAMETER: Final = 1e-9
"""A distribution with a smaller mean or shape is one of zeros."""

Family = Literal["poisson", "exponential", "gamma"]
CHOICES: Final = {
    "family": get_args(Family), "method": get_args(Method), "overfill": get_args(Overfill),
    "passing": get_args(Passing), "side": get_args(Side),
}  # fmt: skip
"""What fields with a fixed choice may say."""


class Distribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An outflow's distribution: Poisson or exponential by its mean, gamma by mean and shape (shares)."""

    family: Family
    mean: float
    shape: float | None = None


class Estimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Market data to estimate outflows from; the decision is made at the last row read.

    With `adverse_after`, a delay, adverse selection is measured too where a venue does not give it.
    """

    file: str | tuple[str, ...]
    horizon: str | float = "60s"
    every: str | float | None = None
    lookback: str | float | None = None
    time_of_day: str | float | None = None
    window: str | None = None
    symbol: str | None = None
    passing: Passing = "trade"
    adverse_after: str | float | None = None


class VenueRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One venue: its queue, what it pays a resting order, and its outflow where that is given by venue."""

    venue: str | int
    queue: float | None = None
    rebate: float | None = None
    adverse_selection: float | None = None
    cap: float | None = None
    outflow: tuple[float, ...] | Distribution | None = None


class PlacementRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order, the model's parameters, the venues and their outflows."""

    order_size: float
    lambda_under: float
    lambda_over: float
    venues: tuple[VenueRequest, ...] = ()
    outflow: Estimate | tuple[tuple[float, ...], ...] | None = None
    half_spread: float | None = None
    taker_fee: float | None = None
    theta: float = 0.0
    side: Side = "buy"
    method: Method = "sample_average"
    overfill: Overfill = "penalise"
    send_at_least: bool = False
    samples: int = 1000
    seed: int = 0
    gap: float = 1e-6
    max_boxes: int | None = None
    symbol: str | None = None
    timestamp: str | int | None = None


def decode_placement(text: bytes) -> PlacementRequest:
    """Read a request from JSON.

    Raises
    ------
    ConfigError
        If it is not JSON or not a request; the message has the path of the field.
    """
    return decode_json(text, PlacementRequest, "request", CHOICES)


def decide_placement(request: PlacementRequest) -> dict[str, Any]:
    """Solve a request and return the decision, ready to be written as JSON.

    Raises
    ------
    ConfigError
        If something is missing or makes no sense.
    DataError
        If the market data cannot be read.
    """
    if isinstance(request.outflow, Estimate):
        return _from_data(request, request.outflow)
    if not request.venues:
        raise ConfigError("request: $.venues: found none; expected at least one venue")
    for i, venue in enumerate(request.venues):
        for name in ("queue", "rebate"):
            if getattr(venue, name) is None:
                raise ConfigError(
                    f"request: $.venues[{i}].{name}: found none; expected a number (only market data can supply it)"
                )
    for name in ("half_spread", "taker_fee"):
        if getattr(request, name) is None:
            raise ConfigError(
                f"request: $.{name}: found none; expected a number (only market data can supply it)"
            )
    outflow = _given_outflow(request)
    placed = _place(
        request,
        queue=[venue.queue for venue in request.venues],
        rebate=[venue.rebate for venue in request.venues],
        outflow=outflow,
        half_spread=request.half_spread,
        taker_fee=request.taker_fee,
        adverse_selection=[venue.adverse_selection or 0.0 for venue in request.venues],
        cap=_caps(request, request.venues),
    )
    queues = [float(venue.queue or 0.0) for venue in request.venues]
    return _decision(request, placed, [venue.venue for venue in request.venues], queues)


def _given_outflow(request: PlacementRequest) -> object:
    """Return the outflow of the request: joint rows, or one entry for each venue."""
    by_venue = [venue.outflow for venue in request.venues]
    if request.outflow is not None:
        if any(entry is not None for entry in by_venue):
            raise ConfigError("request: $.outflow: found here and at the venues; expected at one of the two")
        rows = request.outflow
        assert not isinstance(rows, Estimate)
        lengths = {len(row) for row in rows}
        if lengths != {len(request.venues)}:
            raise ConfigError(
                f"request: $.outflow: found rows of {' and '.join(str(n) for n in sorted(lengths)) or 'no'} numbers; "
                f"expected {len(request.venues)}, one for each venue"
            )
        return np.array(rows)
    missing = next((i for i, entry in enumerate(by_venue) if entry is None), None)
    if missing is not None:
        raise ConfigError(
            f"request: $.venues[{missing}].outflow: found none; expected numbers or a distribution"
        )
    if all(isinstance(entry, tuple) for entry in by_venue):
        columns = [entry for entry in by_venue if isinstance(entry, tuple)]
        if len({len(column) for column in columns}) != 1:
            raise ConfigError(
                "request: $.venues[*].outflow: found samples of different lengths; expected as many at each venue"
            )
        return np.array(columns).T
    if all(isinstance(entry, Distribution) for entry in by_venue):
        found = [entry for entry in by_venue if isinstance(entry, Distribution)]
        return [_frozen(entry, f"$.venues[{i}].outflow") for i, entry in enumerate(found)]
    raise ConfigError(
        "request: $.venues[*].outflow: found both numbers and distributions; expected one kind at all venues"
    )


def _frozen(entry: Distribution, path: str) -> Any:
    for name, value in (("mean", entry.mean), ("shape", entry.shape)):
        wanted = name == "mean" or entry.family == "gamma"
        if wanted and (value is None or not SMALLEST_PARAMETER <= value <= LARGEST):
            raise ConfigError(
                f"request: {path}.{name}: found {'none' if value is None else value}; expected a number from "
                f"{SMALLEST_PARAMETER:g} to {LARGEST:g}"
            )
    if entry.family == "gamma" and entry.shape is not None:
        return stats.gamma(entry.shape, scale=entry.mean / entry.shape)
    if entry.shape is not None:
        raise ConfigError(
            f"request: {path}.shape: found {entry.shape}; expected none, only a gamma distribution has one"
        )
    return stats.poisson(entry.mean) if entry.family == "poisson" else stats.expon(scale=entry.mean)


def _from_data(request: PlacementRequest, estimate: Estimate) -> dict[str, Any]:
    """Estimate what the request leaves out from market data, and place on it."""
    files = [estimate.file] if isinstance(estimate.file, str) else list(estimate.file)
    events = one_symbol(read(files, window=estimate.window), estimate.symbol or request.symbol)
    known = load_venues().resolve(events.publishers)
    chosen = _chosen(request, [venue.name for venue in known], events.publishers)
    at = int(events.ts[-1])
    sample = estimate_outflow(
        events, horizon=estimate.horizon, every=estimate.every, side=request.side, passing=estimate.passing
    ).known_at(at, lookback=estimate.lookback, time_of_day=estimate.time_of_day)
    if len(sample) < FEWEST_WINDOWS:
        raise ConfigError(
            f"request: $.outflow: found {len(sample)} windows of {estimate.horizon} with quotes at all venues; "
            f"expected {FEWEST_WINDOWS} or more: a longer file or lookback, or a shorter horizon"
        )
    shown = queues_at(events, at, side=request.side)
    queue = [float(shown[k]) if venue.queue is None else venue.queue for k, venue in chosen.items()]
    for (k, _), shares in zip(chosen.items(), queue, strict=True):
        if math.isnan(shares):
            raise ConfigError(
                f"request: venue {known[k].name}: found no quote at the end of the data; expected its queue"
            )
    half_spread = _half_spread(events) if request.half_spread is None else request.half_spread
    taker_fee = request.taker_fee
    if taker_fee is None:
        taker_fee = min(venue.taker_fee_dollars for venue in known)
    rebate = [
        known[k].maker_rebate_dollars if venue.rebate is None else venue.rebate for k, venue in chosen.items()
    ]
    adverse = _adverse(estimate, request.side, events, chosen, [venue.name for venue in known])
    placed = _place(
        request,
        queue=queue,
        rebate=rebate,
        outflow=sample.outflow[:, list(chosen)],
        half_spread=half_spread,
        taker_fee=taker_fee,
        adverse_selection=adverse,
        cap=_caps(request, tuple(chosen.values())),
    )
    decision = _decision(request, placed, [known[k].name for k in chosen], queue)
    decision["estimate"] = _estimate(
        estimate, files, sample, list(chosen), at, half_spread, taker_fee, rebate, adverse
    )
    decision["estimate"]["synthetic"] = events.synthetic
    return decision


def _chosen(
    request: PlacementRequest, names: list[str], publishers: tuple[int, ...]
) -> dict[int, VenueRequest]:
    """Map venues of the data to those of the request: all of them where the request names none."""
    if not request.venues:
        return {k: VenueRequest(venue=name) for k, name in enumerate(names)}
    chosen: dict[int, VenueRequest] = {}
    for i, venue in enumerate(request.venues):
        if venue.outflow is not None:
            raise ConfigError(
                f"request: $.venues[{i}].outflow: found one; expected none, it is estimated from the data"
            )
        if isinstance(venue.venue, int):
            found = [k for k, publisher in enumerate(publishers) if publisher == venue.venue]
        else:
            found = [k for k, name in enumerate(names) if name.upper() == venue.venue.upper()]
        if not found or found[0] in chosen:
            raise ConfigError(
                f"request: $.venues[{i}].venue: found {venue.venue!r}; expected one of {', '.join(names)}, "
                "each once"
            )
        chosen[found[0]] = venue
    return chosen


def _adverse(
    estimate: Estimate, side: Side, events: Events, chosen: dict[int, VenueRequest], names: list[str]
) -> list[float]:
    """Return what fills lose to the mid by venue: as given, or measured if that is wanted, or nothing."""
    measured = np.zeros(len(names))
    if estimate.adverse_after is not None:
        measured = adverse_selection(events, delay=estimate.adverse_after, side=side)
    found = []
    for k, venue in chosen.items():
        lost = float(measured[k]) if venue.adverse_selection is None else venue.adverse_selection
        if math.isnan(lost):
            raise ConfigError(
                f"request: venue {names[k]}: found no trade that shows its adverse selection; expected it to be "
                "given, or adverse_after left out"
            )
        found.append(lost)
    return found


def _half_spread(events: Events) -> float:
    """Half the distance from the best bid to the best ask of all venues at the last row, in dollars."""
    bid, ask = (int(best[-1]) for best in best_prices(events))
    if UNDEFINED_PRICE in (bid, ask):
        raise ConfigError(
            "request: $.half_spread: found none, and data that end with one side of the book empty; expected a number"
        )
    return max(ask - bid, 0) / 2.0 / PRICE_SCALE


def _caps(request: PlacementRequest, venues: tuple[VenueRequest, ...]) -> list[float] | None:
    if all(venue.cap is None for venue in venues):
        return None
    return [request.order_size if venue.cap is None else venue.cap for venue in venues]


def _place(request: PlacementRequest, **found: Any) -> Placement:
    return place(
        request.order_size,
        theta=request.theta,
        lambda_under=request.lambda_under,
        lambda_over=request.lambda_over,
        method=request.method,
        overfill=request.overfill,
        send_at_least=request.send_at_least,
        side=request.side,
        samples=request.samples,
        seed=request.seed,
        gap=request.gap,
        max_boxes=request.max_boxes,
        **found,
    )


def _decision(
    request: PlacementRequest, placed: Placement, venues: list[Any], queues: list[float]
) -> dict[str, Any]:
    return {
        "symbol": request.symbol,
        "timestamp": request.timestamp,
        "side": placed.side,
        "order_size": request.order_size,
        "algorithm": f"placement:{placed.method}",
        "market": placed.market,
        "limit": list(placed.limit),
        "venues": [
            {
                "venue": venue,
                "queue": queues[k],
                "limit": placed.limit[k],
                "fill_probability": placed.fill_probability[k],
                "reach_probability": placed.reach_probability[k],
                "expected_fill": placed.expected_fill[k],
                "cap_binds": placed.cap_binds[k],
            }
            for k, venue in enumerate(venues)
        ],
        "p_short": placed.p_short,
        "p_over": placed.p_over,
        "overbooking": placed.overbooking,
        "certificate": {
            "cost": placed.cost,
            "lower_bound": placed.lower_bound,
            "gap": placed.gap if math.isfinite(placed.gap) else None,
            "within_gap": placed.gap <= request.gap,
            "convex": placed.convex,
            "boxes": placed.boxes,
            "samples": placed.samples,
        },
        "overfill": placed.overfill,
    }


def _estimate(
    estimate: Estimate,
    files: list[str],
    sample: OutflowSample,
    venues: list[int],
    at: int,
    half_spread: float,
    taker_fee: float,
    rebate: list[float],
    adverse: list[float],
) -> dict[str, Any]:
    """Say what was estimated, and from what."""
    return {
        "file": files,
        "at": at,
        "horizon_ns": sample.horizon,
        "windows": len(sample),
        "first_window": int(sample.start[0]),
        "passing": estimate.passing,
        "half_spread": half_spread,
        "taker_fee": taker_fee,
        "rebate": rebate,
        "adverse_selection": adverse,
        "mean_executed": sample.executed[:, venues].mean(axis=0).tolist(),
        "mean_cancelled_ahead": sample.cancelled[:, venues].mean(axis=0).tolist(),
        "passed": sample.passed[:, venues].mean(axis=0).tolist(),
    }
