"""``Emitter``: one call per prediction, and the service is never endangered by it."""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
import weakref
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from .delivery import Delivery, Item, encode_item
from .encode import ID_PATTERN, EventEncoder, Schema, read_schema
from .errors import EmitterError, EventRefused
from .handed_in import by_label, copied, known_columns
from .ids import in_sample, uuid7
from .kafka import producer_settings
from .ledger import CLOSED, WRONG_TYPE, Counters, Generation, Ledger
from .metrics import MetricsPublisher, open_publisher
from .spill import Spill
from .spilled import SpilledDelivery

_UNBOUNDED = 2**62  # the spill's bytes bound what is pending


class Emitter:
    """Sends a model's predictions to Kafka in the background.

    ``emit`` copies the features, puts them into a bounded queue and returns (microseconds); a thread of this process encodes and delivers
    them. Nothing is started before the first ``emit``, so a server may build the emitter and then fork its workers.

    Args:
        model: the model's id in its Tidemark spec; it is the record's key.
        model_version: any text that names the model's version.
        schema: the event schema that Tidemark wrote for the model: a path to the ``.avsc`` file, or the parsed JSON.
        bootstrap_servers: ``host:port`` of the Kafka brokers, separated by commas.
        topic: the predictions topic.
        queue_size: most events pending at once (queued and not yet acknowledged); more are dropped as ``queue_full``.
        schema_id: the id in a Confluent-compatible registry; frames events in the Confluent wire format. None: Avro single-object encoding.
        max_event_bytes: larger events are dropped as ``too_large``; the worker's ``TIDEMARK_MAX_RECORD_BYTES`` is the other end of it.
        delivery_timeout_s: s that an event waits for the broker before it is dropped as ``delivery_failed``.
        exit_timeout_s: s that the process's end may wait for delivery.
        strict: for tests: ``emit`` raises ``EventRefused`` (``WrongType`` names the column) for what it would drop at once.
        sample_rate: share of the predictions that is emitted, above 0 to 1; each event says it. Which ones follows from their ids.
        redact: columns whose values never leave the service: they are sent as null, and neither logged nor spilled.
        spill: a folder for a write-ahead log: ``emit`` returns once the event lies in a file there, so a killed service loses nothing that
            it accepted; the next start sends the rest. None: events wait in memory.
        spill_bytes: most bytes that this process keeps there; more events are dropped as ``spill_full``.
        metrics: count in Prometheus too, where ``prometheus_client`` is installed.
        registry: a ``prometheus_client`` registry; None is the default one.
        kafka: more librdkafka settings, for example TLS and SASL.

    Raises:
        EmitterError: an argument cannot be used; names it and the remedy.
    """

    def __init__(
        self,
        *,
        model: str,
        model_version: str,
        schema: Schema | str | Path,
        bootstrap_servers: str,
        topic: str = "tidemark.predictions",
        queue_size: int = 10_000,
        schema_id: int | None = None,
        max_event_bytes: int = 1_000_000,
        delivery_timeout_s: float = 120.0,
        exit_timeout_s: float = 5.0,
        strict: bool = False,
        sample_rate: float = 1.0,
        redact: Collection[str] = (),
        spill: str | Path | None = None,
        spill_bytes: int = 256 << 20,
        metrics: bool = True,
        registry: Any = None,
        kafka: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(model, str) or not ID_PATTERN.match(model):
            raise EmitterError(f"model={model!r} is not an id: use 1 to 64 of A-Za-z0-9_.-")
        if not isinstance(queue_size, int) or not 1 <= queue_size <= 10_000_000:
            raise EmitterError(f"queue_size={queue_size!r}: give a whole number from 1 to 10,000,000")
        if not isinstance(sample_rate, (int, float)) or not 0 < sample_rate <= 1:
            raise EmitterError(f"sample_rate={sample_rate!r}: give a share above 0, up to 1")
        self._encoder = EventEncoder(read_schema(schema), model, str(model_version), schema_id, float(sample_rate))
        self._redact = known_columns(redact, self._encoder.columns)
        self._sample_rate = float(sample_rate)
        self._spill_folder, self._spill_bytes = None if spill is None else Path(spill), spill_bytes
        timeout_s = delivery_timeout_s if spill is None else 0  # 0: Kafka's client never gives up, for the files hold the events
        self._settings = producer_settings(bootstrap_servers, queue_size, max_event_bytes, timeout_s, kafka or {})
        self.model, self._topic, self._queue_size, self._max_event_bytes = model, topic, queue_size, max_event_bytes
        self._exit_timeout_s, self._strict = exit_timeout_s, strict
        self._metrics, self.registry = metrics, registry
        self._delivery: Delivery | None
        self._publisher: MetricsPublisher | None
        self._stopped: bool
        self._fresh()
        _EMITTERS.add(self)
        atexit.register(self._at_exit)

    @property
    def columns(self) -> tuple[str, ...]:
        """The features' names, as the user wrote them, in the schema's order."""
        return self._encoder.columns

    def emit(
        self,
        features: Mapping[str, Any],
        prediction: Any,
        *,
        event_id: str | None = None,
        event_time: datetime | int | None = None,
        run: str = "live",
        target: Any = None,
        probabilities: Mapping[Any, Any] | None = None,
    ) -> bool:
        """Hand in one prediction; returns at once. True: it is queued (with ``spill``: it lies in the file), or sampling leaves it out.
        False: it was dropped and counted.

        Args:
            features: value per column; a missing column is null, a column that the schema lacks is left out (and logged). An embedding is
                a list, a tuple or an array of one dimension, and is copied.
            prediction: number or string, as the schema says.
            event_id: names this prediction; a UUIDv7 when None.
            event_time: an aware datetime or ms since the epoch (UTC); now when None.
            run: ``live``, or the id of a replay's run.
            target: the true value, when it is known already.
            probabilities: the predicted probability of each class by its label, such as ``dict(zip(model.classes_, row))``; a class that
                the schema lacks is left out (and logged).

        Raises:
            EventRefused: in strict mode only.
        """
        now_ms = time.time_ns() // 1_000_000
        copy = copied(features, "features")
        if isinstance(copy, dict):
            for name in self._redact:
                copy.pop(name, None)
            self._encoder.freeze(copy)
        if self._sample_rate < 1:
            event_id = uuid7(now_ms) if event_id is None else event_id
            if not in_sample(event_id, self._sample_rate):
                self._ledger.sample_out()
                return True
        chances = None if probabilities is None else by_label(copied(probabilities, "probabilities"))
        admitted = self._ledger.admit()
        if not isinstance(admitted, Generation):
            return self._refused(admitted)
        item = (admitted, now_ms, copy, prediction, target, event_id, event_time, run, chances)
        if self._strict:
            self._try_encoding(item)
        try:
            accepted = (self._delivery or self.start()).put(item)
        except RuntimeError:  # no thread can be started: the process is ending, or at its limit
            self._ledger.drop(admitted, CLOSED)
            return False
        if self._strict and not accepted:
            raise EventRefused("not_spilled", "prediction event dropped: too large, or the spill has no room; counters() has the reason")
        return accepted

    def start(self) -> Delivery:
        """Start the delivery thread and the Prometheus counters, and send what an earlier process left in the spill.

        The first ``emit`` does it; a service's start hook may do it sooner.
        """
        with self._starting:
            if self._delivery is None:
                self._publisher = open_publisher(self.model, self.registry) if self._metrics else None
                delivery = self._new_delivery()
                delivery.start()
                self._delivery = delivery
            return self._delivery

    def counters(self) -> Counters:
        """A snapshot: ``emitted + recovered == delivered + sum(dropped.values()) + pending + sampled_out``, always."""
        return self._ledger.snapshot()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all events handed in before this call are delivered or dropped; False when ``timeout_s`` ran out."""
        return self._ledger.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Deliver what is pending, for at most ``timeout_s``; drop the rest as ``closed``, or leave it in the spill for the next start.

        Later events are dropped. Twice is harmless.
        """
        self._ledger.close()
        with self._starting:
            if self._delivery is not None and not self._stopped:
                self._stopped = True
                self._delivery.stop(timeout_s)
        atexit.unregister(self._at_exit)

    def __enter__(self) -> Emitter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _at_exit(self) -> None:
        self.close(self._exit_timeout_s)

    def _fresh(self) -> None:
        """The state of one process: counters, queue, thread, producer."""
        self._ledger = Ledger(self._queue_size if self._spill_folder is None else _UNBOUNDED)
        self._spill = None if self._spill_folder is None else Spill(self._spill_folder, self.model, self._spill_bytes)
        self._starting = threading.RLock()
        self._delivery = None
        self._publisher = None
        self._stopped = False

    def _after_fork(self) -> None:
        """In a forked child: the parent's events stay the parent's, and its producer must never be destroyed here (its threads are gone,
        so librdkafka would wait for them for ever): one reference to it is kept for good."""
        if self._delivery is not None:
            for left in (self._delivery, self._delivery.producer):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(left))
        if self._spill is not None:
            self._spill.abandon()
        self._fresh()

    def _new_delivery(self) -> Delivery:
        given: dict[str, Any] = {
            "encoder": self._encoder,
            "ledger": self._ledger,
            "settings": self._settings,
            "topic": self._topic,
            "key": self.model.encode(),
            "max_event_bytes": self._max_event_bytes,
            "publish": self._publish,
        }
        if self._spill is None:
            return Delivery(**given)
        return SpilledDelivery(spill=self._spill, in_flight=self._queue_size, **given)

    def _publish(self) -> None:
        if self._publisher is not None:
            self._publisher.publish(self._ledger.snapshot())

    def _refused(self, reason: str) -> bool:
        if self._stopped:
            self._publish()  # no thread does it any more
        if self._strict:
            raise EventRefused(reason, f"prediction event dropped: {reason}")
        return False

    def _try_encoding(self, item: Item) -> None:
        try:
            encode_item(self._encoder, item)
        except Exception:
            self._ledger.drop(item[0], WRONG_TYPE)
            raise


_EMITTERS: weakref.WeakSet[Emitter] = weakref.WeakSet()


def _reset_children() -> None:
    for emitter in list(_EMITTERS):
        emitter._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_children)
