"""Schemas that change: what is told, what is refused, and that events of both make the same windows however they are batched."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import SchemaError
from config.spec import ModelSpec
from schemas.event import Schema, event_schema
from schemas.evolution import changes
from schemas.framing import WriterSchema
from schemas.store import FileSchemaStore
from streams.decode.decoder import Decoder
from streams.windows.batch import RawBatch
from streams.windows.catalogue import Binding, Catalogue
from streams.windows.core import WindowCore
from streams.windows.state import PartitionState

TYPES: dict[str, dict[str, str]] = {
    "double": {"type": "double"},
    "long": {"type": "long"},
    "timestamp": {"type": "timestamp"},
    "boolean": {"type": "boolean"},
    "string": {"type": "string", "kind": "categorical"},
    "doubles": {"type": "doubles", "kind": "embedding"},
}
VALUES: dict[str, Any] = {"double": 1.5, "long": 7, "timestamp": 8, "boolean": True, "string": "x", "doubles": [1.0, 2.0]}


def spec(**features: str) -> ModelSpec:
    """A model with features of these types."""
    columns = {name.replace("_", " "): TYPES[kind] for name, kind in features.items()}
    fixed = {"model": "m", "reference": "r.parquet", "prediction": {"column": "p", "type": "double"}, "window": {"size": "10s"}}
    return ModelSpec.model_validate({**fixed, "features": columns})


def schema(**features: str) -> Schema:
    return event_schema(spec(**features))


def told(old: Schema, new: Schema) -> list[str]:
    return [str(change) for change in changes(old, new)]


def test_each_change_is_told_by_the_column_s_true_name() -> None:
    """Added, removed, promoted and retyped columns, with both types; an unchanged one is not told."""
    old = schema(kept="double", gone_one="string", wider="long", other="string")
    new = schema(kept="double", wider="double", other="long", new_one="doubles")
    assert told(old, new) == [
        "'wider' was long, is double now",
        "'other' was string, is long now",
        "'new one' added as array of double",
        "'gone one' removed, was string",
    ]
    assert [c.kind for c in changes(old, new)] == ["promoted", "retyped", "added", "removed"]
    assert changes(old, old) == []


def test_a_field_that_must_have_a_value_breaks() -> None:
    """A new field without a default, and a nullable one that is not nullable any more."""
    old = schema(a="double")
    new = copy.deepcopy(old)
    new["fields"].append({"name": "region", "type": "string"})
    new["fields"][-2]["type"]["fields"][0] = {"name": "a", "type": "double"}
    found = {c.field: (c.kind, c.breaks) for c in changes(old, new)}
    assert found == {"a": ("required", True), "region": ("required", True)}


def test_what_a_spec_can_gain_leaves_older_events_readable() -> None:
    """Probabilities, a target, more features: the default of each stands for what older events lack."""
    plain = spec(a="double")
    given_more = {
        "probabilities": {"yes": "p1", "no – été": "p2"},
        "features": {**plain.features, "b (c)": {"type": "timestamp"}},
        "target": {"column": "t", "type": "double"},
    }
    more = ModelSpec.model_validate({**plain.model_dump(), "window": {"size": "10s"}, **given_more})
    assert not [c for c in changes(event_schema(plain), event_schema(more)) if c.breaks]


@given(old=st.sampled_from(sorted(TYPES)), new=st.sampled_from(sorted(TYPES)), null=st.booleans())
def test_the_rules_are_those_of_an_avro_reader(old: str, new: str, null: bool) -> None:
    """fastavro reads an event of the older schema with the newer one exactly when no change breaks, for every pair of types."""
    before, after = schema(x=old), schema(x=new)
    writer = fastavro.parse_schema(json.loads(json.dumps(before)))
    out = io.BytesIO()
    record = {"event_id": "e", "event_time": 1, "run": "live", "model": "m", "model_version": "1", "prediction": 1.0, "target": None}
    fastavro.schemaless_writer(out, writer, {**record, "features": {"x": None if null else VALUES[old]}})
    out.seek(0)
    breaks = any(c.breaks for c in changes(before, after))
    try:
        fastavro.schemaless_reader(out, writer, fastavro.parse_schema(json.loads(json.dumps(after))))
    except (fastavro.read.SchemaResolutionError, ValueError, TypeError):
        assert breaks
    else:
        assert null or not breaks  # a null fits whatever the other branch is


def test_a_breaking_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """The error names subject, column, both types, and three ways out; the subject keeps its versions, so the old one registers on."""
    store = FileSchemaStore(tmp_path)
    first = store.register("t-m", schema(colour="long", size="double"))
    store.register("t-m", schema(colour="double"))
    with pytest.raises(SchemaError, match=r"schema of t-m cannot read its older events: column 'colour' was long, is string now") as caught:
        store.register("t-m", schema(colour="string"))
    assert "another name" in caught.value.remedy
    versions = tmp_path / "subjects" / "t-m.json"
    assert f"delete {versions}" in caught.value.remedy
    assert len(json.loads(versions.read_text())) == 2
    assert store.register("t-m", schema(colour="long", size="double")) == first
    versions.unlink()
    store.register("t-m", schema(colour="string"))


def test_every_older_version_counts(tmp_path: Path) -> None:
    """A column that was removed does not come back as another type: events of the first version are still on the topic."""
    store = FileSchemaStore(tmp_path)
    store.register("s", schema(a="double", b="string"))
    store.register("s", schema(a="double"))
    with pytest.raises(SchemaError, match="'b' was string, is double now"):
        store.register("s", schema(a="double", b="double"))


def test_a_damaged_list_of_versions_is_named(tmp_path: Path) -> None:
    """The file and what to do, no traceback of json's."""
    store = FileSchemaStore(tmp_path)
    store.register("a/b", schema(a="double"))
    path = tmp_path / "subjects" / "a%2Fb.json"
    path.write_text("[1", encoding="utf-8")
    with pytest.raises(SchemaError, match=r"a%2Fb\.json cannot be read") as caught:
        store.register("a/b", schema(a="double"))
    assert "delete it" in caught.value.remedy


OLD, NEW = spec(x="long", gone="string"), spec(x="double", more="string")
EVENTS = st.lists(st.tuples(st.booleans(), st.integers(0, 45)), min_size=1, max_size=30)


def windows(store: FileSchemaStore, events: list[tuple[bool, int]], size: int) -> tuple[Any, ...]:
    """What comes out when the events, of the older or newer schema, come in batches of a size: rows of each window, and what is late."""
    catalogue = Catalogue()
    catalogue.add(Binding(NEW, "ref"))
    core, state, decoder = WindowCore(catalogue, 1, 10**12, 3), PartitionState(0), Decoder(store, 100_000)
    old, new = WriterSchema.single_object(event_schema(OLD)), WriterSchema.single_object(event_schema(NEW))
    values = []
    for n, (newer, second) in enumerate(events):
        features = {"x": float(n), "more": "m"} if newer else {"x": n, "gone": "g"}
        same = {"run": "live", "model": "m", "model_version": "1", "prediction": 1.0, "target": None, "sample_rate": None}
        values.append((new if newer else old).encode({"event_id": f"e{n}", "event_time": second * 1000, **same, "features": features}))
    for start in range(0, len(values), size):
        part = values[start : start + size]
        raw = RawBatch(0, part, [b"m"] * len(part), np.arange(start, start + len(part)), np.full(len(part), 10**9))
        core.ingest(state, decoder.decode(raw))
    held = {**state.pending, **{w: s for stream in state.streams.values() for w, s in stream.windows.items()}}
    rows = {w.start_ms: sorted(s.rows.settle().frame.select(pl.col("f:x")).to_series().to_list()) for w, s in held.items()}
    return rows, sorted(o.offset for o in state.late), state.dead


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileSchemaStore:
    """Both schemas, registered."""
    made = FileSchemaStore(tmp_path_factory.mktemp("s"))
    made.register("m", event_schema(OLD))
    made.register("m", event_schema(NEW))
    return made


@settings(max_examples=40, deadline=None)
@given(events=EVENTS, size=st.integers(2, 30))
def test_two_schemas_in_a_stream_make_the_same_windows_in_any_batching(
    store: FileSchemaStore, events: list[tuple[bool, int]], size: int
) -> None:
    """While a service is rolled over, both schemas are in each batch: lateness follows the offsets, whichever schema is read first, and a
    promoted column's values go together."""
    assert windows(store, events, size) == windows(store, events, 1)
