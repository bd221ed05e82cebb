"""What the emitter writes is what Tidemark reads: names, framing, types, ids."""

from __future__ import annotations

import io
import json
import math
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import ROOT
from config.spec import ModelSpec, read_spec
from producers.emitter import EmitterError, WrongType
from producers.emitter import names as emitter_names
from producers.emitter.encode import EventEncoder, framing_header, read_schema
from producers.emitter.ids import time_to_ms, uuid7
from schemas import names
from schemas.event import event_schema
from schemas.framing import WriterSchema, schema_fingerprint
from schemas.store import FileSchemaStore

NOW_MS = 1_700_000_000_123
EVERY_TYPE = {"a double": "double", "größe (cm)": "long", "flag?": "boolean", "2 text": "string"}


def spec_of(types: dict[str, str]) -> ModelSpec:
    """A spec with one feature per name, of the given Avro type."""
    features = {n: {"type": t, "kind": "categorical" if t in ("string", "boolean") else "numerical"} for n, t in types.items()}
    data: dict[str, Any] = {"model": "m", "reference": "r.parquet", "features": features}
    return ModelSpec.model_validate({**data, "prediction": {"column": "p", "type": "double"}, "window": {"size": "1h"}})


def encode(encoder: EventEncoder, features: dict[str, Any], **given_: Any) -> bytes:
    """One event with everything but the features at its default."""
    values: dict[str, Any] = {"prediction": 1.5, "target": None, "event_id": None, "event_time": None, "run": "live", **given_}
    return encoder.encode(features, now_ms=NOW_MS, **values)


def decode(schema: dict[str, Any], value: bytes) -> dict[str, Any]:
    """The record behind a single-object header."""
    return dict(fastavro.schemaless_reader(io.BytesIO(value[10:]), fastavro.parse_schema(json.loads(json.dumps(schema))), None))


def encoded_features(types: dict[str, str], features: dict[str, Any]) -> dict[str, Any]:
    """The features as a reader gets them back, by true name."""
    schema = event_schema(spec_of(types))
    record = decode(schema, encode(EventEncoder(schema, "m", "1"), features))
    return {names.unmangle(k): v for k, v in record["features"].items()}


@given(st.text())
def test_names_are_mangled_as_by_schemas(name: str) -> None:
    """The emitter's copy of the name mangling gives what ``schemas.names`` gives, and reads it back."""
    assert emitter_names.mangle(name) == names.mangle(name)
    assert emitter_names.unmangle(names.mangle(name)) == name


def test_doc_is_the_true_name_only_where_it_fits() -> None:
    """A ``doc`` that is prose is not taken for a column's name."""
    assert emitter_names.true_name({"name": "caf__E9_", "doc": "café"}) == "café"
    assert emitter_names.true_name({"name": "caf__E9_", "doc": "where coffee is drunk"}) == "café"
    assert emitter_names.true_name({"name": "delay"}) == "delay"


def test_framing_equals_schemas_framing() -> None:
    """Both framings are byte for byte those of ``schemas.framing``."""
    schema = event_schema(read_spec(ROOT / "config" / "models" / "flights.yaml"))
    assert framing_header(schema) == WriterSchema.single_object(schema).header
    assert framing_header(schema)[2:] == schema_fingerprint(schema)
    assert framing_header(schema, 77) == WriterSchema.confluent(schema, 77).header


def test_event_equals_schemas_encoding(tmp_path: Path) -> None:
    """An event has the same bytes as the same record written by ``schemas``, from the file of the schema store."""
    schema = event_schema(spec_of(EVERY_TYPE))
    writer = FileSchemaStore(tmp_path).register("m", schema)
    encoder = EventEncoder(read_schema(next(tmp_path.glob("*.avsc"))), "m", "v1")
    ours = encode(encoder, {"a double": 2.5, "größe (cm)": 7, "flag?": True, "2 text": "ñ"}, event_id="e", target=3, run="r-1")
    values = {names.mangle(k): v for k, v in {"a double": 2.5, "größe (cm)": 7, "flag?": True, "2 text": "ñ"}.items()}
    record = {"event_id": "e", "event_time": NOW_MS, "run": "r-1", "model": "m", "model_version": "v1"}
    assert ours == writer.encode({**record, "prediction": 1.5, "target": 3.0, "features": values})


def test_numpy_and_pandas_scalars_are_values() -> None:
    """NumPy's scalars and pandas' nulls come through as the Avro values they stand for."""
    got = encoded_features(EVERY_TYPE, {"a double": np.float32(0.5), "größe (cm)": np.int16(3), "flag?": np.True_, "2 text": np.str_("x")})
    assert got == {"a double": 0.5, "größe (cm)": 3, "flag?": True, "2 text": "x"}
    got = encoded_features(EVERY_TYPE, {"a double": pd.NA, "größe (cm)": math.nan, "flag?": pd.NaT, "2 text": np.nan})
    assert set(got.values()) == {None}


def test_whole_floats_are_longs_and_nan_is_a_double() -> None:
    """A whole float fits a long column (JSON and pandas make such floats); not-a-number stays a value of a double column."""
    got = encoded_features({"n": "long", "x": "double"}, {"n": 3.0, "x": math.nan})
    assert got["n"] == 3
    assert math.isnan(got["x"])


HALF = datetime(2020, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (HALF, HALF),
        (HALF.astimezone(timezone(timedelta(hours=-5))), HALF),
        (pd.Timestamp("2020-01-01T00:00:00.5Z"), HALF),
        (np.datetime64("2020-01-01T00:00:00.500"), HALF),
        ("2020-01-01T00:00:00.5Z", HALF),
        (1_577_836_800_500, HALF),
        (1_577_836_800_500.0, HALF),
        (None, None),
        (pd.NaT, None),
        (np.datetime64("NaT"), None),
    ],
)
def test_a_timestamp_of_any_kind_is_its_moment(value: Any, wanted: datetime | None) -> None:
    """Aware datetimes, pandas' and NumPy's, ISO text and ms since the epoch come back as the same moment; their nulls as null."""
    assert encoded_features({"seen at": "timestamp"}, {"seen at": value}) == {"seen at": wanted}


@pytest.mark.parametrize("value", [datetime(2020, 1, 1), "2020-01-01T00:00:00", "soon", True, 1.5, 2**63])  # noqa: DTZ001 - naive is the point
def test_what_is_no_timestamp_is_refused_by_name(value: object) -> None:
    """A time without a zone, other text and other numbers are refused under the column's name."""
    with pytest.raises(WrongType) as caught:
        encoded_features({"seen at": "timestamp"}, {"seen at": value})
    assert caught.value.column == "seen at"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("a double", "1.5"),
        ("a double", True),
        ("a double", 10**400),
        ("größe (cm)", 1.5),
        ("größe (cm)", 2**63),
        ("größe (cm)", True),
        ("größe (cm)", math.inf),
        ("flag?", 1),
        ("2 text", 5),
        ("2 text", b"x"),
        ("2 text", "\ud800"),
        ("2 text", ["x"]),
    ],
)
def test_wrong_type_names_the_column(column: str, value: object) -> None:
    """A value that does not fit is refused under the user's own name of the column."""
    encoder = EventEncoder(event_schema(spec_of(EVERY_TYPE)), "m", "1")
    with pytest.raises(WrongType) as caught:
        encode(encoder, {column: value})
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("given_", "column"),
    [
        ({"prediction": "late"}, "prediction"),
        ({"target": []}, "target"),
        ({"event_id": ""}, "event_id"),
        ({"event_id": 7}, "event_id"),
        ({"run": "no spaces"}, "run"),
        ({"run": None}, "run"),
        ({"event_time": datetime(2020, 1, 1)}, "event_time"),  # noqa: DTZ001 - naive is the point
        ({"event_time": "2020-01-01"}, "event_time"),
        ({"event_time": True}, "event_time"),
        ({"event_time": 2**62}, "event_time"),
    ],
)
def test_wrong_field_is_named(given_: dict[str, Any], column: str) -> None:
    """What is wrong beside the features is refused under its own name."""
    with pytest.raises(WrongType) as caught:
        encode(EventEncoder(event_schema(spec_of({"x": "double"})), "m", "1"), {}, **given_)
    assert caught.value.column == column


def test_columns_beyond_the_schema_are_told() -> None:
    """A new feature does not stop the stream: it is left out, and named."""
    schema = event_schema(spec_of({"x": "double"}))
    encoder = EventEncoder(schema, "m", "1")
    assert decode(schema, encode(encoder, {"x": 1, "new": 2}))["features"] == {"x": 1.0}
    assert encoder.unknown({"x": 1, "new": 2}) == ["'new'"]
    assert encoder.unknown({"x": 1}) == []


def test_arrays_go_through() -> None:
    """A column of a type beyond the four (an embedding) is checked by fastavro and comes back whole."""
    schema = event_schema(spec_of({"x": "double"}))
    fields = next(f for f in schema["fields"] if f["name"] == "features")["type"]["fields"]
    fields.append({"name": "embedding", "type": {"type": "array", "items": "double"}})
    encoder = EventEncoder(schema, "m", "1")
    assert decode(schema, encode(encoder, {"embedding": [0.5, 1.0]}))["features"]["embedding"] == [0.5, 1.0]
    with pytest.raises(WrongType) as caught:
        encode(encoder, {"embedding": ["x"]})
    assert caught.value.column == "embedding"


@given(st.integers(0, 2**48 - 1))
def test_uuid7_is_rfc_9562(time_ms: int) -> None:
    """Version 7, variant 10, and its first 48 bits are the time in ms."""
    value = uuid.UUID(uuid7(time_ms))
    assert (value.int >> 76 & 0xF, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == time_ms


def test_uuid7_differs_within_a_millisecond() -> None:
    """Ten thousand ids of one millisecond are distinct."""
    assert len({uuid7(NOW_MS) for _ in range(10_000)}) == 10_000


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])))
def test_datetimes_become_milliseconds_exactly(moment: datetime) -> None:
    """Milliseconds are floored from exact integers, before the epoch too."""
    assert time_to_ms(moment) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@pytest.mark.parametrize("schema", [{}, {"type": "record", "name": "x", "fields": [{"name": "event_id", "type": "string"}]}])
def test_foreign_schema_is_refused(schema: dict[str, Any]) -> None:
    """A schema that is not a prediction event's is refused at once, naming what it lacks."""
    with pytest.raises(EmitterError, match=r"no field .*event_time.*features"):
        read_schema(schema)


def test_missing_schema_file_is_named(tmp_path: Path) -> None:
    """A schema path that is not there is named."""
    with pytest.raises(EmitterError, match=r"none\.avsc cannot be read"):
        read_schema(tmp_path / "none.avsc")
