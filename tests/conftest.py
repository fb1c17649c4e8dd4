"""Shared fixtures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from venuewise.errors import ConfigError

# No deadlines: the first example compiles kernels, and machines are busy. CI draws the same examples each time.
settings.register_profile(
    "venuewise",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("venuewise")

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Directory of real market data beside the repository; skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real market data at {REAL_DATA.name}/ beside the repository")
    return REAL_DATA


def absent(reason: str) -> None:
    """Skip, or fail where CI must not pass without what is absent."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a broker: KAFKA_BOOTSTRAP_SERVERS if set, else one started for the session."""
    broker = pytest.importorskip(
        "venuewise.kafka.broker", reason="needs the kafka extra: pip install venuewise[kafka]"
    )
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    directory: Path = tmp_path_factory.mktemp("broker")
    try:
        state = broker.up(directory, port=0)
    except ConfigError as error:
        absent(f"no Kafka broker: {error}")
        return
    yield state.bootstrap_servers
    broker.down(directory, wipe=True)


@pytest.fixture
def topic() -> str:
    """Name of a topic that no other test uses."""
    return f"test.{uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def kcat() -> str:
    """Path of kcat, the command-line client of Debian's package of that name."""
    program = shutil.which("kcat")
    if program is None:
        absent("no kcat on PATH (apt-get install kcat)")
    return str(program)
