"""The columnar decoder equals the record-by-record one, and a bad record never touches its neighbours."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from config.spec import ModelSpec
from schemas.control import CONTROL_SCHEMA, Control
from schemas.event import event_schema
from schemas.framing import WriterSchema
from schemas.store import CONTROL, FileSchemaStore
from streams.decode.decoder import Decoder, read_block
from streams.decode.layout import EventLayout
from streams.decode.single import read_bodies
from streams.windows.batch import ID, RawBatch

TYPES = ["double", "long", "boolean", "string"]
VALUES = {
    "double": st.floats(allow_nan=False),
    "long": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "string": st.text(max_size=80),
}


def make_spec(types: dict[str, str]) -> ModelSpec:
    features = {n: {"type": t, "kind": "categorical" if t == "string" else "numerical"} for n, t in types.items()}
    return ModelSpec.model_validate(
        {
            "model": "m",
            "reference": "r.parquet",
            "features": features,
            "prediction": {"column": "prediction!", "type": "double"},
            "window": {"size": "1m"},
        }
    )


def event(n: int, features: dict[str, Any], **more: Any) -> dict[str, Any]:
    base = {"event_id": f"id-{n}", "event_time": n, "run": "live", "model": "m", "model_version": "1", "prediction": 0.5, "target": None}
    return {**base, "features": features, **more}


def raw(values: list[bytes]) -> RawBatch:
    n = len(values)
    return RawBatch(0, values, [b"m"] * n, np.arange(n), np.zeros(n, dtype=np.int64))


@st.composite
def streams(draw: st.DrawFn) -> tuple[WriterSchema, list[dict[str, Any]]]:
    names = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True))
    types = {n: draw(st.sampled_from(TYPES)) for n in names}
    schema = event_schema(make_spec(types))
    writer = WriterSchema.single_object(schema)
    avro = {n: f["name"] for n, f in zip(names, schema["fields"][-1]["type"]["fields"], strict=True)}
    ids = st.text(min_size=1, max_size=70)
    rows = draw(st.lists(st.fixed_dictionaries({n: st.none() | VALUES[t] for n, t in types.items()}), min_size=1, max_size=20))
    times = st.integers(-(2**62), 2**62)
    return writer, [event(i, {avro[n]: v for n, v in r.items()}, event_id=draw(ids), event_time=draw(times)) for i, r in enumerate(rows)]


@given(streams())
@settings(max_examples=200, deadline=None)
def test_columns_equal_fastavro(stream: tuple[WriterSchema, list[dict[str, Any]]]) -> None:
    """On random schemas and values, the block reader accepts good records and gives what fastavro gives record by record."""
    writer, events = stream
    layout = EventLayout(writer)
    bodies = [writer.encode(e)[10:] for e in events]
    block = read_block(layout, bodies)
    good, single, bad = read_bodies(layout, bodies)
    assert block is not None
    assert_frame_equal(block, single)
    assert good == list(range(len(events)))
    assert not bad


MIX = make_spec({"a": "double", "b b": "long", "c": "string"})
WRITER = WriterSchema.single_object(event_schema(MIX))
GOOD = [WRITER.encode(event(i, {"a": i / 3, "b__20_b": i - 7, "c": "x" * (i % 5)}, event_id=f"id-{i:08d}")) for i in range(40)]


@pytest.fixture
def decoder(tmp_path: Path) -> Decoder:
    store = FileSchemaStore(tmp_path)
    store.register("m", event_schema(MIX))
    return Decoder(store, max_record_bytes=10_000)


@given(places=st.dictionaries(st.integers(0, 39), st.binary(max_size=200), max_size=6), seed=st.integers(0, 2**32), cut=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_bad_record_never_changes_a_neighbour(
    tmp_path_factory: pytest.TempPathFactory, places: dict[int, bytes], seed: int, cut: bool
) -> None:
    """Whatever bytes some records are replaced by or grown to, every untouched record decodes to its own values, once."""
    store = FileSchemaStore(tmp_path_factory.getbasetemp() / "schemas")
    store.register("m", event_schema(MIX))
    rng = random.Random(seed)
    values = list(GOOD)
    for place, noise in places.items():
        keep = rng.randrange(len(values[place])) if cut else len(values[place])
        values[place] = values[place][:keep] + noise
    batch = Decoder(store, 10_000).decode(raw(values))
    frames = pl.concat([e.frame.with_columns(place=pl.Series(e.index)) for e in batch.events]) if batch.events else pl.DataFrame()
    seen = dict(zip(frames["place"].to_list(), frames[ID].to_list(), strict=True)) if frames.height else {}
    for i in set(range(40)) - set(places):
        assert seen[i] == f"id-{i:08d}"
        assert frames.filter(pl.col("place") == i).row(0, named=True)["f:a"] == i / 3
    everywhere = [*(p for e in batch.events for p in e.index.tolist()), *(i for i, _ in batch.controls), *(i for i, _ in batch.invalid)]
    assert sorted(everywhere) == list(range(40))


def test_a_record_that_swallows_its_neighbour_is_found(decoder: Decoder) -> None:
    """A record whose last string claims the bytes of the next one too is a dead letter, and the next one is kept."""
    long = WRITER.encode(event(1, {"a": 1.0, "b__20_b": 1, "c": "y" * (1 + len(GOOD[1]) - 10)}, event_id="id-00000009"))
    values = [GOOD[0], long[: -(len(GOOD[1]) - 10)], GOOD[1], GOOD[2]]
    batch = decoder.decode(raw(values))
    assert [i for i, _ in batch.invalid] == [1]
    assert batch.events[0].index.tolist() == [0, 2, 3]


def test_reasons_name_what_is_wrong(decoder: Decoder) -> None:
    """Each kind of bad record gets its own reason; the good one among them is kept."""
    values = [b"", b"{}", b"\xc3\x01" + b"x" * 20, b"\0\0\0\0\7body", GOOD[0] + b"!", GOOD[0][:-2], b"\xc3\x01" + b"y" * 10_001, GOOD[1]]
    values.append(WRITER.encode(event(1, {"a": None, "b__20_b": None, "c": None}, event_id="")))
    batch = decoder.decode(raw(values))
    reasons = {i: e.reason for i, e in batch.invalid}
    assert reasons == {
        0: "no_framing",
        1: "no_framing",
        2: "unknown_schema",
        3: "unknown_schema",
        4: "undecodable",
        5: "undecodable",
        6: "too_large",
        8: "empty_event_id",
    }
    assert batch.events[0].index.tolist() == [7]


def test_control_records_are_sorted_out(decoder: Decoder) -> None:
    """Control records come out in place, and one with a forbidden run id is invalid by name."""
    good = Control("run_start", "m", "r1", "t", 0, 10)
    bad = {**good.to_avro(), "run": "no spaces!"}
    batch = decoder.decode(raw([GOOD[0], CONTROL.encode(good.to_avro()), CONTROL.encode(bad), GOOD[1]]))
    assert batch.controls == [(1, good)]
    assert [(i, e.reason) for i, e in batch.invalid] == [(2, "bad_id")]
    assert "no spaces!" in batch.invalid[0][1].message
    assert json.dumps(CONTROL_SCHEMA)


def test_several_schemas_in_one_batch(decoder: Decoder) -> None:
    """Records of an older and a newer schema of a model lie in one batch, each with its own columns."""
    newer = event_schema(make_spec({"a": "double", "b b": "long", "c": "string", "d": "double"}))
    writer = decoder.store.register("m", newer)
    values = [GOOD[0], writer.encode(event(1, {"a": 1.0, "b__20_b": 1, "c": "", "d": 4.0})), GOOD[2]]
    batch = decoder.decode(raw(values))
    assert sorted((e.index.tolist(), "f:d" in e.frame.columns) for e in batch.events) == [([0, 2], False), ([1], True)]
