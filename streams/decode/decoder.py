"""Sorts a batch out: groups it by schema, reads each group's bodies to columns, and singles bad records out."""

from __future__ import annotations

import numpy as np
import polars as pl

from config.errors import DeadLetterReason, InvalidEvent
from schemas.control import CONTROL_NAME, Control
from schemas.framing import WriterSchema, named
from schemas.store import SchemaStore
from streams.decode.buffer import Buffer
from streams.decode.headers import by_header
from streams.decode.layout import EventLayout
from streams.decode.native import library
from streams.decode.single import fault, plain, read_body
from streams.decode.walk import read_columns
from streams.windows.batch import ID, DecodedBatch, EventRows, IntArray, RawBatch

_CONTROL_FIELDS = {"kind", "model", "run", "token", "span_start", "span_end"}


class Decoder:
    """Decodes batches."""

    def __init__(self, store: SchemaStore, max_record_bytes: int) -> None:
        self.store = store
        self.max_record_bytes = max_record_bytes
        self._layouts: dict[bytes, EventLayout] = {}
        library()  # compiled now if it never was, not when the first batch waits

    def decode(self, raw: RawBatch) -> DecodedBatch:
        """Every record of the batch as an event row, a control record, or an invalid one; each kind in the batch's order."""
        batch = DecodedBatch(raw)
        buffer = Buffer(raw.values)
        for header, places in by_header(buffer, self._small_enough(buffer, batch)):
            layout = self._layout(header)
            if not header:
                _refuse(batch, places, "no_framing", "neither Avro single-object encoding nor the Confluent wire format", "use the emitter")
            elif layout is None:
                _refuse(batch, places, "unknown_schema", f"{named(header)} is not in the schema store", "register it before sending")
            elif layout.writer.name == CONTROL_NAME:
                _controls(layout.writer, places, batch)
            elif layout.problem:
                _refuse(batch, places, "unsupported_schema", layout.problem)
            else:
                self._events(layout, buffer, places, batch)
        batch.controls.sort(key=lambda c: c[0])
        batch.invalid.sort(key=lambda c: c[0])
        return batch

    def _small_enough(self, buffer: Buffer, batch: DecodedBatch) -> IntArray:
        large = buffer.lengths > self.max_record_bytes
        for place in np.flatnonzero(large).tolist():
            text = f"record of {len(batch.raw.values[place])} bytes is over the limit of {self.max_record_bytes}"
            batch.invalid.append((place, InvalidEvent("too_large", text, "send less, or raise TIDEMARK_MAX_RECORD_BYTES")))
        return np.flatnonzero(~large)

    def _layout(self, header: bytes) -> EventLayout | None:
        if header not in self._layouts:
            writer = self.store.find(header) if header else None
            if writer is None:
                return None
            self._layouts[header] = EventLayout(writer)
        return self._layouts[header]

    def _events(self, layout: EventLayout, buffer: Buffer, places: IntArray, batch: DecodedBatch) -> None:
        skip = len(layout.writer.header)
        frame, whole = read_columns(layout, buffer, buffer.starts[places] + skip, buffer.ends[places])
        if frame.height < len(places):
            for place in places[~whole].tolist():
                reason = fault(layout.scalars, batch.raw.values[place][skip:])
                batch.invalid.append((place, InvalidEvent("undecodable", f"not a record of its schema: {reason}")))
            places = places[whole]
        if (empty := (frame[ID] == "").to_numpy()).any():
            _refuse(batch, places[empty], "empty_event_id", "event_id is empty", "give each event an id of its own")
            places, frame = places[~empty], frame.filter(pl.Series(~empty))
        if len(places):
            batch.events.append(EventRows(places, frame))


def _controls(writer: WriterSchema, places: IntArray, batch: DecodedBatch) -> None:
    if missing := _CONTROL_FIELDS - {f["name"] for f in writer.schema["fields"]}:
        _refuse(batch, places, "unsupported_schema", f"schema of a control record lacks {', '.join(sorted(missing))}")
        return
    schema = plain(writer.schema)
    for i in places.tolist():
        try:
            r = read_body(schema, batch.raw.values[i][len(writer.header) :])
            batch.controls.append((i, Control(r["kind"], r["model"], r["run"], r["token"], r["span_start"], r["span_end"])))
        except InvalidEvent as error:
            batch.invalid.append((i, error))


def _refuse(batch: DecodedBatch, places: IntArray, reason: DeadLetterReason, message: str, remedy: str = "") -> None:
    error = InvalidEvent(reason, message, remedy)
    batch.invalid.extend((place, error) for place in places.tolist())
