"""What a prediction request says beside its rows: the run, event times, ids and targets, in headers, one value per row."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from config.errors import UsageError
from config.spec import Column
from schemas.event import LIVE_RUN

RUN, TIMES, IDS, TARGETS = "X-Tidemark-Run", "X-Tidemark-Event-Times", "X-Tidemark-Event-Ids", "X-Tidemark-Targets"
_RUN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_LAST_MS = 253_402_300_799_999  # the end of the year 9999
_JSON_TYPES: dict[str, tuple[type, ...]] = {"double": (float, int), "long": (int,), "boolean": (bool,), "string": (str,)}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Marks:
    """The headers of one request. ``event_times_ms`` are ms since the epoch (UTC); each tuple has one value per row, None for not given."""

    run: str
    event_times_ms: tuple[int | None, ...]
    event_ids: tuple[str | None, ...]
    targets: tuple[float | None, ...]


def read_marks(headers: Mapping[str, str], rows: int) -> Marks:
    """Read the ``X-Tidemark-`` headers of a request with ``rows`` rows.

    Raises:
        UsageError: a header cannot be read, or has not one value per row; names the header and the value.
    """
    run = headers.get(RUN, LIVE_RUN)
    if not _RUN_ID.match(run):
        raise UsageError(f"header {RUN}: {run[:80]!r} is not an id", "use 1 to 64 of A-Za-z0-9_.-")
    return Marks(
        run,
        _per_row(headers, TIMES, rows, _time, "whole milliseconds since the epoch"),
        _per_row(headers, IDS, rows, _event_id, "ids that are not empty and have no comma"),
        _per_row(headers, TARGETS, rows, _target, "numbers, or nothing between two commas where a target is not known"),
    )


def check_rows(rows: list[dict[str, Any]], features: Mapping[str, Column]) -> None:
    """Refuse rows that lack a column of the spec's ``features``, or hold a value of another type. Null is left to the model.

    Raises:
        UsageError: names the row (from 0), the columns it lacks, or the column with its value and the type that is wanted.
    """
    types = [(name, _JSON_TYPES[column.type], column.type) for name, column in features.items()]
    for index, row in enumerate(rows):
        lacking = [name for name in features if name not in row]
        if lacking:
            raise UsageError(f"rows[{index}] has no {', '.join(lacking)}", f"give every column: {', '.join(features)}")
        for name, wanted, word in types:
            value = row[name]
            if value is not None and type(value) not in wanted:
                raise UsageError(f"rows[{index}]: {name} is {str(value)[:80]!r}, of type {type(value).__name__}", f"give a {word}")


def _per_row(headers: Mapping[str, str], name: str, rows: int, read: Callable[[str], T], wanted: str) -> tuple[T | None, ...]:
    text = headers.get(name)
    if text is None:
        return (None,) * rows
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != rows:
        raise UsageError(f"header {name} has {len(parts)} values for {rows} rows", "give one value per row, separated by commas")
    values = []
    for part in parts:
        try:
            values.append(read(part))
        except ValueError as error:
            raise UsageError(f"header {name}: {part[:80]!r} cannot be read", f"give {wanted}") from error
    return tuple(values)


def _time(text: str) -> int:
    value = int(text)
    if abs(value) > _LAST_MS:
        raise ValueError(text)
    return value


def _event_id(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _target(text: str) -> float | None:
    if not text:
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
