"""Brings a partition's state back from the last committed cut."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from config.errors import TidemarkError
from config.settings import Settings
from streams import checkpoint
from streams.kafka_errors import kafka_error
from streams.watermarks import watermarks
from streams.windows.catalogue import Catalogue
from streams.windows.state import PartitionState


@dataclass(frozen=True, slots=True)
class Restored:
    """A partition's state with the offsets of its live chunks; ``lost`` counts records that retention took before they were read."""

    state: PartitionState
    chunk_offsets: dict[bytes, int]
    lost: int


class Restorer:
    """Reads cuts with a consumer of its own, outside of any callback."""

    def __init__(self, settings: Settings, catalogue: Catalogue, is_wanted: Callable[[], bool]) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.is_wanted = is_wanted

    def restore(self, partition: int) -> Restored | None:
        """The state at the committed offset, or a fresh one at the start of the partition; None when it is no longer wanted.

        Raises:
            TidemarkError: the committed offset has no cut of ours, or its cut cannot be read.
            KafkaException: the broker does not answer in time.
        """
        # Not the group's member: that one may be closed meanwhile. Whoever asks under the group's name is told what is committed.
        reader = Consumer(
            {
                "bootstrap.servers": self.settings.brokers,
                "reconnect.backoff.ms": 500,
                "group.id": self.settings.group_id,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",  # compaction may have taken what lay at `low` itself
                "enable.partition.eof": False,
                "fetch.wait.max.ms": 50,  # what is wanted is there already, or comes when a transaction ends
            }
        )
        try:
            return self._restore(reader, partition)
        finally:
            reader.close()

    def _restore(self, reader: Consumer, partition: int) -> Restored | None:
        source = TopicPartition(self.settings.predictions_topic, partition)
        committed = self._committed(reader, source)
        if committed is None:
            return None
        low, high = watermarks(reader, source, self.settings.transaction_timeout)
        if committed.offset == OFFSET_INVALID:
            return Restored(PartitionState(partition, low), {}, 0)
        found = self._cut(reader, partition, committed)
        if found is None:
            return None
        state, offsets = found
        if state.position > high:
            text = f"partition {partition} ends at offset {high}, before the committed position {state.position}: the topic was made anew"
            raise TidemarkError(text, "use a new TIDEMARK_GROUP_ID and checkpoint topic for it")
        lost = max(0, low - state.position)
        state.position += lost
        return Restored(state, offsets, lost)

    def _committed(self, reader: Consumer, source: TopicPartition) -> TopicPartition | None:
        """What is committed, once no other worker's transaction is pending on it; None when it is no longer wanted.

        The broker ends a dead worker's transaction after its timeout, and looks for such every ten seconds by default.
        """
        deadline = time.monotonic() + max(self.settings.transaction_timeout * 2 + 10, self.settings.stall_timeout / 2)
        while self.is_wanted():
            try:
                found = reader.committed([source], timeout=1.0)[0]
            except KafkaException as error:
                if kafka_error(error).code() != KafkaError._TIMED_OUT or time.monotonic() > deadline:
                    raise
                continue
            if found.error is not None:  # never taken for "nothing is committed": that would read everything again
                raise KafkaException(found.error)
            return found
        return None

    def _cut(self, reader: Consumer, partition: int, committed: TopicPartition) -> tuple[PartitionState, dict[bytes, int]] | None:
        try:
            where = json.loads(committed.metadata or "")
            low, head_offset = int(where["low"]), int(where["head"])
        except (TypeError, ValueError, KeyError) as error:
            text = f"the committed offset of partition {partition} has no cut of Tidemark (metadata {committed.metadata!r})"
            raise TidemarkError(text, "another program commits under this group: set TIDEMARK_GROUP_ID to one of your own") from error
        if low < 0:  # an offset of its own meaning: reading would begin at the end
            text = f"the cut at offset {head_offset} of {self.settings.checkpoint_topic}/{partition} names rows that were never written"
            raise TidemarkError(text, "an older worker was ended amid a cut: use a new TIDEMARK_GROUP_ID and checkpoint topic")
        records = self._read(reader, partition, low, head_offset)
        if records is None:
            return None
        head, head_offsets = records.pop(checkpoint.head_key(partition), (None, -1))
        if head is None or head_offsets != head_offset:
            raise TidemarkError(f"the checkpoint topic has no head at offset {head_offset} of partition {partition}", "see docs/streams.md")
        live = checkpoint.live_chunks(head)
        chunks = {k: records[k][0] for k in live if k in records}
        state = checkpoint.restore(head, {k: v for k, v in chunks.items() if v is not None}, self.catalogue, committed.offset)
        return state, {k: records[k][1] for k in live}

    def _read(self, reader: Consumer, partition: int, low: int, head_offset: int) -> dict[bytes, tuple[bytes | None, int]] | None:
        """The last value and offset of each key in ``[low, head_offset]``. Waits until the head is readable: a state never starts empty."""
        records: dict[bytes, tuple[bytes | None, int]] = {}
        deadline = time.monotonic() + self.settings.stall_timeout
        reader.assign([TopicPartition(self.settings.checkpoint_topic, partition, low)])
        while self.is_wanted():
            for message in reader.consume(1000, 0.05):
                if message.error():
                    raise TidemarkError(f"the checkpoint cannot be read: {message.error()}", "see docs/streams.md")
                offset = int(message.offset() or 0)
                if offset <= head_offset:
                    records[bytes(message.key() or b"")] = (message.value(), offset)
                if offset >= head_offset:
                    return records
            if time.monotonic() > deadline:
                text = f"the cut at offset {head_offset} of {self.settings.checkpoint_topic}/{partition} did not become readable"
                raise TidemarkError(text, "look for a broker with unfinished transactions; the supervisor starts the worker anew")
        return None
