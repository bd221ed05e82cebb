"""Silence: live models that stopped, and replays that were left. Decided on facts of the broker, and put into the next cut."""

from __future__ import annotations

from confluent_kafka import KafkaException, TopicPartition

from config.settings import Settings
from schemas.event import LIVE_RUN
from streams.partition import Partition
from streams.source import Source
from streams.windows.core import WindowCore
from streams.windows.state import Stream, StreamId


class Silence:
    """Finds streams that have been silent for long, and makes sure that nothing of theirs is still on its way."""

    def __init__(self, settings: Settings, source: Source, core: WindowCore) -> None:
        self.settings = settings
        self.source = source
        self.core = core

    def candidates(self, now_s: float, wall_s: float) -> list[tuple[Partition, StreamId, int | None]]:
        """Silent streams with the stream time to advance to (ms), or None to end a replay.

        A live model's window is closed only when the wall clock has passed its end, grace and the idle timeout: a sparse model's current
        window is never closed early.
        """
        found: list[tuple[Partition, StreamId, int | None]] = []
        for partition in list(self.source.partitions.values()):
            if partition.ready and partition.state is not None:
                for stream in partition.state.streams.values():
                    found += [(partition, stream.id, due) for due in self._due(stream, now_s, wall_s)]
        return found

    def _due(self, stream: Stream, now_s: float, wall_s: float) -> list[int | None]:
        silent_s = now_s - stream.seen_s
        if stream.id.run != LIVE_RUN:
            return [None] if silent_s >= self.settings.run_timeout else []
        if silent_s < self.settings.idle_timeout or not stream.windows:
            return []
        due_ms = min(self.core.catalogue.closes_ms(w) for w in stream.windows)
        return [due_ms] if wall_s * 1000 >= due_ms + self.settings.idle_timeout * 1000 else []

    def nothing_left(self, partition: Partition) -> bool:
        """True when every record up to the partition's end, asked for now, has been read. False when the broker does not answer.

        On the source's thread: between two polls the consumer's position and what was handed on agree.
        """
        source = TopicPartition(self.settings.predictions_topic, partition.number)
        try:
            _, high = self.source.consumer.get_watermark_offsets(source, timeout=5)
            position = self.source.consumer.position([source])[0].offset
        except KafkaException:
            return False
        state = partition.state
        read = max(position, state.position if state is not None else 0)
        return partition.ready and read >= high and self.still_silent(partition)

    @staticmethod
    def still_silent(partition: Partition) -> bool:
        """True when nothing that was read waits to be decoded."""
        return (
            partition.ready and partition.reading and partition.state is not None and partition.queued_position <= partition.state.position
        )
