"""The life of a parent order: requests, fills, ends, and what is refused with which reason."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.markets import HOUR, START, events_of
from tests.routing.orders import PENALTIES, TABLE, incoming, market, request, router, run_loop, said, venues
from venuewise.data.events import Events
from venuewise.errors import ConfigError
from venuewise.kafka.processing import Processed
from venuewise.market.book import Quotes
from venuewise.routing import order_ledger
from venuewise.routing.closed_loop import ClosedLoop
from venuewise.routing.parents import Parents, ParentsSettings
from venuewise.routing.strategy_names import StrategyBook
from venuewise.routing.venue_sim import VenueSim
from venuewise.strategies import ChildOrder, ParentOrder


def steady(rows: int = 6, size: int = 40, gap: int = 1000) -> Events:
    """Return rows of one venue that shows `size` shares at 10.00, a bid at 9.99, and more at 10.05."""
    return events_of(
        [gap * i for i in range(rows)], [0] * rows,
        [[(1000, size + i % 2), (1005, 100)] for i in range(rows)], [[(999, size), (990, 50)]] * rows,
    )  # fmt: skip


def fill(child: str, shares: int, cumulative: int, **more: Any) -> bytes:
    about = {"id": f"{child}.f", "child": child, "symbol": "TEST", "venue_id": 1, "shares": shares,
             "cumulative": cumulative, "done": False, "ts": START, "price": 10.0, "fee": 0.01}  # fmt: skip
    return msgspec.json.encode(about | more)


def reports(done: Processed) -> list[dict[str, Any]]:
    return said(done.outputs, "reports")


def working(quantity: int = 100, **order: Any) -> Parents:
    """Return a router that has sent its first child order, a-1 of 40 shares."""
    them = router()
    them.process("orders", incoming(request(quantity=quantity, strategy="best_ask", **order)))
    done = them.route(steady(2), False)
    (child,) = said(done.outputs, "children")
    assert (child["id"], child["quantity"], child["limit_price"], child["venue_id"]) == ("a-1", 40, 10.0, 1)
    return them


def test_every_row_gets_one_message_that_says_what_was_sent_or_why_not() -> None:
    them = router()
    assert them.process("orders", incoming(request(strategy="best_ask", start=START + 2000))).dead == []
    rows = said(them.route(steady(4), False).outputs, "decisions")
    assert ["refused" in row for row in rows] == [True, True, True, False]
    assert rows[0]["refused"].startswith("first row")
    assert rows[3]["decided_at"] == rows[2]["timestamp"]
    (line,) = rows[3]["orders"]
    assert (line["open"], line["in_flight"], line["filled"], line["children"][0]["shares"]) == (60, 40, 0, 40)
    later = said(router().route(steady(2), True).outputs, "decisions")
    assert [row["refused"] for row in later] == ["no open order for TEST"] * 2
    assert later[0]["synthetic"]


def test_rows_of_one_time_are_one_update() -> None:
    them = router()
    them.process("orders", incoming(request(strategy="best_ask")))
    events = events_of([0, 0, 5], [0, 1, 0], [[(1000, 30)], [(999, 20)], [(1000, 30)]], [[(990, 1)]] * 3)
    done = them.route(events, False)
    assert [row.get("refused", "")[:17] for row in said(done.outputs, "decisions")] == [
        "first row of its ", "rows of one time ", "",
    ]  # fmt: skip
    (child,) = said(done.outputs, "children")
    assert (child["venue_id"], child["quantity"], child["ts"], child["row"]) == (2, 20, START, 1)


def test_shares_in_flight_are_spent() -> None:
    them = working(quantity=60)
    done = them.route(steady(6, size=500), False)
    assert sum(child["quantity"] for child in said(done.outputs, "children")) == 20


def test_what_a_venue_does_not_fill_is_open_again() -> None:
    them = working()
    done = them.process("fills", incoming(fill("a-1", 15, 15), fill("a-1", 0, 15, done=True)))
    assert done.dead == []
    assert (them.ledger.orders["a"].parent.filled, them.ledger.orders["a"].parent.open) == (15, 85)
    assert not them.ledger.children


def test_a_fill_is_applied_once() -> None:
    them = working()
    done = them.process("fills", incoming(fill("a-1", 15, 15), fill("a-1", 15, 15), fill("a-1", 5, 20)))
    assert [(d.index, d.reason) for d in done.dead] == [
        (1, "child order a-1: 15 shares are filled already: this fill is applied")
    ]
    assert them.ledger.orders["a"].parent.filled == 20
    assert int(them.ledger.orders["a"].parent.notional) == 200_000_000_000
    assert int(them.ledger.orders["a"].parent.fees) == 20_000_000


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (fill("a-9", 5, 5), "child order 'a-9' is unknown, or over"),
        (fill("a-1", 5, 9), "a fill before this one is missing"),
        (fill("a-1", 41, 41), "found 41 shares; 40 are on their way"),
        (fill("a-1", 5, 5, venue_id=2), "expected 'TEST' at venue 1"),
        (fill("a-1", 5, 5, symbol="OTHER"), "expected 'TEST' at venue 1"),
        (fill("a-1", 5, 5, price=None), "missing required field `price`"),
        (fill("a-1", 0, 0), "Expected shares, or `done`"),
        (fill("a-1", 5, 5, price=0), "at `$.price`"),
        (b"{}", "missing required field"),
    ],
)
def test_a_fill_that_cannot_be_is_put_aside_with_the_reason(message: bytes, reason: str) -> None:
    them = working()
    (dead,) = them.process("fills", incoming(message)).dead
    assert reason in dead.reason
    assert them.ledger.orders["a"].parent.filled == 0


def test_an_order_is_filled_and_reports_its_money() -> None:
    them = working(quantity=40)
    done = them.process(
        "fills", incoming(fill("a-1", 10, 10, price=9.5), fill("a-1", 30, 40, price=10.000000001, fee=-0.02))
    )
    (report,) = reports(done)
    assert report["status"] == "filled"
    assert report["number"] == 2
    assert (report["quantity"], report["filled"], report["open"], report["in_flight"]) == (40, 40, 0, 0)
    assert report["notional"] == 395.00000003
    assert report["fees"] == -0.01
    assert not them.ledger.orders


def test_a_cancelled_order_waits_for_what_is_on_its_way() -> None:
    them = working()
    assert reports(them.process("orders", incoming(request("cancel")))) == []
    assert said(them.route(steady(4), False).outputs, "children") == []
    (late,) = reports(them.process("orders", incoming(request("replace", quantity=50))))
    assert (late["status"], late["reason"]) == ("rejected", "too late: the order is being cancelled")
    (report,) = reports(them.process("fills", incoming(fill("a-1", 7, 7, done=True))))
    assert (report["status"], report["filled"], report["open"]) == ("cancelled", 7, 93)
    (again,) = reports(them.process("orders", incoming(request("cancel"))))
    assert (again["status"], again["reason"]) == ("rejected", "no such open order for TEST: cancelled")


def test_an_order_with_nothing_on_its_way_is_cancelled_at_once() -> None:
    them = router()
    done = them.process("orders", incoming(request(), request("cancel")))
    assert [report["status"] for report in reports(done)] == ["accepted", "cancelled"]


def test_a_replacement_changes_quantity_and_limit() -> None:
    them = working()
    (report,) = reports(them.process("orders", incoming(request("replace", quantity=70, limit_price=9.5))))
    assert (report["status"], report["quantity"], report["open"], report["in_flight"]) == (
        "replaced",
        70,
        30,
        40,
    )
    assert said(them.route(steady(4), False).outputs, "children") == []


def test_a_replacement_below_what_is_committed_is_rejected() -> None:
    them = working()
    them.process("fills", incoming(fill("a-1", 5, 5)))
    (report,) = reports(them.process("orders", incoming(request("replace", quantity=39))))
    assert (report["status"], report["request"]) == ("rejected", "replace")
    assert report["reason"] == "quantity: found 39; 40 shares are filled or in flight"
    (report,) = reports(them.process("orders", incoming(request("replace", quantity=40))))
    assert (report["status"], report["open"]) == ("replaced", 0)
    assert reports(them.process("fills", incoming(fill("a-1", 35, 40))))[0]["status"] == "filled"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"strategy": "magic"}, "strategy: found 'magic'; expected one of best_ask, twap, vwap, optimized"),
        ({"params": {"lambda": 1}}, "params: found 'lambda'; expected one of lambda_over"),
        ({"params": {"lambda_over": -1}}, "lambda_over: found -1"),
        ({"params": {"lambda_over": "a lot"}}, "lambda_over: found 'a lot'; expected a number of dollars"),
        ({"params": {"theta_queue": True}}, "theta_queue: found True; expected a number of dollars"),
        ({"strategy": "best_ask", "params": {"x": 1}}, "params: found 'x'; expected none"),
        ({"strategy": "twap", "params": {"slice_seconds": 0}}, "slice_seconds: found 0"),
        (
            {"strategy": "twap", "params": {"slice_seconds": "5"}},
            "slice_seconds: found '5'; expected a number",
        ),
        (
            {"strategy": "twap", "params": {"slice_seconds": 1e-9}},
            "slice_seconds: found 1e-09; the order's time is",
        ),
        ({"strategy": "pov", "params": {"participation": 2}}, "participation: found 2; expected a number"),
        ({"strategy": "pov", "params": {"router": "best"}}, "params: found 'router'; expected one of partic"),
        ({"strategy": "vwap_schedule", "params": {"volume": ["a"]}}, "volume: found 'a'; expected numbers"),
        ({"start": START + 9, "end": START + 8}, "start: found it after end"),
        ({"end": START - 1}, "which is past"),
    ],
)
def test_an_order_that_makes_no_sense_is_rejected_with_the_reason(
    fields: dict[str, Any], reason: str
) -> None:
    them = router()
    them.route(steady(3), False)
    (report,) = reports(them.process("orders", incoming(request(**fields))))
    assert (report["status"], report["number"], report["request"]) == ("rejected", 0, "new")
    assert reason in report["reason"]
    assert not them.ledger.orders


def test_an_id_is_used_once() -> None:
    them = router()
    done = them.process("orders", incoming(request(), request(), request("cancel"), request()))
    assert [report["reason"] for report in reports(done)] == [
        "", "duplicate id: a is open", "", "duplicate id: a is cancelled",
    ]  # fmt: skip


def test_closed_orders_are_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_ledger, "CLOSED_KEPT", 2)
    them = router()
    for name in "bcd":
        them.process("orders", incoming(request(id=name), request("cancel", id=name)))
    assert list(them.ledger.closed) == ["c", "d"]
    assert dict(them.changes())[b"closed|b"] is None


def test_an_order_for_an_unknown_symbol_waits_for_its_market() -> None:
    them = router()
    (report,) = reports(them.process("orders", incoming(request(symbol="LATER"))))
    assert (report["status"], report["ts"]) == ("accepted", None)
    assert said(them.route(steady(5), False).outputs, "children") == []
    assert "a" in them.ledger.orders
    assert [r["status"] for r in reports(them.close())] == ["expired"]


def test_the_limit_price_holds_for_decisions_and_for_the_sweep() -> None:
    for limit, filled in ((10.0, 41), (10.05, 141), (9.0, 0)):
        outputs = run_loop(
            ClosedLoop(router(), venues()), steady(3, gap=1),
            request(quantity=500, limit_price=limit, start=START + 1, end=START + 1, strategy="vwap"),
        )  # fmt: skip
        assert {child["limit_price"] for child in said(outputs, "children")} <= {10.0, 10.05}
        assert said(outputs, "reports")[-1]["filled"] == filled
        assert said(outputs, "reports")[-1]["status"] == "expired"


def test_at_its_end_an_order_expires_or_sweeps_as_asked() -> None:
    order: dict[str, Any] = {"quantity": 100, "strategy": "best_ask", "end": START}
    kept = run_loop(ClosedLoop(router(), venues()), steady(4), request(at_end="expire", **order))
    swept = run_loop(ClosedLoop(router(), venues()), steady(4), request(**order))
    assert (said(kept, "reports")[-1]["status"], said(kept, "reports")[-1]["open"]) == ("expired", 60)
    assert said(swept, "reports")[-1]["status"] == "filled"
    first, second = said(swept, "children")
    assert (first["sweep"], second["sweep"], second["quantity"], second["limit_price"]) == (
        False,
        True,
        60,
        10.05,
    )


def test_a_sweep_goes_elsewhere_when_a_venue_comes_short() -> None:
    events = events_of(
        [0, 1, 2], [0, 1, 0], [[(1000, 40)], [(1001, 50), (1002, 50)], [(1000, 40)]], [[(990, 1)]] * 3
    )
    them = router()
    them.process(
        "orders", incoming(request(quantity=80, strategy="best_ask", start=START + 1, end=START + 1))
    )
    done = them.route(events, False)
    assert [(c["venue_id"], c["quantity"]) for c in said(done.outputs, "children")] == [(1, 40)]
    done = them.process("fills", incoming(fill("a-1", 40, 40)))
    assert [(c["venue_id"], c["quantity"]) for c in said(done.outputs, "children")] == [(2, 40)]
    done = them.process("fills", incoming(fill("a-2", 10, 10, done=True, venue_id=2)))
    (report,) = reports(done)  # the first venue has nothing left, the second came short
    assert (report["status"], report["filled"], report["open"]) == ("expired", 50, 30)


def test_two_orders_do_not_take_the_same_shares() -> None:
    orders = [request(id=name, quantity=30, strategy="best_ask", end=START, at_end="expire") for name in "ab"]
    outputs = run_loop(ClosedLoop(router(), venues()), steady(3), *orders)
    assert [(child["order"], child["quantity"]) for child in said(outputs, "children")] == [
        ("a", 30),
        ("b", 10),
    ]
    assert sum(f["shares"] for f in said(outputs, "fills")) == 40


class Half:
    """Takes half of what the best venue shows."""

    name = "half"

    def __init__(self, most: int = 10) -> None:
        self.most = most

    def decide(self, quotes: Quotes, order: ParentOrder, now: int) -> list[ChildOrder]:
        if quotes.best is None:
            return []
        shares = min(int(quotes.size[quotes.best, 0]) // 2, order.open, self.most)
        return [ChildOrder(quotes.best, shares, int(quotes.price[quotes.best, 0]))]


class Faulty(Half):
    """Does what no strategy should."""

    def __init__(self, how: str) -> None:
        self.how = how

    def decide(self, quotes: Quotes, order: ParentOrder, now: int) -> list[Any]:
        if self.how == "raises":
            raise ZeroDivisionError
        wrong: dict[str, list[Any]] = {
            "sends too much": [ChildOrder(0, order.open + 1, 10**10)],
            "names no venue": [ChildOrder(7, 1, 10**10)],
            "names a venue twice": [ChildOrder(0, 1, 10**10)] * 2,
            "sends less than nothing": [ChildOrder(0, -1, 10**10)],
            "returns no orders": [None],
        }
        return wrong[self.how]


def test_a_strategy_of_ones_own_decides() -> None:
    them = Parents(ParentsSettings(), TABLE, StrategyBook(PENALTIES, ("half", Half)))
    order = request(quantity=50, strategy="half", params={"most": 7}, at_end="expire", end=START + 3000)
    outputs = run_loop(ClosedLoop(them, venues()), steady(5), order)
    assert [child["quantity"] for child in said(outputs, "children")] == [7, 7, 7, 7]


@pytest.mark.parametrize(
    "how", ["raises", "sends too much", "names no venue", "names a venue twice", "sends less than nothing",
            "returns no orders"]
)  # fmt: skip
def test_a_strategy_that_misbehaves_sends_nothing_and_the_row_says_why(how: str) -> None:
    them = Parents(ParentsSettings(), TABLE, StrategyBook(PENALTIES, ("half", Faulty)))
    them.process("orders", incoming(request(strategy="half", params={"how": how})))
    done = them.route(steady(3), False)
    assert said(done.outputs, "children") == []
    assert "strategy half" in said(done.outputs, "decisions")[1]["orders"][0]["note"]


def test_waiting_child_orders_meet_the_book_of_their_arrival() -> None:
    sim: VenueSim = venues(latency_ms=0.0015)  # 1,500 ns: between the second row and the third
    child = msgspec.json.encode(
        {"id": "a-1", "order": "a", "symbol": "TEST", "side": "buy", "venue_id": 1, "venue": "x", "quantity": 99,
         "limit_price": 10.0, "ts": START, "row": 0}
    )  # fmt: skip
    assert sim.process("children", incoming(child)).outputs == []
    assert "is here already" in sim.process("children", incoming(child)).dead[0].reason
    assert sim.process("market", market(steady(2))).outputs == []
    done = sim.process("market", market(steady(3).take(slice(2, 3))))
    (answer,) = said(done.outputs, "fills")
    assert (answer["shares"], answer["done"], answer["ts"]) == (41, True, START + 1500)


def test_a_child_order_that_comes_late_meets_the_newest_book() -> None:
    sim = venues()
    sim.route(steady(6))
    child = {"id": "a-1", "order": "a", "symbol": "TEST", "side": "sell", "venue_id": 1, "venue": "x",
             "quantity": 60, "limit_price": 9.9, "ts": START, "row": 0}  # fmt: skip
    answers = said(sim.process("children", incoming(msgspec.json.encode(child))).outputs, "fills")
    assert [(a["shares"], a["cumulative"], a["price"], a["done"]) for a in answers] == [
        (40, 40, 9.99, False), (20, 60, 9.9, True),
    ]  # fmt: skip
    elsewhere = msgspec.json.encode(child | {"id": "a-2", "venue_id": 77})
    (nothing,) = said(sim.process("children", incoming(elsewhere)).outputs, "fills")
    assert (nothing["shares"], nothing["done"], nothing["ts"]) == (0, True, START + 5000)


def test_the_state_of_another_service_is_refused() -> None:
    saved = router()
    saved.process("orders", incoming(request()))
    entries = [(key, value) for key, value in saved.changes() if value is not None]
    for service in (router(), venues()):
        with pytest.raises(ConfigError, match="another group"):
            service.restore([(b"clock|TEST", b"5")])
    with pytest.raises(ConfigError, match="another group"):
        venues().restore(entries)


def test_rejected_requests_leave_nothing_behind() -> None:
    them = router()
    them.process("orders", incoming(request("cancel", symbol="X1"), request(symbol="X2", strategy="magic")))
    assert not them.desks
    assert them.changes() == []


@pytest.mark.parametrize(("strategy", "sent"), [("optimized", []), ("best_ask", [0, 1, 2])])
def test_without_a_mid_what_needs_one_waits_and_says_so(strategy: str, sent: list[int]) -> None:
    # With a mid of 10.05, a share at 10.10 is dearer than waiting; without the bid there is no mid to tell.
    asks = [[(1010, 40 + i)] for i in range(4)]
    events = events_of([0, 1, 2, 3], [0] * 4, asks, [[(1000, 9)], [], [(1000, 9)], [(1000, 9)]])
    params = {"lambda_under": 0.02, "theta_queue": 0.0} if sent == [] else {}
    them = router()
    them.process("orders", incoming(request(quantity=1000, strategy=strategy, params=params)))
    outputs = them.route(events, False).outputs
    assert [child["ts"] - START for child in said(outputs, "children")] == sent
    notes = [line["note"] for row in said(outputs, "decisions") for line in row.get("orders", [])]
    assert notes == ["", "" if sent else "waiting for a mid: one side of the market is missing", ""]


def test_an_order_that_arrives_while_a_side_is_gone_waits_for_its_mid() -> None:
    events = events_of([0, 1, 2, 3], [0] * 4, [[(1002, 40)]] * 4, [[(1000, 9)], [], [(1000, 9)], []])
    them = router()
    them.process("orders", incoming(request(strategy="best_ask", start=START + 1)))
    them.route(events, False)
    parent = them.ledger.orders["a"].parent
    assert (parent.arrival_price, parent.open) == (10.01, 60)


def test_a_side_that_was_never_shown_is_not_waited_for() -> None:
    them = router()
    them.process("orders", incoming(request(strategy="optimized", params={"lambda_under": 0.02})))
    them.route(events_of([0, 1], [0, 0], [[(1002, 40)]] * 2), False)
    parent = them.ledger.orders["a"].parent
    assert (parent.arrival_price, parent.open) == (10.02, 60)


def test_router_and_venues_forget_their_books_over_the_night_and_after_a_restart_too() -> None:
    day = 24 * HOUR
    events = events_of(
        [0, 1, day, day + 1, day + 2], [0, 1, 0, 0, 0], [[(1000, 40)], [(990, 40)], *[[(1010, 40)]] * 3],
        [[(980, 9)]] * 5,
    )  # fmt: skip
    order = request(
        quantity=100, strategy="best_ask", start=START + day, end=START + day + 1, at_end="expire"
    )
    whole = run_loop(ClosedLoop(router(), venues()), events, order)
    assert [(c["venue_id"], c["limit_price"]) for c in said(whole, "children")] == [(1, 10.1)]
    for cut in range(1, 5):
        first, before = router(), venues()
        first.process("orders", incoming(order))
        first.route(events.take(slice(0, cut)), False)
        before.route(events.take(slice(0, cut)))
        second, after = router(), venues()
        second.restore([(key, value) for key, value in first.changes() if value is not None])
        after.restore([(key, value) for key, value in before.changes() if value is not None])
        outputs = [*ClosedLoop(second, after).play(events.take(slice(cut, None)))]
        if cut < 4:  # else the child order was sent before the restart
            assert said(outputs, "children") == said(whole, "children")
            assert said(outputs, "fills") == said(whole, "fills")


def test_a_child_order_of_the_session_before_meets_no_book() -> None:
    sim = venues()
    sim.route(events_of([0, 24 * HOUR], [0, 0], [[(1000, 40)]] * 2, [[(980, 9)]] * 2))
    child = {"id": "a-1", "order": "a", "symbol": "TEST", "side": "buy", "venue_id": 1, "venue": "x",
             "quantity": 60, "limit_price": 10.0, "ts": START, "row": 0}  # fmt: skip
    (late,) = said(sim.process("children", incoming(msgspec.json.encode(child))).outputs, "fills")
    assert (late["shares"], late["done"]) == (0, True)
