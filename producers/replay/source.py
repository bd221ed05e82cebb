"""The rows to replay: which file, whether it has what the spec needs, and its batches in the types of the wire."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from config.errors import UsageError
from config.settings import Settings
from config.spec import AvroType, ModelSpec
from config.spec_data import DataFile, TimeColumn
from producers.files import Batch, column_names, read_batches
from producers.files.dvc import located
from producers.files.read import parquet
from producers.replay.options import ReplayOptions, to_ms
from producers.replay.pacing import Millis
from producers.replay.sort import PLACE, TIME

EVENT_TIME = "event_time"
MOST_ROWS = 50_000  # read at once
CELL_BYTES = 32  # of a value in a batch, with the copies that reading makes; a text is more, a number less


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows by event time. ``frame`` holds the spec's columns in the types of the wire; prediction, target and probabilities where known.

    ``times_ms`` (int64, shape ``(rows,)``, ascending) are ms since the epoch, UTC. ``rows_at`` are the rows' numbers in the file, so that
    an event has the same id whatever part of the file is replayed.
    """

    dataset: str
    frame: pl.DataFrame
    times_ms: Millis
    rows_at: Millis

    def __len__(self) -> int:
        return len(self.times_ms)

    def event_ids(self, start: int, stop: int) -> list[str]:
        """``<dataset>-<row number>`` of the rows ``[start, stop)``."""
        return [f"{self.dataset}-{row:09d}" for row in self.rows_at[start:stop].tolist()]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that has what the spec needs. ``types`` are the columns that are read, by name."""

    file: DataFile
    home: Path
    types: dict[str, AvroType]
    start_ms: int | None = None
    end_ms: int | None = None

    @property
    def path(self) -> Path:
        """The file's own path."""
        return self.home / self.file.path

    @property
    def dataset(self) -> str:
        """The file's name as part of event ids, which travel in HTTP headers too, between commas."""
        return re.sub(r"[^A-Za-z0-9_.-]", "_", self.path.name.removesuffix(".dvc").rsplit(".", 1)[0])

    def batches(self, budget_bytes: int, told: Callable[[int], None] = lambda _: None) -> Iterator[pl.DataFrame]:
        """The wanted rows in the file's order, with ``TIME`` and ``PLACE``; a batch is small beside the budget.

        ``told`` hears how many rows of the file are read, wanted or not.

        Raises:
            UsageError: the file cannot be read, or a value does not fit; with line and column where they can be known.
        """
        rows = max(1000, min(MOST_ROWS, budget_bytes // 4 // (CELL_BYTES * (len(self.types) + 2))))
        for batch in read_batches(self.file, self.types, self.home, rows):
            yield self._wanted(batch)
            told(batch.first_row + len(batch.times_ms))

    def _wanted(self, batch: Batch) -> pl.DataFrame:
        places = pl.Series(PLACE, np.arange(batch.first_row, batch.first_row + len(batch.times_ms)), dtype=pl.Int64)
        frame = pl.DataFrame([*batch.frame.get_columns(), batch.times_ms.alias(TIME), places])
        if self.start_ms is not None:
            frame = frame.filter(pl.col(TIME) >= self.start_ms)
        return frame if self.end_ms is None else frame.filter(pl.col(TIME) < self.end_ms)


def open_source(settings: Settings, spec: ModelSpec, options: ReplayOptions) -> Source:
    """Find the file and look at its columns; no row is read yet.

    Raises:
        UsageError: the file is missing or unreadable, or lacks a column that the spec needs.
    """
    file = _file(settings, spec, options)
    names = column_names(file, settings.home)
    needed = [*file.time.columns, *spec.features]
    if spec.target and "target_drift" in spec.monitors:
        needed.append(spec.target.column)
    path = settings.home / file.path
    if missing := [name for name in needed if name not in names]:
        raise UsageError(f"{path} lacks column {', '.join(missing)}; it has {', '.join(names)}", f"add it, or correct {spec.model}.yaml")
    wanted = {**spec.columns, **spec.probability_columns}
    zone = spec.window.time_zone
    start, end = (None if moment is None else to_ms(moment, zone) for moment in (options.start, options.end))
    return Source(file, settings.home, {name: column.type for name, column in wanted.items() if name in names}, start, end)


def history_file(settings: Settings, spec: ModelSpec) -> Path:
    """Where a model's history lies unless its spec or ``--data`` names another file."""
    return settings.under_home("history", f"{spec.model}.parquet")


def _file(settings: Settings, spec: ModelSpec, options: ReplayOptions) -> DataFile:
    """The spec's own file; another one is read as the spec says where it has the same form, else as Parquet with ``event_time``."""
    if options.data is None and spec.data is not None:
        return spec.data
    path = (options.data or history_file(settings, spec)).absolute()
    if not path.exists() and not path.with_name(f"{path.name}.dvc").is_file():
        make = "run `python -m examples.flights`, or name a file with --data" if _is_example(spec, options) else "name one with --data"
        raise UsageError(f"no data to replay at {path}", make)
    form = "parquet" if path.name.removesuffix(".dvc").endswith((".parquet", ".pq")) else "csv"
    if spec.data is not None and spec.data.format == form:
        return spec.data.model_copy(update={"path": path})
    if form == "csv":
        text = f"{path} is no Parquet file, and the spec of {spec.model!r} does not say how a file of text is read"
        raise UsageError(
            text, f"write data into {spec.model}.yaml (`tidemark init --data FILE --time COLUMN` finds it out), or give Parquet"
        )
    file = DataFile(path=path, format="parquet", time=TimeColumn(columns=(EVENT_TIME,)))
    _has_zone(file)
    return file


def _is_example(spec: ModelSpec, options: ReplayOptions) -> bool:
    return options.data is None and spec.model == "flights"


def _has_zone(file: DataFile) -> None:
    """Nobody has said what zone these times are in, so they must say it themselves."""
    schema = parquet(located(file.path)).schema_arrow
    index = schema.get_field_index(EVENT_TIME)
    dtype = schema.field(index).type if index >= 0 else None
    if dtype is not None and not (pa.types.is_timestamp(dtype) and dtype.tz):
        text = f"column {EVENT_TIME} of {file.path} is {dtype}, not a time with a zone"
        raise UsageError(text, "write UTC timestamps: Datetime('ms', 'UTC'); or say in the spec how it is read: data.time")
