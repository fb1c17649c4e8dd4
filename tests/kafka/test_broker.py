"""The local broker: what it starts, what it says when it cannot, and that it stops."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from venuewise.errors import ConfigError
from venuewise.kafka import broker, runtimes

FAKE_DOCKER = """#!/bin/sh
echo "$@" >> "{log}"
case "$1" in
  version) echo 28.0.0 ;;
  inspect) echo {running} ;;
esac
"""


def fake_docker(directory: Path, *, running: str = "true") -> Path:
    """A docker client that notes its arguments and answers as if a daemon were there."""
    log = directory / "docker.log"
    program = directory / "docker"
    program.write_text(FAKE_DOCKER.format(log=log, running=running), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return log


def test_a_broker_serves_clients_survives_a_second_up_and_keeps_data_over_a_stop(
    tmp_path: Path, kafka_bootstrap: str
) -> None:
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        pytest.skip("a broker was given, so none is to be started")
    first = broker.up(tmp_path, port=0)
    try:
        assert broker.up(tmp_path, port=0) == first
        assert broker.status(tmp_path) == first
        assert first.bootstrap_servers.startswith("127.0.0.1:")
        producer = Producer({"bootstrap.servers": first.bootstrap_servers, "transactional.id": "test"})
        producer.init_transactions(20)
        producer.begin_transaction()
        producer.produce("kept", b"x")
        producer.commit_transaction(20)
        assert broker.down(tmp_path) == first
        assert broker.status(tmp_path) is None
        again = broker.up(tmp_path, port=0)
        assert (
            "kept"
            in AdminClient({"bootstrap.servers": again.bootstrap_servers}).list_topics(timeout=10).topics
        )
    finally:
        broker.down(tmp_path, wipe=True)
    assert broker.status(tmp_path) is None
    assert not (tmp_path / "data").exists()


def test_stopping_where_nothing_runs_is_no_error(tmp_path: Path) -> None:
    assert broker.down(tmp_path) is None


def test_a_port_in_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_docker(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: found it taken"):
            broker.up(tmp_path / "broker", port=port)


def test_docker_publishes_on_loopback_alone_and_sets_every_property(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = fake_docker(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(broker, "_wait_until_ready", lambda state, timeout: None)
    state = broker.up(tmp_path / "broker", port=0, heap_mb=128)
    port = state.bootstrap_servers.rpartition(":")[2]
    run = next(line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("run "))
    assert f"--publish 127.0.0.1:{port}:{port}" in run
    assert "KAFKA_HEAP_OPTS=-Xmx128m" in run
    assert "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR=1" in run
    assert f"KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:{port}" in run
    assert run.endswith(runtimes.DOCKER_IMAGE)
    assert broker.down(tmp_path / "broker") == state
    assert f"rm --force {state.container}" in log.read_text(encoding="utf-8")


def test_a_process_that_took_over_the_id_is_not_taken_for_the_broker(tmp_path: Path) -> None:
    state = broker.BrokerState(
        bootstrap_servers="127.0.0.1:1", runtime="maven", version="4", directory=str(tmp_path),
        log_file="log", pid=os.getpid(), began="long ago",
    )  # fmt: skip
    broker.save(state)
    assert broker.status(tmp_path) is None
    assert broker.down(tmp_path) is None


def test_a_state_file_of_junk_means_that_nothing_runs(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("junk", encoding="utf-8")
    assert broker.status(tmp_path) is None


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    for use in (broker.up, broker.status, broker.down):
        with pytest.raises(
            ConfigError, match="file: found Not a directory; expected a directory for the broker"
        ):
            use(file)
    unwritable = tmp_path / "unwritable"
    (unwritable / "server.properties").mkdir(parents=True)
    jvm = runtimes.Jvm("maven", "java", tmp_path, "4")
    monkeypatch.setattr(broker, "find_runtime", lambda _name: jvm)
    with pytest.raises(ConfigError, match="unwritable: found Is a directory; expected"):
        broker.up(unwritable, port=0)


def test_what_each_runtime_lacks_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    with pytest.raises(ConfigError) as told:
        runtimes.find_runtime()
    message = str(told.value)
    assert "\n" not in message
    for part in ("docker: no docker program", "maven: no java", "kafka-home: KAFKA_HOME is not set"):
        assert part in message


@pytest.mark.parametrize(
    ("jar", "expected"),
    [
        ("kafka_2.13-3.9.1.jar", "Kafka 3.9.1, not 4.0 or later"),
        ("other.jar", "holds no libs/kafka_2.13"),
    ],
)
def test_a_kafka_home_that_will_not_do_is_explained(
    jar: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / jar).touch()
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=expected):
        runtimes.find_runtime("kafka-home")


def test_an_old_java_is_refused_by_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="is Java 11, not 17 or later"):
        runtimes.find_runtime("maven")
