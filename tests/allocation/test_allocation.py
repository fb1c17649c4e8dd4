"""The public face of the static allocation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.earlier_brute_force import Venue
from benchmarks.earlier_brute_force import allocate as earlier_allocate
from hypothesis import given, settings
from hypothesis import strategies as st

import venuewise as vw
from venuewise.errors import ConfigError

MODEL: dict[str, Any] = {"lambda_over": 0.4, "lambda_under": 0.6, "theta_queue": 0.3}
BOOK: dict[str, Any] = {
    "ask": [100.01, 100.00, 100.02],
    "ask_size": [400, 300, 800],
    "fee": 0.003,
    "rebate": 0.002,
}


def cents(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low, high).map(lambda tenths: tenths / 1000)


@st.composite
def problems(draw: st.DrawFn, levels_max: int = 3) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """An order, a book in decimal prices, and a model."""
    venues, levels = draw(st.integers(1, 6)), draw(st.integers(1, levels_max))
    each = st.lists(st.integers(0, 900), min_size=levels, max_size=levels)
    first = [draw(st.integers(9_990, 10_010)) for _ in range(venues)]
    book = {
        "ask": [[(cent + level) / 100 for level in range(levels)] for cent in first],
        "ask_size": [draw(each) for _ in range(venues)],
        "fee": [draw(cents(-3, 4)) for _ in range(venues)],
        "rebate": [draw(cents(-3, 30)) for _ in range(venues)],
        "mid": draw(st.sampled_from([None, 99.995])),
    }
    model = {name: draw(cents(0, 50)) for name in MODEL}
    return draw(st.integers(0, 3_000)), book, model


def ragged(rows: list[Any]) -> bool:
    return len({len(row) for row in rows if isinstance(row, list)}) > 1


def mirrored(book: dict[str, Any]) -> dict[str, Any]:
    """The same book for a seller: bids as far below 128 dollars as the asks are above."""
    other = {name: value for name, value in book.items() if not name.startswith("ask")}
    bid = 256.0 - np.asarray(book["ask"], float)
    return {**other, "bid": bid, "bid_size": book["ask_size"], "mid": 256.0 - book["mid"]}


def test_cheapest_venues_first_and_odd_lots_kept() -> None:
    a = vw.allocate(777, **BOOK, **MODEL, mid=99.995)
    assert a.shares.tolist() == [400, 300, 77]
    assert (a.executed, a.underfill, a.overfill, a.gap) == (777, 0, 0, 0.0)


def test_fees_count_in_the_order_of_venues() -> None:
    a = vw.allocate(100, ask=[10.00, 10.00], ask_size=[100, 100], fee=[0.003, -0.001], rebate=0.0, **MODEL)
    assert a.shares.tolist() == [0, 100]


def test_equal_venues_are_used_in_their_order() -> None:
    a = vw.allocate(150, ask=[10.0] * 3, ask_size=[100] * 3, fee=0.003, rebate=0.002, **MODEL, mid=9.99)
    assert a.shares.tolist() == [100, 50, 0]


def test_what_no_venue_holds_rests_where_the_rebate_is_highest() -> None:
    a = vw.allocate(
        1000, ask=[10.0] * 3, ask_size=[100, 100, 0], fee=0.003, rebate=[0.002, 0.003, 0.001],
        mid=9.995, **MODEL,
    )  # fmt: skip
    assert a.shares.tolist() == [100, 900, 0]
    assert a.taken.tolist() == [100, 100, 0]
    assert (a.executed, a.underfill) == (200, 800)


def test_free_optimum_rests_at_several_venues_at_once() -> None:
    """Each venue taken in full earns its rebate up to the cap, whatever the others do."""
    book: dict[str, Any] = {
        "ask": [10.0] * 3,
        "ask_size": [10] * 3,
        "fee": 0.0,
        "rebate": 0.0625,
        "mid": 10.0,
    }
    model: dict[str, Any] = {"lambda_over": 1.0, "lambda_under": 1.0, "theta_queue": 0.0}
    a = vw.allocate(30, **book, **model, fill="free")
    assert a.shares.tolist() == [30, 30, 30]
    at_one_venue = vw.CostModel(**model).cost([30, 10, 10], 30, **book)
    assert (a.cost, at_one_venue) == (-3 * 20 * 0.0625, -20 * 0.0625)


def test_levels_are_taken_from_the_best() -> None:
    a = vw.allocate(
        500, ask=[[10.00, 10.02], [10.01, np.nan]], ask_size=[[100, 900], [200, 0]],
        fee=0.0, rebate=0.0, **MODEL, mid=9.995,
    )  # fmt: skip
    assert a.shares.tolist() == [300, 200]
    assert a.taken.tolist() == [[100, 200], [200, 0]]


@settings(max_examples=150, deadline=None)
@given(problems(), st.sampled_from(["exact_fill", "free"]), st.sampled_from(["exact", "greedy"]))
def test_reported_cost_is_the_cost_of_the_shares(
    problem: tuple[int, dict[str, Any], dict[str, Any]], fill: Any, method: Any
) -> None:
    order, book, model = problem
    a = vw.allocate(order, **book, **model, fill=fill, method=method)
    assert a.cost == vw.CostModel(**model).cost(a.shares, order, **book)
    penalties = (model["lambda_under"] + model["theta_queue"]) * a.underfill
    penalties += (model["lambda_over"] + model["theta_queue"]) * a.overfill
    reference = (book["mid"] or 0.0) * a.executed
    assert a.cost == pytest.approx(a.cash - reference + penalties, abs=1e-6)
    assert a.executed == a.taken.sum() == order - a.underfill + a.overfill


@settings(max_examples=150, deadline=None)
@given(problems(levels_max=1), st.sampled_from(["exact_fill", "free"]))
def test_exact_never_costs_more_than_a_hundred_share_grid(
    problem: tuple[int, dict[str, Any], dict[str, Any]], fill: Any
) -> None:
    order, book, model = problem
    order -= order % 100
    book = {name: value[:4] if isinstance(value, list) else value for name, value in book.items()}
    exact = vw.allocate(order, **book, **model, fill=fill)
    grid = vw.allocate(order, **book, **model, fill=fill, method="exhaustive", step=100)
    assert exact.cost <= grid.cost + 1e-6


@settings(max_examples=100, deadline=None)
@given(problems(), st.sampled_from(["exact_fill", "free"]), st.randoms(use_true_random=False))
def test_permuted_venues_permute_the_answer(
    problem: tuple[int, dict[str, Any], dict[str, Any]], fill: Any, random: Any
) -> None:
    order, book, model = problem
    venues = range(len(book["fee"]))
    # Fees and rebates told apart by odd amounts, so that no two splits tie.
    book["fee"] = [fee + 1e-5 * np.sqrt(k + 2) for k, fee in zip(venues, book["fee"], strict=True)]
    book["rebate"] = [r + 1e-5 * np.sqrt(k + 11) for k, r in zip(venues, book["rebate"], strict=True)]
    moved = list(venues)
    random.shuffle(moved)
    other: dict[str, Any] = {
        name: [v[k] for k in moved] if isinstance(v, list) else v for name, v in book.items()
    }
    here = vw.allocate(order, **book, **model, fill=fill)
    there = vw.allocate(order, **other, **model, fill=fill)
    assert there.cost == pytest.approx(here.cost, abs=1e-6)
    assert there.shares.tolist() == here.shares[moved].tolist()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 900), st.integers(0, 2**32 - 1), st.sampled_from(["exact_fill", "free"]))
def test_sell_is_the_mirror_image_of_buy(order: int, seed: int, fill: Any) -> None:
    rng = np.random.default_rng(seed)
    book: dict[str, Any] = {
        "ask": 128.0 + np.sort(rng.permuted(np.tile(np.arange(8), (4, 1)), axis=1)[:, :2], axis=1) / 64,
        "ask_size": rng.integers(0, 300, (4, 2)),
        "fee": rng.integers(-2, 3, 4) / 128,
        "rebate": rng.integers(-2, 5, 4) / 128,
        "mid": 127.96875,
    }
    model: dict[str, Any] = {"lambda_over": 0.25, "lambda_under": 0.125, "theta_queue": 0.0625}
    buy = vw.allocate(order, **book, **model, fill=fill)
    sell = vw.allocate(order, **mirrored(book), **model, fill=fill)
    assert sell.shares.tolist() == buy.shares.tolist()
    assert sell.cost == buy.cost
    assert sell.cash == 256.0 * sell.executed - buy.cash


def test_seller_receives_price_less_fee() -> None:
    a = vw.allocate(100, bid=[10.0], bid_size=[200], fee=0.25, rebate=0.0, **MODEL, mid=10.5)
    assert (a.cash, a.cost) == (975.0, 75.0)


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 64), st.sampled_from(["exact_fill", "free"]))
def test_only_the_sums_with_theta_count(
    problem: tuple[int, dict[str, Any], dict[str, Any]], sixty_fourths: int, fill: Any
) -> None:
    order, book, _ = problem
    theta = sixty_fourths / 64
    here = vw.allocate(order, **book, lambda_over=0.25, lambda_under=0.5, theta_queue=1.0, fill=fill)
    there = vw.allocate(
        order, **book, lambda_over=1.25 - theta, lambda_under=1.5 - theta, theta_queue=theta, fill=fill
    )
    assert there.shares.tolist() == here.shares.tolist()
    assert there.cost == here.cost


def test_reference_price_only_shifts_the_cost_of_a_full_fill() -> None:
    without = vw.allocate(1_200, **BOOK, lambda_over=0.4, lambda_under=200.0, theta_queue=0.3)
    against_mid = vw.allocate(1_200, **BOOK, lambda_over=0.4, lambda_under=200.0, theta_queue=0.3, mid=100.0)
    assert without.shares.tolist() == against_mid.shares.tolist()
    assert without.cost - against_mid.cost == pytest.approx(1_200 * 100.0)


def test_with_no_reference_price_leaving_shares_open_is_what_pays() -> None:
    a = vw.allocate(1_200, **BOOK, **MODEL, fill="free")
    assert a.executed == 0


@settings(max_examples=60, deadline=None)
@given(problems(levels_max=1), st.sampled_from([100, 150, 37]))
def test_brute_force_answers_as_the_earlier_search_does(
    problem: tuple[int, dict[str, Any], dict[str, Any]], step: int
) -> None:
    order, book, model = problem
    book = {name: value[:3] if isinstance(value, list) else None for name, value in book.items()}
    order = min(order, 12 * step)
    venues = [
        Venue(ask[0], size[0], fee, rebate)
        for ask, size, fee, rebate in zip(
            book["ask"], book["ask_size"], book["fee"], book["rebate"], strict=True
        )
    ]
    split, cost = earlier_allocate(order, venues, **model, step=step)
    a = vw.allocate(order, **book, **model, method="brute_force", step=step)
    assert a.cost == pytest.approx(cost, abs=1e-6)
    assert a.executed == sum(split)


def test_brute_force_sends_the_most_it_can_where_no_split_fills_the_order() -> None:
    a = vw.allocate(5_000, **BOOK, **MODEL, method="brute_force", step=100)
    assert a.shares.tolist() == [400, 300, 800]
    b = vw.allocate(450, **BOOK, **MODEL, method="brute_force", step=100)
    assert (b.shares.sum(), b.underfill) == (400, 50)


def test_many_books_get_the_answers_of_one_at_a_time() -> None:
    rng = np.random.default_rng(2)
    ask = np.round(100 + rng.integers(0, 9, (200, 5, 1)) / 100 + np.arange(3) / 100, 2)
    size = rng.integers(0, 400, (200, 5, 3))
    orders = rng.integers(0, 4_000, 200)
    many = vw.allocate_many(orders, ask=ask, ask_size=size, fee=0.003, rebate=0.002, **MODEL, mid=99.995)
    for i in range(200):
        one = vw.allocate(
            int(orders[i]), ask=ask[i], ask_size=size[i], fee=0.003, rebate=0.002, **MODEL, mid=99.995
        )
        assert one.shares.tolist() == many.shares[i].tolist()
        assert (one.cost, one.cash, one.executed) == (many.cost[i], many.cash[i], many.executed[i])
        assert (one.underfill, one.overfill) == (many.underfill[i], many.overfill[i])


def test_arrays_of_any_kind_give_the_same_answer() -> None:
    ready: dict[str, Any] = {name: np.array(v, np.float64) for name, v in BOOK.items() if name == "ask"}
    ready |= {"ask_size": np.array([400, 300, 800]), "fee": np.full(3, 0.003), "rebate": np.full(3, 0.002)}
    frozen = ready["ask"].copy()
    frozen.setflags(write=False)
    expected = vw.allocate(900, **ready, **MODEL)
    changes: tuple[dict[str, Any], ...] = (
        {"ask_size": ready["ask_size"].astype(np.int32)},
        {"ask_size": ready["ask_size"].astype(float)},
        {"ask": frozen},
        {"ask": np.repeat(ready["ask"], 2)[::2]},
        {"fee": 0.003},
        {"rebate": (0.002, 0.002, 0.002)},
        {"ask": tuple(BOOK["ask"]), "ask_size": (400, 300, 800)},
        {"ask_size": [400.0, 300.0, 800.0]},
        {"ask": list(ready["ask"]), "ask_size": list(ready["ask_size"]), "fee": np.float64(0.003)},
        {"ask": ready["ask"].astype(object).tolist(), "fee": [0.003] * 3, "rebate": [0.002] * 3},
    )
    for change in changes:
        a = vw.allocate(900, **{**ready, **change}, **MODEL)
        assert a.shares.tolist() == expected.shares.tolist()
        assert a.cost == expected.cost


@settings(max_examples=100, deadline=None)
@given(problems(), st.sampled_from(["exact_fill", "free"]), st.sampled_from([list, tuple]), st.booleans())
def test_lists_give_the_answer_of_arrays(
    problem: tuple[int, dict[str, Any], dict[str, Any]], fill: Any, row: Any, whole_dollars: bool
) -> None:
    order, book, model = problem
    if whole_dollars:  # prices, fee and rebate as plain ints
        book |= {"ask": [list(range(100, 100 + len(row))) for row in book["ask"]], "fee": 0, "rebate": -1}
    venues = len(book["ask"])
    lists = {name: row(map(row, v)) if name.startswith("ask") else v for name, v in book.items()}
    here = vw.allocate(order, **lists, **model, fill=fill)
    arrays = {
        "ask": np.array(book["ask"], np.float64),
        "ask_size": np.array(book["ask_size"], np.int64),
        "fee": np.full(venues, book["fee"], np.float64),
        "rebate": np.full(venues, book["rebate"], np.float64),
        "mid": book["mid"],
    }
    there = vw.allocate(order, **arrays, **model, fill=fill)
    assert here.shares.tolist() == there.shares.tolist()
    assert here.taken.tolist() == there.taken.tolist()
    assert (here.cost, here.cash, here.executed, here.gap) == (
        there.cost,
        there.cash,
        there.executed,
        there.gap,
    )


@pytest.mark.parametrize("as_arrays", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order_size": -1}, "order_size: found shares out of range"),
        ({"order_size": 10.5}, "order_size: found 10.5; expected a whole number of shares"),
        ({"order_size": True}, "order_size: found True; expected a whole number"),
        ({"ask": [1.0, 2.0]}, r"ask_size: found shape \(3,\); expected \(2,\)"),
        ({"ask": [], "ask_size": []}, "with a venue at least"),
        ({"ask": 5.0, "ask_size": 5}, "ask: found shape"),
        ({"ask": [100.0, 0.0, 1.0]}, "venue 1: found a price that is none"),
        ({"ask": [100.0, 1.0, -1.0]}, "venue 2: found a price that is none"),
        ({"ask": [np.inf, 1.0, 1.0]}, "venue 0: found a price that is none"),
        ({"ask_size": [1, 2, -3]}, "venue 2: found a size out of range"),
        ({"ask_size": [1, 2, 2.5]}, "ask_size: found parts of shares"),
        ({"ask_size": [1, 2, 10**13]}, "ask_size: found parts of shares|venue 2: found a size out of range"),
        ({"ask": ["a", "b", "c"]}, "ask: found something else than numbers"),
        ({"ask": ["1", "2", "3"]}, "ask: found something else than numbers"),
        (
            {"ask": [[1.0, 2.0], [1.0], [1.0]], "ask_size": [[1, 2], [1], [1]]},
            "ask: found something else than numbers",
        ),
        ({"ask_size": 100}, r"ask_size: found shape \(\); expected \(3,\)"),
        ({"ask_size": [True, True, True]}, "ask_size: found something else than numbers"),
        ({"fee": True}, "fee: found something else than numbers"),
        ({"fee": "0.003"}, "fee: found something else than numbers"),
        ({"fee": 10**400}, "fee: found something else than numbers"),
        (
            {"rebate": [[0.1, 0.1, 0.1]]},
            r"rebate: found shape \(1, 3\); expected one number or 3, one a venue",
        ),
        ({"fee": [0.1, np.nan, 0.1]}, "venue 1: found a fee that is not finite"),
        ({"fee": [0.1, 0.1]}, r"fee: found shape \(2,\)"),
        ({"rebate": [0.1, 0.1, np.inf]}, "venue 2: found a rebate that is not finite"),
        ({"lambda_over": np.nan}, "lambda_over: found a number that is not finite"),
        ({"lambda_under": np.inf}, "lambda_under: found a number that is not finite"),
        ({"theta_queue": np.nan}, "theta_queue: found a number that is not finite"),
        ({"lambda_over": "much"}, "lambda_over: found 'much'; expected a number"),
        ({"mid": np.nan}, "mid: found"),
        ({"mid": -1.0}, "mid: found"),
        (
            {"ask": [[2.0, 1.0]], "ask_size": [[1, 1]], "fee": [0.0], "rebate": [0.0]},
            "venue 0: found levels out of order",
        ),
        ({"bid": [1.0] * 3, "bid_size": [1] * 3}, "quotes: found asks and bids"),
        ({"ask": None, "ask_size": None}, "quotes: found one of two"),
        ({"ask_size": None}, "quotes: found one of two"),
        (
            {"method": "magic"},
            "found 'magic', 'exact_fill'; expected one of exact, greedy, brute_force, exhaustive",
        ),
        ({"fill": "half"}, "and one of exact_fill, free"),
        ({"step": 100}, "step: found 100; expected 1"),
        ({"method": "brute_force", "step": 0}, "step: found"),
        ({"method": "brute_force", "fill": "free"}, "fill: found free; expected exact_fill"),
        ({"method": "exhaustive", "order_size": 10**9}, "splits to try"),
        ({"method": "exhaustive", "fill": "free", "order_size": 100_000}, r"1.0e\+15 splits to try"),
    ],
)
def test_nonsense_is_refused_in_one_line(change: dict[str, Any], message: str, as_arrays: bool) -> None:
    arguments: dict[str, Any] = {
        "order_size": 100,
        **BOOK,
        "fee": [0.003] * 3,
        "rebate": [0.002] * 3,
        **MODEL,
    }
    arguments |= change
    if as_arrays:
        arguments = {
            name: np.array(v) if isinstance(v, list) and not ragged(v) else v for name, v in arguments.items()
        }
    with pytest.raises(ConfigError, match=message) as refusal:
        vw.allocate(**arguments)
    assert "\n" not in str(refusal.value)


def test_many_books_name_the_one_that_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="book 1, venue 0: found a price that is none"):
        vw.allocate_many(10, ask=[[1.0], [-1.0]], ask_size=[[1], [1]], fee=0.0, rebate=0.0, **MODEL)


@pytest.mark.parametrize("split", [[1, 2], [-1, 0, 0], [0.5, 0, 0]])
def test_cost_refuses_a_split_that_does_not_fit_the_book(split: list[float]) -> None:
    with pytest.raises(ConfigError, match="shares: found"):
        vw.CostModel(**MODEL).cost(split, 10, **BOOK)
