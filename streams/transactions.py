"""One Kafka transaction a cut: results, late records, dead letters, the checkpoint and the source's offsets, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, Message, Producer, TopicPartition

from config.errors import TidemarkError
from config.settings import Settings
from schemas.result import encode_result
from streams.checkpoint import Draft, encode_chunk, head_key
from streams.kafka_errors import kafka_error
from streams.topics import CHECKPOINT_RECORD_BYTES
from streams.windows.batch import Outcast

Headers = list[tuple[str, str | bytes]]


class CutAborted(Exception):
    """The transaction did not commit: the partitions' state is behind what was drafted, and has to be restored."""


@dataclass(frozen=True, slots=True)
class Landed:
    """Where a committed cut's records lie on the checkpoint topic."""

    head_offset: int
    chunk_offsets: dict[bytes, int]


def transactional_producer(settings: Settings, transactional_id: str, on_statistics: Callable[[str], None]) -> Producer:
    """The worker's producer. Its id is the worker's own: what fences a worker is the group's generation, sent along with the offsets."""
    return Producer(
        {
            "bootstrap.servers": settings.brokers,
            "reconnect.backoff.ms": 500,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": int(settings.transaction_timeout * 1000),
            "message.max.bytes": CHECKPOINT_RECORD_BYTES,
            "compression.type": "lz4",
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
            "partitioner": "murmur2_random",
            "statistics.interval.ms": 5000,
            "stats_cb": on_statistics,
        }
    )


class Transactions:
    """Writes drafts. One transaction at a time; called from one thread."""

    def __init__(self, settings: Settings, producer: Producer) -> None:
        self.settings = settings
        self.producer = producer
        self.offsets: dict[int, dict[bytes, int]] = {}  # of live chunks, by partition

    def commit(self, drafts: list[Draft], group_metadata: Any) -> dict[int, Landed]:
        """Write the drafts and commit.

        Raises:
            CutAborted: nothing of it is visible; the worker was fenced, or the broker refused.
            TidemarkError: the producer cannot go on (fatal): the process must end.
        """
        try:
            self.producer.begin_transaction()
            landed = self._write(drafts)
            self.producer.send_offsets_to_transaction(self._offsets(drafts, landed), group_metadata, self.settings.transaction_timeout)
            self._finish()
        except (KafkaException, CutAborted) as error:
            self._abort(error)
            raise CutAborted(str(error)) from error
        for partition, where in landed.items():
            self.offsets[partition] = where.chunk_offsets
        return landed

    def _finish(self) -> None:
        while True:
            try:
                self.producer.commit_transaction(self.settings.transaction_timeout)
                return
            except KafkaException as error:
                if not kafka_error(error).retriable():
                    raise

    def _abort(self, error: Exception) -> None:
        remedy = "the supervisor starts the worker anew"
        if isinstance(error, KafkaException) and kafka_error(error).fatal():
            raise TidemarkError(f"the transactional producer cannot go on: {kafka_error(error).str()}", remedy) from error
        try:
            self.producer.abort_transaction(self.settings.transaction_timeout)
        except KafkaException as second:
            raise TidemarkError(f"a transaction cannot be aborted: {kafka_error(second).str()}", remedy) from second

    def _write(self, drafts: list[Draft]) -> dict[int, Landed]:
        failed: list[str] = []
        placed: dict[tuple[int, bytes], int] = {}

        def on_delivery(error: Any, message: Message) -> None:
            if error is not None:
                failed.append(error.str())
            elif message.topic() == self.settings.checkpoint_topic:
                placed[int(message.partition() or 0), bytes(message.key() or b"")] = int(message.offset() or 0)

        for draft in drafts:
            self._outcome(draft, on_delivery)
            self._checkpoint(draft, on_delivery)
        if self.producer.flush(self.settings.transaction_timeout) or failed:
            raise CutAborted(failed[0] if failed else "no delivery report in time")
        return {d.partition: self._landed(d, placed) for d in drafts}

    def _outcome(self, draft: Draft, on_delivery: Callable[..., None]) -> None:
        s = self.settings
        for result in (*draft.results, *draft.compared):
            self._produce(s.results_topic, result.key.encode(), encode_result(result), None, draft.partition, on_delivery)
        for topic, outcasts in ((s.late_topic, draft.late), (s.dead_letter_topic, draft.dead)):
            for outcast in outcasts:
                headers = _headers(outcast, s.predictions_topic, draft.partition)
                self._produce(topic, outcast.key, outcast.value, headers, draft.partition, on_delivery)

    def _checkpoint(self, draft: Draft, on_delivery: Callable[..., None]) -> None:
        topic = self.settings.checkpoint_topic
        for key in draft.tombstones:  # first: the broker takes the partition into the transaction while the chunks are being encoded
            self._produce(topic, key, None, None, draft.partition, on_delivery)
        for key, frame in draft.chunks:
            self._produce(topic, key, encode_chunk(frame), None, draft.partition, on_delivery)
        self._produce(topic, head_key(draft.partition), draft.head, None, draft.partition, on_delivery)

    def _produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
        partition: int,
        on_delivery: Callable[..., None],
    ) -> None:
        while True:
            try:
                self.producer.produce(topic, value, key, partition, on_delivery, headers=headers or [])
                break
            except BufferError:  # the local queue is full: let deliveries go on
                self.producer.poll(0.1)
        self.producer.poll(0)

    def _landed(self, draft: Draft, placed: dict[tuple[int, bytes], int]) -> Landed:
        offsets = self.offsets.get(draft.partition, {}) | {k: offset for (number, k), offset in placed.items() if number == draft.partition}
        if gone := [k for k in draft.live_chunks if k not in offsets]:  # such a cut could never be restored
            raise CutAborted(f"chunk {gone[0].decode()} of the cut is not on the checkpoint topic: report this, it is a bug")
        offsets = {k: offsets[k] for k in draft.live_chunks}
        return Landed(placed[draft.partition, head_key(draft.partition)], offsets)

    def _offsets(self, drafts: list[Draft], landed: dict[int, Landed]) -> list[TopicPartition]:
        topic = self.settings.predictions_topic
        return [TopicPartition(topic, d.partition, d.position, metadata=_metadata(landed[d.partition])) for d in drafts]


def _metadata(landed: Landed) -> str:
    """What travels with the committed offset: where the head lies and from where on its chunks have to be read."""
    return json.dumps({"head": landed.head_offset, "low": min([*landed.chunk_offsets.values(), landed.head_offset])})


def _headers(outcast: Outcast, topic: str, partition: int) -> Headers:
    schema = outcast.value[:10] if outcast.value[:1] == b"\xc3" else outcast.value[:5]
    fields = {
        "reason": outcast.reason,
        "message": outcast.message,
        "topic": topic,
        "partition": partition,
        "offset": outcast.offset,
        "schema": schema.hex(),
    }
    return [(f"tidemark.{k}", str(v).encode()) for k, v in fields.items()]
