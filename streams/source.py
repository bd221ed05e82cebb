"""Reads whole batches from the predictions topic as a member of the consumer group. All calls come from one thread but where said."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from config.errors import TidemarkError
from config.settings import Settings
from streams.partition import Partition
from streams.windows.batch import RawBatch

BATCH_RECORDS = 20_000
SLICE_RECORDS = 500  # taken at a time: that many message objects stay in the processor's cache, and cost half of what 20,000 do
ENDS_EVERY_S = 0.5


@dataclass(slots=True)
class _Taken:
    """Records of one partition, in order."""

    values: list[bytes] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)

    def add(self, messages: list[Message]) -> None:
        """Take what is needed of messages, so that they can go."""
        self.values += [m.value() or b"" for m in messages]
        self.keys += [m.key() for m in messages]
        self.offsets += [m.offset() for m in messages]  # type: ignore[misc]
        self.times_ms += [m.timestamp()[1] for m in messages]


def _sort(messages: list[Message], taken: dict[int, _Taken], complain: Callable[[KafkaError], None]) -> None:
    """Add messages to what is taken of their partitions; ``complain`` is told of each error among them."""
    by_partition: dict[int, list[Message]] = {}
    for message in messages:
        if (error := message.error()) is None:
            by_partition.setdefault(message.partition(), []).append(message)  # type: ignore[arg-type]
        else:
            complain(error)
    for number, part in by_partition.items():
        taken.setdefault(number, _Taken()).add(part)


class Source:
    """The consumer with its partitions. Nothing of an assigned one is read until it is restored; restoring happens elsewhere.

    ``group_metadata`` vouches for this member in transactions; it is that of the last poll, which ended at ``polled_s`` (monotonic).
    ``transaction_lock`` is held while a transaction is written: giving partitions away waits for it, so that a cut is whole or not at all.
    """

    def __init__(
        self,
        settings: Settings,
        on_assigned: Callable[[Partition], None],
        on_revoked: Callable[[Partition], None],
        on_statistics: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.on_assigned = on_assigned
        self.on_revoked = on_revoked
        self.transaction_lock = threading.RLock()
        self.partitions: dict[int, Partition] = {}
        self._actions: deque[Callable[[], None]] = deque()
        self._held = False
        self._ends_s = 0.0
        self.group_metadata: Any = None
        self.polled_s = time.monotonic()
        self.consumer = Consumer(
            {
                "bootstrap.servers": settings.brokers,
                "reconnect.backoff.ms": 500,
                "group.id": settings.group_id,
                "partition.assignment.strategy": "cooperative-sticky",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",  # every position is set by us; one out of range is never silently reset
                "session.timeout.ms": int(settings.session_timeout * 1000),
                "heartbeat.interval.ms": max(100, int(settings.session_timeout * 1000 / 4)),
                "max.poll.interval.ms": int(settings.max_poll_interval * 1000),
                "queued.min.messages": 20_000,  # a partition; the worker takes some 2,000 in the time that a full queue fetches nothing
                "queued.max.messages.kbytes": 16_384,
                "fetch.message.max.bytes": 4_000_000,
                # A partition whose queue is full fetches nothing for this long: librdkafka's second would empty the queue, again and again.
                "fetch.queue.backoff.ms": 10,
                "statistics.interval.ms": 5000,
                "stats_cb": on_statistics,
            }
        )

    def subscribe(self) -> None:
        """Join the group."""
        self.consumer.subscribe([self.settings.predictions_topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke)

    def poll(self, timeout_s: float) -> list[tuple[Partition, RawBatch]]:
        """Batches by partition, at most ``BATCH_RECORDS`` records in all; empty after ``timeout_s`` without records.

        Raises:
            TidemarkError: the broker refuses in a way that waiting does not mend.
        """
        while self._actions:
            self._actions.popleft()()
        taken: dict[int, _Taken] = {}
        count, deadline_s = 0, time.monotonic() + timeout_s
        while count < BATCH_RECORDS:
            messages = self.consumer.consume(SLICE_RECORDS, max(0.0, deadline_s - time.monotonic()))
            _sort(messages, taken, self._complain)
            count += len(messages)
            if len(messages) < SLICE_RECORDS:  # no more came in time
                break
        self._note()
        return [item for number, part in taken.items() if (item := self._batch(number, part)) is not None]

    def keep_membership(self, timeout_s: float) -> None:
        """Poll without taking records, while the stages behind are full: a member that does not poll is thrown out of the group."""
        if not self._held:
            self.consumer.pause(self._places(self.partitions.values()))
            self._held = True
        stray = self.consumer.consume(1, timeout_s)
        self._note()
        for message in stray:  # fetched before the pause took effect
            if message.error() is None and message.partition() in self.partitions:  # else it was revoked in this very poll
                self._seek(int(message.partition() or 0), int(message.offset() or 0))

    def go_on(self) -> None:
        """Take records again after ``keep_membership``."""
        if self._held:
            self._held = False
            if ready := self._places(p for p in self.partitions.values() if p.valid):
                self.consumer.resume(ready)

    def start_reading(self, partition: Partition, position: int) -> None:
        """Set a restored partition's first position and let it flow. From any thread: done before the next poll."""

        def act() -> None:
            if partition.valid:
                place = TopicPartition(self.settings.predictions_topic, partition.number, position)
                self.consumer.incremental_assign([place])
                partition.reading = True
                if self._held:
                    self.consumer.pause([place])

        self._actions.append(act)

    def reset(self, old: Partition) -> None:
        """Give up a partition's state, at once, and restore it from the last cut. From any thread."""
        old.valid = False  # now, not at the next poll: what it has drafted is in no cut, so no further one may be drafted from it

        def act() -> None:
            if self.partitions.get(old.number) is old:  # not revoked meanwhile
                self._stop_reading([old])
                self._fresh(old.number)

        self._actions.append(act)

    def close(self) -> None:
        """Leave the group."""
        self.consumer.close()

    def _note(self) -> None:
        """Note what other threads need to know of the consumer, after each poll.

        They must not ask it themselves: a call on a consumer waits until another thread's consume() is over, its callbacks included
        (confluent-kafka 2.16). A cut that asked would wait up to its timeout, and for ever once a callback waits for the cut.
        """
        self.group_metadata = self.consumer.consumer_group_metadata()
        self.polled_s = time.monotonic()
        if (now_s := time.monotonic()) - self._ends_s >= ENDS_EVERY_S:
            self._ends_s = now_s
            for partition in self.partitions.values():
                if partition.reading:
                    source = TopicPartition(self.settings.predictions_topic, partition.number)
                    partition.end = self.consumer.get_watermark_offsets(source, cached=True)[1]

    def _stop_reading(self, partitions: list[Partition]) -> None:
        if places := self._places(partitions):
            self.consumer.incremental_unassign(places)

    def _places(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        """Those of the partitions that the consumer reads."""
        return [TopicPartition(self.settings.predictions_topic, p.number) for p in partitions if p.reading]

    def _seek(self, number: int, position: int) -> None:
        self.consumer.seek(TopicPartition(self.settings.predictions_topic, number, position))

    def _fresh(self, number: int) -> None:
        self.partitions[number] = Partition(number)
        self.on_assigned(self.partitions[number])

    def _assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        # Ours as the group sees it; the consumer itself gets each partition with its position, once the state is restored. Another position
        # first and a seek later would not do: librdkafka's seek is for partitions that are being fetched, and tells nobody when it fails.
        consumer.incremental_assign([])
        for p in assigned:
            self._fresh(p.partition)

    def _revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        with self.transaction_lock:
            given = [partition for p in revoked if (partition := self.partitions.pop(p.partition, None)) is not None]
            for partition in given:
                partition.valid = False
                self.on_revoked(partition)
        consumer.incremental_unassign(self._places(given))

    def _batch(self, number: int, taken: _Taken) -> tuple[Partition, RawBatch] | None:
        partition = self.partitions.get(number)
        if partition is None or not partition.reading:  # revoked in this very poll
            return None
        offsets = np.array(taken.offsets, dtype=np.int64)
        raw = RawBatch(number, taken.values, taken.keys, offsets, np.array(taken.times_ms, dtype=np.int64), partition.queued_position)
        partition.queued_position = int(offsets[-1]) + 1
        return partition, raw

    @staticmethod
    def _complain(error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET or error.fatal():
            raise TidemarkError(
                f"the predictions topic cannot be read: {error.str()}", "the supervisor starts the worker anew, which counts the gap"
            )
        if not error.retriable() and error.code() not in {
            KafkaError._TRANSPORT,
            KafkaError._ALL_BROKERS_DOWN,
            KafkaError._MAX_POLL_EXCEEDED,
        }:
            raise KafkaException(error)
