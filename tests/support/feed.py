"""Many events fast: a block of rows is encoded once, then only ids and times are written into its bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from confluent_kafka import Producer

from config.settings import Settings
from config.spec import ModelSpec
from producers.replay.encode import EventEncoder
from producers.replay.source import Rows
from schemas.framing import WriterSchema
from streams.partitioner import partition_of

IntArray = npt.NDArray[np.int64]
ID_DIGITS = 9
TIME_BYTES = 6  # a time of 1970-07 to 2039 in ms as Avro writes it
_MIN_TIME_MS, _MAX_TIME_MS = 2**34, 2**41 - 1


class Template:
    """Rows whose encodings have one length, to be sent again and again under new ids and times.

    Ids are ``e-`` and nine digits. The columns' values repeat every ``len(rows)`` events.

    Raises:
        ValueError: the rows' encodings differ in length (categories of different lengths, or nulls).
    """

    def __init__(self, spec: ModelSpec, writer: WriterSchema, rows: pl.DataFrame, run: str = "live") -> None:
        times = np.full(rows.height, _MIN_TIME_MS, dtype=np.int64)
        values = EventEncoder(spec, writer, run, "1").encode(Rows("e", rows, times, np.arange(rows.height)), 0, rows.height)
        self.width = len(values[0])
        if {len(v) for v in values} != {self.width}:
            raise ValueError("the rows' encodings differ in length: use categories of one length and no nulls")
        self._bytes = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(rows.height, self.width).copy()
        self._id_at = len(writer.header) + 1 + len("e-")

    def values(self, first: int, times_ms: IntArray) -> list[bytes]:
        """Events number ``first`` and on, one for each of ``times_ms`` (ms since the epoch, shape (rows,))."""
        height = len(self._bytes)
        out: list[bytes] = []
        for low in range(0, len(times_ms), height):
            part = times_ms[low : low + height]
            block = self._block(np.arange(first + low, first + low + len(part)), part)
            out += [block[i : i + self.width] for i in range(0, len(block), self.width)]
        return out

    def _block(self, numbers: IntArray, times_ms: IntArray) -> bytes:
        assert times_ms.min() >= _MIN_TIME_MS, times_ms.min()
        assert times_ms.max() <= _MAX_TIME_MS, times_ms.max()
        block = self._bytes[: len(numbers)]
        time_at = self._id_at + ID_DIGITS
        for digit in range(ID_DIGITS):
            block[:, time_at - 1 - digit] = numbers // 10**digit % 10 + ord("0")
        zigzag = times_ms << 1
        for i in range(TIME_BYTES):  # seven bits a byte, the lowest first
            more = 0x80 if i < TIME_BYTES - 1 else 0
            block[:, time_at + i] = zigzag >> (7 * i) & 0x7F | more
        return block.tobytes()


class Feeder:
    """Sends values in order, as fast as the broker takes them. A record that is not delivered fails the next call."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.failed: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": settings.brokers,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 20,
                "batch.size": 1_000_000,
                "queue.buffering.max.messages": 400_000,
                "message.max.bytes": 2_000_000,
                "delivery.report.only.error": True,
                "on_delivery": self._on_delivery,
            }
        )

    def _on_delivery(self, error: Any, _: object) -> None:
        self.failed.append(str(error))

    def send(self, key: str, values: list[bytes], partition: int | None = None) -> None:
        """Send values under a key, to the key's own partition unless another is given."""
        where = partition_of(key.encode(), self.settings.partitions) if partition is None else partition
        for low in range(0, len(values), 100_000):
            part = values[low : low + 100_000]
            while len(self._producer) + len(part) > 400_000:
                self._producer.poll(0.02)
            queued = self._producer.produce_batch(
                self.settings.predictions_topic, [{"key": key, "value": v} for v in part], partition=where
            )
            assert queued == len(part), f"{len(part) - queued} records were not taken"
            assert not self.failed, self.failed[:3]

    def flush(self) -> None:
        """Wait until everything is acknowledged."""
        assert self._producer.flush(120) == 0
        assert not self.failed, self.failed[:3]
