"""Messages of orders: exact money, strict fields, and a reason for everything that cannot be read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.routing.orders import request, router, venues
from venuewise.kafka.processing import Incoming, Processor
from venuewise.messages import orders as messages
from venuewise.messages.market import Decoder
from venuewise.messages.names import MAX_SYMBOL
from venuewise.messages.orders import (
    CHILD_SCHEMA,
    FILL_SCHEMA,
    ORDER_SCHEMA,
    Fill,
    NewOrder,
    dollars,
    nano,
)

FILL = {"id": "f", "child": "a-1", "symbol": "TEST", "venue_id": 1, "shares": 5, "cumulative": 5, "done": False,
        "ts": 5, "price": 10.5}  # fmt: skip
CHILD = {"id": "a-1", "order": "a", "symbol": "TEST", "side": "buy", "venue_id": 1, "venue": "x", "quantity": 5,
         "limit_price": 10.5, "ts": 5, "row": 0}  # fmt: skip
ROLES: dict[str, tuple[dict[str, Any], str]] = {
    "orders": (msgspec.json.decode(request()), ORDER_SCHEMA),
    "fills": (FILL, FILL_SCHEMA),
    "children": (CHILD, CHILD_SCHEMA),
}


def reason(role: str, value: bytes | None, headers: Any = None) -> str:
    """Return why a message is put aside."""
    processor: Processor = venues() if role == "children" else router()
    done = processor.process(role, [Incoming(value, headers)])
    assert done.outputs == []
    (letter,) = done.dead
    assert letter.index == 0
    assert "\n" not in letter.reason
    return letter.reason


@given(st.integers(-(2**70), 2**70))
def test_money_survives_its_text(scaled: int) -> None:
    text = messages.encode([dollars(scaled)])
    back = msgspec.json.decode(text, type=list[Decimal])[0]
    assert back * 10**9 == scaled  # within the 28 digits that Decimal computes with


@given(st.integers(1, 2**63 - 1))
def test_prices_are_exact(scaled: int) -> None:
    order = messages.read_request.decode(request(limit_price=msgspec.Raw(str(dollars(scaled)).encode())))
    assert isinstance(order, NewOrder)
    assert order.limit_price is not None
    assert nano(order.limit_price, "limit_price") == scaled
    fill = Fill("f", "a-1", "TEST", 1, 5, 5, False, 5, dollars(scaled), fee=dollars(-(scaled // 2)))
    assert messages.read_fill.decode(messages.encode(fill)) == fill


@pytest.mark.parametrize("role", sorted(ROLES))
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "no value"),
        (b"", "not JSON"),
        (b"never JSON", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field"),
        (b"[" * 60_000, ""),
        (b'{"a":"' + b"x" * 70_000 + b'"}', "70008 bytes, more than 65536"),
    ],
)
def test_what_is_no_message_is_put_aside(role: str, value: bytes | None, expected: str) -> None:
    assert expected in reason(role, value)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_another_schema_is_put_aside_and_ones_own_is_read(role: str) -> None:
    good, schema = ROLES[role]
    value = msgspec.json.encode(good)
    assert f"unknown schema b'weather'; expected {schema}" in reason(role, value, [("schema", b"weather")])
    kinds: tuple[list[tuple[str, bytes | str | None]] | None, ...] = (
        None, [("schema", schema.encode())], [("schema", schema)], [("trace", None)],
    )  # fmt: skip
    for headers in kinds:
        if role != "fills":  # a fill of nothing that was sent is put aside, too
            processor: Processor = venues() if role == "children" else router()
            assert processor.process(role, [Incoming(value, headers)]).dead == []


JUNK: list[Any] = [None, True, -1, 2**63, 2**70, 1.5, "", "x" * 200, [], {}, "NaN", "1e5", "\n", "a b"]


@pytest.mark.parametrize("role", sorted(ROLES))
@settings(deadline=None)
@given(data=st.data())
def test_no_junk_in_any_field_gets_past_or_stops_anything(role: str, data: st.DataObject) -> None:
    good, schema = ROLES[role]
    fields = {**good, "start": None, "limit_price": 5} if role == "orders" else dict(good)
    name = data.draw(st.sampled_from(sorted(fields)))
    junk = data.draw(st.sampled_from(JUNK))
    decoder: Any = {
        "orders": messages.read_request, "fills": messages.read_fill, "children": messages.read_child
    }[role]  # fmt: skip
    read = messages.parse(decoder, msgspec.json.encode(fields | {name: junk}), None, schema)
    if not isinstance(read, str):  # it was no junk to this field: then it says what it said
        written = msgspec.json.decode(messages.encode(read))
        assert type(written[name]) is type(junk) or written[name] == pytest.approx(float(junk))
    processor: Processor = venues() if role == "children" else router()
    processor.process(role, [Incoming(msgspec.json.encode(fields | {name: junk}), None)])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"quantity": 0}, "at `$.quantity`"),
        ({"quantity": 1_000_000_001}, "at `$.quantity`"),
        ({"quantity": 10.5}, "at `$.quantity`"),
        ({"side": "hold"}, "at `$.side`"),
        ({"limit_price": 0}, "at `$.limit_price`"),
        ({"limit_price": -1}, "at `$.limit_price`"),
        ({"limit_price": 1e300}, "at `$.limit_price`"),
        ({"limit_price": "NaN"}, "at `$.limit_price`"),
        ({"limit_price": "0.0000000001"}, "at most 9 decimals - at `$.limit_price`"),
        ({"end": "tomorrow"}, "ISO 8601 in UTC - at `$.end`"),
        ({"end": 5_000_000_000_000_000_000}, "from 1970 to 2096 - at `$.end`"),
        ({"start": -1}, "at `$.start`"),
        ({"id": "with space"}, "at `$.id`"),
        ({"id": "line\n"}, "at `$.id`"),
        ({"limit": 10}, "unknown field `limit`"),
        ({"at_end": "pray"}, "at `$.at_end`"),
        ({"type": "buy"}, "at `$.type`"),
    ],
)
def test_a_bad_field_of_an_order_is_named(fields: dict[str, Any], expected: str) -> None:
    assert expected in reason("orders", request(**fields))


def test_a_replacement_of_nothing_is_put_aside() -> None:
    assert "Expected `quantity`, `limit_price` or both" in reason("orders", request("replace"))


@pytest.mark.parametrize("kind", ["new", "cancel", "replace"])
def test_a_request_without_a_symbol_in_it_is_put_aside(kind: str) -> None:
    rest = {"side": "buy", "quantity": 5, "end": 10**18} if kind == "new" else {}
    value = msgspec.json.encode({"type": kind, "id": "a", "symbol": "", **rest})
    assert "of length >= 1 - at `$.symbol`" in reason("orders", value)


@pytest.mark.parametrize(
    "number", ["1e9999999", "-1e9999999", "1e999999999999999999", "9" * 5000, "1e-9999999"]
)
@pytest.mark.parametrize(("role", "field"), [("orders", "limit_price"), ("fills", "price"), ("fills", "fee")])
def test_numbers_beyond_all_bounds_are_put_aside(role: str, field: str, number: str) -> None:
    fields, _ = ROLES[role]
    value = msgspec.json.encode(fields | {field: 7.5}).replace(b"7.5", number.encode())
    assert f"at `$.{field}`" in reason(role, value)


def test_a_symbol_is_bounded_in_market_data_as_in_orders() -> None:
    row = b'{"ts_event":1,"publisher_id":2,"symbol":"S","ask_px_00":1.5,"ask_sz_00":3}'
    decoder = Decoder(1)
    assert not decoder.decode([row.replace(b"S", b"S" * MAX_SYMBOL)]).poison
    (poison,) = decoder.decode([row.replace(b"S", b"S" * (MAX_SYMBOL + 1))]).poison
    assert "at `$.symbol`" in poison.reason
    assert "at `$.symbol`" in reason("orders", request(symbol="S" * (MAX_SYMBOL + 1)))
