"""The part of a model spec that says where a model's history lies and how that file is read, so that every reader reads it alike."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

NULLS = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null")
EPOCH_MS = {"epoch_s": 1000.0, "epoch_ms": 1.0, "epoch_us": 1e-3, "epoch_ns": 1e-6}  # ms a unit


class TimeColumn(BaseModel):
    """Where a row's event time stands: one column, or a date and a time of day in two.

    ``format`` is a pattern as ``%d.%m.%Y %H:%M`` (two columns are joined by a space before it is applied), an epoch unit (``epoch_s``,
    ``epoch_ms``, ``epoch_us``, ``epoch_ns``), or ``native`` for timestamps of Parquet. ``zone`` is the zone of times that name none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]
    format: str = "native"
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{zone!r} is not a time zone: use an IANA name such as America/New_York") from error
        return zone

    @property
    def zoned(self) -> bool:
        """True when each time in the file names its own zone or offset."""
        return self.format.endswith("z")


class DataFile(BaseModel):
    """A file of history and how it is read. ``path`` is relative to ``TIDEMARK_HOME`` unless absolute; a ``.dvc`` pointer is followed.

    The text fields (``encoding``, ``delimiter``, ``decimal``, ``nulls``) are for CSV only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    format: Literal["csv", "parquet"]
    time: TimeColumn
    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    nulls: tuple[str, ...] = NULLS

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            return codecs.lookup(encoding).name
        except LookupError as error:
            raise ValueError(f"{encoding!r} is no text encoding: use a name such as utf-8, latin-1 or utf-16") from error
