"""One record at a time with fastavro: for batches that the columnar reader refuses, so that only the bad records are lost."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import polars as pl

from config.errors import InvalidEvent
from streams.decode.layout import EventLayout


def read_body(schema: Any, body: bytes) -> dict[str, Any]:
    """The fields of one record of a schema that fastavro has parsed.

    Raises:
        InvalidEvent: the bytes are no record of this schema, or go on behind its end.
    """
    source = io.BytesIO(body)
    try:
        record: dict[str, Any] = fastavro.schemaless_reader(source, schema, None)
    except (EOFError, IndexError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise InvalidEvent("undecodable", f"not a record of its schema: {type(error).__name__}: {error}") from error
    if source.tell() != len(body):
        raise InvalidEvent("undecodable", f"{len(body) - source.tell()} bytes behind the end of the record")
    return record


def read_bodies(layout: EventLayout, bodies: list[bytes]) -> tuple[list[int], pl.DataFrame, list[tuple[int, InvalidEvent]]]:
    """Places of the good records, their columns, and the bad ones with the reason; places count from 0 in ``bodies``."""
    good: list[int] = []
    rows: list[list[Any]] = []
    bad: list[tuple[int, InvalidEvent]] = []
    for place, body in enumerate(bodies):
        try:
            record = read_body(layout.plain, body)
        except InvalidEvent as error:
            bad.append((place, error))
            continue
        features = record["features"]
        rows.append([*(record[c] for c in layout.meta_names), *(features[c] for c in layout.feature_names)])
        good.append(place)
    return good, pl.DataFrame(rows, schema=layout.dtypes, orient="row"), bad
