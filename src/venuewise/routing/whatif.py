"""The what-if router: at every update, how would an order of a fixed size be split right now?

Every row of market data yields exactly one message: a decision, or a refusal with its reason. The decision is
the static model's (or a built-in strategy's), measured against the mid; nothing is sent to a venue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from venuewise.allocation.optimum import EXACT_FILL, GREEDY_EXACT_FILL
from venuewise.data.events import Events, Int64, UInt8
from venuewise.errors import ConfigError
from venuewise.kafka.processing import DeadLetter, Incoming, Outgoing, Processed
from venuewise.market.book import NO_AGE_LIMIT, sign_of
from venuewise.market.venues import Venue, VenueTable, fees
from venuewise.messages.market import Decoder, joined_text
from venuewise.messages.names import Names
from venuewise.routing.decision_json import ROOM, VENUE_ROOM, Texts, write_decisions
from venuewise.routing.whatif_books import (
    SEEN,
    SEEN_AND_SAVED,
    Books,
    Rows,
    as_books_take_them,
    hear_all,
    rows_that_stand,
    unheard,
)
from venuewise.routing.whatif_decisions import (
    DECIDED,
    MODEL,
    Decisions,
    Plan,
    decide_rows,
    no_decisions,
    room_for,
)
from venuewise.routing.whatif_state import BOOK, CLOCK, FAR, BookWriter
from venuewise.routing.whatif_strategy import ask_at_rows
from venuewise.strategies import BestAsk, BuiltIn, Static, Strategy, Twap, Vwap
from venuewise.strategies.kernels import PARAMETERS

Algorithm = Literal["exact", "greedy", "best_ask", "twap", "vwap", "optimized"]
ALGORITHMS: Final = get_args(Algorithm)

_RESTORED_AT_ONCE: Final = 5_000


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
        self.books = Books(settings.levels, buy=self.plan.sign > 0)
        self._far_side = b"bid" if self.plan.sign > 0 else b"ask"
        self._fees = fees(())
        self._common = self._texts_of_all()
        self._venue_texts = (*joined_text(()), *joined_text(()))
        self._symbol_texts = Names()
        self._keys: list[bytes] = []
        self._writer = BookWriter(settings.levels)
        self._longest = 0
        self._changed: dict[bytes, bytes | None] = {}

    def process(self, role: str, messages: Sequence[Incoming]) -> Processed:
        """Decide at every message that can be read; name those that cannot."""
        if role != "market":
            raise ValueError(f"a what-if router reads market data, not {role}")
        batch = self.decoder.decode([m.value for m in messages], [m.headers for m in messages])
        decided = self.route(batch.events, batch.synthetic)
        if len(batch.events):
            decided.counts["ts_recv"] = float(batch.events.ts_recv[-1])
        dead = [DeadLetter(poison.index, poison.reason) for poison in batch.poison]
        return Processed(decided.outputs, dead, decided.counts)

    def route(self, batch: Events, synthetic: UInt8 | bool) -> Processed:
        """Decide at every row of a batch, in order."""
        if not len(batch):
            return Processed([], [], {})
        batch = as_books_take_them(batch, self.settings.levels)
        rows = self._rows_of(batch)
        decisions, reasons = self._decide(rows)
        self._note_changes(batch, rows, decisions.begins)
        flags = np.broadcast_to(np.asarray(synthetic, np.uint8), len(batch))
        outputs = self._outputs(rows, decisions, reasons, np.ascontiguousarray(flags))
        return Processed(outputs, [], self._counts(decisions))

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """Return the venues' last rows that changed since the last call."""
        changed, self._changed = list(self._changed.items()), {}
        return changed

    def restore(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Take over the venues' last rows, and what is known of symbols."""
        saved = [value for key, value in entries if key.startswith(BOOK)]
        for start in range(0, len(saved), _RESTORED_AT_ONCE):
            batch = self.decoder.decode(saved[start : start + _RESTORED_AT_ONCE])
            if batch.poison:
                raise ConfigError(
                    f"saved state: found {batch.poison[0].reason}; expected that of a what-if: another group"
                )
            rows = self._rows_of(batch.events)
            hear_all(self.books.pool, rows)
        for key, value in entries:
            kind, _, symbol = key.partition(b"|")
            if kind == CLOCK[:-1]:
                code = self.books.code_of(symbol.decode())
                self.books.pool.decided_at[code] = int(value)
            elif kind == FAR[:-1] and value == self._far_side:
                code = self.books.code_of(symbol.decode())
                self.books.pool.far_seen[code] = SEEN_AND_SAVED
        self._learn_names()

    def _rows_of(self, batch: Events) -> Rows:
        rows = self.books.rows_of(batch)
        self._learn_names()
        return rows

    def _learn_names(self) -> None:
        """Write down what decisions say of venues and symbols that are new."""
        books = self.books
        if len(self._fees[0]) != len(books.publishers):
            venues = self.table.resolve(books.publishers)
            self._fees = fees(venues)
            self._venue_texts = self._texts_of_venues(venues)
        for symbol in books.symbols.known()[len(self._keys) :]:
            text = _json(symbol)
            self._symbol_texts.code(text)
            self._longest = max(self._longest, len(text.encode()))
            self._keys.append(symbol.encode())

    def _decide(self, rows: Rows) -> tuple[Decisions, list[str]]:
        """Decide at each row; return also what was wrong with a strategy of the user's own."""
        pool, own = self.books.pool, self.settings.strategy
        venues = pool.venues[rows.symbol]
        most = int(venues.max())
        decisions = no_decisions(venues)
        taker_fee, rebate = self._fees
        if own is not None:
            return decisions, ask_at_rows(own, pool, rows, self.plan, taker_fee, rebate, most, decisions)
        decide_rows(pool, rows, self.plan, taker_fee, rebate, room_for(most, self.plan.depth), decisions)
        return decisions, []

    def _note_changes(self, batch: Events, rows: Rows, begins: npt.NDArray[np.bool_]) -> None:
        """Note what the batch left in the books."""
        books, keys, pool = self.books, self._keys, self.books.pool
        for code in np.unique(rows.symbol[begins]).tolist():
            for publisher in unheard(pool, code):
                self._changed[b"%b%b|%d" % (BOOK, keys[code], publisher)] = None
        for code in np.unique(rows.symbol[pool.far_seen[rows.symbol] == SEEN]).tolist():
            self._changed[FAR + keys[code]] = self._far_side
            pool.far_seen[code] = SEEN_AND_SAVED
        stand = rows_that_stand(pool, rows)
        self._changed.update(
            self._writer.write(
                batch,
                stand,
                rows.symbol,
                rows.publisher,
                books.symbols.table,
                self._symbol_texts.table,
                self._longest,
            )
        )
        if self.plan.interval:
            for code in np.unique(rows.symbol).tolist():
                self._changed[CLOCK + keys[code]] = b"%d" % pool.decided_at[code]

    def _outputs(
        self, rows: Rows, decisions: Decisions, reasons: Sequence[str], synthetic: UInt8
    ) -> list[Outgoing]:
        common, common_ends = self._common
        if reasons:
            common, common_ends = self._texts_of_all(reasons)
        symbols = self._symbol_texts.table
        before, before_ends, after, after_ends = self._venue_texts
        texts = Texts(common, common_ends, symbols.text, symbols.ends, before, before_ends, after, after_ends)
        room = len(rows.ts) * (ROOM + len(common) + self._longest)
        room += len(decisions.venue) * (
            VENUE_ROOM + int(np.diff(before_ends, prepend=0).max() + np.diff(after_ends, prepend=0).max())
        )
        buffer = np.empty(room, np.uint8)
        ends = write_decisions(
            rows.ts,
            rows.symbol,
            synthetic,
            decisions,
            self.settings.order_size,
            self.plan.sign,
            texts,
            buffer,
        ).tolist()
        text = buffer[: ends[-1]].tobytes()
        values = [text[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        keys = map(self._keys.__getitem__, rows.symbol.tolist())
        return list(map(Outgoing._make, zip(repeat("decisions"), keys, values, repeat(()))))

    def _texts_of_venues(self, venues: Sequence[Venue]) -> tuple[UInt8, Int64, UInt8, Int64]:
        """Return what decisions say of each venue, before its numbers and between them."""
        price = "ask" if self.settings.side == "buy" else "bid"
        before = [
            f'{{"venue_id":{publisher},"venue":{_json(venue.name)},"{price}":'
            for publisher, venue in zip(self.books.publishers, venues, strict=True)
        ]
        after = [
            f',"fee":{_json(v.taker_fee_dollars)},"rebate":{_json(v.maker_rebate_dollars)},"allocation":'
            for v in venues
        ]
        return *joined_text(before), *joined_text(after)

    def _texts_of_all(self, reasons: Sequence[str] = ()) -> tuple[UInt8, Int64]:
        """Return what is the same in all decisions, and the reasons of refusals."""
        settings = self.settings
        near, far, size = (
            ("an ask", "a bid", "ask_size") if settings.side == "buy" else ("a bid", "an ask", "bid_size")
        )
        about = {"order_size": settings.order_size, "side": settings.side, "algorithm": settings.name}
        return joined_text([
            '{"symbol":', ',"timestamp":"', '",' + _json(about)[1:-1], ',"mid":', ',"allocation":[',
            '],"total_cost":', ',"execution_summary":{"total_executed":', ',"underfill":', ',"overfill":',
            ',"cash_spent":', ',"fill_rate":', '},"venues":[', f',"{size}":', ',"synthetic":false}',
            ',"synthetic":true}', f',"refused":"no venue shows {near} that can be taken"',
            ',"refused":"waiting for the next interval"',
            f',"refused":"no venue shows {far}: there is no mid to measure against"',
            *(f',"refused":{_json(reason)}' for reason in reasons),
        ])  # fmt: skip

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
