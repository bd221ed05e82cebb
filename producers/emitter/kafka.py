"""The Kafka producer's settings: what the emitter promises is fixed, the rest can be set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer

from .errors import EmitterError
from .logs import RateLimitedLog

# A model's events must lie in one partition and in order, so these are not the user's to change.
_FIXED: dict[str, Any] = {"enable.idempotence": True, "acks": "all", "partitioner": "murmur2_random"}
_DEFAULTS: dict[str, Any] = {
    "client.id": "tidemark-emitter",
    "compression.type": "lz4",
    "linger.ms": 10,
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 2000,
    "log.connection.close": False,
}


def producer_settings(
    bootstrap_servers: str, queue_size: int, max_event_bytes: int, delivery_timeout_s: float, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """librdkafka's settings, checked by building a producer and throwing it away (no broker is needed for that).

    Raises:
        EmitterError: ``extra`` sets what is fixed, or librdkafka refuses a setting (its own message).
    """
    for name in extra:
        if name in _FIXED or name in ("bootstrap.servers", "error_cb", "on_delivery"):
            raise EmitterError(f"kafka={{{name!r}: …}} cannot be set: the emitter's guarantees rest on it. Leave it out")
    settings = {
        **_DEFAULTS,
        "message.timeout.ms": int(delivery_timeout_s * 1000),
        "message.max.bytes": max_event_bytes + 10_000,  # the record's own overhead
        "queue.buffering.max.messages": max(queue_size, 1000),
        **extra,
        **_FIXED,
        "bootstrap.servers": bootstrap_servers,
    }
    try:
        Producer({**settings, "log_level": 0})  # it may already fail to connect, which is not the question here
    except (KafkaException, TypeError, ValueError) as error:
        raise EmitterError(f"Kafka refuses the emitter's settings: {error}. Correct bootstrap_servers or kafka={{…}}") from error
    return settings


def open_producer(settings: dict[str, Any], on_error: Callable[[Any], None], log: RateLimitedLog) -> Producer:
    """A producer of this process. Its callbacks and its log run in the thread that polls it.

    librdkafka's own lines go through ``log``: without a broker it would write one to stderr every 50 ms.
    """
    return Producer({**settings, "error_cb": on_error, "logger": _KafkaLog(log)})


class _KafkaLog:
    """What confluent-kafka calls as a logger: ``log(level, "%s [%s] %s", facility, client, text)``."""

    def __init__(self, log: RateLimitedLog) -> None:
        self._log = log

    def log(self, _level: int, form: str, *parts: object) -> None:
        """One line of librdkafka's, at most one a minute per facility (``FAIL``, …)."""
        self._log.warn(f"librdkafka {parts[0] if parts else ''}", f"librdkafka: {form % parts if parts else form}")
