"""What a caller may say of its rows in headers, one value per row between commas: run, event times, ids and targets. Replays do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .bodies import Unreadable

RUN, TIMES, IDS, TARGETS = "x-tidemark-run", "x-tidemark-event-times", "x-tidemark-event-ids", "x-tidemark-targets"
NAMES = frozenset({RUN, TIMES, IDS, TARGETS})


def marks(headers: Mapping[str, str], rows: int) -> Iterator[dict[str, Any]]:
    """The arguments of ``emit`` that the headers give for each row. Names are in lower case.

    Raises:
        Unreadable: a header has not one value per row, or one that cannot be read.
    """
    run = {"run": headers[RUN]} if RUN in headers else {}
    columns = {
        "event_time": _values(headers, TIMES, rows, int),
        "event_id": _values(headers, IDS, rows, str),
        "target": _values(headers, TARGETS, rows, _target),
    }
    given = {name: values for name, values in columns.items() if values is not None}
    for i in range(rows):
        yield {**run, **{name: values[i] for name, values in given.items()}}


def _values(headers: Mapping[str, str], name: str, rows: int, read: Callable[[str], Any]) -> list[Any] | None:
    if name not in headers:
        return None
    parts = [part.strip() for part in headers[name].split(",")]
    if len(parts) != rows:
        raise Unreadable(f"header {name} has {len(parts)} values for {rows} rows")
    try:
        return [read(part) for part in parts]
    except ValueError as error:
        raise Unreadable(f"header {name}: {error}") from error


def _target(text: str) -> float | None:
    value = float(text) if text else None
    if value is not None and not math.isfinite(value):
        raise ValueError(f"{text!r} is no target")
    return value
