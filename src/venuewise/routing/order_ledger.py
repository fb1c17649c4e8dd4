"""The open orders of a partition, their child orders on their way, and what is still to be said and saved.

Everything that changes an order notes it here; after every batch each order noted is checked to the share, its state
entries are written, and the messages are handed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from venuewise.kafka.processing import DeadLetter, Outgoing, Processed
from venuewise.messages import orders as messages
from venuewise.routing.desk import Desk
from venuewise.routing.parent_state import Child, Parent, Working
from venuewise.routing.strategy_names import StrategyBook

CLOSED_KEPT: Final = 10_000
"""Closed orders of a partition whose ids are remembered, so that they are not used again."""
KINDS: Final = ("order", "child", "closed")
"""Kinds of state entries that belong to the ledger."""
HEADERS: Final = {
    "children": messages.headers_of(messages.CHILD_SCHEMA),
    "reports": messages.headers_of(messages.REPORT_SCHEMA),
}

_read_parent: Final = msgspec.json.Decoder(Parent).decode
_read_child: Final = msgspec.json.Decoder(Child).decode
_read_closed: Final = msgspec.json.Decoder(tuple[int, str]).decode


class Ledger:
    """Orders of one partition.

    Attributes
    ----------
    orders : dict of str to Working
        Open orders by id.
    children : dict of str to Working
        The parent of each child order on its way.
    closed : dict of str to str
        Final status of the last `CLOSED_KEPT` closed orders, oldest first.
    """

    def __init__(self) -> None:
        self.orders: dict[str, Working] = {}
        self.children: dict[str, Working] = {}
        self.closed: dict[str, str] = {}
        self.next_number = 0
        self._closings = 0
        self._outputs: list[Outgoing] = []
        self._counts: dict[str, float] = {}
        self._changed: dict[bytes, bytes | None] = {}
        self._touched: dict[str, Working] = {}
        self._touched_children: dict[str, Working] = {}

    def open(self, desk: Desk, working: Working) -> None:
        """Take in an order."""
        name = working.parent.order.id
        desk.orders[name] = self.orders[name] = working
        self.next_number = working.parent.number + 1

    def finish(self, desk: Desk, working: Working, status: Literal["filled", "expired", "cancelled"]) -> None:
        """Close an order: report it, and keep no more of it than its id."""
        name = working.parent.order.id
        self.touch(working)
        self.say("reports", desk.symbol, working.report(status, "", "", desk.clock))
        self.count(**{f"orders_{status}": 1})
        del desk.orders[name], self.orders[name]
        self._changed[f"order|{name}".encode()] = None
        self._changed[f"closed|{name}".encode()] = msgspec.json.encode((self._closings, status))
        self.closed[name] = status
        self._closings += 1
        if len(self.closed) > CLOSED_KEPT:
            oldest = next(iter(self.closed))
            del self.closed[oldest]
            self._changed[f"closed|{oldest}".encode()] = None

    def touch(self, working: Working, *children: str) -> None:
        """Note an order, and child orders of it, that changed."""
        self._touched[working.parent.order.id] = working
        self._touched_children.update(dict.fromkeys(children, working))

    def say(self, role: str, symbol: str, message: msgspec.Struct) -> None:
        """Add a message to what is to be sent."""
        headers = HEADERS.get(role, ())
        self._outputs.append(Outgoing(role, symbol.encode(), messages.encode(message), headers))

    def count(self, **counts: float) -> None:
        """Add to what happened in this batch."""
        for what, count in counts.items():
            self._counts[what] = self._counts.get(what, 0.0) + count

    def hand_over(self, dead: list[DeadLetter]) -> Processed:
        """Check the orders that changed, and hand over what was said of them.

        Raises
        ------
        AccountingError
            If an order's shares do not add up.
        """
        for name, working in self._touched.items():
            working.check()
            if name in self.orders:
                self._changed[f"order|{name}".encode()] = messages.encode(working.parent)
        for name, working in self._touched_children.items():
            child = working.children.get(name)
            self._changed[f"child|{name}".encode()] = None if child is None else messages.encode(child)
        self._touched.clear()
        self._touched_children.clear()
        outputs, self._outputs = self._outputs, []
        counts, self._counts = self._counts, {}
        return Processed(outputs, dead, counts)

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state entries that changed since the last call."""
        changed, self._changed = list(self._changed.items()), {}
        return changed

    def restore(
        self,
        entries: Mapping[str, Sequence[tuple[str, bytes]]],
        desk_of: Callable[[str], Desk],
        strategies: StrategyBook,
    ) -> None:
        """Take state entries back, by kind and name."""
        for parent in sorted((_read_parent(v) for _, v in entries["order"]), key=lambda p: p.number):
            order = parent.order
            self.open(desk_of(order.symbol), Working(parent, strategies.make(order.strategy, order.params)))
        children = [_read_child(value) for _, value in entries["child"]]
        for child in sorted(children, key=lambda c: int(c.order.id.rpartition("-")[2])):
            order_of = child.order
            working = self.children[order_of.id] = self.orders[order_of.order]
            working.children[order_of.id] = child
            desk_of(order_of.symbol).add_pending(order_of.side, order_of.venue_id, child.rest)
        for number, status, name in sorted((*_read_closed(v), name) for name, v in entries["closed"]):
            self.closed[name], self._closings = status, number + 1
