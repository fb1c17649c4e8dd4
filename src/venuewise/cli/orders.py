"""`route --orders` and `venue-sim`: parent orders as a service, as a dry run, and the venues to try them on."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from venuewise.cli.app import app
from venuewise.cli.live import ConfigFile, PrintConfig, Servers, TopicName, load_settings, need_kafka
from venuewise.cli.serving import serve
from venuewise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from venuewise.kafka.settings import Settings
    from venuewise.routing.parents import Parents
    from venuewise.routing.venue_sim import VenueSim
    from venuewise.simulation.state import Frictions

ORDERS_GROUP = "venuewise-orders"
VENUES_GROUP = "venuewise-venues"


def group_of(settings: Settings, default: str) -> str:
    """Return the consumer group: what was set, or the one of this service."""
    return settings.group if "group" in settings.model_fields_set else default


def serve_orders(settings: Settings, *, show: bool, limit: int | None, idle_exit: float | None) -> None:
    """Work the parent orders of a topic, exactly once."""
    from venuewise.kafka.wiring import Wiring

    group = group_of(settings, ORDERS_GROUP)
    wiring = Wiring(
        inputs={
            "market": settings.topic, "orders": settings.orders_topic, "fills": settings.fills_topic,
        },
        outputs={
            "decisions": settings.out, "children": settings.children_topic, "reports": settings.reports_topic,
        },
        changelog=f"{group}.changelog",
        dead_letters=settings.dead_letters,
    )  # fmt: skip
    _rehearse(settings)
    serve(
        settings, wiring, _routers(settings), group=group, show=show, limit=limit, idle_exit=idle_exit,
        what=f"{settings.topic}, {settings.orders_topic} and {settings.fills_topic}",
    )  # fmt: skip


@app.command("venue-sim")
def venue_sim(
    topic: TopicName = None,
    children_topic: Annotated[str | None, typer.Option(help="Child orders. [sor.child_orders]")] = None,
    fills_topic: Annotated[str | None, typer.Option(help="Fills. [sor.fills]")] = None,
    latency_ms: Annotated[float | None, typer.Option(help="From decision to venue. [0]")] = None,
    queue_priority: Annotated[
        float | None, typer.Option(help="Share of the displayed size that fills. [1]")
    ] = None,
    slippage_bps: Annotated[float | None, typer.Option(help="Added to every price paid. [0]")] = None,
    adverse_probability: Annotated[
        float | None, typer.Option(help="Chance that a child order meets a worse market. [0]")
    ] = None,
    adverse_move_bps: Annotated[float | None, typer.Option(help="How much worse. [5]")] = None,
    adverse_left: Annotated[float | None, typer.Option(help="Share of the size left then. [0.8]")] = None,
    refill: Annotated[
        str | None,
        typer.Option(help="Shares taken come back when the quote changes (update) or never (added)."),
    ] = None,
    max_age_ms: Annotated[
        float | None, typer.Option(help="Venues silent for longer fill nothing; as for the router.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Draws the adverse moves. [0]")] = None,
    fees: Annotated[str | None, typer.Option(help="TOML file of venues and their fees.")] = None,
    group: Annotated[str | None, typer.Option(help="Instances of one group share the partitions.")] = None,
    instance: Annotated[str | None, typer.Option(help="Name in the group, kept over restarts.")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics, /healthz, /readyz.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the fills on stdout, too.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many messages.")] = None,
    idle_exit: Annotated[float | None, typer.Option(min=0, help="Stop after so many idle seconds.")] = None,
    config: ConfigFile = None,
    servers: Servers = None,
    print_config: PrintConfig = False,
) -> int:
    """Play the venues on Kafka: child orders in, fills out, by the rules of the backtest."""
    need_kafka()
    settings = load_settings(
        config, None, print_config=print_config, topic=topic, children_topic=children_topic,
        fills_topic=fills_topic, latency_ms=latency_ms, queue_priority=queue_priority,
        slippage_bps=slippage_bps, adverse_probability=adverse_probability, adverse_move_bps=adverse_move_bps,
        adverse_left=adverse_left, refill=refill, max_age_ms=max_age_ms, seed=seed, fees=fees, group=group,
        instance=instance, metrics_port=metrics_port, kafka_bootstrap_servers=servers,
    )  # fmt: skip
    from venuewise.kafka.wiring import Wiring

    group = group_of(settings, VENUES_GROUP)
    wiring = Wiring(
        inputs={"market": settings.topic, "children": settings.children_topic},
        outputs={"fills": settings.fills_topic},
        changelog=f"{group}.changelog",
        dead_letters=settings.dead_letters,
    )
    _rehearse(settings)
    serve(
        settings, wiring, _venues(settings), group=group, show=show, limit=limit, idle_exit=idle_exit,
        what=f"{settings.topic} and {settings.children_topic}",
    )  # fmt: skip
    return 0


def orders_over_files(
    settings: Settings, files: list[Path], requests: Path | None, out: Path | None, limit: int | None
) -> None:
    """Run router and venues in lock step over files: reports, child orders and fills on stdout, by lines.

    Raises
    ------
    ConfigError
        At the end, if requests could not be read: the others have been worked then.
    """
    from venuewise.data.reader import read
    from venuewise.files import read_bytes, whole_file
    from venuewise.routing.closed_loop import ClosedLoop

    if requests is None:
        raise ConfigError("--orders with --from: found no --orders-file; expected the requests to work")
    text = read_bytes(requests, "requests, one JSON object a line")
    lines = [line for line in text.splitlines() if line.strip()]
    loop = ClosedLoop(_routers(settings)(), _venues(settings)())
    events = read(files, window=settings.window)
    topics = {
        "reports": settings.reports_topic, "children": settings.children_topic, "fills": settings.fills_topic,
    }  # fmt: skip
    with ExitStack() as stack:
        rows = None if out is None else stack.enter_context(whole_file(out))
        accepted, dead = loop.request(lines)
        for letter in dead:
            typer.echo(f"{requests}, request {letter.index + 1}: {letter.reason}", err=True)
        played = loop.play(events if limit is None else events.take(slice(0, limit)))
        for part in (accepted, played, loop.close()):
            for output in part:
                if output.role == "decisions":
                    if rows is not None:
                        rows.write(output.value + b"\n")
                else:
                    topic = topics[output.role].encode()
                    sys.stdout.buffer.write(b'{"topic":"%b","message":%b}\n' % (topic, output.value))
        sys.stdout.buffer.flush()
    if dead:
        raise ConfigError(
            f"{requests}: found {len(dead)} of {len(lines)} requests unreadable; expected one request a line "
            "(the others were worked, and what is written is whole)"
        )


def _rehearse(settings: Settings) -> None:
    """Play a moment of made-up market through router and venues, so that kernels are loaded before the first order."""
    from venuewise.messages.orders import NewOrder, encode
    from venuewise.routing.closed_loop import ClosedLoop
    from venuewise.routing.strategy_names import BUILT_IN
    from venuewise.synthetic.generate import generate

    events = generate(venues=2, symbols=["REHEARSAL"], duration="50ms", seed=1)
    loop = ClosedLoop(_routers(settings)(), _venues(settings)())
    end = int(events.ts[-1])
    loop.request(encode(NewOrder(name, "REHEARSAL", "buy", 10, end, strategy=name)) for name in BUILT_IN)
    for _ in chain(loop.play(events), loop.close()):
        pass


def _routers(settings: Settings) -> Callable[[], Parents]:
    from venuewise.market.venues import load_venues
    from venuewise.routing.parents import Parents, ParentsSettings
    from venuewise.routing.strategy_names import StrategyBook, load_strategy

    penalties = {name: getattr(settings, name) for name in ("lambda_over", "lambda_under", "theta_queue")}
    own = None if settings.strategy is None else load_strategy(settings.strategy)
    strategies, table = StrategyBook(penalties, own), load_venues(settings.fees)
    seen = ParentsSettings(settings.levels, settings.queue_priority, settings.refill, settings.max_age_ms)
    return lambda: Parents(seen, table, strategies)


def _frictions(settings: Settings) -> Frictions:
    from venuewise.simulation.state import Frictions

    return Frictions(
        latency_ms=settings.latency_ms,
        queue_priority=settings.queue_priority,
        slippage_bps=settings.slippage_bps,
        adverse_probability=settings.adverse_probability,
        adverse_move_bps=settings.adverse_move_bps,
        adverse_left=settings.adverse_left,
        refill=settings.refill,
    )


def _venues(settings: Settings) -> Callable[[], VenueSim]:
    from venuewise.market.venues import load_venues
    from venuewise.routing.venue_sim import VenueSim

    frictions, table, seed = _frictions(settings), load_venues(settings.fees), settings.seed
    return lambda: VenueSim(frictions, table, seed, settings.max_age_ms)
