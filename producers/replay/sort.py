"""Rows in the order of time and place, however many: sorted pieces go to temporary files and are merged.

A run of rows is kept in memory until it has its share of the budget, sorted, and written as Arrow batches. Reading merges the runs: of each
only one batch is in memory. Rows of equal time keep the file's order, so the outcome is that of a stable sort in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl
import pyarrow as pa

TIME, PLACE = "@time", "@place"  # ms since the epoch; the row's number in the file, unique
FAN_IN = 32  # runs that are merged at once; their batches and the one that comes of them fill a third of the budget
SHARE = 4  # the rows of a run, their copy in order, and what is being read each take a part of the budget


@dataclass
class _Head:
    """A run being merged: its batch in memory, and those that follow."""

    rest: Iterator[pl.DataFrame]
    frame: pl.DataFrame
    more: pl.DataFrame | None

    @classmethod
    def of(cls, batches: Iterable[pl.DataFrame]) -> _Head:
        rest = iter(batches)
        return cls(rest, next(rest), next(rest, None))

    @property
    def last(self) -> tuple[int, int]:
        """Time and place of the last row in memory."""
        return int(self.frame[TIME][-1]), int(self.frame[PLACE][-1])

    def take(self, upto: tuple[int, int] | None) -> pl.DataFrame:
        """The rows up to a time and place, which are in memory; they are gone from the head. None: all."""
        count = self.frame.height if upto is None else _count(self.frame, upto)
        taken, self.frame = self.frame[:count], self.frame[count:]
        if not self.frame.height and self.more is not None:
            self.frame, self.more = self.more, next(self.rest, None)
        return taken


def _count(frame: pl.DataFrame, upto: tuple[int, int]) -> int:
    times = frame[TIME].to_numpy()
    low, high = (int(np.searchsorted(times, upto[0], side)) for side in ("left", "right"))
    return low + int(np.searchsorted(frame[PLACE].to_numpy()[low:high], upto[1], "right"))


def merge(runs: list[Iterable[pl.DataFrame]]) -> Iterator[pl.DataFrame]:
    """The rows of several runs, each in order and in batches of one row or more, as one run."""
    heads = [_Head.of(run) for run in runs]
    while heads:
        # Up to here every run's rows are in memory: what still comes is behind the last row of its run.
        upto = min((h.last for h in heads if h.more is not None), default=None)
        parts = [h.take(upto) for h in heads]
        heads = [h for h in heads if h.frame.height]
        yield pl.concat([p for p in parts if p.height]).sort(TIME, PLACE)


class Sorter:
    """Takes rows in the file's order and gives them in the order of time, as often as asked; at most ``budget_bytes`` are in memory.

    Frames have the columns ``TIME`` and ``PLACE`` (Int64, no nulls). As a context it removes its temporary files at the end.
    """

    def __init__(self, budget_bytes: int, folder: Path | None = None) -> None:
        self.count = 0
        self.first_ms = self.last_ms = 0
        self._budget = budget_bytes
        self._buffer: list[pl.DataFrame] = []
        self._buffered = 0
        self._runs: list[Path] = []
        self._folder = tempfile.TemporaryDirectory(prefix="tidemark-sort-", dir=folder)
        self._made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._buffer.clear()
        self._folder.cleanup()

    @property
    def spilled(self) -> bool:
        """Whether anything has gone to temporary files."""
        return bool(self._runs)

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows in."""
        if not frame.height:
            return
        low, high = (int(v) for v in (frame[TIME].to_numpy().min(), frame[TIME].to_numpy().max()))
        self.first_ms = low if not self.count else min(low, self.first_ms)
        self.last_ms = high if not self.count else max(high, self.last_ms)
        self.count += frame.height
        self._buffer.append(frame)
        self._buffered += int(frame.estimated_size())
        if self._buffered > self._budget // SHARE:
            self._spill()

    def chunks(self) -> Iterator[pl.DataFrame]:
        """All rows in order, in chunks."""
        if not self._runs:
            if len(self._buffer) > 1 or self._buffer:
                self._buffer = [pl.concat(self._buffer).sort(TIME, PLACE)]
            yield from self._buffer
            return
        if self._buffer:
            self._spill()
        while len(self._runs) > FAN_IN:  # neighbours, though any would do: places are unique
            self._runs = [*self._runs[FAN_IN:], self._write(merge([_read(run) for run in self._runs[:FAN_IN]]))]
        yield from merge([_read(run) for run in self._runs])

    def _spill(self) -> None:
        run = pl.concat(self._buffer).sort(TIME, PLACE)
        self._buffer.clear()
        self._buffered = 0
        self._runs.append(self._write([run]))

    def _write(self, frames: Iterable[pl.DataFrame]) -> Path:
        """A file with these rows, in batches so small that one of each run that is merged fits."""
        path = Path(self._folder.name) / f"{self._made}.arrow"
        self._made += 1
        writer: Any = None
        with pa.OSFile(str(path), "wb") as file:
            for frame in frames:
                rows = max(1, int(self._budget // SHARE // FAN_IN / max(1.0, frame.estimated_size() / frame.height)))
                table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
                writer = writer or pa.ipc.new_file(file, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
                writer.write_table(table, max_chunksize=rows)
            writer.close()
        return path


def _read(path: Path) -> Iterator[pl.DataFrame]:
    with pa.OSFile(str(path), "rb") as file:
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            frame = pl.from_arrow(reader.get_batch(number))
            assert isinstance(frame, pl.DataFrame)  # of a record batch always
            yield frame
