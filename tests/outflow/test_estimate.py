"""Outflows measured from events: what counts, what does not, and convergence to known rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import venuewise as vw
from tests.outflow.book_simulator import CENT, ORDER, SECOND, Tape, mirrored, poisson_queue, true_outflow
from venuewise.errors import ConfigError
from venuewise.outflow.estimate import OutflowSample, estimate_outflow, queues_at

BID = [(100, 400), (99, 300)]


def first_window(tape: Tape, passing: str = "trade", both_sides: bool = True) -> OutflowSample:
    """Measure the window (1 s, 11 s] of a tape that begins with a quote at 0 s; check that a sell agrees."""
    events = tape.events()
    sample = estimate_outflow(events, horizon="10s", every="1s", passing=passing)  # type: ignore[arg-type]
    if both_sides:
        sold = estimate_outflow(mirrored(events), horizon="10s", every="1s", side="sell", passing=passing)  # type: ignore[arg-type]
        assert np.array_equal(sold.outflow, sample.outflow)
        assert np.array_equal(sold.queue, sample.queue)
    return sample.take(np.array([0]))


def quoted() -> Tape:
    tape = Tape()
    tape.add(0.0, "A", "B", 100, 400, BID)
    tape.add(20.0, "A", "A", 104, 1, BID)
    return tape


def test_a_trade_and_the_cancel_row_that_follows_count_once() -> None:
    tape = quoted()
    tape.add(3.0, "T", "A", 100, 150, BID)
    tape.add(3.0, "C", "B", 100, 150, [(100, 250), (99, 300)])
    window = first_window(tape)
    assert (window.queue.item(), window.price.item()) == (400, 100 * CENT)
    assert (window.executed.item(), window.cancelled.item(), window.behind.item()) == (150, 0, 0)
    assert window.outflow.item() == 150


def test_shares_hit_and_shares_cancelled_at_the_same_moment_are_told_apart() -> None:
    tape = quoted()
    tape.add(3.0, "T", "A", 100, 150, BID)
    tape.add(3.0, "C", "B", 100, 250, [(100, 150), (99, 300)])
    window = first_window(tape)
    assert (window.executed.item(), window.cancelled.item()) == (150, 100)


def test_a_cancel_counts_by_the_share_of_the_queue_that_is_ahead() -> None:
    tape = quoted()
    tape.add(2.0, "A", "B", 100, 400, [(100, 800), (99, 300)])  # joins behind us
    tape.add(3.0, "C", "B", 100, 200, [(100, 600), (99, 300)])  # half of the queue is ahead
    tape.add(4.0, "C", "B", 100, 60, [(100, 540), (99, 300)])  # 300 of 600 are ahead
    window = first_window(tape)
    assert window.cancelled.item() == pytest.approx(100 + 30)
    assert window.behind.item() == pytest.approx(100 + 30)


def test_once_the_queue_ahead_is_gone_only_trades_count() -> None:
    tape = quoted()
    tape.add(2.0, "A", "B", 100, 200, [(100, 600), (99, 300)])
    tape.add(3.0, "T", "A", 100, 400, [(100, 600), (99, 300)])
    tape.add(3.0, "C", "B", 100, 400, [(100, 200), (99, 300)])
    tape.add(4.0, "C", "B", 100, 50, [(100, 150), (99, 300)])
    tape.add(5.0, "T", "A", 100, 30, [(100, 150), (99, 300)])
    tape.add(5.0, "C", "B", 100, 30, [(100, 120), (99, 300)])
    window = first_window(tape)
    assert (window.executed.item(), window.cancelled.item(), window.behind.item()) == (430, 0, 50)


@pytest.mark.parametrize(
    ("action", "side", "price"), [("T", "B", 103), ("T", "N", 100), ("A", "B", 99), ("C", "B", 99)]
)
def test_buyers_hidden_trades_and_other_levels_do_not_count(action: str, side: str, price: int) -> None:
    tape = quoted()
    tape.add(3.0, action, side, price, 100, [(100, 400), (99, 200)])
    assert first_window(tape).outflow.item() == 0


def test_only_events_inside_the_window_count() -> None:
    tape = quoted()
    for at in (0.5, 11.5):
        tape.add(at, "T", "A", 100, 100, BID)
        tape.add(at, "C", "B", 100, 100, [(100, 300), (99, 300)])
    window = first_window(tape)
    assert (window.queue.item(), window.outflow.item()) == (300, 0)


def test_a_better_bid_leaves_us_behind_and_trades_there_do_not_count() -> None:
    tape = quoted()
    tape.add(2.0, "A", "B", 101, 80, [(101, 80), (100, 400)])
    tape.add(3.0, "T", "A", 101, 80, [(101, 80), (100, 400)])
    window = first_window(tape)
    assert window.away.item()
    assert window.outflow.item() == 0


def test_a_level_that_is_out_of_sight_is_not_taken_for_gone() -> None:
    tape = quoted()
    tape.add(2.0, "A", "B", 102, 80, [(102, 80), (101, 40)])
    tape.add(4.0, "C", "B", 102, 80, [(101, 40), (100, 390)])
    assert first_window(tape).cancelled.item() == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("row", "trade", "quote"),
    [
        (("T", "A", 99, 10, [(99, 300), (98, 100)], None), True, True),  # sold below our price
        (("A", "A", 100, 10, [(99, 300)], [(100, 10), (103, 500)]), True, True),  # offered at our price
        (("C", "B", 100, 400, [(99, 300), (98, 100)], None), False, True),  # all ahead cancelled, no seller
        (("C", "B", 100, 400, [], None), False, True),  # no bid left at all
    ],
)  # fmt: skip
def test_what_proves_that_the_market_went_through_our_price(
    row: tuple[object, ...], trade: bool, quote: bool
) -> None:
    tape = quoted()
    tape.add(3.0, *row)  # type: ignore[arg-type]
    for passing, expected in (("trade", trade), ("quote", quote)):
        window = first_window(tape, passing)
        assert window.passed.item() == expected
        assert np.isinf(window.outflow.item()) == expected
        if not expected:
            assert window.outflow.item() == 400


def test_a_cleared_book_or_a_missing_quote_gives_no_window() -> None:
    tape = quoted()
    tape.add(3.0, "R", "N", 0, 0, [], [])
    assert len(estimate_outflow(tape.events(), horizon="10s", every="1s")) == 0
    empty = Tape()
    empty.add(0.0, "A", "A", 103, 500, [])
    empty.add(20.0, "A", "A", 103, 500, [])
    assert len(estimate_outflow(empty.events(), horizon="10s")) == 0


def test_windows_of_all_venues_start_together() -> None:
    tape = Tape()
    for venue, begins in ((0, 0.0), (1, 5.0)):
        tape.add(begins, "A", "B", 100, 400, BID, venue=venue)
        tape.add(30.0, "A", "B", 99, 400, BID, venue=venue)
        for at in range(int(begins) + 1, 30):
            tape.add(at + 0.5, "T", "A", 100, 10 * (1 + venue), BID, venue=venue)
            tape.add(at + 0.5, "A", "B", 100, 400, BID, venue=venue)
    sample = estimate_outflow(tape.events(2), horizon="2s", every="1s")
    assert sample.publishers == (2, 3)
    assert sample.start[0] == 5 * SECOND
    assert np.unique(sample.executed[2:-1], axis=0).tolist() == [[20.0, 40.0]]


def test_estimates_know_nothing_of_the_future() -> None:
    early = poisson_queue(60.0, 500, 2.0, 2.0, seed=1)
    late = poisson_queue(60.0, 500, 9.0, 1.0, seed=2)
    at = 31 * SECOND
    changed = Tape([row for row in early.rows if row[0] <= at] + [row for row in late.rows if row[0] > at])
    known = [
        estimate_outflow(tape.events(), horizon="5s", every="1s").known_at(at, lookback="20s")
        for tape in (early, changed)
    ]
    assert len(known[0]) == 16
    assert np.array_equal(known[0].outflow, known[1].outflow)
    assert np.all(known[0].start + known[0].horizon <= at)
    assert np.all(known[0].start >= at - 20 * SECOND)
    assert np.array_equal(queues_at(early.events(), at), queues_at(changed.events(), at))


def test_windows_can_be_chosen_by_the_time_of_day() -> None:
    day = 86_400 * SECOND
    start = np.array([9, 12, 24 + 9, 24 + 10, 48 + 9]) * 3600 * SECOND
    one = np.ones((5, 1))
    sample = OutflowSample(
        (2,), SECOND, "buy", start, one, one.astype(np.int64), one, one, one, one > 2, one > 2
    )
    known = sample.known_at(2 * day + 9 * 3600 * SECOND, time_of_day="10m")
    assert known.start.tolist() == [start[0], start[2]]
    midnight = sample.known_at(2 * day, time_of_day="9h")
    assert midnight.start.tolist() == [start[0], start[2]]


def test_estimates_converge_to_the_rates_that_the_data_were_made_with() -> None:
    # 2 sells and 3 cancels of 10 shares a second at a queue of 300 shares, over 10 s: executed shares have mean 200
    # and variance 2,000; the outflow is compared with a simulation that follows every single order.
    sells, cancels, horizon, queue = 2.0, 3.0, 10.0, 300
    events = poisson_queue(20_000.0, queue, sells, cancels, seed=3).events()
    sample = estimate_outflow(events, horizon=horizon)
    assert len(sample) == 1999
    executed, left = sample.executed[:, 0], sample.cancelled[:, 0] + sample.behind[:, 0]
    # Three standard errors of a mean of 2,000 windows: 3 sqrt(2000 / 2000) = 3 shares, 1.5 per cent.
    assert executed.mean() == pytest.approx(sells * horizon * ORDER, abs=3.0)
    assert executed.var() == pytest.approx(sells * horizon * ORDER**2, rel=0.1)
    assert left.mean() == pytest.approx(cancels * horizon * ORDER, abs=3.7)
    truth = true_outflow(queue, sells, cancels, horizon, seed=4, runs=4000)
    assert sample.outflow.mean() == pytest.approx(truth.mean(), rel=0.015)
    # The split of cancels is an expectation: it leaves out the luck of who cancels.
    assert 0.8 * truth.std() < sample.outflow.std() <= 1.02 * truth.std()


def test_generated_data_of_several_venues_are_measured_whole() -> None:
    events = vw.generate(venues=3, duration="60s", seed=5)
    at = int(events.ts[-1])
    for side in ("buy", "sell"):
        sample = vw.estimate_outflow(events, horizon="1s", side=side)
        assert len(sample) > 40
        assert sample.outflow.shape == (len(sample), 3)
        assert np.all(sample.outflow >= 0)
        assert sample.executed.sum() > 0
        queue = vw.queues_at(events, at, side=side)
        placed = vw.place(
            500, half_spread=0.01, taker_fee=0.003, rebate=0.002, queue=queue,
            outflow=sample.known_at(at, lookback="30s").outflow, lambda_under=0.05, lambda_over=0.05, side=side,
        )  # fmt: skip
        assert placed.gap <= 1e-6


def test_the_real_pre_market_day_is_measured(real_data: Path) -> None:
    events = vw.read(real_data / "aapl_xnas_20241021_mbp10.csv")
    sample = vw.estimate_outflow(events, horizon="60s")
    assert len(sample) == 68
    assert sample.executed.mean() == pytest.approx(31.8, abs=0.1)
    assert sample.passed.mean() == pytest.approx(0.16, abs=0.01)
    sides = events.side[events.action == ord("T")]
    sold = events.size[events.action == ord("T")][sides == ord("A")].sum()
    assert sample.executed.sum() <= sold


def test_adverse_selection_is_the_fall_of_the_mid_after_sales_by_size() -> None:
    tape = quoted()
    tape.add(2.0, "T", "A", 100, 100, BID)  # mid 101.5 here, 101 one second later
    tape.add(2.0, "C", "B", 100, 100, [(99, 300)])
    tape.add(4.0, "T", "A", 99, 300, [(99, 300)])  # mid 101 here and one second later
    tape.add(6.0, "T", "B", 103, 50, [(99, 300)])  # a buyer: no fill of a resting buy
    tape.add(6.0, "C", "A", 103, 500, [(99, 300)], [(104, 500)])
    tape.add(19.5, "T", "A", 99, 999, [(99, 300)])  # what follows is not known
    events = tape.events()
    assert vw.adverse_selection(events) == pytest.approx([0.005 * 100 / 400])
    assert vw.adverse_selection(mirrored(events), side="sell") == pytest.approx([0.005 * 100 / 400])
    # The buyer at 6 s lifts the ask from 103 to 104, against a resting sell.
    assert vw.adverse_selection(events, side="sell") == pytest.approx([0.005])


def test_adverse_selection_is_unknown_without_trades_or_without_a_mid() -> None:
    assert np.isnan(vw.adverse_selection(quoted().events())).all()
    tape = Tape()
    tape.add(0.0, "T", "A", 100, 100, [], [(103, 500)])
    tape.add(5.0, "A", "B", 100, 100, BID)
    assert np.isnan(vw.adverse_selection(tape.events())).all()


def test_the_mid_of_several_venues_is_that_of_their_best_quotes() -> None:
    tape = Tape()
    tape.add(0.0, "A", "B", 100, 400, BID, venue=0)
    tape.add(0.5, "A", "B", 101, 400, [(101, 400)], venue=1)
    tape.add(1.0, "T", "A", 101, 10, [(101, 400)], venue=1)  # mid (101 + 103) / 2
    tape.add(1.2, "C", "B", 101, 400, [(98, 100)], venue=1)  # mid (100 + 103) / 2
    tape.add(9.0, "A", "B", 99, 1, BID, venue=0)
    lost = vw.adverse_selection(tape.events(2))
    assert np.isnan(lost[0])
    assert lost[1] == pytest.approx(0.005)


def test_options_that_make_no_sense_are_refused() -> None:
    events = quoted().events()
    with pytest.raises(ConfigError, match="side: found 'short'; expected buy or sell"):
        estimate_outflow(events, side="short")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="passing: found 'hope'; expected trade or quote"):
        estimate_outflow(events, passing="hope")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="symbol: found 'IBM'; expected one of TEST"):
        estimate_outflow(events, symbol="IBM")
    with pytest.raises(ConfigError, match=r"every: found '1ns', which makes .* windows; expected at most"):
        estimate_outflow(events, horizon="1ns", every="1ns")
    both = vw.generate(venues=1, symbols=["AAA", "BBB"], duration="2s", seed=1)
    with pytest.raises(ConfigError, match="symbol: found AAA, BBB in the data; expected a choice of one"):
        queues_at(both, int(both.ts[-1]))
    assert np.isnan(queues_at(events, -1)).all()


HOUR = 3600.0


def two_days() -> Tape:
    """Two days of 30 s: the second venue comes to the second day 15 s late, and a sale ends the first day."""
    tape = Tape()
    for day, cents in ((0.0, 0), (20 * HOUR, 400)):
        for second in range(31):
            book = [(100 + cents, 400 + second), (99 + cents, 300)]
            asks = [(103 + cents, 500), (104 + cents, 500)]
            tape.add(day + second, "A", "B", 100 + cents, 1, book, asks)
            if not day or second >= 15:
                tape.add(day + second, "A", "B", 100 + cents, 1, book, asks, venue=1)
    tape.add(29.5, "T", "A", 100, 60, [(100, 429), (99, 300)])
    return tape


def test_no_window_reaches_over_the_night_or_starts_from_a_quote_before_it() -> None:
    events = two_days().events(2)
    sample = estimate_outflow(events, horizon="5s")
    first, second = [5, 10, 15, 20, 25], [20, 25]  # the late venue has no quote before 15 s; at 15 it has one
    night = 20 * 3600
    assert (sample.start // SECOND).tolist() == [*first, night + 15, *(night + s for s in second)]
    assert not sample.passed.any()
    evening = events.ts < 10 * 3600 * SECOND
    for day in (evening, ~evening):  # each day by itself says the same
        alone = estimate_outflow(events.take(day), horizon="5s")
        here = sample.take(np.isin(sample.start, alone.start))
        assert len(alone) == len(here) > 2
        assert np.array_equal(here.outflow, alone.outflow)
        assert np.array_equal(here.queue, alone.queue)


def test_queues_are_those_of_the_session() -> None:
    events = two_days().events(2)
    night = round(20 * HOUR) * SECOND
    assert queues_at(events, 30 * SECOND).tolist() == [430, 430]
    assert np.isnan(queues_at(events, 10 * 3600 * SECOND)).all()
    assert queues_at(events, night + 3 * SECOND)[0] == 403
    assert np.isnan(queues_at(events, night + 3 * SECOND)[1])


def test_a_cleared_book_has_no_queue() -> None:
    tape = quoted()
    tape.add(21.0, "R", "N", 100, 0, BID)
    assert np.isnan(queues_at(tape.events(), 21 * SECOND)).all()


def test_a_sale_is_not_looked_back_on_from_the_next_session() -> None:
    events = two_days().events(2)
    assert np.isnan(vw.adverse_selection(events, delay="1s")).all()
    assert vw.adverse_selection(events, delay="500ms")[0] == 0.0


def test_the_mid_of_a_session_has_no_quote_of_the_one_before_it() -> None:
    tape = Tape()
    tape.add(0.0, "A", "B", 100, 400, [(102, 400)], venue=0)
    tape.add(20 * HOUR, "A", "B", 100, 400, BID, venue=1)
    tape.add(20 * HOUR + 1, "T", "A", 100, 10, BID, venue=1)
    tape.add(20 * HOUR + 1.5, "C", "B", 100, 10, [(99, 100)], venue=1)
    tape.add(20 * HOUR + 9, "C", "B", 100, 10, [(99, 100)], venue=1)
    assert vw.adverse_selection(tape.events(2))[1] == pytest.approx(0.005)
