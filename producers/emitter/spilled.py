"""Delivery through the spill: ``put`` encodes and writes in the caller, the thread reads the files and sends what is in them."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from .delivery import BUSY_S, CHUNK, WAITING_S, Delivery, Item
from .ledger import DELIVERY_FAILED
from .spill import Batch, Spill

_RETRY_S = 1.0
_MOST_NOTES = 200


class SpilledDelivery(Delivery):
    """Keeps what Kafka does not take, and sends it again, in order. What is left at the end stays on disk.

    Args:
        spill: the files.
        in_flight: most events handed to Kafka and not acknowledged.
    """

    def __init__(self, *, spill: Spill, in_flight: int, **given: Any) -> None:
        super().__init__(**given)
        self._spill, self._most = spill, in_flight
        self._in_flight: deque[Batch] = deque()
        self._retry_at: float | None = None
        self._notes: deque[tuple[str, str]] = deque(maxlen=_MOST_NOTES)  # callers do not log: this thread does it for them

    def put(self, item: Item) -> bool:
        """Encode and write one event; True once it lies in the file."""
        generation = item[0]
        value = self._value(item)
        if value is None:
            return False
        reason = self._spill.append(value, generation)
        if reason is not None:
            self._warn(reason, f"prediction event dropped: {reason}, the spill folder has no room for it")
            self._ledger.drop(generation, reason)
            return False
        if self._asleep:
            self._wake.set()
        return True

    def _warn(self, key: str, message: str) -> None:
        self._notes.append((key, message))

    def _begin(self) -> None:
        for segment, count in self._spill.adopt():
            generation = self._ledger.recover(count)
            segment.counts.extend([[generation, count]] if count else [])
        self._spill.sweep()

    def _round(self) -> None:
        producer = self._producer()
        sent = self._send_next(producer)
        producer.poll(0 if sent == CHUNK else BUSY_S if sent else WAITING_S if self._in_flight else 0 if self._idle() else BUSY_S)
        self._retire()
        while self._notes:
            self._log.warn(*self._notes.popleft())
        self._publish()
        if not self._in_flight and self._idle():
            self._sleep()

    def _idle(self) -> bool:
        return self._ledger.pending == 0

    def _send_next(self, producer: Producer) -> int:
        """Hand one batch to Kafka: the next one, or one that failed before."""
        if self._retry_at is not None:
            return self._send_again(producer)
        if sum(len(b.values) for b in self._in_flight) >= self._most:
            return 0
        batch = self._spill.take(CHUNK)
        if batch is None:
            return 0
        self._in_flight.append(batch)
        self._hand_over(producer, batch)
        return len(batch.values)

    def _send_again(self, producer: Producer) -> int:
        """Once nothing is under way any more: the failed batches, in order."""
        if not all(b.reported for b in self._in_flight) or time.monotonic() < (self._retry_at or 0):
            return 0
        self._retry_at = None
        for batch in self._in_flight:
            batch.again()
            self._hand_over(producer, batch)
        return sum(len(b.values) for b in self._in_flight)

    def _hand_over(self, producer: Producer, batch: Batch) -> None:
        for value in batch.values:
            try:
                self._hand_over_one(producer, value, batch)
            except KafkaException as error:
                batch.report(error.args[0], None)

    def _hand_over_one(self, producer: Producer, value: bytes, batch: Batch) -> None:
        while True:
            try:
                producer.produce(self._topic, value=value, key=self._key, on_delivery=batch.report)
                return
            except BufferError as error:  # librdkafka's own queue is full (its byte limit): serve reports until there is room
                if self._over():
                    raise KafkaException(KafkaError(KafkaError._QUEUE_FULL)) from error
                producer.poll(WAITING_S)

    def _retire(self) -> None:
        """Book the batches whose every record arrived, from the oldest on; what failed is kept and sent again after a second."""
        for batch in self._in_flight:
            for error in batch.errors:
                self._on_error(error)
            batch.errors.clear()
        while self._in_flight and (batch := self._in_flight[0]).reported and not batch.failed:
            self._in_flight.popleft()
            self._spill.delivered(batch)
            self._ledger.settle(batch.counts, batch.refused, DELIVERY_FAILED)
        if self._retry_at is None and any(b.reported and b.failed for b in self._in_flight):
            self._retry_at = time.monotonic() + _RETRY_S

    def _purge(self, _reason: str) -> None:
        self._purge_producer()
        self._retire()

    def _end(self) -> None:
        self._done = True
        self._purge_producer()
        self._retire()
        self._spill.close()
        if pending := self._ledger.pending:
            self._log.warn("spill", f"{pending} prediction events stay in the spill folder: the next start sends them")
        self._publish()
