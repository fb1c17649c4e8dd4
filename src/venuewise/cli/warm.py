"""`warm`: compile, once and ahead of time, what first uses would wait for.

Kernels are compiled for the types that they are called with, so this runs what users run, on seconds of made-up
market: `USES` is the one list of that. An installation, an image and `make setup` all end with it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Final

import typer

from venuewise.cli.app import app, print_json

_BOOK = """{"order_size": 500, "lambda_over": 0.05, "lambda_under": 0.05, "theta_queue": 0.01, "mid": 99.995,
 "venues": [{"venue": "XNAS", "ask": 100.01, "ask_size": 300, "fee": 0.003, "rebate": 0.002}]}"""
_ORDER = """{"order_size": 500, "lambda_under": 0.05, "lambda_over": 0.05, "theta": 0.0005, "half_spread": 0.02,
 "taker_fee": 0.003, "venues": [{"venue": "XNAS", "queue": 2000, "rebate": 0.002,
 "outflow": {"family": "poisson", "mean": 2200}}]}"""
_ORDER_ON_DATA = """{"order_size": 500, "lambda_under": 0.05, "lambda_over": 0.05,
 "outflow": {"file": "day.csv", "horizon": "1s"}}"""
_PARENT = """{"type": "new", "id": "A1", "symbol": "AAPL", "side": "buy", "quantity": 300,
 "end": "2024-10-21T14:00:03Z", "strategy": "twap", "params": {"slice_seconds": 1}}"""


def _market() -> None:
    _command("generate", "day.csv", "--duration", "4s")
    _command(
        "backtest",
        "day.csv",
        "--start",
        "every:1s",
        "--grid",
        "lambda_under=0.01,lambda_over=0.01,theta_queue=0",
    )
    _command("demo", "--out", "demo")


def _placement() -> None:
    Path("order.json").write_text(_ORDER)
    _command("place", "order.json")


def _data() -> None:
    _command("generate", "day.csv", "--duration", "4s")
    _command("inspect", "day.csv")
    Path("order.json").write_text(_ORDER_ON_DATA)
    _command("place", "order.json")


def _allocation() -> None:
    import venuewise as vw

    Path("book.json").write_text(_BOOK)
    _command("allocate", "book.json")
    vw.allocate(
        500, ask=[100.01, 100.0], ask_size=[300, 400], fee=[-0.002, 0.003], rebate=0.0,
        lambda_over=0.05, lambda_under=0.05, theta_queue=0.01, mid=99.995,
    )  # fmt: skip


def _routing() -> None:
    _command("generate", "day.csv", "--duration", "4s")
    for options in ((), ("--greedy-l2",)):
        _command("route", "--from", "day.csv", "--out", "decisions.jsonl", *options)


def _service() -> None:
    """Decide over messages and take up where another router stopped, as the service on Kafka does."""
    from venuewise.kafka.processing import Incoming
    from venuewise.market.venues import load_venues
    from venuewise.messages.market import encode
    from venuewise.routing.whatif import WhatIf, WhatIfSettings
    from venuewise.synthetic.generate import generate

    events = generate(venues=2, symbols=["AAPL", "MSFT"], duration="1s")
    messages = [Incoming(value, None) for value in encode(events)]
    for settings in (WhatIfSettings(), WhatIfSettings(algorithm="greedy", levels=10)):
        router = WhatIf(settings, load_venues())
        router.process("market", messages)
        saved = [(key, value) for key, value in router.changes() if value is not None]
        WhatIf(settings, load_venues()).restore(saved)


def _orders() -> None:
    _command("generate", "day.csv", "--duration", "4s")
    Path("orders.jsonl").write_text(" ".join(_PARENT.splitlines()))
    _command("route", "--from", "day.csv", "--orders-file", "orders.jsonl", "--out", "decisions.jsonl")


USES: Final[dict[str, Callable[[], None]]] = {
    "market and backtest": _market,
    "placement": _placement,
    "market data": _data,
    "allocation": _allocation,
}
"""What first uses run. Those which share many kernels stand apart, so that one finds what the other compiled."""

LIVE_USES: Final[dict[str, Callable[[], None]]] = {
    "routing": _routing,
    "parent orders": _orders,
    "router on Kafka": _service,
}
"""The same, of what needs the `kafka` extra."""


def _command(*arguments: str) -> None:
    app(list(arguments), standalone_mode=False)


def run(use: str) -> float:
    """Run one of the uses in a directory of its own, silently; return the seconds that it took."""
    import venuewise.cli  # noqa: F401  (registers the commands)

    began = time.monotonic()
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as directory, Path(os.devnull).open("w") as nowhere:
        os.chdir(directory)
        try:
            with redirect_stdout(nowhere), redirect_stderr(nowhere):
                (USES | LIVE_USES)[use]()
        finally:
            os.chdir(before)
    return time.monotonic() - began


@app.command()
def warm(
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes that compile. [default: 2, or 1 on one processor]")
    ] = None,
) -> None:
    """Compile the kernels that first uses wait for; after an installation, once. Print what was run as JSON."""
    began = time.monotonic()
    uses = [*USES, *(LIVE_USES if find_spec("confluent_kafka") else ())]
    # Kernels are shared through numba's cache on disk. More processes than two would compile the same ones twice.
    count = jobs or min(2, os.cpu_count() or 1)
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        started = {pool.submit(run, use): use for use in uses}
        for number, done in enumerate(as_completed(started), 1):
            typer.echo(f"{number} of {len(uses)} compiled: {started[done]}, {done.result():.1f} s", err=True)
    print_json({"compiled": uses, "seconds": round(time.monotonic() - began, 1)})
    sys.stdout.flush()
