"""Routers and venues of parent orders for tests, with no broker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from venuewise.data.events import UNDEFINED_PRICE, Events
from venuewise.kafka.processing import Incoming, Outgoing
from venuewise.market.venues import load_venues
from venuewise.messages.market import encode
from venuewise.routing.closed_loop import ClosedLoop
from venuewise.routing.parents import Parents, ParentsSettings
from venuewise.routing.strategy_names import StrategyBook
from venuewise.routing.venue_sim import VenueSim
from venuewise.simulation.state import Frictions

TABLE = load_venues()
PENALTIES = {"lambda_over": 0.01, "lambda_under": 0.005, "theta_queue": 0.002}


def router(**settings: Any) -> Parents:
    return Parents(ParentsSettings(**settings), TABLE, StrategyBook(PENALTIES))


def venues(seed: int = 0, max_age_ms: float | None = None, **frictions: Any) -> VenueSim:
    return VenueSim(Frictions(**frictions), TABLE, seed, max_age_ms)


def request(kind: str = "new", **fields: Any) -> bytes:
    """Return a request; a new order unless told otherwise."""
    new = (
        {"symbol": "TEST", "side": "buy", "quantity": 100, "end": 2**61}
        if kind == "new"
        else {"symbol": "TEST"}
    )
    return msgspec.json.encode({"type": kind, "id": "a"} | new | fields)


def said(outputs: list[Outgoing], role: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(out.value) for out in outputs if out.role == role]


def incoming(*values: bytes) -> list[Incoming]:
    return [Incoming(value, None) for value in values]


def market(events: Events) -> list[Incoming]:
    """Return rows as messages; rows of test markets have no price of their own."""
    priceless = replace(events, price=np.full(len(events), UNDEFINED_PRICE, np.int64))
    return incoming(*encode(priceless))


def run_loop(loop: ClosedLoop, events: Events, *requests: bytes) -> list[Outgoing]:
    """Play requests and then rows to their end."""
    outputs, dead = loop.request(requests)
    assert not dead
    return [*outputs, *loop.play(events), *loop.close()]
