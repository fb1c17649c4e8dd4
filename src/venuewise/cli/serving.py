"""Running a service from the command line: metrics, signals, the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from venuewise.cli.live import log_to_stderr
from venuewise.errors import ConfigError
from venuewise.printable import printable_json

if TYPE_CHECKING:
    from venuewise.kafka.processing import Processor
    from venuewise.kafka.settings import Settings
    from venuewise.kafka.wiring import Wiring


def _check_topics(wiring: Wiring) -> None:
    """Refuse one topic in two places: a service that reads what it writes never comes to an end."""
    places = {
        **wiring.inputs,
        **wiring.outputs,
        "state": wiring.changelog,
        "dead letters": wiring.dead_letters,
    }
    for place, topic in places.items():
        shared = [other for other, its in places.items() if its == topic]
        if shared != [place]:
            raise ConfigError(
                f"topic {topic}: found it for {' and '.join(shared)}; expected a topic of its own for each"
            )


def _show(output: bytes) -> None:
    typer.echo(printable_json(output))


def serve(
    settings: Settings,
    wiring: Wiring,
    make: Callable[[], Processor],
    *,
    group: str,
    what: str,
    show: bool,
    limit: int | None,
    idle_exit: float | None,
) -> None:
    """Run a service until it is asked to stop, then say how many messages of `what` it processed."""
    from venuewise.kafka.metrics import Metrics
    from venuewise.kafka.service import Service, calm_collector
    from venuewise.kafka.stopping import stop_on_signals

    _check_topics(wiring)
    log_to_stderr()
    make()  # settings that make no sense end here, before any broker is asked
    metrics = Metrics()
    if settings.metrics_port is not None:
        port = metrics.serve(settings.metrics_port, settings.metrics_host)
        typer.echo(f"metrics at http://{settings.metrics_host}:{port}/metrics", err=True)
    service = Service(
        settings, wiring, make, group=group, instance=settings.instance, metrics=metrics,
        watch=_show if show else None,
    )  # fmt: skip
    calm_collector()
    with stop_on_signals() as stop:
        done = service.run(stop, limit=limit, idle_exit=idle_exit)
    typer.echo(f"{done} messages of {what}, {service.dead} dead letters", err=True)
