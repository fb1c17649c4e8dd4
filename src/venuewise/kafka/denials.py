"""What a broker does not let us do, said in one line: which resource, which operation, and who we are to it.

A broker's refusal names no topic, and librdkafka goes on asking. So the rights are looked up once a refusal comes, and
the command ends: waiting does not help, an operator does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation

from venuewise.errors import ConfigError
from venuewise.kafka import clients
from venuewise.kafka.settings import Settings

DENIED: Final = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)  # fmt: skip
READ: Final = AclOperation.READ
WRITE: Final = AclOperation.WRITE
_SECONDS: Final = 15.0


def no_right(settings: Settings, resource: str, operation: str) -> ConfigError:
    """Return the error that names a resource ("topic T"), an operation ("READ") and our principal."""
    name = settings.kafka.get("sasl.username")
    if name is not None:
        principal = f"User:{name}"
    elif settings.kafka.get("security.protocol", "plaintext").lower() == "plaintext":
        principal = "User:ANONYMOUS"
    else:
        principal = "the principal of this client's certificate or ticket"
    return ConfigError(
        f"{resource}: found no right to {operation} for {principal}; expected an ACL that allows it"
    )


def explain(
    settings: Settings,
    error: KafkaError,
    *,
    group: str,
    transactional_id: str,
    needed: Mapping[str, Iterable[AclOperation]],
) -> ConfigError | None:
    """Return what a broker's refusal means, or None where the error is no refusal.

    Parameters
    ----------
    settings : Settings
        Brokers and how to talk to them.
    error : KafkaError
    group, transactional_id : str
        Ours.
    needed : mapping of topic to operations
        What we do with each topic.
    """
    code = error.code()
    if code not in DENIED:
        return None
    if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
        return no_right(settings, f"group {group}", "READ")
    if code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return no_right(settings, f"transactional id {transactional_id}", "WRITE")
    if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        for topic, operations in needed.items():
            missing = missing_right(settings, topic, operations)
            if missing is not None:
                return no_right(settings, f"topic {topic}", missing)
        return no_right(settings, f"one of the topics {', '.join(needed)}", "READ or WRITE")
    return no_right(settings, "cluster", "do what was asked")


def missing_right(settings: Settings, topic: str, operations: Iterable[AclOperation]) -> str | None:
    """Return the first of some operations that we may not do with a topic; None where there is none, or no telling."""
    admin = clients.admin(settings)  # kept while it is asked: its futures end with it
    asked = admin.describe_topics(
        TopicCollection([topic]), include_authorized_operations=True, request_timeout=_SECONDS
    )
    try:
        found: Any = asked[topic].result(_SECONDS)
    except KafkaException as failure:
        return "DESCRIBE" if failure.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED else None
    allowed = found.authorized_operations
    if allowed is None:
        return None
    return next((operation.name for operation in operations if operation not in allowed), None)
