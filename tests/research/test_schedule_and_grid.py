"""When parent orders start, what is tried, and which of several best ones is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venuewise.data.sessions import Span, sessions_of
from venuewise.errors import ConfigError
from venuewise.research.grid import Grid, Parameters, choose
from venuewise.research.schedule import Schedule, split_sessions

SECOND = 10**9


def test_a_single_order_has_all_the_time_there_is() -> None:
    assert Schedule.parse(None, None).orders([Span(5, 100)]) == [Span(5, 100)]
    assert Schedule.parse("first", "2s").orders([Span(0, 9 * SECOND)]) == [Span(0, 2 * SECOND)]


@pytest.mark.parametrize(("longest", "horizon"), [(1000, 200), (1004, 200), (9, 1), (4, 1), (1, 1)])
def test_orders_without_a_horizon_have_a_fifth_of_the_longest_session_and_are_never_without_time(
    longest: int, horizon: int
) -> None:
    orders = Schedule(longest, None).orders([Span(0, horizon), Span(5000, 5000 + longest), Span(9000, 9000)])
    first = Span(0, horizon)  # just long enough; a moment by itself is not
    assert orders == [
        first,
        *(Span(5000 + b, 5000 + b + horizon) for b in range(0, longest - horizon + 1, longest)),
    ]


@given(
    every=st.integers(1, 50),
    horizon=st.integers(1, 100),
    length=st.integers(1, 1000),
    begin=st.integers(0, 10**6),
)
def test_every_order_ends_within_the_span_and_none_is_forgotten(
    every: int, horizon: int, length: int, begin: int
) -> None:
    schedule, span = Schedule(every, horizon), Span(begin, begin + length)
    if horizon > length:
        with pytest.raises(ConfigError, match="horizon"):
            schedule.orders([span])
        return
    orders = schedule.orders([span])
    assert [o.begin for o in orders] == [begin + i * every for i in range((length - horizon) // every + 1)]
    assert all(o.end - o.begin == horizon and o.end <= span.end for o in orders)
    overlap = schedule.overlap(orders)
    assert (overlap - 1) * every < horizon <= overlap * every


@pytest.mark.parametrize("text", ["every", "every:", "every:x", "30s", "every:-3s", "every:0s"])
def test_a_start_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Schedule.parse(text, None)


def test_the_parts_of_a_split_do_not_overlap() -> None:
    day = Span(100, 1100)
    assert split_sessions([day], 0.3) == ([Span(100, 400)], [Span(401, 1100)])
    assert split_sessions([day], 0.0) == ([day], [day])


def test_a_split_counts_trading_time_and_no_nights() -> None:
    days = [Span(d * 10**6, d * 10**6 + 1000) for d in range(2)]
    cuts = {share: split_sessions(days, share) for share in (0.05, 0.25, 0.5, 0.75, 0.95)}
    assert cuts[0.05] == ([Span(0, 100)], [Span(101, 1000), days[1]])
    assert cuts[0.5] == ([days[0]], [days[1]])
    assert cuts[0.95] == ([days[0], Span(10**6, 10**6 + 900)], [Span(10**6 + 901, 10**6 + 1000)])
    assert len({first[-1].end for first, _ in cuts.values()}) == 5


@given(
    lengths=st.lists(st.integers(1, 1000), min_size=1, max_size=6),
    share=st.floats(0.01, 0.99),
)
def test_a_split_gives_each_moment_of_trading_to_one_part(lengths: list[int], share: float) -> None:
    sessions = [Span(5000 * i, 5000 * i + length) for i, length in enumerate(lengths)]
    moments = [t for s in sessions for t in range(s.begin, s.end + 1)]
    if not 0 < int(sum(lengths) * share) < sum(lengths):
        with pytest.raises(ConfigError, match="time on both sides"):
            split_sessions(sessions, share)
        return
    first, second = split_sessions(sessions, share)
    assert [t for s in [*first, *second] for t in range(s.begin, s.end + 1)] == moments
    assert sum(s.end - s.begin for s in first) == int(sum(lengths) * share)
    assert all(any(o.begin <= s.begin <= s.end <= o.end for o in sessions) for s in [*first, *second])
    assert first
    assert second


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0, float("nan")])
def test_a_split_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="split"):
        split_sessions([Span(0, 100)], share)


def test_a_single_order_gets_the_longest_session_not_what_a_split_left_of_one() -> None:
    assert Schedule(None, None).orders([Span(98, 100), Span(500, 600), Span(900, 1000)]) == [Span(500, 600)]


def test_the_classic_grid_has_125_points_in_the_ranges_users_know() -> None:
    points = list(Grid())
    assert len(points) == len(Grid()) == len(set(points)) == 125
    assert {p.lambda_over for p in points} == {0.2, 0.4, 0.6, 0.8, 1.0}
    assert {p.lambda_under for p in points} == {0.3, 0.5, 0.7, 0.9, 1.1}
    assert {p.theta_queue for p in points} == {0.1, 0.3, 0.5, 0.7, 0.9}


def test_a_grid_is_read_from_text() -> None:
    grid = Grid.parse("lambda_under=0.01:0.03:3, theta_queue=0")
    assert grid.lambda_under == (0.01, 0.02, 0.03)
    assert grid.theta_queue == (0.0,)
    assert grid.lambda_over == Grid().lambda_over


@pytest.mark.parametrize(
    "text",
    ["lambda=1", "lambda_under=", "lambda_under=1:2", "lambda_under=1:2:0", "lambda_under=1,lambda_under=2",
     "lambda_under=nan", "lambda_under=-1", "lambda_under=1:2:1e9", "lambda_under=inf:1:2"],
)  # fmt: skip
def test_a_grid_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="grid"):
        Grid.parse(text)


def test_ties_are_all_reported_and_one_is_chosen_by_the_stated_rule() -> None:
    a, b, c = Parameters(1.0, 0.1, 0.5), Parameters(0.5, 0.1, 0.9), Parameters(0.1, 0.2, 0.1)
    tuned = choose({a: (0, 10), c: (0, 10), b: (0, 10), Parameters(0, 0, 0): (1, 5)})
    assert tuned.best == b
    assert set(tuned.tied) == {a, b, c}
    assert tuned.tried == 4


def test_a_share_left_open_costs_both_penalties_and_points_that_agree_in_it_are_run_once() -> None:
    points = [Parameters(over, 0.25, theta) for over in (0.0, 1.0) for theta in (0.5, 0.75)]
    points.append(Parameters(0.0, 0.5, 0.25))
    assert [point.open_share for point in points] == [0.75, 1.0, 0.75, 1.0, 0.75]
    tuned = choose(dict.fromkeys(points, (0, 3)))
    assert (tuned.tried, tuned.scored, len(tuned.tied)) == (5, 2, 5)
    assert tuned.best == Parameters(0.0, 0.25, 0.5)


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([(1, -50), (0, 10)], 1),  # shares left open weigh more than any money
        ([(0, 10), (0, 9)], 1),
        ([(0, -9), (0, -10)], 1),
        ([(0, 10), (0, 10)], 0),
    ],
)
def test_the_best_leaves_the_fewest_shares_open_and_then_pays_the_least(
    scores: list[tuple[int, int]], best: int
) -> None:
    points = [Parameters(0.0, 0.1, 0.1), Parameters(0.0, 0.2, 0.0)]
    tuned = choose(dict(zip(points, scores, strict=True)))
    assert tuned.best == points[best]
    assert len(tuned.tied) == (2 if scores[0] == scores[1] else 1)


def test_no_order_is_held_over_a_silence_of_more_than_an_hour() -> None:
    day = 86_400 * SECOND
    ts = np.concatenate([start + np.arange(0, 540 * SECOND, SECOND) for start in (0, day, 2 * day)])
    sessions = sessions_of(ts)
    assert [(s.begin, s.end) for s in sessions] == [(d * day, d * day + 539 * SECOND) for d in range(3)]
    orders = Schedule.parse("every:60s", "2m").orders(sessions)
    assert len(orders) == 3 * 7
    assert all(any(s.begin <= o.begin and o.end <= s.end for s in sessions) for o in orders)
    assert Schedule.parse(None, None).orders(sessions) == [sessions[0]]


def test_a_moment_by_itself_is_no_session_unless_there_is_no_other() -> None:
    hours = 3600 * SECOND
    assert sessions_of(np.array([0, 2 * hours, 2 * hours + 9, 5 * hours])) == [Span(2 * hours, 2 * hours + 9)]
    assert sessions_of(np.array([0, 2 * hours])) == [Span(0, 0), Span(2 * hours, 2 * hours)]
    assert sessions_of(np.array([7, 7])) == [Span(7, 7)]


def test_a_short_session_is_passed_over_by_orders_that_need_longer() -> None:
    assert Schedule(None, 50).orders([Span(0, 10), Span(100, 200)]) == [Span(100, 150)]
    assert Schedule(40, 50).orders([Span(0, 10), Span(100, 200)]) == [Span(100, 150), Span(140, 190)]


def test_more_orders_than_anyone_can_mean_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"start: found .* orders"):
        Schedule(1, 1).orders([Span(0, 3600 * SECOND)])


def test_a_grid_of_more_points_than_anyone_can_mean_is_refused() -> None:
    with pytest.raises(ConfigError, match="grid: found 1000000 points"):
        Grid.parse("lambda_over=0:1:100,lambda_under=0:1:100,theta_queue=0:1:100")


def test_a_grid_of_100_000_points_is_the_largest_and_no_penalty_is_infinite() -> None:
    assert len(Grid.parse("lambda_over=0:1:100,lambda_under=0:1:100,theta_queue=0:1:10")) == 100_000
    with pytest.raises(ConfigError, match="grid: found 110000 points"):
        Grid.parse("lambda_over=0:1:100,lambda_under=0:1:100,theta_queue=0:1:11")
    with pytest.raises(ConfigError, match="grid lambda_under: found"):
        Grid(lambda_under=(0.1, float("inf")))
