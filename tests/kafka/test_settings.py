"""Settings: names, defaults, presets, and which layer overrides which."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from venuewise.errors import ConfigError, DataError
from venuewise.kafka import clients
from venuewise.kafka.settings import MASK, PRESETS, Settings, load
from venuewise.kafka.topics import wait_for_topic


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name.upper() for name in Settings.model_fields] + ["PRESET", "VENUEWISE_CONFIG"]
    for name in (*names, "KAFKA_SASL_PASSWORD", "KAFKA_SASL_USERNAME", "KAFKA_SSL_CA_LOCATION"):
        monkeypatch.delenv(name, raising=False)


def file(directory: Path, text: str) -> Path:
    path = directory / "venuewise.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_those_of_earlier_systems() -> None:
    s = load()
    assert (s.order_size, s.lambda_over, s.lambda_under, s.theta_queue) == (5000, 0.01, 0.005, 0.002)
    assert (s.step, s.greedy_l2, s.csv_file, s.topic) == (100, False, "l1_day.csv", "mock_l1_stream")


def test_the_page_shows_what_print_config_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "kafka.md").read_text(encoding="utf-8")
    after = text.partition(
        "KAFKA_SASL_PASSWORD=hunter2 venuewise produce --print-config --preset conservative\n"
    )[2]
    shown, _end = json.JSONDecoder().raw_decode(after.lstrip())
    monkeypatch.setenv("ORDER_SIZE", "2500")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hunter2")
    printed = load(preset="conservative", flags={"instance": "your-host"}).shown()
    assert list(shown.items()) == list(printed.items())


@pytest.mark.parametrize(
    ("preset", "expected"),
    [("conservative", (1000, 0.02, 0.01, 0.005, False)), ("aggressive", (10_000, 0.005, 0.002, 0.001, True))],
)
def test_presets_set_five_parameters(preset: str, expected: tuple[object, ...]) -> None:
    s = load(preset=preset)
    assert (s.order_size, s.lambda_over, s.lambda_under, s.theta_queue, s.greedy_l2) == expected


def test_each_layer_overrides_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, "lambda_over = 0.3\nlambda_under = 0.3\ntheta_queue = 0.3\n")
    monkeypatch.setenv("LAMBDA_UNDER", "0.4")
    monkeypatch.setenv("THETA_QUEUE", "0.4")
    s = load(file=path, preset="conservative", flags={"theta_queue": 0.5, "order_size": None})
    assert (s.order_size, s.lambda_over, s.lambda_under, s.theta_queue) == (1000, 0.3, 0.4, 0.5)


def test_the_preset_may_come_from_flag_environment_or_file_in_that_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, 'preset = "conservative"')
    assert load(file=path).order_size == 1000
    monkeypatch.setenv("PRESET", "aggressive")
    assert load(file=path).order_size == 10_000
    assert load(file=path, preset="conservative").order_size == 1000


def test_the_file_may_be_named_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENUEWISE_CONFIG", str(file(tmp_path, "STEP = 7")))
    assert load().step == 7


def test_the_file_may_say_true_where_that_is_a_value(tmp_path: Path) -> None:
    s = load(file=file(tmp_path, "greedy_l2 = true\n[kafka]\nsocket.keepalive.enable = true"))
    assert s.greedy_l2
    assert s.kafka == {"socket.keepalive.enable": "true"}


def test_client_properties_pass_through_from_file_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, '[kafka]\nssl.ca.location = "/file"\nssl.key.password = "k3y"\nlinger.ms = 3\n')
    monkeypatch.setenv("KAFKA_SSL_CA_LOCATION", "/environment")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "me")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hunter2")
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    client = load(file=path).client({"group.id": "g", "linger.ms": 9}, preferred={"sasl.username": "you"})
    expected = {
        "ssl.ca.location": "/environment", "ssl.key.password": "k3y", "sasl.username": "me",
        "sasl.password": "hunter2", "security.protocol": "SASL_SSL", "group.id": "g", "linger.ms": 9,
        "bootstrap.servers": "localhost:9092",
    }  # fmt: skip
    assert {key: client[key] for key in expected} == expected


@pytest.mark.parametrize(
    "name",
    [
        "sasl.passwort",
        "sasl.kerberos.kinit.cmd",
        "ssl.keystore.pasword",
        "Sasl.Username",
        "sasl.oauthbearer.extensions",
    ],
)
def test_what_is_not_known_to_be_harmless_is_masked(name: str) -> None:
    shown = Settings(kafka={name: "hunter2", "linger.ms": "7"}).shown()["kafka"]
    assert shown == {name: MASK, "linger.ms": "7"}


def test_secrets_are_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("hunter2", "k3y", "cl13nt", "pr0xy", "t0ken", "j4as")
    path = file(
        tmp_path,
        '[kafka]\nssl.key.password = "k3y"\nssl.key.pem = "k3y"\nsasl.oauthbearer.client.secret = "cl13nt"\n'
        'https.proxy = "http://me:pr0xy@host:1"\nsasl.oauthbearer.config = "token=t0ken"\n'
        'sasl.jaas.config = "j4as"\nsasl.mechanism = "PLAIN"\n',
    )
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hunter2")
    s = load(file=path)
    shown = s.shown()["kafka"]
    assert isinstance(shown, dict)
    assert shown["sasl.password"] == MASK
    assert shown["sasl.mechanism"] == "PLAIN"
    for secret in secrets:
        assert secret not in f"{s.shown()} {s!r} {s}"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"order_size": 0}, "--order-size: found 0"),
        ({"order_size": 1.5}, "--order-size: found 1.5"),
        ({"lambda_over": -1.0}, "--lambda-over: found -1.0"),
        ({"lambda_under": float("nan")}, "--lambda-under: found nan"),
        ({"theta_queue": float("inf")}, "--theta-queue: found inf"),
        ({"step": 0}, "--step: found 0"),
        ({"topic": "two words"}, "--topic: found 'two words'; expected 1 to 249 letters"),
        (
            {"kafka_bootstrap_servers": "nowhere"},
            "--kafka-bootstrap-servers: found 'nowhere'; expected host:port",
        ),
    ],
)
def test_a_bad_flag_is_named_with_what_was_found(flags: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as told:
        load(flags=flags)
    assert str(told.value).startswith(expected)
    assert "\n" not in str(told.value)


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_SIZE", "many")
    with pytest.raises(ConfigError, match="ORDER_SIZE in the environment: found 'many'"):
        load()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("order_size = 'x'", "order_size in .*venuewise.toml: found 'x'"),
        ("ordersize = 1", "ordersize in .*: found no such setting; expected one of order_size"),
        ("[kafka", "found no TOML"),
        ("order_size = true", "order_size in .*: found True; expected neither true nor false"),
        ("lambda_over = false", "lambda_over in .*: found False; expected neither"),
        ("metrics_port = true", "metrics_port in .*: found True; expected neither"),
        ("kafka = 3", "kafka in .*: found"),
        ("[kafka]\nsasl.password = ['x']", "toml, kafka: found a list for password; expected text"),
        ("preset = 'wild'", "preset: found 'wild'; expected one of conservative, aggressive"),
    ],
)
def test_a_bad_file_is_named(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=expected):
        load(file=file(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml: found no such file; expected a TOML file of settings"):
        load(file=tmp_path / "none.toml")


def test_every_preset_names_settings_that_exist() -> None:
    for values in PRESETS.values():
        assert set(values) <= set(Settings.model_fields)


@pytest.mark.parametrize(
    "line", ['security.protocol = "open"', 'sasl.jaas.config = "s3cret"', 'no.such.property = "s3cret"']
)
def test_a_property_that_the_client_refuses_is_one_clear_line(tmp_path: Path, line: str) -> None:
    settings = load(file=file(tmp_path, f"[kafka]\n{line}\n"))
    with pytest.raises(ConfigError, match=r"^Kafka settings: [^\n]+$") as refused:
        wait_for_topic(settings, "t")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (clients.producer, "acks = 1"),  # refused only together with what an exactly-once producer needs
        (clients.producer, '"delivery.report.only.error" = "yes"'),
        (clients.consumer, '"max.poll.interval.ms" = 10'),
        (clients.consumer, '"enable.partition.eof" = "maybe"'),
    ],
)
def test_properties_that_do_not_go_together_are_one_clear_line(
    tmp_path: Path, make: Callable[..., object], line: str
) -> None:
    settings = load(file=file(tmp_path, f"[kafka]\n{line}\n"))
    with pytest.raises(ConfigError, match=r"^Kafka settings: [^\n]+$"):
        make(settings, {"enable.idempotence": True} if make is clients.producer else {"group.id": "g"})
