"""Clients of librdkafka: made from the settings, with what the user's own properties do wrong said in one line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from venuewise.errors import ConfigError
from venuewise.kafka.settings import Settings

_NOWHERE: Final = logging.Logger("librdkafka", level=logging.CRITICAL + 1)


def quiet(_error: KafkaError) -> None:
    """Take librdkafka's reports of failed connections, which it retries by itself, without printing them."""


def producer(settings: Settings, needed: Mapping[str, object], **options: Any) -> Any:
    """Return a producer; see `_client`."""
    return _client(Producer, settings, needed, **options)


def consumer(settings: Settings, needed: Mapping[str, object], **options: Any) -> Any:
    """Return a consumer; see `_client`."""
    return _client(Consumer, settings, needed, **options)


def admin(settings: Settings) -> Any:
    """Return a client that asks about topics and groups; see `_client`."""
    return _client(AdminClient, settings, {"log_level": 0})


def _client(
    kind: Callable[..., Any],
    settings: Settings,
    needed: Mapping[str, object],
    *,
    preferred: Mapping[str, object] | None = None,
    **options: Any,
) -> Any:
    """Make a client that is quiet unless told otherwise; see `Settings.client`.

    Raises
    ------
    ConfigError
        If librdkafka refuses the properties, each by itself or together.
    """
    properties = settings.client({"error_cb": quiet, **needed}, preferred=preferred)
    if properties["log_level"] == 0:
        # At this level librdkafka still writes its fatal errors, which are raised, too.
        options["logger"] = _NOWHERE
    try:
        return kind(properties, **options)
    except KafkaException as failure:
        raise ConfigError(
            f"Kafka settings: found {failure.args[0].str()}; expected properties that librdkafka takes"
        ) from None
    except (TypeError, ValueError) as failure:
        raise ConfigError(
            f"Kafka settings: found {failure}; expected properties that librdkafka takes"
        ) from None
