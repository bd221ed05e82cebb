"""What a writer's schema means for the columnar reader: which scalars follow each other on the wire, and which columns they become."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.event import EVENT_NAME
from schemas.framing import WriterSchema
from schemas.names import unmangle
from streams.windows.batch import FEATURE, ID, MODEL, PREDICTION, PROBABILITY, RUN, TARGET, TIME, VERSION

_META = {
    "event_id": ID,
    "event_time": TIME,
    "run": RUN,
    "model": MODEL,
    "model_version": VERSION,
    "prediction": PREDICTION,
    "target": TARGET,
}
_PARTS = {"features": FEATURE, "probabilities": PROBABILITY}  # records within the record: the prefix of their columns
_REQUIRED = ("event_id", "event_time", "run", "model", "model_version", "prediction", "features")
_STRINGS = ("event_id", "run", "model", "model_version")
DOUBLES = "doubles"  # the kind of an array of doubles
KINDS = ("string", "boolean", "int", "long", "float", "double", DOUBLES)  # as walk.c numbers them
_SCALARS = frozenset(KINDS) - {DOUBLES}


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value on the wire, or an array of doubles (kind ``doubles``).

    ``value_branch`` is its place (0 or 1) in a union with null, None when it is never null. ``column`` is its name in frames; None for a
    field that only a newer schema knows, which is stepped over.
    """

    name: str
    kind: str
    value_branch: int | None
    column: str | None


@dataclass(frozen=True)
class EventLayout:
    """A prediction event's schema, ready to read bodies with."""

    writer: WriterSchema

    @cached_property
    def problem(self) -> str:
        """Why records of this schema are no prediction events; empty when they are."""
        types = {f["name"]: f["type"] for f in self.writer.schema.get("fields", [])}
        if self.writer.name != EVENT_NAME:
            return f"schema {self.writer.name!r} is not {EVENT_NAME}"
        if next(iter(types), None) != "event_id":
            return "event_id is not the schema's first field"
        if missing := [name for name in _REQUIRED if name not in types]:
            return f"schema lacks {', '.join(missing)}"
        if not isinstance(types["features"], dict) or types["features"].get("type") != "record":
            return "features is not a record"
        if odd := next(filter(None, (_problem(f) for field in self.writer.schema["fields"] for f in _parts(field))), ""):
            return odd
        columns = [s for s in self.scalars if s.column is not None and not s.column.startswith(FEATURE)]
        wanted = [*((name, "string") for name in _STRINGS), ("event_time", "long")]
        wrong = [f"field {s.name!r} is an array: only a feature can be one" for s in columns if s.kind == DOUBLES]
        wrong += [f"{name} is not a {kind}" for name, kind in wanted if _split(types[name]) != (kind, None)]
        return wrong[0] if wrong else ""

    @cached_property
    def scalars(self) -> list[Scalar]:
        """What a record's body consists of, in order."""
        found: list[Scalar] = []
        for field in self.writer.schema["fields"]:
            if _is_part(field):
                names = [(unmangle(f["name"]), f["type"]) for f in _parts(field)]
                found += [Scalar(name, *_split(kind), _PARTS[field["name"]] + name) for name, kind in names]
            else:
                found.append(Scalar(field["name"], *_split(field["type"]), _META.get(field["name"])))
        return found

    @cached_property
    def kinds(self) -> npt.NDArray[np.int8]:
        """Each scalar's kind as its place in ``KINDS``, shape (scalars,)."""
        return np.array([KINDS.index(s.kind) for s in self.scalars], dtype=np.int8)

    @cached_property
    def branches(self) -> npt.NDArray[np.int8]:
        """Each scalar's ``value_branch``, -1 for None, shape (scalars,)."""
        return np.array([-1 if s.value_branch is None else s.value_branch for s in self.scalars], dtype=np.int8)

    @cached_property
    def columns(self) -> list[str]:
        """The columns of frames: what every event has, then the features."""
        names = [s.column for s in self.scalars if s.column is not None]
        return sorted(names, key=lambda name: name.startswith(FEATURE))  # stable: either part in the schema's order


def _is_part(field: dict[str, Any]) -> bool:
    """True for a record within the record. An older schema's field of such a name may be something else: it is no part then."""
    return field["name"] in _PARTS and isinstance(field["type"], dict) and field["type"].get("type") == "record"


def _parts(field: dict[str, Any]) -> list[dict[str, Any]]:
    """The field itself, or the fields of a record within the record."""
    return list(field["type"]["fields"]) if _is_part(field) else [field]


def _problem(field: dict[str, Any]) -> str:
    """Why a field cannot be read; empty when it can. Not every schema that Avro allows is safe: arrays of null, deep recursion."""
    avro_type = field["type"]
    nullable = isinstance(avro_type, list) and len(avro_type) == 2 and avro_type.count("null") == 1
    value = avro_type[1 - avro_type.index("null")] if nullable else avro_type
    if _scalar(value) or _doubles(value):
        return ""
    if isinstance(value, dict) and value.get("type") == "array":
        return f"field {field['name']!r} is an array of {value.get('items')!r}: only arrays of 'double' are read"
    return f"field {field['name']!r} is neither a scalar nor a nullable scalar"


def _doubles(avro_type: Any) -> bool:
    return isinstance(avro_type, dict) and avro_type.get("type") == "array" and avro_type.get("items") in ("double", {"type": "double"})


def _scalar(avro_type: Any) -> bool:
    if isinstance(avro_type, dict) and (avro_type.get("type") in ("int", "long") or "logicalType" not in avro_type):
        avro_type = avro_type.get("type")
    return isinstance(avro_type, str) and avro_type in _SCALARS


def _split(avro_type: Any) -> tuple[str, int | None]:
    """A value's kind: its type without null and logical type, ``doubles`` for an array; and its place in a union with null.

    Logical types are left aside: event times stay whole milliseconds, of any year.
    """
    if isinstance(avro_type, list):
        place = 1 - avro_type.index("null")
        return _split(avro_type[place])[0], place
    if _doubles(avro_type):
        return DOUBLES, None
    return (avro_type["type"] if isinstance(avro_type, dict) else avro_type), None
