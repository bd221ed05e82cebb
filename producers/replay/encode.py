"""Rows to framed Avro records, many at a time: one buffer, no lookup per field."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import fastavro
import polars as pl

from config.spec import ModelSpec
from producers.replay.source import Rows
from schemas.framing import WriterSchema
from schemas.names import mangle


class EventEncoder:
    """Encodes rows of one run. The prediction column must be in ``rows.frame``; a target that is not there is null."""

    def __init__(self, spec: ModelSpec, writer: WriterSchema, run: str, model_version: str) -> None:
        self._spec = spec
        self._writer = writer
        self._features = [mangle(name) for name in spec.features]
        self._same = {"run": run, "model": spec.model, "model_version": model_version}

    def encode(self, rows: Rows, start: int, stop: int) -> list[bytes]:
        """The values of the rows ``[start, stop)``, header and body each."""
        out = io.BytesIO()
        ends = [0]
        parsed, write, tell = self._writer.parsed, fastavro.schemaless_writer, out.tell
        for record in self._records(rows, start, stop):
            write(out, parsed, record)
            ends.append(tell())
        body, header = out.getvalue(), self._writer.header
        return [header + body[a:b] for a, b in pairwise(ends)]

    def _records(self, rows: Rows, start: int, stop: int) -> Iterator[dict[str, Any]]:
        part = rows.frame.slice(start, stop - start)
        features = zip(*(part[name].to_list() for name in self._spec.features), strict=True)
        target = part[self._spec.target.column] if self._spec.target and self._spec.target.column in part.columns else None
        targets = pl.repeat(None, part.height, eager=True).to_list() if target is None else target.to_list()
        predictions = part[self._spec.prediction.column].to_list()
        times = rows.times_ms[start:stop].tolist()
        names, same = self._features, self._same
        for event_id, time_ms, prediction, label, values in zip(
            rows.event_ids(start, stop), times, predictions, targets, features, strict=True
        ):
            yield {
                "event_id": event_id,
                "event_time": time_ms,
                **same,
                "prediction": prediction,
                "target": label,
                "features": dict(zip(names, values, strict=True)),
            }
