"""`broker`, `produce` and `view`: the live side on Kafka.

Nothing of the `kafka` extra is imported before a command runs, so the rest of the command line works without it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import MutableMapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from venuewise.cli.app import app, print_json, progress_bar
from venuewise.errors import ConfigError
from venuewise.printable import printable

if TYPE_CHECKING:
    from venuewise.kafka.broker import BrokerState
    from venuewise.kafka.settings import Settings

MAX_PARTITIONS = 1000


class RuntimeName(StrEnum):
    """Ways to run Kafka, as the command line names them."""

    AUTO = "auto"
    DOCKER = "docker"
    MAVEN = "maven"
    KAFKA_HOME = "kafka-home"


class Compression(StrEnum):
    """Compressions that Kafka knows."""

    LZ4 = "lz4"
    ZSTD = "zstd"
    GZIP = "gzip"
    SNAPPY = "snappy"
    NONE = "none"


ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file of settings (else VENUEWISE_CONFIG).")
]
PresetName = Annotated[
    str | None, typer.Option("--preset", help="Named parameters: conservative or aggressive.")
]
Servers = Annotated[
    str | None,
    typer.Option("--kafka-bootstrap-servers", "--bootstrap-servers", help="Brokers as host:port,host:port."),
]
TopicName = Annotated[str | None, typer.Option("--topic", help="Topic (default mock_l1_stream).")]
PrintConfig = Annotated[
    bool, typer.Option("--print-config", help="Print the settings as they apply, secrets masked, and stop.")
]
BrokerDirectory = Annotated[
    Path | None, typer.Option("--dir", help="The broker's directory (else VENUEWISE_BROKER_DIR).")
]

broker_app = typer.Typer(
    name="broker", help="Run a local Kafka broker (KRaft, one node, loopback only).", rich_markup_mode=None
)
app.add_typer(broker_app)


def need_kafka() -> None:
    """Say in one line what to install where the `kafka` extra is missing.

    Raises
    ------
    ConfigError
        If it is.
    """
    try:
        import confluent_kafka  # noqa: F401
        import prometheus_client  # noqa: F401
        import pydantic_settings  # noqa: F401
        import structlog  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"{error.name}: found it not installed; expected it for this command: pip install 'venuewise[kafka]'"
        ) from None


def load_settings(
    config: Path | None, preset: str | None, *, print_config: bool = False, **flags: object
) -> Settings:
    """Load the settings of a service; with `print_config` print them and end the command."""
    from venuewise.kafka.settings import load

    settings = load(file=config, preset=preset, flags=flags)
    if print_config:
        print_json(settings.shown())
        raise typer.Exit
    return settings


def log_to_stderr() -> None:
    """Write log lines to stderr: for people on a terminal, else one JSON object a line."""
    import structlog

    people = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # JSON escapes whatever is not ASCII by itself.
            *(
                (_escape_values, structlog.dev.ConsoleRenderer())
                if people
                else (structlog.processors.JSONRenderer(),)
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _escape_values(_log: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape what a terminal would obey in what messages and brokers made us say."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in line.items()}


@broker_app.command("up")
def broker_up(
    directory: BrokerDirectory = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on loopback; 0 takes a free one.")
    ] = 9092,
    heap: Annotated[int, typer.Option(min=64, max=65_536, help="Heap of the broker in MB.")] = 256,
    runtime: Annotated[RuntimeName, typer.Option(help="How to run Kafka.")] = RuntimeName.AUTO,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for it.")] = 60.0,
) -> None:
    """Start the broker, wait until it serves clients, and print where it is."""
    need_kafka()
    from venuewise.kafka import broker

    where = directory or broker.default_directory()
    _print_broker(broker.up(where, port=port, heap_mb=heap, runtime=runtime.value, timeout=timeout), where)


@broker_app.command("status")
def broker_status(directory: BrokerDirectory = None) -> None:
    """Print whether the broker runs, and where."""
    need_kafka()
    from venuewise.kafka import broker

    where = directory or broker.default_directory()
    _print_broker(broker.status(where), where)


@broker_app.command("down")
def broker_down(
    directory: BrokerDirectory = None,
    wipe: Annotated[bool, typer.Option("--wipe", help="Delete its topics and data as well.")] = False,
) -> None:
    """Stop the broker cleanly; its data stay for the next start."""
    need_kafka()
    from venuewise.kafka import broker

    where = directory or broker.default_directory()
    stopped = broker.down(where, wipe=wipe)
    print_json({"running": False, "stopped": stopped is not None, "directory": str(where)})


# What the two were called in earlier systems.
broker_app.command("setup", hidden=True)(broker_up)
broker_app.command("stop", hidden=True)(broker_down)


def _print_broker(state: BrokerState | None, directory: Path) -> None:
    if state is None:
        print_json({"running": False, "directory": str(directory)})
    else:
        shown = {key: value for key, value in msgspec.to_builtins(state).items() if value is not None}
        shown.pop("began", None)
        print_json({"running": True, **shown})


@app.command()
def produce(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Market data (default: CSV_FILE).")
    ] = None,
    topic: TopicName = None,
    speed: Annotated[
        str, typer.Option(help="Factor on the original pace: 1, 10, 0.5, or max for no pacing.")
    ] = "1",
    window: Annotated[str | None, typer.Option(help="Part of the file, as 13:36:32-13:45:14 (UTC).")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Send at most so many rows.")] = None,
    levels: Annotated[int | None, typer.Option(min=1, max=10, help="Levels of the book to send.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out what an earlier run of this file has sent.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the messages to stdout instead, one a line.")
    ] = False,
    partitions: Annotated[
        int, typer.Option(min=1, max=MAX_PARTITIONS, help="Partitions of the topic if it is new.")
    ] = 1,
    compression: Annotated[Compression, typer.Option(help="Compression of the messages.")] = Compression.LZ4,
    config: ConfigFile = None,
    preset: PresetName = None,
    servers: Servers = None,
    print_config: PrintConfig = False,
) -> int:
    """Replay market data onto a topic, paced as it happened; print a report as JSON."""
    need_kafka()
    factor = _speed(speed)
    settings = load_settings(
        config, preset, print_config=print_config, topic=topic, window=window, kafka_bootstrap_servers=servers
    )
    from venuewise.data.reader import read
    from venuewise.kafka import replay, topics
    from venuewise.kafka.stopping import stop_on_signals

    paths = files or [Path(settings.csv_file)]
    events = read(paths, window=settings.window, levels=levels)
    rows, sink = None, None
    with stop_on_signals() as stop:
        if not dry_run:
            count = topics.ensure_topic(settings, settings.topic, partitions, stopped=lambda: bool(stop))
            source = replay.fingerprint(events)
            if resume:
                rows = replay.unsent_rows(settings, settings.topic, count, events, source)
            sink = replay.KafkaSink(
                settings, settings.topic, count, events, source,
                compression=compression.value, linger_ms=1 if factor is not None else 20,
                stopped=lambda: bool(stop),
            )  # fmt: skip
        total = min(len(events) if rows is None else len(rows), limit or len(events))
        with progress_bar("rows") as tell:
            report = replay.replay(
                events, sink or replay.StreamSink(sys.stdout),
                topic=settings.topic, rows=rows, limit=limit, speed=factor,
                progress=lambda sent: tell(sent, total), stopped=lambda: bool(stop),
            )  # fmt: skip
    if stop:
        typer.echo(
            f"venuewise: stopped; {report.rows} rows are on {settings.topic}, {report.remaining} are not "
            "(go on with --resume)",
            err=True,
        )
    if dry_run:
        typer.echo(msgspec.json.encode(report).decode(), err=True)
    else:
        print_json(report)
    return stop.exit_code


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0):
        raise ConfigError(f"--speed: found {text!r}; expected a number above 0, or max")
    return factor


@app.command()
def view(
    topic: TopicName = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest message.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many messages.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a message.")] = False,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    venue: Annotated[str | None, typer.Option(help="Only this venue, by name or publisher id.")] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="Only messages with this field, as name=value.")
    ] = None,
    config: ConfigFile = None,
    servers: Servers = None,
    print_config: PrintConfig = False,
) -> None:
    """Show the messages of a topic as they come: a table on a terminal, lines elsewhere."""
    need_kafka()
    settings = load_settings(
        config, None, print_config=print_config, topic=topic, kafka_bootstrap_servers=servers
    )
    wanted = {"symbol": symbol} if symbol is not None else {}
    for text in filters or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ConfigError(f"--filter: found {text!r}; expected name=value, such as symbol=AAPL")
        wanted[name] = value
    from venuewise.kafka import view as viewing
    from venuewise.kafka.stopping import stop_on_signals
    from venuewise.market.venues import load_venues

    table = load_venues().venues
    names = {publisher: known.name for known in table for publisher in known.publisher_ids}
    publishers = None
    if venue is not None:
        publishers = frozenset(number for number, name in names.items() if name.lower() == venue.lower())
        if venue.isdecimal():
            publishers = frozenset((int(venue),))
        elif not publishers:
            raise ConfigError(
                f"--venue: found {venue!r}; expected a name or publisher id of: venuewise venues"
            )
    with stop_on_signals() as stop:
        found = viewing.records(
            settings, settings.topic, from_beginning=from_beginning, stopped=lambda: bool(stop)
        )
        kept = (item for item in found if item is None or viewing.matches(item, wanted, publishers))
        shown = viewing.show(kept, sys.stdout, as_json_lines=as_json, limit=limit, venue_names=names)
    typer.echo(f"venuewise: {shown} message{'' if shown == 1 else 's'} shown", err=True)
