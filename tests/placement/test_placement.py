"""What `place` promises its users: conditions of the optimum, limiting cases, options and refusals."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from scipy import stats

import venuewise as vw
from tests.placement.references import Instance, baseline, highs, mean_cost, varied
from venuewise.errors import ConfigError
from venuewise.placement.placement import place, placement_cost


def continuous(samples: int, venues: int, order: float) -> Instance:
    """Outflows without ties, so that probabilities at the optimum have no jumps to hide in."""
    rng = np.random.default_rng(8)
    outflow = 300.0 * rng.gamma(3.0, 1.0, (samples, 1)) + 300.0 * rng.gamma(4.0, 1.0, (samples, venues))
    queue = np.array([1700.0, 1900.0, 2100.0])[:venues]
    return Instance(order, outflow, queue, np.array([0.002, 0.003, 0.0025])[:venues])


# Conditions of the optimum (derived by differentiating V; the distribution is continuous)


def test_first_order_conditions_hold_at_an_interior_optimum() -> None:
    case = continuous(4000, 2, 1500.0)
    placed = place(case.order, max_boxes=2000, **case.arguments)
    assert placed.gap < 1e-5
    assert 0.0 < placed.market < case.order
    assert all(0.0 < limit < case.order for limit in placed.limit)
    filled_behind = np.maximum(case.outflow - case.queue, 0.0)
    filled = placed.market + np.minimum(filled_behind, placed.limit).sum(axis=1)
    short = filled < case.order
    whole = case.lambda_under + case.theta + case.lambda_over
    wanted = (case.half_spread + case.taker_fee + case.theta + case.lambda_over) / whole
    assert np.mean(short) == pytest.approx(wanted, abs=0.005)
    assert placed.p_short == pytest.approx(np.mean(short), abs=1e-3)
    for k, limit in enumerate(placed.limit):
        passed = filled_behind[:, k] > limit
        gain = case.half_spread + case.rebate[k]
        wanted = (case.lambda_over - gain + case.theta / np.mean(passed)) / whole
        assert np.mean(short[passed]) == pytest.approx(wanted, abs=0.01)


def test_a_venue_is_used_where_its_first_share_pays() -> None:
    # The first share rested at venue 1 pays iff P(xi > Q) [h + r - lambda_o + w P(A < S | xi > Q)] > theta. The
    # condition that the paper prints, without the last term, holds for none of these rebates.
    base = continuous(3000, 2, 1500.0)
    behind = np.maximum(base.outflow - base.queue, 0.0)
    reached = behind[:, 1] > 0.0
    alone = place(base.order, cap=[base.order, 0.0], **base.arguments)
    short = alone.market + np.minimum(behind[:, 0], alone.limit[0]) < base.order - 1e-6
    weight = base.lambda_under + base.lambda_over + base.theta
    used = []
    for rebate in (-0.06, -0.04, -0.01, 0.0):
        case = dataclasses.replace(base, rebate=np.array([0.002, rebate]))
        placed = place(case.order, max_boxes=2000, **case.arguments)
        worth = case.half_spread + rebate - case.lambda_over
        assert np.mean(reached) * worth < case.theta
        pays = np.mean(reached) * (worth + weight * np.mean(short[reached])) > case.theta
        used.append(placed.limit[1] > 0.5)
        assert used[-1] == pays
    assert used == [False, False, True, True]


# Limiting cases


def test_a_dear_shortfall_sends_all_to_the_market() -> None:
    case = baseline(500, 3, 1000.0)
    case.outflow[0] = 0.0  # nothing is certain to fill
    case = dataclasses.replace(case, lambda_under=1e4)
    placed = place(case.order, **case.arguments)
    assert placed.market == pytest.approx(1000.0, abs=0.01)


def test_an_outflow_of_nothing_leaves_only_the_market() -> None:
    case = dataclasses.replace(baseline(50, 2, 1000.0), outflow=np.zeros((50, 2)))
    placed = place(case.order, **case.arguments)
    assert placed.shares == pytest.approx([1000.0, 0.0, 0.0], abs=0.01)
    assert placed.cost == pytest.approx(1000 * (0.02 + 0.003 + 0.0005), rel=1e-6)
    assert placed.reach_probability == placed.fill_probability == (0.0, 0.0)


@pytest.mark.parametrize("outflow", [1e9, np.inf])
def test_with_no_queue_and_a_flood_of_sellers_all_rests_at_the_best_rebate(outflow: float) -> None:
    placed = place(
        1000, half_spread=0.02, taker_fee=0.003, rebate=[0.001, 0.003, 0.002], queue=[0, 0, 0],
        outflow=np.full((20, 3), outflow), theta=0.0005, lambda_under=0.05, lambda_over=0.05,
    )  # fmt: skip
    assert placed.shares == pytest.approx([0.0, 0.0, 1000.0, 0.0], abs=0.01)
    assert placed.cost == pytest.approx(1000 * (0.0005 - 0.02 - 0.003), rel=1e-6)
    assert placed.fill_probability[1] == 1.0


def test_free_market_orders_without_a_spread_cost_nothing() -> None:
    case = dataclasses.replace(
        baseline(50, 2, 1000.0), half_spread=0.0, taker_fee=0.0, theta=0.0, rebate=np.zeros(2)
    )
    placed = place(case.order, **case.arguments)
    assert placed.cost == pytest.approx(0.0, abs=1e-6)
    assert placed.p_short == 0.0


def test_a_venue_better_in_everything_takes_the_limit_orders() -> None:
    rng = np.random.default_rng(1)
    fast = rng.poisson(4000, 300).astype(float)
    outflow = np.column_stack([fast, fast - 2500.0])
    placed = place(
        800, half_spread=0.02, taker_fee=0.003, rebate=[0.003, 0.001], queue=[1000, 1000], outflow=outflow,
        theta=0.0005, lambda_under=0.05, lambda_over=0.05,
    )  # fmt: skip
    assert placed.limit[1] == pytest.approx(0.0, abs=0.01)
    assert placed.limit[0] == pytest.approx(800.0, abs=0.01)


def test_equal_venues_can_be_exchanged_without_changing_the_cost() -> None:
    case = baseline(100, 3, 1000.0)
    placed = place(case.order, **case.arguments)
    for turn in range(3):
        columns = np.roll(np.arange(3), turn)
        turned = dataclasses.replace(case, outflow=case.outflow[:, columns])
        again = place(case.order, **turned.arguments)
        assert again.cost == pytest.approx(placed.cost, rel=2e-6)
        moved = [placed.market, *np.array(placed.limit)[columns]]
        assert placement_cost(moved, case.order, **turned.arguments) == pytest.approx(placed.cost, rel=1e-12)


def test_overbooking_pays_where_fills_are_uncertain_and_apart() -> None:
    rng = np.random.default_rng(2)
    outflow = np.where(rng.uniform(size=(400, 3)) < 0.5, 5000.0, 0.0)
    placed = place(
        1000, half_spread=0.02, taker_fee=0.003, rebate=0.002, queue=[0, 0, 0], outflow=outflow,
        theta=0.0, lambda_under=0.05, lambda_over=0.03,
    )  # fmt: skip
    assert placed.overbooking > 100.0
    assert placed.p_over > 0.0


# Options


def test_the_cancelling_router_never_costs_more_and_never_overfills() -> None:
    for venues in (2, 4):
        case = baseline(300, venues, 1000.0)
        penalised = place(case.order, **case.arguments)
        cancelled = place(case.order, overfill="cancel", **case.arguments)
        assert cancelled.convex
        assert cancelled.cost < penalised.lower_bound
        assert cancelled.p_over == 0.0
        filled = cancelled.market + sum(cancelled.expected_fill)
        spent = 0.0235 * cancelled.market - 0.022 * sum(cancelled.expected_fill)
        spent += 0.0005 * sum(cancelled.limit) + 0.0505 * (case.order - filled)
        assert cancelled.cost == pytest.approx(spent, rel=1e-9)


def test_where_over_filling_pays_only_the_cap_stops_it_and_says_so() -> None:
    case = dataclasses.replace(baseline(400, 2, 500.0), lambda_over=0.01, queue=np.full(2, 1000.0))
    placed = place(case.order, **case.arguments)
    assert placed.convex
    assert placed.cap_binds == (True, True)
    wider = place(case.order, cap=5 * case.order, **case.arguments)
    assert wider.cost < placed.cost
    assert max(wider.limit) > case.order
    assert wider.cost == pytest.approx(highs(case, exact_fills=False, cap=2500.0), rel=1.1e-6)


def test_caps_bind_where_they_are_tight() -> None:
    case = baseline(200, 3, 500.0)
    placed = place(case.order, cap=[50.0, 500.0, 0.0], **case.arguments)
    assert placed.limit[0] == pytest.approx(50.0)
    assert placed.limit[2] == 0.0
    assert placed.cap_binds[0]


def test_sending_at_least_the_order_can_be_required() -> None:
    case = dataclasses.replace(baseline(200, 2, 1000.0), lambda_under=0.01)
    free = place(case.order, **case.arguments)
    bound = place(case.order, send_at_least=True, **case.arguments)
    assert free.shares.sum() < case.order - 1
    assert bound.shares.sum() == pytest.approx(case.order, rel=1e-9)
    assert bound.cost > free.cost


def test_adverse_selection_counts_against_the_rebate() -> None:
    case = baseline(200, 2, 1000.0)
    placed = place(case.order, adverse_selection=[0.004, 0.001], **case.arguments)
    netted = dataclasses.replace(case, rebate=case.rebate - [0.004, 0.001])
    assert placed.cost == pytest.approx(place(case.order, **netted.arguments).cost, rel=2e-6)


def test_a_sell_is_the_mirror_image() -> None:
    case = baseline(100, 2, 1000.0)
    bought, sold = (place(case.order, side=side, **case.arguments) for side in ("buy", "sell"))
    assert sold.side == "sell"
    assert dataclasses.replace(sold, side="buy") == bought


def test_the_lowest_of_several_taker_fees_counts() -> None:
    case = baseline(100, 2, 1000.0)
    arguments = {**case.arguments, "taker_fee": [0.004, 0.003, 0.0035]}
    assert place(case.order, **arguments) == place(case.order, **case.arguments)


@pytest.mark.parametrize("overfill", ["penalise", "cancel"])
def test_a_warm_start_finds_the_same_cost(overfill: Any) -> None:
    case = varied(5, 4, 80)
    cold = place(case.order, overfill=overfill, **case.arguments)
    for start in (cold, np.full(5, case.order), np.zeros(5)):
        warm = place(case.order, overfill=overfill, warm_start=start, **case.arguments)
        assert warm.cost == pytest.approx(cold.cost, rel=2e-6)
        assert warm.gap <= 1e-6


def test_reported_figures_are_those_of_the_placement() -> None:
    case = varied(21, 3, 60)
    placed = place(case.order, **case.arguments)
    fills = np.minimum(np.maximum(case.outflow - case.queue, 0.0), placed.limit)
    assert placed.cost == pytest.approx(mean_cost(case, placed.shares), rel=1e-12)
    assert placed.expected_fill == pytest.approx(fills.mean(axis=0))
    assert placed.gap == pytest.approx((placed.cost - placed.lower_bound) / abs(placed.cost))
    assert placed.samples == 60
    assert json.loads(json.dumps(placed.to_dict()))["market"] == placed.market


def test_whole_share_outflows_give_whole_share_orders() -> None:
    rng = np.random.default_rng(3)
    outflow = rng.poisson(700, (300, 2))
    placed = place(
        400, half_spread=0.02, taker_fee=0.003, rebate=0.002, queue=[600, 620], outflow=outflow,
        theta=0.0005, lambda_under=0.05, lambda_over=0.05,
    )  # fmt: skip
    assert placed.shares == pytest.approx(np.rint(placed.shares), abs=1e-9)


def test_distributions_are_sampled_reproducibly() -> None:
    def solve(outflow: object, seed: int = 0) -> vw.Placement:
        return vw.place(
            1000, half_spread=0.02, taker_fee=0.003, rebate=[0.002] * 2, queue=[2000] * 2, outflow=outflow,
            theta=0.0005, lambda_under=0.05, lambda_over=0.05, samples=200, seed=seed,
        )  # fmt: skip

    independent = [stats.poisson(2200), stats.gamma(10, scale=220)]
    joint = vw.CommonFactorOutflow(stats.poisson(2200), stats.poisson(2200), 2, 0.6)
    for outflow in (independent, joint):
        assert solve(outflow) == solve(outflow)
        assert solve(outflow).cost != solve(outflow, seed=1).cost
        assert solve(outflow).samples == 200


def test_nothing_to_trade_costs_nothing() -> None:
    case = baseline(20, 2, 0.0)
    for method in ("sample_average", "robbins_monro"):
        placed = place(0, method=method, **case.arguments)
        assert (placed.cost, placed.gap, placed.shares.tolist()) == (0.0, 0.0, [0.0, 0.0, 0.0])


# Refusals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": -1}, r"order: found -1; expected a number from 0 to 1e\+15"),
        ({"order": float("nan")}, r"order: found nan; expected a number from 0 to 1e\+15"),
        ({"order": "many"}, "order: found 'many'; expected a number"),
        ({"half_spread": -0.01}, r"half_spread: found -0\.01; expected a number from 0 to 1e\+15"),
        ({"theta": -1e-9}, r"theta: found -1e-09; expected a number from 0 to 1e\+15"),
        ({"lambda_under": float("inf")}, r"lambda_under: found inf; expected a number from 0 to 1e\+15"),
        ({"lambda_over": -0.05}, r"lambda_over: found -0\.05; expected a number from 0 to 1e\+15"),
        ({"taker_fee": []}, "taker_fee: found none; expected at least one number"),
        ({"rebate": [0.1]}, r"rebate: found shape \(1,\); expected 2 numbers, one for each venue"),
        ({"rebate": ["a", "b"]}, r"rebate: found \['a', 'b'\]; expected one number for each venue"),
        ({"queue": []}, "queue: found none; expected one number for each venue"),
        ({"queue": [1.0, -2.0]}, r"queue: found \[1\.0, -2\.0\]; expected numbers from 0 to 1e\+15"),
        ({"cap": [1.0, float("nan")]}, r"cap: found \[1\.0, nan\]; expected numbers from 0 to 1e\+15"),
        ({"outflow": np.zeros((4, 3))}, r"outflow: found shape \(4, 3\); expected \(N, 2\) with N >= 1"),
        ({"outflow": np.zeros((0, 2))}, r"outflow: found shape \(0, 2\); expected \(N, 2\) with N >= 1"),
        ({"outflow": [[1.0, -1.0]]}, "outflow: found a negative number or NaN; expected numbers"),
        ({"outflow": [[1.0, float("nan")]]}, "outflow: found a negative number or NaN; expected numbers"),
        ({"outflow": "fast"}, r"outflow: found str; expected a sample of shape \(N, K\) or distributions"),
        (
            {"outflow": stats.poisson(5)},
            "outflow: found one distribution for 2 venues; expected one for each",
        ),
        ({"outflow": [stats.poisson(5)]}, "outflow: found 1 distributions; expected 2, one for each venue"),
        (
            {"method": "magic"},
            "method: found 'magic'; expected sample_average or closed_form or robbins_monro",
        ),
        ({"overfill": "hope"}, "overfill: found 'hope'; expected penalise or cancel"),
        ({"side": "short"}, "side: found 'short'; expected buy or sell"),
        ({"warm_start": [1.0]}, r"shares: found \[1\.0\]; expected 3 finite numbers"),
        ({"gap": 0.0}, r"gap: found 0\.0; expected a number from 1e-12 to 1e\+15"),
        ({"warm_start": "near"}, r"shares: found 'near'; expected 3 finite numbers"),
        ({"order": 1e-320}, r"order: found 9\.99989e-321 shares; expected 0 or at least 1e-06"),
        ({"order": 10**400}, "expected a number from 0 to"),
        ({"samples": 0}, "samples: found 0; expected a whole number from 1 to 10,000,000"),
        ({"samples": 1.5}, r"samples: found 1\.5; expected a whole number from 1 to 10,000,000"),
        ({"samples": 10**13}, "samples: found 10000000000000; expected a whole number from 1 to 10,000,000"),
        ({"seed": -1}, "seed: found -1; expected a whole number from 0 to 9,223,372,036,854,775,807"),
        ({"max_boxes": -1}, "max_boxes: found -1; expected a whole number from 0 to 1,000,000"),
        ({"max_boxes": "few"}, "max_boxes: found 'few'; expected a whole number from 0 to 1,000,000"),
        ({"method": "closed_form"}, "method: found closed_form for 2 usable venues; expected"),
        ({"method": "robbins_monro", "overfill": "cancel"}, "overfill: found 'cancel'; expected penalise"),
        ({"method": "robbins_monro", "send_at_least": True}, "send_at_least: found it for robbins_monro"),
    ],
)
def test_inputs_that_make_no_sense_are_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    case = baseline(10, 2, 1000.0)
    arguments: dict[str, Any] = {"order": case.order, **case.arguments, **change}
    with pytest.raises(ConfigError, match=message) as raised:
        place(**arguments)
    assert "\n" not in str(raised.value)


def test_scoring_refuses_negative_shares_and_an_empty_order() -> None:
    case = baseline(10, 2, 1000.0)
    with pytest.raises(ConfigError, match="shares: found a negative number; expected numbers of at least 0"):
        placement_cost([-1.0, 0.0, 0.0], 1000, **case.arguments)
    with pytest.raises(ConfigError, match="order: found 0 shares; expected more"):
        placement_cost([0.0, 0.0, 0.0], 0, **case.arguments)
