"""Judge the router: tune it on one part of the data, quote it on a later one, against the baselines.

Every strategy works the same parent orders on the same data under the same frictions, and is measured against
the same arrival mid, fees included. Parameters are chosen on the first part of the trading time and results are quoted
from the rest (`split`); with split 0 both are the same, and the result says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from venuewise.data.events import Events
from venuewise.data.sessions import Span, sessions_of
from venuewise.errors import ConfigError, NoQuotesError
from venuewise.market.book import Side, sign_of
from venuewise.market.venues import Venue, VenueTable, fees
from venuewise.research.grid import Grid, Parameters, Tuned, choose
from venuewise.research.schedule import Schedule, split_sessions
from venuewise.research.volume import curves_before
from venuewise.simulation.engine import Outcome, Task, make_task, run
from venuewise.simulation.state import LATENCY_MS, NS_PER_MS, Conditions, Frictions, Market, market_of
from venuewise.strategies import Pov, Static, Strategy, Twap, VwapSchedule, baselines

ON_SCHEDULE: Final = "optimized_twap"
"""The router on the schedule of TWAP: what it saves against TWAP, it saves by routing alone."""
Progress = Callable[[int, int], None]
"""Called with the runs done and the runs in all."""
Contender = tuple[str, Callable[[Task], Strategy]]
"""A strategy's name, and the strategy as it meets a parent order: what it may know depends on the order's time."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a backtest is asked to do; see `venuewise.backtest`."""

    order_size: int
    side: Side
    symbol: str
    venues: str
    schedule: Schedule
    split: float
    grid: Grid
    fill: Literal["free", "exact_fill"]
    depth: int
    slice_seconds: float | None
    participation: float
    frictions: Frictions
    max_age_ms: float | None
    seed: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Outcomes of all strategies on all parent orders, before they are reported.

    Attributes
    ----------
    settings : Settings
    events : Events
        The rows that were traded on.
    venues : tuple of Venue
    tuned : Tuned
    tuned_on, quoted_on : list of Span
        Parent orders of the two parts.
    without_quotes : tuple of int
        Orders of the two parts that were left out because their time has no row, no usable quote or no mid.
    one_sided : bool
        Whether the data never show the side opposite to the one taken from: arrival prices are then no mids.
    outcomes : dict of str to list of Outcome
        By strategy ("optimized" first), one for each parent order of `quoted_on`. The first order's have
        their blotter; they are the classic single-order figures.
    by_latency : dict of float to dict of str to list of Outcome
        The same at other latencies (ms), with the parameters chosen at the latency of the settings; no blotters.
    volume_curves : int
        Parent orders of `quoted_on` for which there was a volume curve from earlier sessions.
    trades_printed : bool
        Whether the data print any trade.
    """

    settings: Settings
    events: Events
    venues: tuple[Venue, ...]
    tuned: Tuned
    tuned_on: list[Span] = field(repr=False)
    quoted_on: list[Span] = field(repr=False)
    without_quotes: tuple[int, int]
    one_sided: bool
    outcomes: dict[str, list[Outcome]] = field(repr=False)
    by_latency: dict[float, dict[str, list[Outcome]]] = field(repr=False)
    volume_curves: int
    trades_printed: bool


def compare(
    settings: Settings,
    events: Events,
    table: VenueTable,
    extra: Sequence[Strategy],
    workers: int,
    progress: Progress | None,
) -> Comparison:
    """Tune on the first part, run everything on the second.

    Parameters
    ----------
    events : Events
        Rows of one symbol.
    extra : sequence of Strategy
        Compared beside the built-in ones.
    workers : int
        Threads; the result does not depend on it.

    Raises
    ------
    ConfigError
        If no parent order fits the data, or two strategies have one name.
    """
    venues = table.resolve(events.publishers)
    taker_fee, maker_rebate = fees(venues)
    max_age = None if settings.max_age_ms is None else round(settings.max_age_ms * NS_PER_MS)
    market = market_of(events, settings.side, taker_fee, maker_rebate, max_age)
    conditions = settings.frictions.conditions(settings.seed)
    sessions = sessions_of(market.ts)
    curves = curves_before(market.ts, market.printed, sessions)

    def curve_of(task: Task) -> tuple[float, ...]:
        return curves[max(bisect_right(sessions, task.start, key=lambda session: session.begin) - 1, 0)]

    contenders = _contenders(settings, curve_of)
    taken_names = {"optimized", ON_SCHEDULE, *(name for name, _ in contenders)}
    for strategy in extra:
        if strategy.name in taken_names:
            raise ConfigError(f"strategies: found the name {strategy.name!r} twice; expected unique names")
        taken_names.add(strategy.name)

    planned = [settings.schedule.orders(part) for part in split_sessions(sessions, settings.split)]
    candidates = list(settings.grid)
    quoted = 2 + len(contenders) + len(extra)
    others = other_latencies(settings.frictions.latency_ms)
    with ThreadPoolExecutor(workers) as pool:
        work = _Work(market, conditions, settings, pool, progress)
        train_tasks, tasks = (work.tasks(orders) for orders in planned)
        distinct = len({point.open_share for point in candidates})
        work.runs = distinct * len(train_tasks) + quoted * len(tasks) * (1 + len(others))
        tuned = work.tune(candidates, train_tasks)
        best = _router(settings, tuned.best)
        compared: list[Contender] = [
            (best.name, _always(best)),
            *contenders,
            (ON_SCHEDULE, _always(Twap(ON_SCHEDULE, settings.slice_seconds, router=best))),
            *((strategy.name, _always(strategy)) for strategy in extra),
        ]
        outcomes = {name: work.outcomes(choose_for, tasks, conditions) for name, choose_for in compared}
        by_latency = {}
        for latency in others:
            late = replace(settings.frictions, latency_ms=latency).conditions(settings.seed)
            by_latency[latency] = {
                name: work.outcomes(choose_for, tasks, late, record=False) for name, choose_for in compared
            }
    tuned_on, quoted_on = ([Span(task.start, task.end) for task in some] for some in (train_tasks, tasks))
    left_out = (len(planned[0]) - len(tuned_on), len(planned[1]) - len(quoted_on))
    return Comparison(
        settings, events, venues, tuned, tuned_on, quoted_on, left_out, market.one_sided, outcomes, by_latency,
        volume_curves=sum(bool(curve_of(task)) for task in tasks),
        trades_printed=bool(market.printed[-1]),
    )  # fmt: skip


def other_latencies(chosen: float) -> tuple[float, ...]:
    """Return the latencies (ms) at which a comparison is made again: none at all, and ten times the one chosen."""
    if chosen == 0:
        return LATENCY_MS, 10 * LATENCY_MS
    return 0.0, min(10 * chosen, 1e9)


def _always(strategy: Strategy) -> Callable[[Task], Strategy]:
    return lambda _: strategy


def _contenders(settings: Settings, curve_of: Callable[[Task], tuple[float, ...]]) -> list[Contender]:
    """Return the baselines: those of earlier systems, then those on a schedule over time."""
    length = settings.slice_seconds
    pov = Pov(participation=settings.participation)
    by_volume = VwapSchedule(slice_seconds=length)
    return [
        *((strategy.name, _always(strategy)) for strategy in baselines(length)),
        (by_volume.name, lambda task: replace(by_volume, volume=curve_of(task))),
        (pov.name, _always(pov)),
    ]


def _router(settings: Settings, parameters: Parameters) -> Static:
    return Static(
        lambda_over=parameters.lambda_over,
        lambda_under=parameters.lambda_under,
        theta_queue=parameters.theta_queue,
        fill=settings.fill,
    )


class _Work:
    """Runs spread over threads; kernels release the GIL, and results come back in the order of the tasks."""

    def __init__(
        self,
        market: Market,
        conditions: Conditions,
        settings: Settings,
        pool: ThreadPoolExecutor,
        progress: Progress | None,
    ) -> None:
        self.market, self.conditions, self.settings = market, conditions, settings
        self.pool, self.progress, self.runs, self.done = pool, progress, 0, 0

    def tasks(self, orders: list[Span]) -> list[Task]:
        """Return the orders that there is a market for, whatever the strategy; refuse if there is none."""
        settings = self.settings
        tasks, problem = [], None
        for order in orders:
            try:
                tasks.append(
                    make_task(self.market, settings.side, settings.order_size, order.begin, order.end)
                )
            except NoQuotesError as error:
                problem = problem or error
        if not tasks and problem is not None:
            raise problem
        return tasks

    def tune(self, candidates: list[Parameters], tasks: list[Task]) -> Tuned:
        """Score every candidate: shares left open, then money, both exact and summed over the orders.

        Candidates that decide alike are run once: those with the same price of a share left open.
        """
        sign = sign_of(self.settings.side)

        def score(parameters: Parameters) -> tuple[int, int]:
            router = _router(self.settings, parameters)
            outcomes = [self._one(task, router, self.conditions, record=False) for task in tasks]
            return sum(o.open for o in outcomes), sign * sum(o.cash for o in outcomes)

        distinct = {point.open_share: point for point in candidates}
        scores: dict[float, tuple[int, int]] = {}
        for open_share, result in zip(distinct, self.pool.map(score, distinct.values()), strict=True):
            scores[open_share] = result
            self._tell(len(tasks))
        return choose({point: scores[point.open_share] for point in candidates})

    def outcomes(
        self,
        choose_for: Callable[[Task], Strategy],
        tasks: list[Task],
        conditions: Conditions,
        record: bool = True,
    ) -> list[Outcome]:
        """Work all orders; keep the blotter of the first, if asked to."""
        first = self._one(tasks[0], choose_for(tasks[0]), conditions, record)
        rest = self.pool.map(
            lambda task: self._one(task, choose_for(task), conditions, record=False), tasks[1:]
        )
        done = [first, *rest]
        self._tell(len(tasks))
        return done

    def _one(self, task: Task, strategy: Strategy, conditions: Conditions, record: bool) -> Outcome:
        return run(self.market, task, strategy, conditions, self.settings.depth, record)

    def _tell(self, done: int) -> None:
        self.done += done
        if self.progress is not None:
            self.progress(self.done, self.runs)
