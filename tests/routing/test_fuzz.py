"""Whatever arrives, in whatever order: no processor fails, and one that starts anew from its state goes on the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.routing.orders import TABLE, router, venues
from venuewise.kafka.processing import Incoming, Processor
from venuewise.routing.whatif import WhatIf, WhatIfSettings

Arrival = tuple[str, Incoming]

PRICES = st.sampled_from([10, 10.5, 11, 9.999999999, 9223372036, 1e-9])
SIZES = st.sampled_from([0, 1, 100, 4_294_967_295])
TIMES = st.integers(0, 20) | st.sampled_from([2**62, 2**63 - 1, 3_900_000_000_000_000_000])
SYMBOLS = st.sampled_from(["A", "B|2", "", "é\x9b\u202e", "S" * 64])
VENUES = st.sampled_from([0, 2, 8, 65_535])
IDS = st.sampled_from(["a", "b", "a-1"])

ROWS = st.fixed_dictionaries(
    {"ts_event": TIMES, "publisher_id": VENUES, "symbol": SYMBOLS, "ask_px_00": PRICES, "ask_sz_00": SIZES},
    optional={
        "bid_px_00": PRICES, "bid_sz_00": SIZES, "ts_recv": TIMES, "sequence": TIMES, "depth": st.integers(0, 10),
        "action": st.sampled_from("ACMTFRN"), "side": st.sampled_from("ABN"), "ask_px_01": PRICES, "ask_sz_01": SIZES,
    },
)  # fmt: skip
NEW = st.fixed_dictionaries(
    {
        "type": st.just("new"), "id": IDS, "symbol": SYMBOLS, "side": st.sampled_from(["buy", "sell"]),
        "quantity": st.sampled_from([1, 150, 1_000_000_000]), "end": st.integers(0, 30) | st.just(2**61),
    },
    optional={
        "start": st.integers(0, 20), "limit_price": PRICES, "at_end": st.sampled_from(["sweep", "expire"]),
        "strategy": st.sampled_from(["best_ask", "twap", "vwap", "optimized", "none"]),
        "params": st.dictionaries(
            st.sampled_from(["slice_seconds", "lambda_over", "theta_queue", "x"]),
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            max_size=2,
        ),
    },
)  # fmt: skip
AMEND = st.fixed_dictionaries(
    {"type": st.sampled_from(["cancel", "replace"]), "id": IDS, "symbol": SYMBOLS},
    optional={"quantity": st.sampled_from([1, 100, 10**9]), "limit_price": PRICES},
)
CHILD_IDS = st.sampled_from(["a-1", "a-2", "a-3", "b-1", "a-1-1", "\x00"])
FILLS = st.fixed_dictionaries(
    {
        "id": st.text(min_size=1, max_size=5), "child": CHILD_IDS, "symbol": SYMBOLS, "venue_id": VENUES,
        "shares": st.sampled_from([0, 1, 100]), "cumulative": st.sampled_from([0, 1, 2, 100]), "done": st.booleans(),
        "ts": TIMES, "price": PRICES,
    },
    optional={"quote": PRICES, "fee": PRICES},
)  # fmt: skip
CHILDREN = st.fixed_dictionaries(
    {
        "id": CHILD_IDS, "order": IDS, "symbol": SYMBOLS, "side": st.sampled_from(["buy", "sell"]),
        "venue_id": VENUES, "venue": st.text(max_size=5), "quantity": st.sampled_from([1, 100, 10**9]),
        "limit_price": PRICES, "ts": TIMES, "row": TIMES,
    },
    optional={"sweep": st.booleans()},
)  # fmt: skip
BODIES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "market": ROWS,
    "orders": NEW | AMEND,
    "fills": FILLS,
    "children": CHILDREN,
}
HOSTILE = st.sampled_from(
    [
        b"1e9999999", b"-1e9999999", b"0e9999999", b"1e-9999999", b"NaN", b"null", b"-0", b"9" * 5_000, b"true",
        b'"sNaN"', b'"Infinity"', b'"\\ud800"', b'"\xff"', b'"\x00"', b'""', b"[]", b"{}", b"[" * 2_000, b"1e308",
        b'"' + b"S" * 65_000 + b'"', b'"2024-08-01T13:36:32.5Z"', b'"9999-12-31T23:59:59Z"', b"18446744073709551616",
    ]
)  # fmt: skip
HEADERS: st.SearchStrategy[Any] = st.none() | st.lists(
    st.tuples(
        st.sampled_from(["schema", "version", "synthetic", "source", "row", "é"]),
        st.none() | st.binary(max_size=8) | st.sampled_from([b"1", b"true", b"venuewise.market"]),
    ),
    max_size=3,
)


@st.composite
def arrival(draw: st.DrawFn, roles: tuple[str, ...]) -> Arrival:
    """Return a message: good, with a hostile value, cut, flipped, of another topic, junk, or a tombstone."""
    role = draw(st.sampled_from(roles))
    body = draw(BODIES[role])
    value: bytes | None = msgspec.json.encode(body)
    kind = draw(st.integers(0, 11))
    if kind == 0:
        name = draw(st.sampled_from(sorted(body)))
        other = msgspec.json.encode({key: item for key, item in body.items() if key != name})
        value = other[:-1] + b',"' + name.encode() + b'":' + draw(HOSTILE) + b"}"
    elif kind == 1:
        assert value is not None
        value = value[: draw(st.integers(0, len(value)))]
    elif kind == 2:
        assert value is not None
        at = draw(st.integers(0, len(value) - 1))
        value = value[:at] + bytes([draw(st.integers(0, 255))]) + value[at + 1 :]
    elif kind == 3:
        value = draw(st.none() | st.binary(max_size=40))
    elif kind == 4:
        value = msgspec.json.encode(draw(BODIES[draw(st.sampled_from(sorted(BODIES)))]))
    return role, Incoming(value, draw(HEADERS) if kind < 6 else None)


class Told:
    """A processor, what it said, and its state as a changelog would have it."""

    def __init__(self, make: Callable[[], Processor]) -> None:
        self.make, self.processor = make, make()
        self.said: list[tuple[str, bytes, bytes]] = []
        self.dead: list[str] = []
        self.kept: dict[bytes, bytes] = {}

    def give(self, role: str, messages: list[Incoming]) -> None:
        done = self.processor.process(role, messages)
        self.said += [(out.role, out.key, out.value) for out in done.outputs]
        self.dead += [letter.reason for letter in done.dead]
        for key, value in self.processor.changes():
            self.kept.pop(key, None)
            if value is not None:
                self.kept[key] = value

    def start_anew(self) -> None:
        self.processor = self.make()
        self.processor.restore(list(self.kept.items()))


MAKE: dict[str, tuple[Callable[[], Processor], tuple[str, ...]]] = {
    "what-if": (lambda: WhatIf(WhatIfSettings(levels=2, interval_ms=1e-5), TABLE), ("market",)),
    "what-if of the sellers": (
        lambda: WhatIf(WhatIfSettings(side="sell", algorithm="twap"), TABLE),
        ("market",),
    ),
    "parents": (router, ("market", "orders", "fills")),
    "venues": (lambda: venues(seed=3, latency_ms=1e-5, adverse_probability=0.5), ("market", "children")),
}


@pytest.mark.parametrize("name", sorted(MAKE))
def test_whatever_arrives_no_processor_fails_and_its_state_is_all_it_needs(name: str) -> None:
    make, roles = MAKE[name]

    @given(st.lists(st.tuples(arrival(roles), st.booleans()), max_size=20), st.data())
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(arrivals: list[tuple[Arrival, bool]], data: st.DataObject) -> None:
        one_by_one, in_batches = Told(make), Told(make)
        for (role, message), anew in arrivals:
            one_by_one.give(role, [message])
            if anew:
                one_by_one.start_anew()
        rest = [item for item, _ in arrivals]
        while rest:
            size = data.draw(st.integers(1, len(rest)))
            role = rest[0][0]
            batch = [message for at, message in rest[:size] if at == role]
            size = next((i for i, (at, _) in enumerate(rest[:size]) if at != role), size)
            in_batches.give(role, batch[:size])
            rest = rest[size:]
        assert one_by_one.said == in_batches.said
        assert one_by_one.dead == in_batches.dead

    check()
