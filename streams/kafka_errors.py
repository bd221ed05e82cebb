"""The error inside a ``KafkaException``."""

from __future__ import annotations

from typing import cast

from confluent_kafka import KafkaError, KafkaException


def kafka_error(exception: KafkaException) -> KafkaError:
    """The ``KafkaError`` that says what happened, with ``fatal()``, ``retriable()`` and ``str()``."""
    return cast(KafkaError, exception.args[0])
