"""The rows to replay: a Parquet file, checked against the spec, in the order of their event times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from config.errors import UsageError
from config.settings import Settings
from config.spec import ModelSpec
from producers.replay.options import ReplayOptions, to_ms
from schemas.dtypes import DTYPES

EVENT_TIME = "event_time"
Millis = npt.NDArray[np.int64]


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


def history_file(settings: Settings, spec: ModelSpec) -> Path:
    """Where a model's history lies unless ``--data`` names another file."""
    return settings.under_home("history", f"{spec.model}.parquet")


def read_rows(settings: Settings, spec: ModelSpec, options: ReplayOptions) -> Rows:
    """Read, check, cut to ``options.start`` and ``options.end``, and sort (ties in the file's order).

    Raises:
        UsageError: the file is missing or unreadable, lacks a column, has a type that does not fit, or no row is left.
    """
    path = options.data or history_file(settings, spec)
    raw = _read(path, spec, options.data is None)
    columns = _columns(raw, spec, path)
    times = raw[EVENT_TIME].dt.cast_time_unit("ms").to_physical()
    frame = _cast(raw.select(columns), spec, path).with_columns(times.alias("__time"), pl.int_range(raw.height).alias("__row"))
    zone = spec.window.time_zone
    if options.start:
        frame = frame.filter(pl.col("__time") >= to_ms(options.start, zone))
    if options.end:
        frame = frame.filter(pl.col("__time") < to_ms(options.end, zone))
    if frame.is_empty():
        raise UsageError(f"no rows to replay: {path} has {_extent(times)}", "give other --from and --to, or another --data")
    frame = frame.sort("__time", maintain_order=True)
    return Rows(_dataset(path), frame.drop("__time", "__row"), frame["__time"].to_numpy(), frame["__row"].to_numpy())


def _dataset(path: Path) -> str:
    # Event ids travel in HTTP headers too, between commas.
    return re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem)


def _read(path: Path, spec: ModelSpec, default: bool) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except FileNotFoundError as error:
        make = (
            "run `python -m examples.flights`, or name a file with --data"
            if default and spec.model == "flights"
            else "name one with --data"
        )
        raise UsageError(f"no data to replay at {path}", make) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}", "give a Parquet file with --data") from error


def _columns(raw: pl.DataFrame, spec: ModelSpec, path: Path) -> list[str]:
    needed = [EVENT_TIME, *spec.features]
    if spec.target and "target_drift" in spec.monitors:
        needed.append(spec.target.column)
    missing = [name for name in needed if name not in raw.columns]
    if missing:
        raise UsageError(
            f"{path} lacks column {', '.join(missing)}; it has {', '.join(raw.columns)}", f"add it, or correct {spec.model}.yaml"
        )
    dtype = raw.schema[EVENT_TIME]
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        raise UsageError(f"column {EVENT_TIME} of {path} is {dtype}, not a time with a zone", "write UTC timestamps: Datetime('ms', 'UTC')")
    nulls = raw[EVENT_TIME].null_count()
    if nulls:
        raise UsageError(f"column {EVENT_TIME} of {path} is null in {nulls:,} rows", "fill or drop these rows")
    return [name for name in (*spec.columns, *spec.probability_columns) if name in raw.columns]


def _cast(frame: pl.DataFrame, spec: ModelSpec, path: Path) -> pl.DataFrame:
    types = {**spec.columns, **spec.probability_columns}
    for name in frame.columns:
        wanted = types[name].type
        if wanted == "doubles":
            _check_vectors(frame[name], path, spec)
        try:
            frame = frame.with_columns(pl.col(name).cast(DTYPES[wanted], strict=True))
        except pl.exceptions.PolarsError as error:
            text = f"column {name!r} of {path} is {frame.schema[name]} and does not fit type {wanted} of the spec: {error}"
            raise UsageError(text, f"convert the column, or correct its type in {spec.model}.yaml") from error
    return frame


def _check_vectors(series: pl.Series, path: Path, spec: ModelSpec) -> None:
    """Lists of numbers without nulls: an array has none on the wire, and texts are not read as numbers."""
    dtype = series.dtype
    if dtype == pl.Null:
        return
    if not isinstance(dtype, pl.List | pl.Array) or not (dtype.inner.is_numeric() or dtype.inner == pl.Null):
        text = f"column {series.name!r} of {path} is {dtype} and does not fit type doubles of the spec (arrays of numbers)"
        raise UsageError(text, f"convert the column, or correct its type in {spec.model}.yaml")
    lists = series.cast(pl.List(dtype.inner)) if isinstance(dtype, pl.Array) else series
    if broken := int(lists.list.eval(pl.element().is_null()).list.any().sum()):
        raise UsageError(
            f"column {series.name!r} of {path} has a null within its vector in {broken:,} rows", "make these vectors null, or write NaN"
        )


def _extent(times: pl.Series) -> str:
    if times.is_empty():
        return "no rows"
    first, last = (pl.Series([t], dtype=pl.Datetime("ms", "UTC"))[0].isoformat() for t in (times.min(), times.max()))
    return f"event times from {first} to {last}"
