"""Settings of the live services: defaults, then a preset, a TOML file, the environment and flags.

Each layer overrides the one before. Names are the same everywhere but for case: `ORDER_SIZE` in the
environment is `order_size` in the file and `--order-size` on the command line. Properties of librdkafka pass
through by their own names (table `kafka` of the file, `KAFKA_SASL_*`, `KAFKA_SSL_*` and
`KAFKA_SECURITY_PROTOCOL` of the environment); what is secret among them is never shown.
"""

from __future__ import annotations

import os
import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import InitSettingsSource

from venuewise.errors import ConfigError
from venuewise.files import read_text_file, shown

Preset = Literal["conservative", "aggressive"]

PRESETS: Final[dict[str, dict[str, object]]] = {
    "conservative": {
        "order_size": 1000,
        "lambda_over": 0.02,
        "lambda_under": 0.01,
        "theta_queue": 0.005,
        "greedy_l2": False,
    },
    "aggressive": {
        "order_size": 10_000,
        "lambda_over": 0.005,
        "lambda_under": 0.002,
        "theta_queue": 0.001,
        "greedy_l2": True,
    },
}
MASK: Final = "********"
CONFIG_VARIABLE: Final = "VENUEWISE_CONFIG"
_PASSED_ON: Final = re.compile(r"KAFKA_((?:SASL|SSL)_[A-Z_]+|SECURITY_PROTOCOL)")
_HARMLESS: Final = """
acks allow.auto.create.topics api.version.request auto.offset.reset batch.num.messages batch.size
bootstrap.servers broker.address.family broker.address.ttl builtin.features check.crcs client.dns.lookup client.id
client.rack compression.codec compression.level compression.type connections.max.idle.ms debug delivery.timeout.ms
enable.idempotence enable.metrics.push enable.ssl.certificate.verification fetch.error.backoff.ms fetch.max.bytes
fetch.message.max.bytes fetch.min.bytes fetch.queue.backoff.ms fetch.wait.max.ms group.protocol
heartbeat.interval.ms isolation.level linger.ms log.connection.close log.thread.name log_level
max.in.flight.requests.per.connection max.partition.fetch.bytes max.poll.interval.ms message.copy.max.bytes
message.max.bytes message.send.max.retries message.timeout.ms metadata.broker.list metadata.max.age.ms
partitioner queue.buffering.max.kbytes queue.buffering.max.messages queue.buffering.max.ms
queued.max.messages.kbytes queued.min.messages receive.message.max.bytes reconnect.backoff.max.ms
reconnect.backoff.ms request.timeout.ms retries retry.backoff.max.ms retry.backoff.ms sasl.kerberos.keytab
sasl.kerberos.min.time.before.relogin sasl.kerberos.principal sasl.kerberos.service.name sasl.mechanism
sasl.mechanisms sasl.oauthbearer.method sasl.oauthbearer.scope sasl.oauthbearer.token.endpoint.url sasl.username
security.protocol session.timeout.ms socket.connection.setup.timeout.ms socket.keepalive.enable
socket.max.fails socket.nagle.disable socket.receive.buffer.bytes socket.send.buffer.bytes socket.timeout.ms
ssl.ca.certificate.stores ssl.ca.location ssl.certificate.location ssl.cipher.suites ssl.crl.location
ssl.curves.list ssl.endpoint.identification.algorithm ssl.key.location ssl.keystore.location ssl.sigalgs.list
statistics.interval.ms sticky.partitioning.linger.ms topic.metadata.refresh.interval.ms transaction.timeout.ms
"""
"""Properties of librdkafka that hold no secret. All others, misspelt ones too, are masked where settings are shown."""
_URL_PASSWORD: Final = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")

_NAME: Final = r"^[A-Za-z0-9._-]{1,249}$"
_SERVERS: Final = r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$"
_EXPECTED: Final = {
    _NAME: "expected 1 to 249 letters, digits, dots, dashes and underscores",
    _SERVERS: "expected host:port, or several with commas between them",
}

Cost = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=_NAME)]


def check_topic(topic: str, where: str) -> None:
    """Refuse what cannot be the name of a topic; `where` is what the user gave.

    Raises
    ------
    ConfigError
        If it cannot.
    """
    if not re.fullmatch(_NAME, topic):
        raise ConfigError(f"{where}: found {topic!r}; {_EXPECTED[_NAME]}")


def _as_properties(table: object) -> object:
    """Flatten nested tables to dotted names, so that `ssl.ca.location = "x"` needs no quotes in TOML."""
    if not isinstance(table, Mapping):
        return table
    flat: dict[str, object] = {}
    for key, value in table.items():
        below = _as_properties(value)
        if isinstance(below, Mapping):
            flat.update({f"{key}.{name}": deep for name, deep in below.items()})
        else:
            if not isinstance(value, str | int | float):  # not shown: it may be a secret
                raise ValueError(
                    f"found a {type(value).__name__} for {key}; expected text, a number, true or false"
                )
            flat[str(key)] = str(value).lower() if isinstance(value, bool) else str(value)
    return flat


class Settings(BaseSettings):
    """What the live services are told.

    Attributes
    ----------
    order_size : int
        Shares of the what-if order that every update is routed for.
    lambda_over, lambda_under, theta_queue : float
        Penalties of the static model in dollars a share.
    step : int
        Grid of the brute-force search in shares; the exact allocator needs none.
    greedy_l2 : bool
        Whether to route greedily over all levels of the book.
    csv_file : str
        File that the producer replays where none is named.
    kafka_bootstrap_servers : str
        Brokers as host:port, comma-separated.
    topic, out, dead_letters : str
        Topics of market data, of decisions, and of messages that could not be read.
    side : {"buy", "sell"}
        Of the what-if order.
    algorithm : {"exact", "greedy", "best_ask", "twap", "vwap", "optimized"}
        How it is split; `greedy_l2` stands for "greedy" with all ten levels.
    horizon_s : float
        Seconds that the what-if order would have, for strategies that spread it over time.
    levels : int
        Levels of each venue's book that may be taken.
    interval_ms : float
        Least time between two decisions for a symbol; 0 decides at every update.
    max_age_ms : float or None
        A venue silent for longer takes no part.
    orders_topic, children_topic, fills_topic, reports_topic : str
        Topics of a router of parent orders: requests, child orders, fills, reports.
    strategy : str or None
        A strategy of your own as "module:Class": for orders that ask for it by its name, or for the what-if order
        instead of `algorithm`.
    queue_priority : float
        Share of the displayed size that a router of parent orders counts on, and that simulated venues give.
    refill : {"update", "added"}
        When shares taken count as offered again: once the quote shows another size, or never.
    latency_ms, slippage_bps, adverse_probability, adverse_move_bps, adverse_left : float
        What stands between a decision and its fill at simulated venues, as in a backtest.
    seed : int
        Draws their adverse moves.
    group : str
        Consumer group of the routers that share the work; their state is in the topic GROUP.changelog. Routers of
        parent orders and simulated venues have groups of their own where none is given.
    instance : str
        Name of this router in its group, kept over restarts.
    fees : str or None
        TOML file of venues and fees laid over the packaged table.
    metrics_port : int or None
        Port of /metrics, /healthz and /readyz; 0 takes a free one.
    metrics_host : str
        Address they answer at.
    window : str or None
        Part of the file to replay, as "13:36:32-13:45:14" (UTC).
    kafka : dict of str to str
        Further librdkafka properties (TLS, SASL, tuning).
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    order_size: Annotated[int, Field(gt=0, le=1_000_000_000)] = 5000
    lambda_over: Cost = 0.01
    lambda_under: Cost = 0.005
    theta_queue: Cost = 0.002
    step: Annotated[int, Field(gt=0, le=1_000_000)] = 100
    greedy_l2: bool = False
    csv_file: str = "l1_day.csv"
    kafka_bootstrap_servers: Annotated[str, Field(pattern=_SERVERS)] = "localhost:9092"
    topic: Name = "mock_l1_stream"
    out: Name = "sor.decisions"
    dead_letters: Name = "sor.dead_letters"
    window: str | None = None
    side: Literal["buy", "sell"] = "buy"
    algorithm: Literal["exact", "greedy", "best_ask", "twap", "vwap", "optimized"] = "exact"
    horizon_s: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] = 540.0
    levels: Annotated[int, Field(ge=1, le=10)] = 1
    interval_ms: Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False)] = 0.0
    max_age_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    orders_topic: Name = "sor.orders"
    children_topic: Name = "sor.child_orders"
    fills_topic: Name = "sor.fills"
    reports_topic: Name = "sor.reports"
    strategy: str | None = None
    queue_priority: Annotated[float, Field(ge=1e-9, le=1)] = 1.0
    refill: Literal["update", "added"] = "update"
    latency_ms: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    slippage_bps: Annotated[float, Field(ge=0, le=1e4)] = 0.0
    adverse_probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    adverse_move_bps: Annotated[float, Field(ge=0, le=1e4)] = 5.0
    adverse_left: Annotated[float, Field(ge=0, le=1)] = 0.8
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    group: Name = "venuewise-router"
    instance: Name = Field(default_factory=lambda: re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()))
    fees: str | None = None
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    metrics_host: str = "127.0.0.1"
    kafka: Annotated[dict[str, str], BeforeValidator(_as_properties), Field(repr=False)] = {}

    @field_validator("*", mode="before")
    @classmethod
    def _take_no_truth_for_a_number(cls, value: object, field: ValidationInfo) -> object:
        """Refuse true and false, which pydantic takes for 1 and 0."""
        if isinstance(value, bool) and cls.model_fields[str(field.field_name)].annotation is not bool:
            raise PydanticCustomError("truth", "expected neither true nor false")
        return value

    def client(
        self, needed: Mapping[str, object] | None = None, *, preferred: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        """Return the properties of a librdkafka client, secrets included.

        Parameters
        ----------
        needed : mapping, optional
            What the caller relies on: overrides the user's own properties.
        preferred : mapping, optional
            What the caller would choose: the user's own properties override it.
        """
        # librdkafka retries by itself what it warns about: only its errors are worth a line.
        ours = {"bootstrap.servers": self.kafka_bootstrap_servers, "client.id": "venuewise", "log_level": 3}
        return {**ours, **(preferred or {}), **self.kafka, **(needed or {})}

    def shown(self) -> dict[str, object]:
        """Return the settings as they may be printed or logged: every property not known to be harmless is masked."""
        values, harmless = self.model_dump(), _HARMLESS.split()
        values["kafka"] = {
            key: _URL_PASSWORD.sub(rf"\1{MASK}@", value) if key in harmless else MASK
            for key, value in self.kafka.items()
        }
        return values


def load(
    *, file: Path | None = None, preset: str | None = None, flags: Mapping[str, object] | None = None
) -> Settings:
    """Read the settings: defaults < preset < TOML file < environment < flags.

    Parameters
    ----------
    file : Path, optional
        TOML file; where none is named, VENUEWISE_CONFIG names it, or there is none.
    preset : {"conservative", "aggressive"}, optional
        Named set of parameters; else that of PRESET in the environment or `preset` in the file.
    flags : mapping, optional
        Values given on the command line by field name; None means not given.

    Raises
    ------
    ConfigError
        If the file cannot be read or a value makes no sense; the message names the value and where it is
        from.
    """
    if file is None and os.environ.get(CONFIG_VARIABLE):
        file = Path(os.environ[CONFIG_VARIABLE])
    from_file = _read_toml(file) if file is not None else {}
    named = from_file.pop("preset", None)
    preset = preset or os.environ.get("PRESET") or (str(named) if named is not None else None)
    if preset is not None and preset not in PRESETS:
        raise ConfigError(f"preset: found {preset!r}; expected one of {', '.join(PRESETS)}")
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    passed_on = {
        match[1].lower().replace("_", "."): value
        for name, value in os.environ.items()
        if (match := _PASSED_ON.fullmatch(name))
    }

    class Layered(Settings):
        """`Settings` whose sources are the layers of this call."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            layers: tuple[dict[str, object], ...] = (from_file, PRESETS.get(preset or "", {}))
            below = (InitSettingsSource(settings_cls, layer) for layer in layers)
            passing = InitSettingsSource(settings_cls, {"kafka": passed_on} if passed_on else {})
            return (init_settings, env_settings, passing, *below)

    try:
        values = Layered(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError(_explain(error, given, from_file, file)) from None
    except ValueError as error:  # pydantic-settings: a variable that should hold JSON and does not
        raise ConfigError(f"environment: found {str(error).splitlines()[0]}; expected JSON in it") from None
    return values


def _read_toml(file: Path) -> dict[str, object]:
    expected = "a TOML file of settings"
    try:
        table = tomllib.loads(read_text_file(file, expected))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{shown(file)}: found no TOML ({error}); expected {expected}") from None
    values = {key.lower(): value for key, value in table.items()}
    if isinstance(values.get("kafka"), Mapping):
        try:
            values["kafka"] = _as_properties(values["kafka"])
        except ValueError as error:
            raise ConfigError(f"{shown(file)}, kafka: {error}") from None
    return values


def _explain(
    error: ValidationError, given: Mapping[str, object], from_file: Mapping[str, object], file: Path | None
) -> str:
    """One line for the first thing that is wrong, with the layer that it stands in."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    if name in given:
        origin = f"--{name.replace('_', '-')}"
    elif name.upper() in os.environ or name in os.environ:
        origin = f"{name.upper()} in the environment"
    elif name in from_file:
        origin = f"{name} in {file}"
    else:
        origin = name
    if first["type"] == "extra_forbidden":
        known = ", ".join((*Settings.model_fields, "preset"))
        return f"{origin}: found no such setting; expected one of {known}"
    found = MASK if name == "kafka" else repr(first["input"])
    message = _EXPECTED.get(first.get("ctx", {}).get("pattern", ""), first["msg"])
    return f"{origin}: found {found}; {message.replace('Input should be', 'expected', 1)}"
