"""One real Kafka broker for all tests that need it, and topics of their own for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

pytest.importorskip("confluent_kafka", reason="needs the kafka extra: pip install venuewise[kafka]")

from venuewise.errors import ConfigError
from venuewise.kafka import broker


def absent(reason: str) -> None:
    """Skip, or fail where CI must not pass without what is absent."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a broker: KAFKA_BOOTSTRAP_SERVERS if set, else one started for the session."""
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
