"""The columnar decoder equals the record-by-record one, and a bad record never touches its neighbours: in machine code, and by NumPy."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from config.errors import InvalidEvent
from config.spec import ModelSpec
from schemas.control import CONTROL_SCHEMA, Control
from schemas.event import event_schema
from schemas.framing import WriterSchema
from schemas.store import CONTROL, FileSchemaStore
from streams.decode import walk
from streams.decode.buffer import Buffer
from streams.decode.decoder import Decoder
from streams.decode.headers import by_header
from streams.decode.layout import EventLayout
from streams.decode.native import library
from streams.decode.single import fault, plain, read_body
from streams.decode.walk import read_columns
from streams.windows.batch import FEATURE, ID, PREDICTION, TARGET, TIME, RawBatch

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "double": st.floats(),
    "float": st.floats(width=32),
    "long": st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70),
    "int": st.integers(-(2**31), 2**31 - 1) | st.integers(-70, 70),
    "boolean": st.booleans(),
    "string": st.text(max_size=20) | st.text(max_size=400) | st.sampled_from(["", "ab", "x" * 12, "y" * 13, "z" * 64, "é" * 130]),
}
DOUBLES: dict[str, Any] = {"type": "array", "items": "double"}
VALUES["doubles"] = st.lists(st.floats(), max_size=5) | st.lists(st.floats(), min_size=3, max_size=3)
DTYPES: dict[str, Any] = {"double": pl.Float64, "float": pl.Float32, "long": pl.Int64, "int": pl.Int32, "boolean": pl.Boolean}
DTYPES |= {"string": pl.String, "doubles": pl.List(pl.Float64)}
# What fastavro takes for values and Avro 1.11 forbids.
LAX = ("a union of two has no branch -", "a boolean is 0 or 1", "does not fit into 64 bits", "does not fit into 32 bits", " doubles has ")


@pytest.fixture(autouse=True, scope="module", params=["machine code", "NumPy"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test of this file holds for both ways."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "NumPy":
            patch.setattr(walk, "library", lambda: None)
        elif library() is None:
            pytest.skip("there is no C compiler")
        yield request.param


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
    """A schema of any scalars and arrays, nullable in either order or not, with features in any place, and records of it."""
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5))
    shapes = draw(st.lists(st.sampled_from(["plain", "null first", "null last"]), min_size=len(kinds), max_size=len(kinds)))
    wire: list[Any] = [DOUBLES if k == "doubles" else k for k in kinds]
    types = [{"plain": t, "null first": ["null", t], "null last": [t, "null"]}[shape] for t, shape in zip(wire, shapes, strict=True)]
    schema = event_schema(make_spec({"a": "double"}))
    fields = schema["fields"][:-1]
    features = [{"name": f"f{i}", "type": t} for i, t in enumerate(types)]
    record = {**schema["fields"][-1], "type": {**schema["fields"][-1]["type"], "fields": features}}
    newer = [{"name": "newer", "type": draw(st.sampled_from(types))}] if draw(st.booleans()) else []
    fields = [fields[0], *draw(st.permutations([*fields[1:], *newer, record]))]
    writer = WriterSchema.single_object({**schema, "fields": fields})

    def value(avro_type: Any) -> st.SearchStrategy[Any]:
        if isinstance(avro_type, list):
            return st.none() | value(next(t for t in avro_type if t != "null"))
        return VALUES["doubles" if isinstance(avro_type, dict) else avro_type]

    rows = st.fixed_dictionaries(
        {
            "event_id": st.text(min_size=1, max_size=70),
            "event_time": VALUES["long"],
            "model_version": VALUES["string"],
            "prediction": st.none() | st.floats(),
            **{f["name"]: value(f["type"]) for f in newer},
            "features": st.fixed_dictionaries({f["name"]: value(f["type"]) for f in features}),
        }
    )
    events = draw(st.lists(rows, min_size=1, max_size=20))
    return writer, [event(0, e["features"], **{k: v for k, v in e.items() if k != "features"}) for e in events]


def read(layout: EventLayout, values: list[bytes]) -> tuple[pl.DataFrame, list[bool]]:
    buffer = Buffer(values)
    frame, whole = read_columns(layout, buffer, buffer.starts + 10, buffer.ends)
    return frame, whole.tolist()


def by_fastavro(layout: EventLayout, values: list[bytes]) -> tuple[pl.DataFrame, list[bool]]:
    """The records that are right by the Avro specification as fastavro reads them, and which they are.

    Fails where fastavro refuses what the product's own check of single records takes, or takes what that refuses for another reason
    than those known.
    """
    schema = plain(layout.writer.schema)
    meta = {TIME: "event_time", PREDICTION: "prediction", TARGET: "target", **{f"@{n}": n for n in ("run", "model")}}
    meta |= {ID: "event_id", "@version": "model_version"}
    rows, good = [], []
    for value in values:
        wrong = fault(layout.scalars, value[10:])
        try:
            record = read_body(schema, value[10:])
        except InvalidEvent:
            assert wrong
        else:
            assert not wrong or any(text in wrong for text in LAX), wrong
        good.append(not wrong)
        if not wrong:
            rows.append([record["features"][c[2:]] if c.startswith(FEATURE) else record[meta[c]] for c in layout.columns])
    kinds = {s.column: s.kind for s in layout.scalars}
    return pl.DataFrame(rows, schema={c: DTYPES[kinds[c]] for c in layout.columns}, orient="row"), good


@given(streams())
@settings(max_examples=200, deadline=None)
def test_columns_equal_fastavro(stream: tuple[WriterSchema, list[dict[str, Any]]]) -> None:
    """On random schemas and values, every good record is taken and gives what fastavro gives record by record."""
    writer, events = stream
    layout = EventLayout(writer)
    assert not layout.problem
    values = [writer.encode(e) for e in events]
    frame, whole = read(layout, values)
    single, good = by_fastavro(layout, values)
    assert all(whole)
    assert all(good)
    assert_frame_equal(frame, single)


def mutate(rng: random.Random, values: list[bytes]) -> list[bytes]:
    """The values with some of them damaged behind their header, in one or more of eight ways."""
    out = [bytearray(v) for v in values]
    for place in rng.sample(range(len(out)), rng.randint(1, len(out))):
        body = out[place]
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            at = rng.randrange(10, len(body) + 1)
            noise = bytes(rng.choice([0, 1, 2, 3, 4, 0x7F, 0x80, 0x81, 0xFF, rng.randrange(256)]) for _ in range(rng.randint(1, 12)))
            other = rng.choice(out)
            kind = rng.randrange(8)
            if kind == 0:  # bytes flipped
                body[at : at + 1] = noise[:1]
            elif kind == 1:
                body[at : at + len(noise)] = noise
            elif kind == 2:  # truncated
                del body[at:]
            elif kind == 3:  # grown
                body.extend(noise)
            elif kind == 4:  # cut out
                del body[at : at + len(noise)]
            elif kind == 5:  # bytes of a neighbour
                cut = rng.randrange(10, len(other) + 1)
                body[at : at + 30] = other[cut : cut + 30]
            elif kind == 6 and at < len(body):  # a number longer than need be, or longer than may be
                body[at : at + 1] = bytes([body[at] | 0x80, *[0x80] * rng.randrange(10), rng.choice([0, 1, 2])])
            else:
                body[at:at] = noise
    return [bytes(b) for b in out]


@given(stream=streams(), seed=st.integers(0, 2**32))
@settings(max_examples=250, deadline=None)
def test_damaged_records_are_judged_as_the_specification_says(stream: tuple[WriterSchema, list[dict[str, Any]]], seed: int) -> None:
    """On damaged bytes the columnar reader, the check of single records and fastavro agree on which records are good, and on their values.

    But for what fastavro is known to take against the specification.
    """
    writer, events = stream
    layout = EventLayout(writer)
    values = mutate(random.Random(seed), [writer.encode(e) for e in events])
    frame, whole = read(layout, values)
    single, good = by_fastavro(layout, values)
    assert whole == good
    assert_frame_equal(frame, single)


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


ODD = WriterSchema.single_object(
    {
        **event_schema(MIX),
        "fields": [
            *event_schema(MIX)["fields"][:-1],
            {
                "name": "features",
                "type": {
                    "type": "record",
                    "name": "F",
                    "fields": [
                        {"name": "n", "type": "long"},
                        {"name": "i", "type": ["int", "null"]},
                        {"name": "b", "type": "boolean"},
                        {"name": "s", "type": ["null", "string"]},
                    ],
                },
            },
        ],
    }
)
HEAD = ODD.encode(event(1, {"n": 0, "i": 0, "b": False, "s": None}))[10:-5]


@pytest.mark.parametrize(
    ("tail", "wrong"),
    [
        (b"\x02\0\2\1\2\4ab", ""),
        (b"\x02\2\1\0", ""),
        (b"\x82\0\x80\0\x84\x80\0\1\x82\0\x84\0ab", ""),  # longer than need be
        (b"\xff" * 9 + b"\1\2\1\0", ""),  # the lowest long
        (b"\xff" * 9 + b"\2\2\1\0", "field 'n': a number does not fit into 64 bits"),
        (b"\x80" * 10 + b"\0\2\1\0", "field 'n': a number does not fit into 64 bits"),
        (b"\2\0\xff\xff\xff\xff\x0f\1\0", ""),  # the lowest int
        (b"\2\0\x80\x80\x80\x80\x10\1\0", "field 'i': 2147483648 does not fit into 32 bits"),
        (b"\2\4\1\0", "field 'i': a union of two has no branch 2"),
        (b"\2\1\1\0", "field 'i': a union of two has no branch -1"),
        (b"\2\2\2\0", "field 'b': a boolean is 0 or 1, not 2"),
        (b"\2\2\1\2\1", "field 's': a string has -1 bytes"),
        (b"\2\2\1\2\6ab", "field 's': the record ends within it"),
        (b"\2\2\1\2" + b"\xfe" * 9 + b"\1ab", "field 's': the record ends within it"),
        (b"\2\2\1\2\4a\xff", "field 's': 'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"),
        (b"\2\2\1\2\6\xed\xa0\x80", "field 's': 'utf-8' codec can't decode byte 0xed in position 0: invalid continuation byte"),
        (b"\2\2\1", "field 's': the record ends within it"),
        (b"\2\2", "field 'b': the record ends within it"),
        (b"\2\2\1\0\0\0", "2 bytes behind the end of the record"),
    ],
)
def test_the_specification_at_its_edges(tail: bytes, wrong: str) -> None:
    """Each rule of Avro's binary encoding is kept by both readers, and a refusal names the field and what is wrong."""
    layout = EventLayout(ODD)
    bodies = [HEAD + b"\2\2\1\0", HEAD + tail, HEAD + b"\4\2\1\2\4zz"]
    frame, whole = read(layout, [ODD.header + b for b in bodies])
    assert fault(layout.scalars, bodies[1]) == wrong
    assert whole == [True, not wrong, True]
    assert (frame["f:n"][0], frame["f:n"][-1], frame["f:s"][-1]) == (1, 2, "zz")


@pytest.mark.parametrize("every", [2, 50])
@pytest.mark.parametrize("text", ["é", "plain", "thirteen bytes and more é", "é" * 200])
def test_a_text_that_is_not_utf8_is_found_among_those_that_are(text: str, every: int) -> None:
    """Among few or many texts beyond ASCII, short or long, exactly the records with a broken one are refused; the others keep theirs."""
    layout = EventLayout(WRITER)
    texts = [text if i % every == 0 else "abc" for i in range(400)]
    values = [WRITER.encode(event(i, {"a": 1.0, "b__20_b": i, "c": t})) for i, t in enumerate(texts)]
    broken = [100, 101, 250]
    for i in broken:
        values[i] = values[i][:-1] + b"\xff"
    frame, whole = read(layout, values)
    assert [i for i, ok in enumerate(whole) if not ok] == broken
    assert frame["f:c"].to_list() == [t for i, t in enumerate(texts) if i not in broken]
    assert frame["f:b b"].to_list() == [i for i in range(400) if i not in broken]


def test_a_wide_record_cut_short_is_refused() -> None:
    """A record whose missing part is longer than all that follows it in the batch is refused, not read beyond the batch."""
    spec = make_spec({f"f{i}": "double" for i in range(700)})
    writer = WriterSchema.single_object(event_schema(spec))
    names = [f["name"] for f in writer.schema["fields"][-1]["type"]["fields"]]
    value = writer.encode(event(1, dict.fromkeys(names, 1.0)))
    for cut in (60, 100, 4000, len(value) - 1):
        frame, whole = read(EventLayout(writer), [value, value[:cut]])
        assert whole == [True, False]
        assert frame.select("f:f0", "f:f699").row(0) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "avro_type", "problem"),
    [
        ("event_id", "long", "event_id is not a string"),
        ("model", ["null", "string"], "model is not a string"),
        ("event_time", ["null", "long"], "event_time is not a long"),
        ("event_time", {"type": "long", "logicalType": "timestamp-millis"}, ""),
        ("features", "string", "features is not a record"),
        ("target", {"type": "array", "items": "null"}, "field 'target' is an array of 'null': only arrays of 'double' are read"),
        (
            "target",
            ["null", {"type": "array", "items": "float"}],
            "field 'target' is an array of 'float': only arrays of 'double' are read",
        ),
        ("target", {"type": "array", "items": "double"}, "field 'target' is an array: only a feature can be one"),
        ("event_id", {"type": "array", "items": "double"}, "field 'event_id' is an array: only a feature can be one"),
        ("prediction", ["null", ["double", "null"]], "field 'prediction' is neither a scalar nor a nullable scalar"),
        ("prediction", {"type": {"type": "double"}}, "field 'prediction' is neither a scalar nor a nullable scalar"),
        ("prediction", {"type": "map", "values": "double"}, "field 'prediction' is neither a scalar nor a nullable scalar"),
    ],
)
def test_a_schema_that_cannot_be_an_event_is_refused_by_name(name: str, avro_type: Any, problem: str) -> None:
    """A schema whose fields the window core could not work with is named, before any record of it is read."""
    fields = [{**f, "type": avro_type} if f["name"] == name else f for f in event_schema(MIX)["fields"]]
    assert EventLayout(WriterSchema({**event_schema(MIX), "fields": fields}, b"")).problem == problem


def test_headers_of_both_framings_are_sorted() -> None:
    """Records of two framings and without one lie in any order; each group keeps the batch's order."""
    values = [GOOD[0], b"\0\0\0\0\7body", b"\xc3\x01short", GOOD[1], b"", b"\0\0\0\0\x08body", b"\0\0\0\0\7else", b"\xc3"]
    groups = {head: places.tolist() for head, places in by_header(Buffer(values), np.arange(len(values)))}
    assert groups == {GOOD[0][:10]: [0, 3], b"\0\0\0\0\7": [1, 6], b"\0\0\0\0\x08": [5], b"": [2, 4, 7]}


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
