"""The emitter's own encoder writes what fastavro writes, byte for byte, for any schema of an event and any values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.emitter import EmitterError
from producers.emitter.encode import EventEncoder
from producers.emitter.wire import timestamp, varint
from schemas.event import event_schema
from schemas.framing import WriterSchema
from tests.unit.test_decode import DOUBLES, VALUES
from tests.unit.test_emitter_encoding import spec_of

NUMBERS = st.none() | st.floats() | st.integers(-(2**53), 2**53)
TIMES_MS = st.integers(-62_135_596_800_000, 253_402_300_799_999) | st.integers(2**39 - 3, 2**39 + 3) | st.integers(2**41 - 3, 2**41 + 3)


@st.composite
def events(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A schema of any columns, nullable in either order or not, with the event's fields in any order, and values of it."""
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=6))
    shapes = draw(st.lists(st.sampled_from(["plain", "null first", "null last"]), min_size=len(kinds), max_size=len(kinds)))
    wire = [DOUBLES if kind == "doubles" else kind for kind in kinds]
    types = [{"plain": t, "null first": ["null", t], "null last": [t, "null"]}[s] for t, s in zip(wire, shapes, strict=True)]
    schema = event_schema(spec_of({"x": "double"}))
    features = [{"name": f"f{i}", "type": t} for i, t in enumerate(types)]
    *fields, last = schema["fields"]
    body = next(f for f in schema["fields"] if f["name"] == "features")
    body["type"] = {**body["type"], "fields": features}
    extra = {"name": "new", "type": ["null", "string"], "default": None}
    fields = draw(st.permutations([*fields, last, extra]))
    values = [VALUES[k] if s == "plain" else st.none() | VALUES[k] for k, s in zip(kinds, shapes, strict=True)]
    row = st.tuples(*values).map(lambda vs: {f"f{i}": v for i, v in enumerate(vs)})
    rows = draw(st.lists(row, min_size=1, max_size=4))
    return {**schema, "fields": fields}, rows


@given(events(), st.text(min_size=1), TIMES_MS, NUMBERS, NUMBERS, st.text(max_size=5))
def test_bytes_are_those_of_fastavro(
    event: tuple[dict[str, Any], list[dict[str, Any]]], event_id: str, time_ms: int, prediction: Any, target: Any, version: str
) -> None:
    """Every type, null, extreme, order of fields and repeated value comes out as fastavro's writer writes it."""
    schema, rows = event
    encoder, writer = EventEncoder(schema, "m", version), WriterSchema.single_object(schema)
    head = {"event_id": event_id, "event_time": time_ms, "run": "live", "model": "m", "model_version": version}
    for row in [*rows, *rows]:  # the second time from what the encoder keeps
        wanted = writer.encode({**head, "prediction": prediction, "target": target, "features": row})
        assert encoder.encode(row, prediction, target, event_id, time_ms, "live", 0) == wanted


def test_a_value_is_not_taken_for_an_equal_one_of_another_type() -> None:
    """True equals 1 and 1.0 in Python; a column of whole numbers takes 1 and 1.0, and refuses True even after it has seen 1."""
    encoder = EventEncoder(event_schema(spec_of({"n": "long"})), "m", "1")
    one = [encoder.encode({"n": n}, 0.0, None, "e", 1, "live", 0) for n in (1, 1.0)]
    assert one[0] == one[1]
    with pytest.raises(ValueError, match="'n'"):
        encoder.encode({"n": True}, 0.0, None, "e", 1, "live", 0)


def test_what_was_kept_and_cleared_is_written_anew() -> None:
    """More distinct texts than a column keeps, and then the first ones again, are each written right."""
    schema = event_schema(spec_of({"s": "string"}))
    encoder, writer = EventEncoder(schema, "m", "1"), WriterSchema.single_object(schema)
    head = {"event_id": "e", "event_time": 1, "run": "live", "model": "m", "model_version": "1", "prediction": 0.0, "target": None}
    for i in [*range(10_000), *range(100)]:
        assert encoder.encode({"s": f"v{i}"}, 0.0, None, "e", 1, "live", 0) == writer.encode({**head, "features": {"s": f"v{i}"}})


@given(TIMES_MS)
def test_times_are_varints(time_ms: int) -> None:
    """The short way for times of now is the general one."""
    assert timestamp(time_ms) == varint(time_ms)


def test_a_field_that_cannot_be_filled_is_refused_at_construction() -> None:
    """A schema with a field that the emitter does not know and that has no default is refused, not every event."""
    schema = event_schema(spec_of({"x": "double"}))
    with pytest.raises(EmitterError, match="not one that Tidemark wrote"):
        EventEncoder({**schema, "fields": [*schema["fields"], {"name": "new", "type": "string"}]}, "m", "1")
