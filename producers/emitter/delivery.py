"""The emitter's background thread: encodes what waits in the queue, hands it to Kafka, and books the delivery reports."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Producer

from .encode import EventEncoder
from .errors import WrongType
from .kafka import open_producer
from .ledger import CLOSED, DELIVERY_FAILED, QUEUE_FULL, TOO_LARGE, WRONG_TYPE, Generation, Ledger
from .logs import LOG, RateLimitedLog

# generation, now_ms, features, prediction, target, id, time, run, probabilities
Item = tuple[Generation, int, Any, Any, Any, Any, Any, Any, Any]
CHUNK = 256  # events between two polls: delivery reports are served while a burst is encoded
BUSY_S, WAITING_S, _IDLE_S = 0.02, 0.1, 1.0
_GATHER_S = 0.005  # let the request that woke this thread be answered first, and let more events gather
_PURGE_S = 2.0


def encode_item(encoder: EventEncoder, item: Item) -> bytes:
    """The record of one queued event.

    Raises:
        WrongType: a value does not fit, or what was handed in could not be copied.
    """
    _, now_ms, features, prediction, target, event_id, event_time, run, probabilities = item
    for copied in (features, probabilities):
        if isinstance(copied, WrongType):
            raise copied
    return encoder.encode(features, prediction, target, event_id, event_time, run, now_ms, probabilities)


class Delivery:
    """One thread and one producer. ``publish`` is called after each round, with nothing in hand (it feeds the metrics)."""

    def __init__(
        self,
        *,
        encoder: EventEncoder,
        ledger: Ledger,
        settings: dict[str, Any],
        topic: str,
        key: bytes,
        max_event_bytes: int,
        publish: Callable[[], None],
    ) -> None:
        self._encoder, self._ledger, self._settings = encoder, ledger, settings
        self._topic, self._key, self._max_event_bytes = topic, key, max_event_bytes
        self._publish = publish
        self._queue: deque[Item] = deque()
        self._wake = threading.Event()
        self._asleep = False
        self._deadline: float | None = None
        self._fatal = self._done = False
        self._logged_full = 0
        self._log = RateLimitedLog()
        self.producer: Producer | None = None
        # A daemon: the interpreter joins other threads before it runs the exit handler that stops this one.
        self._thread = threading.Thread(target=self._run, name="tidemark-emitter", daemon=True)

    def start(self) -> None:
        """Start the thread, in the process that emits."""
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Queue one event. Never blocks: the ledger has bounded what is pending. False when it is dropped here."""
        self._queue.append(item)
        if self._asleep:
            self._wake.set()
        if self._done:  # the thread ended between this event's admission and now
            self._drop_queue()
        return True

    def stop(self, timeout_s: float) -> None:
        """Deliver what is pending for at most ``timeout_s``, drop the rest, and end the thread."""
        self._deadline = time.monotonic() + timeout_s
        self._wake.set()
        self._thread.join(timeout_s + _PURGE_S + 1)

    def _run(self) -> None:
        self.producer = open_producer(self._settings, self._on_error, self._log)
        begun = False
        while not self._finished():
            try:
                if not begun:
                    begun = True
                    self._begin()
                self._round()
            except Exception:  # noqa: BLE001 - the thread must outlive a bug: everything it has in hand is booked event by event
                LOG.exception("the emitter's delivery thread goes on after an unexpected error")
                time.sleep(WAITING_S)
        self._end()

    def _begin(self) -> None:
        """Before the first round."""

    def _finished(self) -> bool:
        return self._deadline is not None and (self._ledger.pending == 0 or self._over())

    def _over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _round(self) -> None:
        producer = self._producer()
        sent = 0
        while self._queue and sent < CHUNK and not self._fatal:
            self._send(producer, self._queue.popleft())
            sent += 1
        producer.poll(0 if sent == CHUNK else BUSY_S if sent else WAITING_S if self._ledger.pending else 0)
        self._fold(DELIVERY_FAILED)
        self._publish()
        if self._ledger.pending == 0:
            self._sleep()

    def _sleep(self) -> None:
        self._asleep = True
        if self._idle() and self._deadline is None:  # looked at after the flag is up: no wake-up is missed
            self._wake.wait(_IDLE_S)
        self._asleep = False
        if self._wake.is_set():
            self._wake.clear()
            if self._deadline is None:
                time.sleep(_GATHER_S)

    def _idle(self) -> bool:
        return not self._queue

    def _send(self, producer: Producer, item: Item) -> None:
        value = self._value(item)
        if value is not None:
            self._produce(producer, item[0], value)

    def _value(self, item: Item) -> bytes | None:
        """The record of an event, or None when it is dropped: booked, and a line in the log."""
        try:
            value = self._encode(item)
        except WrongType as error:
            self._warn(f"wrong_type {error.column}", f"prediction event dropped: {error}")
            self._ledger.drop(item[0], WRONG_TYPE)
        except Exception as error:  # noqa: BLE001 - a foreign object may raise anything
            self._warn("wrong_type", f"prediction event dropped: it cannot be encoded: {type(error).__name__}")
            self._ledger.drop(item[0], WRONG_TYPE)
        else:
            if len(value) <= self._max_event_bytes:
                return value
            self._warn(TOO_LARGE, f"prediction event dropped: {len(value)} bytes, max_event_bytes is {self._max_event_bytes}")
            self._ledger.drop(item[0], TOO_LARGE)
        return None

    def _warn(self, key: str, message: str) -> None:
        self._log.warn(key, message)

    def _encode(self, item: Item) -> bytes:
        value = encode_item(self._encoder, item)
        for name in self._encoder.unknown(item[2]):
            self._warn(f"unknown {name}", f"feature {name} is not in the event schema: it is left out of the event")
        for label in self._encoder.unknown_classes(item[8] or {}):
            known = ", ".join(map(repr, self._encoder.classes))[:500] or "none"
            text = f"probability of class {label} is not in the event schema (its classes: {known}): it is left out of the event"
            self._warn(f"class {label}", text)
        return value

    def _produce(self, producer: Producer, generation: Generation, value: bytes) -> None:
        while True:
            try:
                producer.produce(self._topic, value=value, key=self._key, on_delivery=generation.report)
            except BufferError:  # librdkafka's own queue is full (its byte limit): serve reports until there is room
                producer.poll(WAITING_S)
                self._fold(DELIVERY_FAILED)
                if not self._over():
                    continue
                self._ledger.drop(generation, CLOSED)
            except KafkaException as error:
                self._on_error(cast(KafkaError, error.args[0]))
                self._ledger.drop(generation, DELIVERY_FAILED)
            return

    def _fold(self, reason: str) -> None:
        for error in self._ledger.fold(reason):
            self._on_error(error)
        full = self._ledger.snapshot().dropped[QUEUE_FULL]
        if full != self._logged_full:
            self._log.warn(QUEUE_FULL, f"queue full: {full - self._logged_full} prediction events dropped since the last such line")
            self._logged_full = full

    def _on_error(self, error: KafkaError) -> None:
        self._fatal = self._fatal or error.fatal()
        self._log.warn(f"kafka {error.name()}", f"Kafka: {error.str()} ({error.name()})")

    def _producer(self) -> Producer:
        assert self.producer is not None
        if self._fatal:  # an idempotent producer is unusable after a fatal error; a new one begins a new sequence
            self._purge(DELIVERY_FAILED)
            self.producer = open_producer(self._settings, self._on_error, self._log)
            self._fatal = False
        return self.producer

    def _purge(self, reason: str) -> None:
        self._purge_producer()
        self._fold(reason)

    def _purge_producer(self) -> None:
        assert self.producer is not None
        self.producer.purge()
        until = time.monotonic() + _PURGE_S
        while len(self.producer) and time.monotonic() < until:
            self.producer.poll(BUSY_S)

    def _drop_queue(self) -> None:
        with suppress(IndexError):  # empty: another thread may be dropping too
            while True:
                self._ledger.drop(self._queue.popleft()[0], CLOSED)

    def _end(self) -> None:
        self._done = True
        self._drop_queue()
        self._purge(CLOSED)
        if pending := self._ledger.pending:
            LOG.error("%d prediction events have no delivery report at close", pending)
        self._publish()
