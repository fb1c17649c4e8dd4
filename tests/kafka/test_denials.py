"""What an operator has not allowed ends in one line that names the resource, the operation and who was refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from tests.conftest import absent
from tests.kafka.helpers import run
from tests.kafka.test_service import GOOD
from venuewise.errors import ConfigError
from venuewise.kafka import broker
from venuewise.kafka.broker import BrokerState

LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
GUARDED = {
    "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "listener.name.plaintext.plain.sasl.jaas.config": (
        f'{LOGIN} required username="admin" password="a" user_admin="a" user_router="r";'
    ),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:admin;User:ANONYMOUS",
}
SASL = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
TOPIC, GROUP, TRANSACTIONS = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID


def wait_until_it_listens(state: BrokerState, timeout: float) -> None:
    """Stand for the broker's own check, whose client has no name here."""
    host, port = state.bootstrap_servers.split(":")
    deadline = time.monotonic() + timeout
    while not broker._connects(host, int(port)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def rule(kind: ResourceType, name: str, operation: AclOperation, permission: AclPermissionType) -> AclBinding:
    return AclBinding(kind, name, ResourcePatternType.LITERAL, "User:router", "*", operation, permission)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a broker that asks for a name and a right."""
    directory: Path = tmp_path_factory.mktemp("guarded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broker, "_SINGLE_NODE", {**broker._SINGLE_NODE, **GUARDED})
        patch.setattr(broker, "_wait_until_ready", wait_until_it_listens)
        try:
            state = broker.up(directory, port=0).bootstrap_servers
        except ConfigError as error:
            absent(f"no Kafka broker: {error}")
            return
    admin = AdminClient({"bootstrap.servers": state, **SASL, "sasl.username": "admin", "sasl.password": "a"})
    for kind in (TOPIC, GROUP, TRANSACTIONS):
        allowed = rule(kind, "*", AclOperation.ALL, AclPermissionType.ALLOW)
        admin.create_acls([allowed])[allowed].result(30)
    yield state
    broker.down(directory, wipe=True)


@pytest.mark.parametrize(
    ("kind", "name", "operation", "said"),
    [
        (GROUP, "{}.group", "READ", "group {}.group: found no right to READ"),
        (TRANSACTIONS, "{}.group-one", "WRITE", "transactional id {}.group-one: found no right to WRITE"),
        (TOPIC, "{}", "READ", "topic {}: found no right to READ"),
        (TOPIC, "{}", "DESCRIBE", "topic {}: found no right to DESCRIBE"),
        (TOPIC, "{}.out", "WRITE", "topic {}.out: found no right to WRITE"),
        (TOPIC, "{}.group.changelog", "READ", "topic {}.group.changelog: found no right to READ"),
        (TOPIC, "{}.group.changelog", "WRITE", "topic {}.group.changelog: found no right to WRITE"),
        (TOPIC, "{}.new", "CREATE", "topic {}.new: found no right to CREATE"),
    ],
)
def test_what_the_broker_refuses_ends_in_one_line_that_says_what_to_allow(
    guarded: str, kind: ResourceType, name: str, operation: str, said: str
) -> None:
    topic = f"t{uuid4().hex[:8]}"
    as_admin = {"bootstrap.servers": guarded, **SASL, "sasl.username": "admin", "sasl.password": "a"}
    admin, producer = AdminClient(as_admin), Producer(as_admin)
    topics = [NewTopic(f"{topic}{end}", 1) for end in ("", ".out", ".group.changelog")]
    for made in admin.create_topics(topics).values():
        made.result(30)
    producer.produce(topic, GOOD, b"AAPL")
    assert producer.flush(30) == 0
    refused = rule(kind, name.format(topic), AclOperation[operation], AclPermissionType.DENY)
    admin.create_acls([refused])[refused].result(30)
    done = run(
        "route", "--topic", topic, "--out", f"{topic}{'.new' if operation == 'CREATE' else '.out'}", "--group",
        f"{topic}.group", "--instance", "one", "--limit", 1, "--idle-exit", 60, "--kafka-bootstrap-servers", guarded,
        KAFKA_SASL_USERNAME="router", KAFKA_SASL_PASSWORD="r", KAFKA_SASL_MECHANISM="PLAIN",
        KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT", DEAD_LETTERS=f"{topic}.dead",
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2, done.stderr
    assert last == f"venuewise: {said.format(topic)} for User:router; expected an ACL that allows it"
    assert "Traceback" not in done.stderr
