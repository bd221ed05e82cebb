"""What a writer's schema means for the columnar reader: which columns it has, and whether polars can read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import fastavro
import polars as pl

from schemas.event import EVENT_NAME
from schemas.framing import WriterSchema
from schemas.names import unmangle
from streams.windows.batch import FEATURE, ID, MODEL, PREDICTION, RUN, TARGET, TIME, VERSION

_SYNC = b"tidemark-columns"  # 16 bytes, as Avro's object container files want
_META = {
    "event_id": ID,
    "event_time": TIME,
    "run": RUN,
    "model": MODEL,
    "model_version": VERSION,
    "prediction": PREDICTION,
    "target": TARGET,
}
_REQUIRED = ("event_id", "event_time", "run", "model", "model_version", "prediction", "features")
_SCALARS = frozenset({"string", "boolean", "int", "long", "float", "double"})
SENTINEL_ID = "sentinel"


@dataclass(frozen=True)
class EventLayout:
    """A prediction event's schema, ready to read blocks of bodies with."""

    writer: WriterSchema

    @cached_property
    def problem(self) -> str:
        """Why records of this schema are no prediction events; empty when they are."""
        fields = self.writer.schema.get("fields", [])
        if self.writer.name != EVENT_NAME:
            return f"schema {self.writer.name!r} is not {EVENT_NAME}"
        if not fields or fields[0]["name"] != "event_id":
            return "event_id is not the schema's first field"
        missing = [name for name in _REQUIRED if name not in {f["name"] for f in fields}]
        if missing:
            return f"schema lacks {', '.join(missing)}"
        # Neither polars' reader (it panics) nor fastavro (arrays of null, deep recursion) is safe on every schema that Avro allows.
        odd = [f["name"] for f in [*fields, *self._features] if f["name"] != "features" and not _scalar(f["type"])]
        return f"field {odd[0]!r} is neither a scalar nor a nullable scalar" if odd else ""

    @property
    def _features(self) -> list[dict[str, Any]]:
        return list(next(f for f in self.writer.schema["fields"] if f["name"] == "features")["type"]["fields"])

    @cached_property
    def feature_names(self) -> dict[str, str]:
        """Column name in frames by Avro name."""
        return {f["name"]: FEATURE + unmangle(f["name"]) for f in self._features}

    @cached_property
    def block_head(self) -> bytes:
        """The head of an object container file of this schema, without compression (Avro 1.11, "Object Container Files")."""
        text = json.dumps(self.writer.schema).encode()
        meta = _zigzag(2) + _text(b"avro.schema") + _text(text) + _text(b"avro.codec") + _text(b"null") + _zigzag(0)
        return b"Obj\x01" + meta + _SYNC

    @cached_property
    def sentinel(self) -> bytes:
        """The body of a record of our own that ends each block: if it does not come out whole, something before it was out of step."""
        record: dict[str, Any] = {f["name"]: _filler(f["type"]) for f in self.writer.schema["fields"]}
        record["event_id"] = SENTINEL_ID
        record["features"] = {f["name"]: _filler(f["type"]) for f in self._features}
        return self.writer.encode(record)[len(self.writer.header) :]

    def block(self, bodies: list[bytes], size: int) -> bytes:
        """The bodies, of ``size`` bytes in all, and the sentinel as one container file."""
        head = self.block_head + _zigzag(len(bodies) + 1) + _zigzag(size + len(self.sentinel))
        return b"".join([head, *bodies, self.sentinel, _SYNC])

    def frame(self, read: pl.DataFrame) -> pl.DataFrame:
        """Columns by the names that the window core uses; event time as int64 ms since the epoch."""
        meta = [pl.col(c).cast(pl.Int64).alias(n) if c == "event_time" else pl.col(c).alias(n) for c, n in self.meta_names.items()]
        return read.select(*meta, *(pl.col("features").struct.field(c).alias(n) for c, n in self.feature_names.items()))

    @cached_property
    def meta_names(self) -> dict[str, str]:
        """Column name in frames of each field besides the features."""
        return {f["name"]: _META[f["name"]] for f in self.writer.schema["fields"] if f["name"] in _META}

    @cached_property
    def nullable(self) -> frozenset[str]:
        """Columns of ``frame`` whose Avro type is a union with null."""
        meta = [(self.meta_names[f["name"]], f["type"]) for f in self.writer.schema["fields"] if f["name"] in self.meta_names]
        features = [(self.feature_names[f["name"]], f["type"]) for f in self._features]
        return frozenset(name for name, avro_type in [*meta, *features] if isinstance(avro_type, list))

    @cached_property
    def plain(self) -> Any:
        """The schema as fastavro wants it, without logical types: event times stay whole milliseconds, of any year."""
        return fastavro.parse_schema(_without_logical_types(self.writer.schema))

    @cached_property
    def dtypes(self) -> dict[str, Any]:
        """The polars type of each column of ``frame``."""
        types = {f["name"]: f["type"] for f in self.writer.schema["fields"]}
        meta = {n: pl.Int64() if c == "event_time" else _dtype(types[c]) for c, n in self.meta_names.items()}
        return {**meta, **{self.feature_names[f["name"]]: _dtype(f["type"]) for f in self._features}}


def _scalar(avro_type: Any) -> bool:
    if isinstance(avro_type, list):
        return len(avro_type) == 2 and avro_type.count("null") == 1 and all(_scalar(t) or t == "null" for t in avro_type)
    if isinstance(avro_type, dict):
        return avro_type.get("type") in {"int", "long"} or (avro_type.get("type") in _SCALARS and "logicalType" not in avro_type)
    return avro_type in _SCALARS


def _filler(avro_type: Any) -> Any:
    if isinstance(avro_type, list):
        return None if "null" in avro_type else _filler(avro_type[0])
    kind = avro_type["type"] if isinstance(avro_type, dict) else avro_type
    return {"string": "", "boolean": False, "int": 0, "long": 0, "float": 0.0, "double": 0.0}.get(kind)


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _without_logical_types(v) for k, v in node.items() if k != "logicalType"}
    return [_without_logical_types(n) for n in node] if isinstance(node, list) else node


def _dtype(avro_type: Any) -> Any:
    if isinstance(avro_type, list):
        return _dtype(next(t for t in avro_type if t != "null"))
    kind = avro_type["type"] if isinstance(avro_type, dict) else avro_type
    known = {"string": pl.String, "boolean": pl.Boolean, "int": pl.Int32, "long": pl.Int64, "float": pl.Float32, "double": pl.Float64}
    return known[kind]()


def _zigzag(n: int) -> bytes:
    """A non-negative count as Avro writes longs."""
    n <<= 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _text(data: bytes) -> bytes:
    return _zigzag(len(data)) + data
