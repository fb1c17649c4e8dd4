"""Router and venues in lock step over recorded data, with no broker: the whole loop as a dry run.

After each row the router decides, its child orders meet the venues, the fills go back, until both are silent; only then
do the venues take in the row. What arrives before the row in market time does so first, and so does the purchase at the
end of an order that ends before it. That is the order of events of a backtest, message by message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from venuewise.data.events import Events
from venuewise.kafka.processing import DeadLetter, Incoming, Outgoing, Processed
from venuewise.routing.parents import Parents
from venuewise.routing.venue_sim import VenueSim

IDLE_ROWS = 5_000


class ClosedLoop:
    """Drive a router and venues.

    Parameters
    ----------
    router : Parents
    venues : VenueSim
    """

    def __init__(self, router: Parents, venues: VenueSim) -> None:
        self.router, self.venues = router, venues

    def request(self, messages: Iterable[bytes]) -> tuple[list[Outgoing], list[DeadLetter]]:
        """Hand requests to the router; return all that follows, and which of them could not be read."""
        done = self.router.process("orders", [Incoming(message, None) for message in messages])
        return list(self._exchange(done)), done.dead

    def play(self, events: Events) -> Iterator[Outgoing]:
        """Play rows of market data, and yield all that follows, in order.

        While no order is open there is nothing to exchange, and rows go through in bulk.
        """
        self.router.foresee_sides(events)
        first, rows = 0, len(events)
        while first < rows:
            last = min(first + (1 if self.router.ledger.orders else IDLE_ROWS), rows)
            part = events.take(slice(first, last))
            yield from self._exchange(self.router.route(part, events.synthetic))
            yield from self._awaited(partial(self.venues.arrive_before, part))
            yield from self._exchange(self._answered(self.venues.route(part)))
            first = last

    def close(self) -> Iterator[Outgoing]:
        """End the data: every order comes to its end."""
        yield from self._exchange(self.router.close())
        yield from self._awaited(self.venues.close)

    def _awaited(self, arrive: Callable[[], Processed]) -> Iterator[Outgoing]:
        """Let child orders arrive until none is left: a fill may be answered with a sweep, which arrives as well."""
        while True:
            answered = self._answered(arrive())
            if not answered.outputs:
                return
            yield from self._exchange(answered)

    def _exchange(self, said: Processed) -> Iterator[Outgoing]:
        """Carry child orders to the venues and fills back until nothing more is said."""
        while True:
            yield from said.outputs
            children = _incoming(said.outputs, "children")
            if not children:
                return
            answered = self.venues.process("children", children)
            assert not answered.dead
            if not answered.outputs:
                return
            yield from answered.outputs
            said = self._book(answered)

    def _answered(self, fills: Processed) -> Processed:
        """Give fills to the router; return the fills and what the router says to them as one."""
        said = self._book(fills)
        return Processed([*fills.outputs, *said.outputs], [], {})

    def _book(self, fills: Processed) -> Processed:
        said = self.router.process("fills", _incoming(fills.outputs, "fills"))
        assert not said.dead
        return said


def _incoming(outputs: list[Outgoing], role: str) -> list[Incoming]:
    return [Incoming(out.value, list(out.headers)) for out in outputs if out.role == role]
