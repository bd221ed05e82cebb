"""Sorts a batch out: groups it by schema, reads each group's bodies as one block of columns, and singles bad records out."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from config.errors import InvalidEvent
from schemas.control import CONTROL_NAME, Control
from schemas.framing import CONFLUENT_MAGIC, SINGLE_OBJECT_MAGIC, WriterSchema
from schemas.store import SchemaStore
from streams.decode.layout import SENTINEL_ID, EventLayout
from streams.decode.lengths import encoded_lengths
from streams.decode.single import read_bodies, read_body
from streams.windows.batch import ID, DecodedBatch, EventRows, RawBatch


class Decoder:
    """Decodes batches. ``on_fallback`` is told how many records had to be read one by one."""

    def __init__(self, store: SchemaStore, max_record_bytes: int, on_fallback: Callable[[int], None] = lambda n: None) -> None:
        self.store = store
        self.max_record_bytes = max_record_bytes
        self.on_fallback = on_fallback
        self._layouts: dict[bytes, EventLayout] = {}

    def decode(self, raw: RawBatch) -> DecodedBatch:
        """Every record of the batch as an event row, a control record, or an invalid one."""
        batch = DecodedBatch(raw)
        for header, places in _by_header(raw.values, self.max_record_bytes, batch).items():
            layout = self._layout(header)
            if layout is None:
                error = InvalidEvent("unknown_schema", f"schema {header.hex()} is not in the schema store", "register it before sending")
                batch.invalid.extend((i, error) for i in places)
            elif layout.writer.name == CONTROL_NAME:
                self._controls(layout.writer, places, batch)
            elif layout.problem:
                batch.invalid.extend((i, InvalidEvent("unsupported_schema", layout.problem)) for i in places)
            else:
                self._events(layout, places, batch)
        batch.controls.sort(key=lambda c: c[0])
        return batch

    def _layout(self, header: bytes) -> EventLayout | None:
        if header not in self._layouts:
            writer = self.store.find(header)
            if writer is None:
                return None
            self._layouts[header] = EventLayout(writer)
        return self._layouts[header]

    def _controls(self, writer: WriterSchema, places: list[int], batch: DecodedBatch) -> None:
        plain = EventLayout(writer).plain
        for i in places:
            try:
                r = read_body(plain, batch.raw.values[i][len(writer.header) :])
                control = Control(r["kind"], r["model"], r["run"], r["token"], r["span_start"], r["span_end"])
                batch.controls.append((i, control))
            except InvalidEvent as error:
                batch.invalid.append((i, error))

    def _events(self, layout: EventLayout, places: list[int], batch: DecodedBatch) -> None:
        skip = len(layout.writer.header)
        values = batch.raw.values
        bodies = [v[skip:] for v in values] if len(places) == len(values) else [values[i][skip:] for i in places]
        frame = read_block(layout, bodies)
        index = np.array(places, dtype=np.int64)
        if frame is None:
            self.on_fallback(len(bodies))
            good, frame, bad = read_bodies(layout, bodies)
            batch.invalid.extend((places[i], error) for i, error in bad)
            index = index[good]
        if (empty := frame[ID] == "").any():
            error = InvalidEvent("empty_event_id", "event_id is empty", "give each event an id of its own")
            batch.invalid.extend((int(i), error) for i in index[empty.to_numpy()])
            index, frame = index[~empty.to_numpy()], frame.filter(~empty)
        if len(index):
            batch.events.append(EventRows(index, frame))


def read_block(layout: EventLayout, bodies: list[bytes]) -> pl.DataFrame | None:
    """The bodies as columns, or None when they are not all whole records, each of its own bytes and no others."""
    wanted = np.fromiter(map(len, bodies), dtype=np.int64, count=len(bodies))
    try:
        frame = layout.frame(pl.read_avro(io.BytesIO(layout.block(bodies, int(wanted.sum())))))
    except (PanicException, PolarsError, OSError, OverflowError, ValueError):
        return None
    if frame.height != len(bodies) + 1 or frame[ID][-1] != SENTINEL_ID:
        return None
    frame = frame[: len(bodies)]
    if not np.array_equal(encoded_lengths(frame, layout.nullable), wanted):
        return None
    own = pl.Series([b[1 : 1 + (b[0] >> 1)] if b[0] < 0x80 else _long_id(b) for b in bodies], dtype=pl.Binary)
    return frame if (frame[ID].cast(pl.Binary) == own).all() else None


def _long_id(body: bytes) -> bytes:
    """An event id of 64 bytes or more, as the record's own first bytes have it; any other bytes when they are no id."""
    size = next((n for n, byte in enumerate(body[:5], start=1) if byte < 0x80), 5)
    length = sum((byte & 0x7F) << (7 * n) for n, byte in enumerate(body[:size]))
    return body[size : size + (length >> 1)]


def _by_header(values: list[bytes], max_bytes: int, batch: DecodedBatch) -> dict[bytes, list[int]]:
    """Places of the records under each framing header; what has none, or is too large, is invalid."""
    heads = [v[:10] for v in values]
    if len(set(heads)) == 1 and heads[0][:2] == SINGLE_OBJECT_MAGIC and max(map(len, values)) <= max_bytes:  # the usual case
        return {heads[0]: list(range(len(values)))}
    heads = [h if h[:2] == SINGLE_OBJECT_MAGIC else h[:5] for h in heads]
    groups: dict[bytes, list[int]] = {}
    for i, (head, value) in enumerate(zip(heads, values, strict=True)):
        framed = len(head) == 10 or (len(head) == 5 and head[:1] == CONFLUENT_MAGIC)
        if len(value) > max_bytes:
            text = f"record of {len(value)} bytes is over the limit of {max_bytes}"
            batch.invalid.append((i, InvalidEvent("too_large", text, "send less, or raise TIDEMARK_MAX_RECORD_BYTES")))
        elif not framed:
            error = InvalidEvent("no_framing", "neither Avro single-object encoding nor the Confluent wire format", "use the emitter")
            batch.invalid.append((i, error))
        else:
            groups.setdefault(head, []).append(i)
    return groups
