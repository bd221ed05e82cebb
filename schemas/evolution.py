"""Whether events of an older schema can be read with a newer one: Avro's rules of schema resolution, told field by field.

Avro 1.11 specification, "Schema Resolution", for what event schemas are made of: records, unions with null, arrays and plain types. It is
what registries call BACKWARD compatibility.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from schemas.event import Schema
from schemas.names import unmangle

_PROMOTIONS = {"int": {"long", "float", "double"}, "long": {"float", "double"}, "float": {"double"}}


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one field from ``old`` to ``new`` (types as texts, empty where the field is not there).

    ``added``, ``removed`` and ``promoted`` (to a wider type) leave older events readable; ``retyped`` and ``required`` (new and without a
    default, or nullable before) do not.
    """

    field: str
    kind: Literal["added", "removed", "promoted", "retyped", "required"]
    old: str = ""
    new: str = ""

    @property
    def breaks(self) -> bool:
        """Whether events of the older schema cannot be read with the newer one."""
        return self.kind in ("retyped", "required")

    def __str__(self) -> str:
        if self.kind == "required":
            return f"{self.field!r} is {self.new} and must have a value, older events " + (f"had {self.old}" if self.old else "lack it")
        told = {"added": f"added as {self.new}", "removed": f"removed, was {self.old}"}
        return f"{self.field!r} " + told.get(self.kind, f"was {self.old}, is {self.new} now")


def changes(old: Schema, new: Schema) -> list[Change]:
    """All changes from an older event schema to a newer one, in the newer one's order, then what was removed."""
    return list(_record(old, new))


def _record(old: Schema, new: Schema) -> Iterator[Change]:
    before = {f["name"]: f for f in old["fields"]}
    for field in new["fields"]:
        if field["name"] in before:
            yield from _value(unmangle(field["name"]), before.pop(field["name"])["type"], field["type"])
        else:
            yield Change(unmangle(field["name"]), "added" if "default" in field else "required", "", _told(field["type"]))
    yield from (Change(unmangle(name), "removed", _told(field["type"]), "") for name, field in before.items())


def _value(name: str, old: Any, new: Any) -> Iterator[Change]:
    if _is(old, "record") and _is(new, "record"):
        yield from _record(old, new)
        return
    before, after = _kinds(old), _kinds(new)
    told = _told(old), _told(new)
    if "null" in before and "null" not in after:
        yield Change(name, "required", *told)
        return
    verdicts = [_verdict(b, after) for b in before if b != "null"]
    if "retyped" in verdicts:
        yield Change(name, "retyped", *told)
    elif "promoted" in verdicts:
        yield Change(name, "promoted", *told)


def _verdict(before: str, after: list[str]) -> Literal["same", "promoted", "retyped"]:
    if before in after:
        return "same"
    return "promoted" if _PROMOTIONS.get(before, set()) & set(after) else "retyped"


def _is(avro_type: Any, kind: str) -> bool:
    return isinstance(avro_type, dict) and avro_type.get("type") == kind


def _kinds(avro_type: Any) -> list[str]:
    """The plain types of a value: those of a union's branches, without logical types, which change no byte."""
    if isinstance(avro_type, list):
        return [kind for branch in avro_type for kind in _kinds(branch)]
    if _is(avro_type, "array"):
        return [f"array of {_told(avro_type['items'])}"]
    if isinstance(avro_type, dict):
        return [str(avro_type["type"])]
    return [str(avro_type)]


def _told(avro_type: Any) -> str:
    """A type as a person says it: ``double``, ``array of double``; null is left out, since every feature may be null."""
    return " or ".join(kind for kind in _kinds(avro_type) if kind != "null") or "null"
