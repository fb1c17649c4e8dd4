"""`route`: the router as a service, or its dry run over a file."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from venuewise.cli.app import app, print_json
from venuewise.cli.live import (
    ConfigFile,
    PresetName,
    PrintConfig,
    Servers,
    TopicName,
    load_settings,
    need_kafka,
)
from venuewise.cli.orders import orders_over_files, serve_orders
from venuewise.cli.serving import serve
from venuewise.errors import ConfigError

if TYPE_CHECKING:
    from venuewise.kafka.settings import Settings
    from venuewise.routing.whatif import WhatIf

FILE_BATCH = 5_000


@app.command()
def route(
    from_file: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE", help="Decide over files, with no broker at all."),
    ] = None,
    topic: TopicName = None,
    out: Annotated[
        str | None,
        typer.Option(help="Topic of the decisions; with --from a file, - for stdout (the default)."),
    ] = None,
    orders: Annotated[
        bool, typer.Option("--orders", help="Work real parent orders instead of a what-if at every update.")
    ] = False,
    orders_file: Annotated[
        Path | None, typer.Option(help="With --from: requests, one JSON object a line; venues are simulated.")
    ] = None,
    orders_topic: Annotated[str | None, typer.Option(help="Requests. [sor.orders]")] = None,
    fills_topic: Annotated[str | None, typer.Option(help="Fills. [sor.fills]")] = None,
    children_topic: Annotated[str | None, typer.Option(help="Child orders. [sor.child_orders]")] = None,
    reports_topic: Annotated[str | None, typer.Option(help="Reports. [sor.reports]")] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="A strategy of your own, module:Class; with --orders for those that name it."),
    ] = None,
    queue_priority: Annotated[
        float | None, typer.Option(help="With --orders: share of the displayed size to count on.")
    ] = None,
    order_size: Annotated[
        int | None, typer.Option(help="Shares to route at every update. [ORDER_SIZE, 5000]")
    ] = None,
    side: Annotated[str | None, typer.Option(help="buy or sell.")] = None,
    algorithm: Annotated[
        str | None, typer.Option(help="exact, greedy, best_ask, twap, vwap or optimized.")
    ] = None,
    horizon_s: Annotated[float | None, typer.Option(help="Seconds that the order would have. [540]")] = None,
    greedy_l2: Annotated[
        bool | None, typer.Option("--greedy-l2", help="Greedy over ten levels. [GREEDY_L2]")
    ] = None,
    levels: Annotated[int | None, typer.Option(help="Levels of each venue's book that may be taken.")] = None,
    lambda_over: Annotated[float | None, typer.Option(help="Dollars a share. [LAMBDA_OVER, 0.01]")] = None,
    lambda_under: Annotated[float | None, typer.Option(help="Dollars a share. [LAMBDA_UNDER, 0.005]")] = None,
    theta_queue: Annotated[float | None, typer.Option(help="Dollars a share. [THETA_QUEUE, 0.002]")] = None,
    interval_ms: Annotated[float | None, typer.Option(help="Decide at most so often for a symbol.")] = None,
    max_age_ms: Annotated[float | None, typer.Option(help="Venues silent for longer take no part.")] = None,
    window: Annotated[
        str | None, typer.Option(help="With --from: UTC times, as in 13:36:32-13:45:14.")
    ] = None,
    fees: Annotated[str | None, typer.Option(help="TOML file of venues and their fees.")] = None,
    group: Annotated[str | None, typer.Option(help="Routers of one group share the partitions.")] = None,
    instance: Annotated[str | None, typer.Option(help="Name in the group, kept over restarts.")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics, /healthz, /readyz.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the decisions on stdout, too.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many messages.")] = None,
    idle_exit: Annotated[float | None, typer.Option(min=0, help="Stop after so many idle seconds.")] = None,
    config: ConfigFile = None,
    preset: PresetName = None,
    servers: Servers = None,
    print_config: PrintConfig = False,
) -> int:
    """Decide at every update of a topic (or file) how an order would be split, or work real parent orders."""
    need_kafka()
    if window is not None and not from_file:
        raise ConfigError(
            "--window: found without --from; expected --from FILE: of a topic every row is routed"
        )
    settings = load_settings(
        config, preset, print_config=print_config, topic=topic, out=None if from_file else out,
        order_size=order_size, side=side, algorithm=algorithm, horizon_s=horizon_s, greedy_l2=greedy_l2, levels=levels,
        lambda_over=lambda_over, lambda_under=lambda_under, theta_queue=theta_queue, interval_ms=interval_ms,
        max_age_ms=max_age_ms, window=window, fees=fees, group=group, instance=instance,
        metrics_port=metrics_port, kafka_bootstrap_servers=servers, orders_topic=orders_topic,
        fills_topic=fills_topic, children_topic=children_topic, reports_topic=reports_topic, strategy=strategy,
        queue_priority=queue_priority,
    )  # fmt: skip
    if orders or orders_file is not None:
        if from_file:
            orders_over_files(
                settings, from_file, orders_file, None if out in (None, "-") else Path(str(out)), limit
            )
        elif orders_file is not None:
            raise ConfigError(
                "--orders-file: found without --from; expected --from FILE, or orders from a topic"
            )
        else:
            serve_orders(settings, show=show, limit=limit, idle_exit=idle_exit)
        return 0
    if from_file:
        _over_files(settings, from_file, None if out in (None, "-") else Path(str(out)), limit)
        return 0
    from venuewise.kafka.wiring import Wiring

    wiring = Wiring(
        inputs={"market": settings.topic},
        outputs={"decisions": settings.out},
        changelog=f"{settings.group}.changelog",
        dead_letters=settings.dead_letters,
    )
    serve(
        settings, wiring, lambda: _what_if(settings), group=settings.group, show=show, limit=limit,
        idle_exit=idle_exit, what=f"{settings.topic} routed to {settings.out}",
    )  # fmt: skip
    return 0


def _what_if(settings: Settings) -> WhatIf:
    from venuewise.market.venues import load_venues
    from venuewise.routing.strategy_names import StrategyBook, load_strategy
    from venuewise.routing.whatif import WhatIf, WhatIfSettings

    greedy = settings.greedy_l2
    strategy = None
    if settings.strategy is not None:
        if greedy or "algorithm" in settings.model_fields_set:
            other = "greedy_l2" if greedy else "algorithm"
            raise ConfigError(f"strategy {settings.strategy!r}: found {other}, too; expected one of the two")
        name, make = load_strategy(settings.strategy)
        strategy = StrategyBook({}, (name, make)).make(name, {})
    return WhatIf(
        WhatIfSettings(
            order_size=settings.order_size,
            side=settings.side,
            algorithm="greedy" if greedy else settings.algorithm,
            strategy=strategy,
            horizon_s=settings.horizon_s,
            lambda_over=settings.lambda_over,
            lambda_under=settings.lambda_under,
            theta_queue=settings.theta_queue,
            levels=10 if greedy else settings.levels,
            interval_ms=settings.interval_ms,
            max_age_ms=settings.max_age_ms,
        ),
        load_venues(settings.fees),
    )


def _over_files(settings: Settings, files: list[Path], out: Path | None, limit: int | None) -> None:
    """Run the same processor over files; what it writes is what the service would publish."""
    from venuewise.data.reader import read
    from venuewise.files import whole_file

    router = _what_if(settings)
    events = read(files, window=settings.window, levels=router.settings.levels)
    rows = len(events) if limit is None else min(limit, len(events))
    totals: dict[str, float] = {}
    with ExitStack() as stack:
        stream = sys.stdout.buffer if out is None else stack.enter_context(whole_file(out))
        for first in range(0, rows, FILE_BATCH):
            batch = events.take(slice(first, min(first + FILE_BATCH, rows)))
            done = router.route(batch, events.synthetic)
            stream.write(b"".join(output.value + b"\n" for output in done.outputs))
            for what, count in done.counts.items():
                totals[what] = totals.get(what, 0.0) + count
        stream.flush()
    if out is not None:
        print_json(
            {
                "file": str(out),
                **{what: int(n) if n.is_integer() else round(n, 9) for what, n in totals.items()},
            }
        )
