"""Judge the router: tune it on one part of the data, quote it on a later one, against the baselines.

Every strategy works the same parent orders on the same data under the same frictions, and is measured against
the same arrival mid, fees included. Parameters are chosen on the first part of the time and results are quoted
from the rest (`split`); with split 0 both are the same, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from venuewise.data.events import Events
from venuewise.data.sessions import Span, sessions_of
from venuewise.errors import ConfigError, NoQuotesError
from venuewise.market.book import Side, sign_of
from venuewise.market.venues import Venue, VenueTable, fees
from venuewise.research.grid import Grid, Parameters, Tuned, choose
from venuewise.research.schedule import Schedule, split_span, within
from venuewise.simulation.engine import Outcome, Task, make_task, run
from venuewise.simulation.state import NS_PER_MS, Conditions, Frictions, Market, market_of
from venuewise.strategies import Static, Strategy, baselines

Progress = Callable[[int, int], None]
"""Called with the runs done and the runs in all."""


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
    slice_seconds: float
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
        Orders of the two parts that were left out because no venue spoke or showed a usable quote in their time.
    one_sided : bool
        Whether the data never show the side opposite to the one taken from: arrival prices are then no mids.
    outcomes : dict of str to list of Outcome
        By strategy ("optimized" first), one for each parent order of `quoted_on`. The first order's have
        their blotter; they are the classic single-order figures.
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
    compared = baselines(settings.slice_seconds)
    taken_names = {"optimized", *(strategy.name for strategy in compared)}
    for strategy in extra:
        if strategy.name in taken_names:
            raise ConfigError(f"strategies: found the name {strategy.name!r} twice; expected unique names")
        taken_names.add(strategy.name)

    sessions = sessions_of(market.ts)
    train, test = split_span(Span(sessions[0].begin, sessions[-1].end), settings.split)
    planned = [settings.schedule.orders(within(sessions, part)) for part in (train, test)]
    candidates = list(settings.grid)
    quoted = 1 + len(compared) + len(extra)
    with ThreadPoolExecutor(workers) as pool:
        work = _Work(market, conditions, settings, pool, progress)
        train_tasks, tasks = (work.tasks(orders) for orders in planned)
        work.runs = len(candidates) * len(train_tasks) + quoted * len(tasks)
        tuned = work.tune(candidates, train_tasks)
        best = _router(settings, tuned.best)
        outcomes = {strategy.name: work.outcomes(strategy, tasks) for strategy in (best, *compared, *extra)}
    tuned_on, quoted_on = ([Span(task.start, task.end) for task in some] for some in (train_tasks, tasks))
    left_out = (len(planned[0]) - len(tuned_on), len(planned[1]) - len(quoted_on))
    return Comparison(
        settings, events, venues, tuned, tuned_on, quoted_on, left_out, market.one_sided, outcomes
    )


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
        """Score every candidate: shares left open, then money, both exact and summed over the orders."""
        sign = sign_of(self.settings.side)

        def score(parameters: Parameters) -> tuple[int, int]:
            router = _router(self.settings, parameters)
            outcomes = [self._one(task, router, record=False) for task in tasks]
            return sum(o.open for o in outcomes), sign * sum(o.cash for o in outcomes)

        scores: dict[Parameters, tuple[int, int]] = {}
        for parameters, result in zip(candidates, self.pool.map(score, candidates), strict=True):
            scores[parameters] = result
            self._tell(len(tasks))
        return choose(scores)

    def outcomes(self, strategy: Strategy, tasks: list[Task]) -> list[Outcome]:
        first = self._one(tasks[0], strategy, record=True)
        rest = list(self.pool.map(lambda task: self._one(task, strategy, record=False), tasks[1:]))
        self._tell(len(tasks))
        return [first, *rest]

    def _one(self, task: Task, strategy: Strategy, record: bool) -> Outcome:
        return run(self.market, task, strategy, self.conditions, self.settings.depth, record)

    def _tell(self, done: int) -> None:
        self.done += done
        if self.progress is not None:
            self.progress(self.done, self.runs)
