"""A real Apache Kafka on this machine, for trying things out and for tests: one node, KRaft, loopback only.

It is a broker and its own controller in one process with a small heap, so that it fits beside the router on a
machine of 1 GiB; replication factors are 1 and the internal topics have few partitions, transactions
included. What runs is written to `state.json` in the broker's directory; data survive a stop, unless they are
wiped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from venuewise.errors import ConfigError
from venuewise.kafka.runtimes import DOCKER_IMAGE, Docker, Jvm, Runtime, find_runtime

DEFAULT_PORT: Final = 9092
DEFAULT_HEAP_MB: Final = 256
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.1
_LOOPBACK: Final = "127.0.0.1"
_CONTAINER_DATA: Final = "/var/lib/kafka/data"

# The defaults of Kafka are for a cluster: 50 partitions of offsets and of transactions, a 128 MB cleaner
# buffer.
_SINGLE_NODE: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "num.partitions": "1",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.replica.fetchers": "1",
    "background.threads": "2",
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.index.size.max.bytes": "1048576",
    "log.segment.bytes": "268435456",
}
_LOGGING: Final = """status = error
appender.console.type = Console
appender.console.name = out
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server
logger.server.level = info
"""


class BrokerState(msgspec.Struct, frozen=True, kw_only=True):
    """A broker that was started, as `state.json` keeps it.

    Attributes
    ----------
    bootstrap_servers : str
        Address for clients.
    runtime : str
        "docker", "maven" or "kafka-home".
    version : str
        Version of Kafka.
    directory, log_file : str
        Where its data, settings and log are.
    pid : int or None
        Process of the Java runtime; None in a container.
    began : str or None
        When that process began, so that another one with the same id is not taken for it.
    container : str or None
        Name of the container; None on the Java runtime.
    docker : str or None
        Docker client that started the container.
    """

    bootstrap_servers: str
    runtime: str
    version: str
    directory: str
    log_file: str
    pid: int | None = None
    began: str | None = None
    container: str | None = None
    docker: str | None = None


def default_directory() -> Path:
    """Return the broker's directory: VENUEWISE_BROKER_DIR, else under XDG_STATE_HOME or ~/.local/state."""
    named = os.environ.get("VENUEWISE_BROKER_DIR")
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "venuewise" / "broker"


def up(
    directory: Path,
    *,
    port: int = DEFAULT_PORT,
    heap_mb: int = DEFAULT_HEAP_MB,
    runtime: Runtime = "auto",
    timeout: float = START_SECONDS,
) -> BrokerState:
    """Start a broker and wait until clients can use it; a broker that runs already is returned as it is.

    Parameters
    ----------
    directory : Path
        Its data, settings, log and state; made if it is not there.
    port : int
        Loopback port; 0 takes a free one.
    heap_mb : int
        Heap of the Java process in MiB.
    runtime : {"auto", "docker", "maven", "kafka-home"}
        How to run it; "auto" takes the first that can.
    timeout : float
        Seconds to wait for readiness.

    Raises
    ------
    ConfigError
        If nothing here can run Kafka, the directory cannot be used, the port is taken, or the broker does not
        come up in time.
    """
    running = status(directory)
    if running is not None:
        return running
    found = find_runtime(runtime)
    directory = directory.resolve()
    with _named(directory):
        directory.mkdir(parents=True, exist_ok=True)
        if port == 0:
            port = _free_port()
        elif not _is_free(port):
            raise ConfigError(
                f"port {port}: found it taken; expected a free one: another --port, or 0 for any"
            )
        if isinstance(found, Docker):
            state = _start_container(found, directory, port, heap_mb)
        else:
            state = _start_jvm(found, directory, port, heap_mb)
        save(state)
    try:
        _wait_until_ready(state, timeout)
    except BaseException:
        down(directory)
        raise
    return state


def save(state: BrokerState) -> None:
    """Write what runs to `state.json` in the broker's directory."""
    _state_file(Path(state.directory)).write_bytes(msgspec.json.format(msgspec.json.encode(state)))


def status(directory: Path) -> BrokerState | None:
    """Return the broker that runs from this directory, or None.

    Raises
    ------
    ConfigError
        If the directory cannot be read.
    """
    with _named(directory):
        try:
            state = msgspec.json.decode(_state_file(directory).read_bytes(), type=BrokerState)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
    return state if _is_alive(state) else None


def down(directory: Path, *, wipe: bool = False) -> BrokerState | None:
    """Stop the broker of this directory cleanly and return what ran, or None where nothing did.

    Parameters
    ----------
    directory : Path
        The directory that it was started with.
    wipe : bool
        Whether to delete its data as well.

    Raises
    ------
    ConfigError
        If the directory cannot be used.
    """
    state = status(directory)
    if state is not None and state.container is not None and state.docker is not None:
        _docker(state.docker, "stop", "--time", str(int(STOP_SECONDS)), state.container)
        _docker(state.docker, "rm", "--force", state.container)
        if wipe:
            _docker(state.docker, "volume", "rm", "--force", state.container)
    elif state is not None and state.pid is not None:
        _stop_process(state)
    with _named(directory):
        _state_file(directory).unlink(missing_ok=True)
    if wipe:
        shutil.rmtree(directory / "data", ignore_errors=True)
    return state


def _state_file(directory: Path) -> Path:
    return directory / "state.json"


@contextlib.contextmanager
def _named(directory: Path) -> Iterator[None]:
    """Tell which directory it was that could not be used."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{directory}: found {error.strerror or error}; expected a directory for the broker: another --dir"
        ) from None


def _start_jvm(runtime: Jvm, directory: Path, port: int, heap_mb: int) -> BrokerState:
    controller = _free_port()
    settings = directory / "server.properties"
    listeners = f"PLAINTEXT://{_LOOPBACK}:{port},CONTROLLER://{_LOOPBACK}:{controller}"
    properties = _SINGLE_NODE | {
        "listeners": listeners,
        "advertised.listeners": f"PLAINTEXT://{_LOOPBACK}:{port}",
        "controller.quorum.voters": f"1@{_LOOPBACK}:{controller}",
        "log.dirs": str(directory / "data"),
    }
    settings.write_text("".join(f"{key}={value}\n" for key, value in properties.items()), encoding="utf-8")
    logging = directory / "log4j2.properties"
    logging.write_text(_LOGGING, encoding="utf-8")
    java = [
        runtime.java, f"-Xmx{heap_mb}m", "-Xms32m", "-XX:+UseSerialGC", "-XX:MaxDirectMemorySize=64m",
        f"-Dlog4j2.configurationFile={logging}", "-cp", f"{runtime.libs}/*",
    ]  # fmt: skip
    log_file = directory / "broker.log"
    with log_file.open("ab") as log:
        if not (directory / "data" / "meta.properties").exists():
            identity = ["--cluster-id", _cluster_id(), "--config", str(settings)]
            formatted = subprocess.run(
                [*java, "kafka.tools.StorageTool", "format", *identity], stdout=log, stderr=log, check=False
            )
            if formatted.returncode != 0:
                raise ConfigError(
                    f"{directory / 'data'}: found it refused by Kafka; expected it to be formatted: see {log_file}"
                )
        process = subprocess.Popen(
            [*java, "kafka.Kafka", str(settings)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory, start_new_session=True,
        )  # fmt: skip
    # The broker outlives this process by design, so nobody waits for it here.
    process.returncode = 0
    return BrokerState(
        bootstrap_servers=f"{_LOOPBACK}:{port}", runtime=runtime.kind, version=runtime.version,
        directory=str(directory), log_file=str(log_file), pid=process.pid, began=_began(process.pid),
    )  # fmt: skip


def _start_container(runtime: Docker, directory: Path, port: int, heap_mb: int) -> BrokerState:
    name = f"venuewise-broker-{port}"
    controller = 9093
    properties = _SINGLE_NODE | {
        "listeners": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://{_LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{_LOOPBACK}:{port}",
        "controller.quorum.voters": f"1@{_LOOPBACK}:{controller}",
        "log.dirs": _CONTAINER_DATA,
    }
    command = ["run", "--detach", "--name", name, "--publish", f"{_LOOPBACK}:{port}:{port}",
               "--volume", f"{name}:{_CONTAINER_DATA}",
               "--env", f"KAFKA_HEAP_OPTS=-Xmx{heap_mb}m -Xms32m"]  # fmt: skip
    for key, value in properties.items():
        command += ["--env", f"KAFKA_{key.upper().replace('.', '_')}={value}"]
    _docker(runtime.program, "rm", "--force", name)
    answer = _docker(runtime.program, *command, DOCKER_IMAGE)
    if answer.returncode != 0:
        reason = answer.stderr.strip().splitlines()
        raise ConfigError(
            f"docker: found {reason[-1] if reason else 'no reason'}; expected {DOCKER_IMAGE} to start"
        )
    return BrokerState(
        bootstrap_servers=f"{_LOOPBACK}:{port}", runtime="docker", version=runtime.version,
        directory=str(directory), log_file=f"docker logs {name}", container=name, docker=runtime.program,
    )  # fmt: skip


def _docker(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def _cluster_id() -> str:
    """Return a random cluster id in Kafka's form: 16 bytes in URL-safe base 64, not beginning with a dash."""
    return "v" + urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")[1:]


def _wait_until_ready(state: BrokerState, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    host, port = state.bootstrap_servers.split(":")
    while not _connects(host, int(port)):
        _check_still_starting(state, deadline)
    # With an error callback and no log level, librdkafka keeps its retries to itself.
    admin = AdminClient(
        {"bootstrap.servers": state.bootstrap_servers, "log_level": 0, "error_cb": lambda _error: None}
    )
    while True:
        with contextlib.suppress(KafkaException):
            if admin.list_topics(timeout=1.0).brokers:
                return
        _check_still_starting(state, deadline)


def _check_still_starting(state: BrokerState, deadline: float) -> None:
    if not _is_alive(state):
        raise ConfigError(
            f"Kafka: found it stopped ({_last_error(state)}); expected it to start: see {state.log_file}"
        )
    if time.monotonic() > deadline:
        raise ConfigError(f"Kafka: found no answer in time; expected it to be ready: see {state.log_file}")
    time.sleep(_POLL_SECONDS)


def _last_error(state: BrokerState) -> str:
    with contextlib.suppress(OSError):
        lines = Path(state.log_file).read_text(encoding="utf-8", errors="replace").splitlines()
        marked = [line for line in lines if " ERROR " in line or " FATAL " in line or "Error:" in line]
        if marked:
            return marked[-1]
    return "no reason logged"


def _connects(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True


def _is_alive(state: BrokerState) -> bool:
    if state.container is not None and state.docker is not None:
        answer = _docker(state.docker, "inspect", "--format", "{{.State.Running}}", state.container)
        return answer.returncode == 0 and answer.stdout.strip() == "true"
    if state.pid is None:
        return False
    # A process id may have passed on to another program since: the two then differ in when they began.
    return state.began is not None and _began(state.pid) == state.began


def _began(pid: int) -> str | None:
    """Return when a process began, in whatever unit the system keeps, or None where it has ended."""
    if Path("/proc/self/stat").exists():
        with contextlib.suppress(OSError):
            after_name = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            return None if after_name[0] == "Z" else after_name[19]
        return None
    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None


def _stop_process(state: BrokerState) -> None:
    assert state.pid is not None
    for sent, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.pid, sent)
        if any(not _is_alive(state) for _ in _ticks(patience)):
            return


def _ticks(seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(_POLL_SECONDS)
