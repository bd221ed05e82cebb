"""Rows to framed Avro records, column by column.

An Avro record is its fields' encodings one after the other (Avro 1.11 specification, "Binary Encoding"). So each column is encoded by
itself, and a row is a join: several times the speed of a call of fastavro's writer per record. A test holds both equal.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any

import fastavro
import polars as pl

from config.spec import ModelSpec
from producers.replay.source import Rows
from schemas.framing import WriterSchema

_NULL, _VALUE = b"\x00", b"\x02"  # the index of the branch in a union of null and one type
_END = b"\x00"  # of an array: a block of no items
_CACHED_VALUES = 100_000  # per column
_pack_double = struct.Struct("<d").pack


class _Encodings(dict[Any, bytes]):
    """The encoding of each value of one column, made by fastavro the first time. Real columns repeat: carriers, airports, minutes."""

    def __init__(self, avro_type: Any) -> None:
        super().__init__()
        self._type = fastavro.parse_schema(avro_type)

    def __missing__(self, value: Any) -> bytes:
        if len(self) >= _CACHED_VALUES:
            self.clear()
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._type, value)
        return self.setdefault(value, out.getvalue())


class EventEncoder:
    """Encodes rows of one run. The prediction column must be in ``rows.frame``; a target that is not there is null."""

    def __init__(self, spec: ModelSpec, writer: WriterSchema, run: str, model_version: str) -> None:
        self._spec = spec
        self._header = writer.header
        self._constants = {
            "run": _Encodings("string")[run],
            "model": _Encodings("string")[spec.model],
            "model_version": _Encodings("string")[model_version],
        }
        self._fields = [f["name"] for f in writer.schema["fields"]]
        varying = {*self._constants, "event_id", "event_time", "prediction", "target", "probabilities", "features"}
        # What a replay has nothing to say of, such as the rate of a sample, is at its default.
        self._constants |= {f["name"]: _Encodings(f["type"])[f["default"]] for f in writer.schema["fields"] if f["name"] not in varying}
        self._id_lengths = _Encodings("long")
        self._counts = _Encodings("long")
        self._times = _Encodings("long")
        self._types = {name: column.type for name, column in {**spec.columns, **spec.probability_columns}.items()}
        longs = {"timestamp": "long"}
        self._columns = {
            name: _Encodings(["null", longs.get(avro_type, avro_type)]) for name, avro_type in self._types.items() if avro_type != "doubles"
        }

    def encode(self, rows: Rows, start: int, stop: int) -> list[bytes]:
        """The values of the rows ``[start, stop)``, header and body each."""
        part = rows.frame.slice(start, stop - start)
        fields: list[Iterable[bytes]] = [repeat(self._header, part.height)]
        for name in self._fields:
            fields += self._field(name, rows, part, start)
        return list(map(b"".join, zip(*fields, strict=True)))

    def _field(self, name: str, rows: Rows, part: pl.DataFrame, start: int) -> list[Iterable[bytes]]:
        """One field of the schema; a record within the record is its fields."""
        stop = start + part.height
        if name in self._constants:
            return [repeat(self._constants[name], part.height)]
        if name == "event_id":
            return [self._ids(rows.event_ids(start, stop))]
        if name == "event_time":
            return [map(self._times.__getitem__, rows.times_ms[start:stop].tolist())]
        if name == "prediction":
            return [self._column(part, self._spec.prediction.column)]
        if name == "target":
            return [self._column(part, self._spec.target.column) if self._spec.target else repeat(_NULL, part.height)]
        return [
            self._column(part, column) for column in (self._spec.probabilities.values() if name == "probabilities" else self._spec.features)
        ]

    def _ids(self, ids: list[str]) -> Iterator[bytes]:
        encoded = [text.encode() for text in ids]
        return (self._id_lengths[len(text)] + text for text in encoded)

    def _column(self, part: pl.DataFrame, name: str) -> Iterable[bytes]:
        if name not in part.columns:
            return repeat(_NULL, part.height)
        if self._types[name] == "doubles":
            return self._vectors(part[name])
        values = part[name].to_list()
        if self._types[name] == "double":  # mostly distinct, so not worth keeping
            return (_NULL if value is None else _VALUE + _pack_double(value) for value in values)
        return map(self._columns[name].__getitem__, values)

    def _vectors(self, series: pl.Series) -> Iterator[bytes]:
        """One block with all numbers (their count first), and the 0 that ends an array; of an empty one only that."""
        lists = series.to_arrow()
        ends = lists.offsets.to_numpy()
        items = memoryview(lists.values.to_numpy(zero_copy_only=False).astype("<f8", copy=False).view("u1"))
        for null, low, high in zip(series.is_null().to_list(), ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            if null:
                yield _NULL
            elif high == low:
                yield _VALUE + _END
            else:
                yield b"".join((_VALUE, self._counts[high - low], items[8 * low : 8 * high], _END))
