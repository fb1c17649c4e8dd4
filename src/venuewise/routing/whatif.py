"""The what-if router: at every update, how would an order of a fixed size be split right now?

Every row of market data yields exactly one message: a decision, or a refusal with its reason. The decision is
the static model's (or a built-in strategy's), measured against the mid; nothing is sent to a venue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import msgspec
import numpy as np

from venuewise.allocation.optimum import EXACT_FILL, GREEDY_EXACT_FILL
from venuewise.data.events import Events
from venuewise.errors import ConfigError
from venuewise.kafka.processing import DeadLetter, Incoming, Outgoing, Processed
from venuewise.market.book import NO_AGE_LIMIT, shown, sign_of
from venuewise.market.venues import Venue, VenueTable, fees
from venuewise.messages.market import SYNTHETIC_HEADER, Decoder, encode, joined_text
from venuewise.routing.decision_json import ROOM, VENUE_ROOM, Texts, write_decisions
from venuewise.routing.whatif_books import (
    DECIDED,
    MODEL,
    Books,
    Decisions,
    Plan,
    Rows,
    decide_rows,
    no_decisions,
    room_for,
)
from venuewise.routing.whatif_strategy import ask_at_rows
from venuewise.strategies import BestAsk, BuiltIn, Static, Strategy, Twap, Vwap
from venuewise.strategies.kernels import PARAMETERS

Algorithm = Literal["exact", "greedy", "best_ask", "twap", "vwap", "optimized"]
ALGORITHMS: Final = get_args(Algorithm)

_CLOCK: Final = b"clock|"
_LONGEST_NUMBER: Final = 20


@dataclass(frozen=True, slots=True)
class WhatIfSettings:
    """What is decided at each update.

    Attributes
    ----------
    order_size : int
        Shares.
    side : {"buy", "sell"}
    algorithm : {"exact", "greedy", "best_ask", "twap", "vwap", "optimized"}
        The static model's optimum or its greedy approximation, or what a built-in strategy would send at once.
    strategy : Strategy, optional
        A strategy of the user's own, which decides instead.
    horizon_s : float
        Seconds that the order would have: what TWAP's slices and a strategy's `order.end` come from.
    lambda_over, lambda_under, theta_queue : float
        Penalties in dollars a share.
    levels : int
        Levels of each venue's book that may be taken.
    interval_ms : float
        Least time between two decisions for a symbol; 0 decides at every update.
    max_age_ms : float or None
        A venue silent for longer takes no part.
    """

    order_size: int = 5000
    side: Literal["buy", "sell"] = "buy"
    algorithm: Algorithm = "exact"
    strategy: Strategy | None = None
    horizon_s: float = 540.0
    lambda_over: float = 0.01
    lambda_under: float = 0.005
    theta_queue: float = 0.002
    levels: int = 1
    interval_ms: float = 0.0
    max_age_ms: float | None = None

    @property
    def name(self) -> str:
        """What decides, as the decisions name it."""
        return self.algorithm if self.strategy is None else self.strategy.name

    def plan(self) -> Plan:
        """Return the same in the units of the kernels."""
        if self.algorithm not in ALGORITHMS:
            raise ConfigError(f"algorithm: found {self.algorithm!r}; expected one of {', '.join(ALGORITHMS)}")
        if self.strategy is not None and self.name in ALGORITHMS:
            raise ConfigError(f"strategy: found the name {self.name!r}; expected one that is not built in")
        penalties = (self.lambda_over, self.lambda_under, self.theta_queue)
        built_in: dict[str, BuiltIn] = {
            "best_ask": BestAsk(),
            "twap": Twap(),
            "vwap": Vwap(),
            "optimized": Static("optimized", *penalties),
        }
        strategy = built_in.get(self.algorithm)
        return Plan(
            order_size=self.order_size,
            kind=MODEL if strategy is None else strategy.kind,
            problem=GREEDY_EXACT_FILL if self.algorithm == "greedy" else EXACT_FILL,
            penalties=np.array(penalties),
            parameters=np.zeros(PARAMETERS) if strategy is None else strategy.parameters,
            depth=self.levels,
            horizon=round(self.horizon_s * 1e9),
            interval=round(self.interval_ms * 1e6),
            max_age=NO_AGE_LIMIT if self.max_age_ms is None else round(self.max_age_ms * 1e6),
            sign=sign_of(self.side),
        )


class WhatIf:
    """Processor of one partition of market data; see `venuewise.kafka.processing`."""

    def __init__(self, settings: WhatIfSettings, table: VenueTable) -> None:
        self.settings, self.table = settings, table
        self.plan = settings.plan()
        self.decoder = Decoder(settings.levels)
        self.books = Books(settings.levels)
        self._venues: tuple[Venue, ...] = ()
        self._changed: dict[bytes, bytes | None] = {}

    def process(self, role: str, messages: Sequence[Incoming]) -> Processed:
        """Decide at every message that can be read; name those that cannot."""
        if role != "market":
            raise ValueError(f"a what-if router reads market data, not {role}")
        batch = self.decoder.decode([m.value for m in messages], [m.headers for m in messages])
        synthetic = [_is_synthetic(messages[row]) for row in batch.rows.tolist()]
        decided = self.route(batch.events, synthetic)
        if len(batch.events):
            decided.counts["ts_recv"] = float(batch.events.ts_recv[-1])
        dead = [DeadLetter(poison.index, poison.reason) for poison in batch.poison]
        return Processed(decided.outputs, dead, decided.counts)

    def route(self, batch: Events, synthetic: Sequence[bool] | bool) -> Processed:
        """Decide at every row of a batch, in order."""
        if not len(batch):
            return Processed([], [], {})
        joined, first = self.books.join(batch)
        if len(self._venues) != len(self.books.publishers):
            self._venues = self.table.resolve(self.books.publishers)
        decisions, reasons = self._decide(joined, first)
        came = self.books.keep(joined, first)
        for row, value in enumerate(encode(came)):
            symbol = came.symbols[came.symbol[row]]
            self._changed[f"book|{symbol}|{came.publishers[came.venue[row]]}".encode()] = value
        if self.plan.interval:
            for code in np.unique(joined.symbol[first:]).tolist():
                at = str(int(self.books.decided_at[code])).encode()
                self._changed[_CLOCK + self.books.symbols[code].encode()] = at
        flags = [synthetic] * len(batch) if isinstance(synthetic, bool) else synthetic
        outputs = self._outputs(joined, first, decisions, reasons, flags)
        return Processed(outputs, [], self._counts(decisions))

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """Return the venues' last rows that changed since the last call."""
        changed, self._changed = list(self._changed.items()), {}
        return changed

    def restore(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Take over the venues' last rows."""
        rows = [value for key, value in entries if not key.startswith(_CLOCK)]
        if rows:
            saved = self.decoder.decode(rows)
            if saved.poison:
                raise ConfigError(
                    f"saved state: found {saved.poison[0].reason}; expected that of a what-if: another group"
                )
            joined, first = self.books.join(saved.events)
            for row in range(first, len(joined)):
                self.books.row_of[joined.symbol[row], joined.venue[row]] = row
                far_sz = joined.bid_sz if self.plan.sign > 0 else joined.ask_sz
                self.books.far_seen[joined.symbol[row]] |= far_sz[row, 0] > 0
            self.books.keep(joined, first)
        for key, value in entries:
            if key.startswith(_CLOCK):
                symbol = key.removeprefix(_CLOCK).decode()
                self.books.decided_at[self.books.symbols.index(symbol)] = int(value)

    def _decide(self, joined: Events, first: int) -> tuple[Decisions, list[str]]:
        """Decide at each row; return also what was wrong with a strategy of the user's own."""
        buy = self.plan.sign > 0
        asks, bids = (joined.ask_px, joined.ask_sz), (joined.bid_px, joined.bid_sz)
        (take_px, take_sz), far = (asks, bids) if buy else (bids, asks)
        rows = Rows(
            ts=np.ascontiguousarray(joined.ts),
            symbol=joined.symbol.astype(np.int64),
            venue=joined.venue.astype(np.int64),
            take_px=np.ascontiguousarray(take_px),
            take_sz=np.ascontiguousarray(take_sz),
            far_px=shown(*far),
        )
        taker_fee, rebate = fees(self._venues)
        venues = len(self._venues)
        decisions = no_decisions(len(joined) - first, venues)
        books, own = self.books, self.settings.strategy
        if own is not None:
            return decisions, ask_at_rows(
                own, rows, books.row_of, books.decided_at, books.far_seen, first, self.plan, taker_fee, rebate,
                decisions,
            )  # fmt: skip
        decide_rows(
            rows, books.row_of, books.decided_at, books.far_seen, first, self.plan, taker_fee, rebate,
            room_for(venues, self.plan.depth), decisions,
        )  # fmt: skip
        return decisions, []

    def _outputs(
        self,
        joined: Events,
        first: int,
        decisions: Decisions,
        reasons: Sequence[str],
        synthetic: Sequence[bool],
    ) -> list[Outgoing]:
        ts, symbol = joined.ts[first:], joined.symbol[first:].astype(np.int64)
        texts = self._texts(joined.symbols, reasons)
        longest = int(np.diff(texts.symbol_ends, prepend=0).max())
        room = ROOM + len(texts.common) + longest + len(texts.before) + len(texts.after)
        room += len(self._venues) * (VENUE_ROOM + _LONGEST_NUMBER)
        buffer = np.empty(len(ts) * room, np.uint8)
        flags = np.asarray(synthetic, np.uint8)
        ends = write_decisions(
            np.ascontiguousarray(ts), symbol, flags, decisions, self.settings.order_size, self.plan.sign, texts,
            buffer,
        ).tolist()  # fmt: skip
        text = buffer[: ends[-1]].tobytes()
        keys = [name.encode() for name in joined.symbols]
        return [
            Outgoing("decisions", keys[code], text[start:end])
            for code, start, end in zip(symbol.tolist(), [0, *ends[:-1]], ends, strict=True)
        ]

    def _texts(self, symbols: Sequence[str], reasons: Sequence[str]) -> Texts:
        """Return what is the same in all messages, as text."""
        settings = self.settings
        buy = settings.side == "buy"
        price, size = ("ask", "ask_size") if buy else ("bid", "bid_size")
        before = [
            f'{{"venue_id":{publisher},"venue":{_json(venue.name)},"{price}":'
            for publisher, venue in zip(self.books.publishers, self._venues, strict=True)
        ]
        after = [
            f',"fee":{_json(v.taker_fee_dollars)},"rebate":{_json(v.maker_rebate_dollars)},"allocation":'
            for v in self._venues
        ]
        about = {"order_size": settings.order_size, "side": settings.side, "algorithm": settings.name}
        near, far = ("an ask", "a bid") if buy else ("a bid", "an ask")
        common = [
            '{"symbol":', ',"timestamp":"', '",' + _json(about)[1:-1], ',"mid":', ',"allocation":[',
            '],"total_cost":', ',"execution_summary":{"total_executed":', ',"underfill":', ',"overfill":',
            ',"cash_spent":', ',"fill_rate":', '},"venues":[', f',"{size}":', ',"synthetic":false}',
            ',"synthetic":true}', f',"refused":"no venue shows {near} that can be taken"',
            ',"refused":"waiting for the next interval"',
            f',"refused":"no venue shows {far}: there is no mid to measure against"',
            *(f',"refused":{_json(reason)}' for reason in reasons),
        ]  # fmt: skip
        names = [_json(symbol) for symbol in symbols]
        return Texts(*joined_text(common), *joined_text(names), *joined_text(before), *joined_text(after))

    def _counts(self, decisions: Decisions) -> dict[str, float]:
        decided = decisions.status == DECIDED
        filled = np.minimum(decisions.executed[decided], self.settings.order_size).sum()
        return {
            "rows": float(len(decided)),
            "decisions": float(np.count_nonzero(decided)),
            "refusals": float(np.count_nonzero(~decided)),
            "shares_wanted": float(np.count_nonzero(decided) * self.settings.order_size),
            "shares_filled": float(filled),
            "saved_dollars": float((decisions.best_ask_cost - decisions.cost)[decided].sum()),
        }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _is_synthetic(message: Incoming) -> bool:
    return message.headers is not None and SYNTHETIC_HEADER in message.headers
