"""The run on the topic: its marks and its events, acknowledged, in order, in one partition."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from config.errors import ServiceUnavailable, TidemarkError
from config.settings import Settings
from producers.replay.encode import EventEncoder
from producers.replay.source import Rows
from schemas.control import Control
from schemas.store import CONTROL

LOOK_S = 8.0  # for the broker to answer at the start
DELIVERY_S = 30.0  # for a record to be acknowledged: a broker's restart is ridden through
_log = logging.getLogger("tidemark.replay.kafka")
_log.addHandler(logging.NullHandler())  # librdkafka's own lines; what matters is raised
_log.propagate = False


class RunTopic:
    """A producer for one run. All records have the model's name as key, so they share a partition and keep their order."""

    def __init__(self, settings: Settings, model: str) -> None:
        self._settings = settings
        self._topic = settings.predictions_topic
        self._key = model.encode()
        self._failed: Counter[str] = Counter()
        self._last_error = ""
        self._sent = 0
        self._producer = Producer(self._config(), logger=_log)

    def _config(self) -> dict[str, Any]:
        return {
            "bootstrap.servers": self._settings.brokers,
            "client.id": "tidemark-replay",
            "partitioner": "murmur2_random",  # as Java's clients: the worker takes a model's events from one partition only
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 100_000,
            "message.timeout.ms": int(DELIVERY_S * 1000),
            "socket.connection.setup.timeout.ms": 5000,
            "delivery.report.only.error": True,  # a call per failed record only; the rest are counted
            "on_delivery": self._on_failure,
            "error_cb": self._on_error,
        }

    @property
    def delivered(self) -> int:
        """Events acknowledged by the broker, once ``flush`` has returned."""
        return self._sent - self._failed.total()

    def look(self) -> None:
        """Make sure that the broker answers and has the topic.

        Raises:
            ServiceUnavailable: no broker answers.
            TidemarkError: the topic does not exist.
        """
        try:
            topics = self._producer.list_topics(timeout=LOOK_S).topics
        except KafkaException as error:
            why = self._last_error or _reason(error)
            text = f"no Kafka broker answers at {self._settings.brokers}: {why}"
            raise ServiceUnavailable(text, "start it with `make up`, or set TIDEMARK_BOOTSTRAP_SERVERS") from error
        if self._topic not in topics:
            text = f"topic {self._topic!r} does not exist at {self._settings.brokers}"
            raise TidemarkError(text, "make it with `make up` or `tidemark topics`, or set TIDEMARK_PREDICTIONS_TOPIC")

    def mark(self, control: Control) -> None:
        """Send a control record and wait until it is acknowledged.

        Raises:
            TidemarkError: it was not.
        """
        self._produce(CONTROL.encode(control.to_avro()))
        self._flush(f"{control.kind} of run {control.run!r}")

    def send(self, values: list[bytes]) -> None:
        """Hand events over; waits while the producer's buffer is full.

        Raises:
            TidemarkError: an earlier event could not be delivered.
        """
        for value in values:
            self._produce(value)
        self._sent += len(values)
        self.wait(0)

    def wait(self, seconds: float) -> None:
        """Let the producer work for a while.

        Raises:
            TidemarkError: an earlier event could not be delivered.
        """
        self._producer.poll(seconds)
        self._check()

    def flush(self) -> None:
        """Wait until every event is acknowledged.

        Raises:
            TidemarkError: with counts and the reason, when one was not.
        """
        self._flush("the last events")

    def _produce(self, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, self._key)
            except BufferError:
                self._producer.poll(0.05)  # the buffer is full: wait for acknowledgements
                self._check()
            except KafkaException as error:
                raise self._failure(_reason(error)) from error
            else:
                return

    def _flush(self, what: str) -> None:
        left = self._producer.flush(DELIVERY_S + 5)
        self._check()
        if left:
            raise self._failure(f"{what}: no acknowledgement within {DELIVERY_S + 5:.0f} s")

    def _check(self) -> None:
        if self._failed:
            raise self._failure(", ".join(f"{reason} ({count:,})" for reason, count in self._failed.most_common()))

    def _failure(self, reason: str) -> TidemarkError:
        told = f"{reason}; {self._last_error}" if self._last_error and self._last_error not in reason else reason
        self._producer.purge()  # what is still queued fails too, and is counted
        self._producer.flush(5)
        return TidemarkError(
            f"{self._failed.total():,} records could not be delivered to {self._topic!r} (events handed over: {self._sent:,}): {told}",
            "look at the broker (`tidemark logs kafka`), then replay again. The run has no run_end: the worker ends it as aborted",
        )

    def _on_failure(self, error: KafkaError | None, _message: Any) -> None:
        if error is not None:
            self._failed[error.str()] += 1

    def _on_error(self, error: KafkaError) -> None:
        self._last_error = error.str()


def _reason(error: KafkaException) -> str:
    cause = error.args[0]
    return cause.str() if isinstance(cause, KafkaError) else str(cause)


class KafkaSink:
    """Sends a run's rows straight to the topic."""

    def __init__(self, topic: RunTopic, encoder: EventEncoder) -> None:
        self._topic = topic
        self._encoder = encoder
        self._before = topic.delivered

    def send(self, rows: Rows, start: int, stop: int) -> None:
        """Send the rows ``[start, stop)``."""
        self._topic.send(self._encoder.encode(rows, start, stop))

    def wait(self, seconds: float) -> None:
        """Let time pass until more rows are due."""
        self._topic.wait(seconds)

    def finish(self) -> int:
        """Wait for all acknowledgements; returns the number of events delivered."""
        self._topic.flush()
        return self._topic.delivered - self._before
