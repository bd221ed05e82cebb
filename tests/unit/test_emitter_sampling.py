"""What leaves the service is chosen before it leaves: a sample by id, and no value of a redacted column."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.emitter import Emitter, EmitterError
from producers.emitter.encode import EventEncoder
from producers.emitter.ids import in_sample
from schemas.event import event_schema
from schemas.framing import WriterSchema
from schemas.store import FileSchemaStore
from streams.decode.decoder import Decoder
from streams.windows.batch import FEATURE, RawBatch
from tests.unit.test_emitter_dead_broker import SCHEMA, adds_up, emitter
from tests.unit.test_emitter_encoding import decode, names, spec_of


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_sample_lies_in_every_larger_one(event_id: str, one: float, other: float) -> None:
    """The choice follows from the id and the rate alone, and a larger rate keeps what a smaller one has."""
    low, high = sorted((one, other))
    assert in_sample(event_id, 1.0)
    assert not in_sample(event_id, 0.0)
    assert in_sample(event_id, high) or not in_sample(event_id, low)
    assert in_sample(event_id, one) == in_sample(event_id, one)


def test_a_sample_has_its_rate() -> None:
    """Of 20,000 ids in a row a sample of 10 % has 2,000, within five standard deviations (42 each)."""
    kept = sum(in_sample(f"flight-{i:06}", 0.1) for i in range(20_000))
    assert abs(kept - 2000) < 5 * 43


def test_left_out_is_counted_and_neither_dropped_nor_pending() -> None:
    """``emit`` says True for an event that the sample leaves out; the same ids are kept by another emitter with the same rate."""
    ids = [f"e{i}" for i in range(2000)]
    pending = []
    for _ in range(2):
        with emitter(sample_rate=0.25) as made:
            assert all(made.emit({}, 1.0, event_id=one) for one in ids)
            counted = made.counters()
            pending.append(counted.pending)
            assert counted.emitted == counted.sampled_out + counted.pending == 2000
            assert sum(counted.dropped.values()) == 0
            made.close(0)
    assert pending[0] == pending[1] == sum(in_sample(one, 0.25) for one in ids)


def test_ids_made_by_the_emitter_are_sampled_too() -> None:
    """Without an id a UUIDv7 is made first, and it decides."""
    with emitter(sample_rate=0.5) as made:
        assert all(made.emit({}, 1.0) for _ in range(1000))
        assert 350 < made.counters().sampled_out < 650
        made.close(0)


def test_a_wrong_id_is_wrong_whatever_the_rate() -> None:
    """An id that is no string is not left out quietly: it is a counted wrong type."""
    with emitter(sample_rate=0.001) as made:
        made.emit({}, 1.0, event_id=7)  # type: ignore[arg-type]
        assert made.flush(10)
        assert made.counters().dropped["wrong_type"] == 1
        assert adds_up(made.counters())


def test_the_rate_stands_in_the_event_and_the_decoder_reads_it_as_any_event(tmp_path: Path) -> None:
    """A sampled event carries its rate, a full one null; the worker's decoder reads both, and events of a schema without the field, into
    the same columns."""
    spec = spec_of({"x": "double"})
    new = event_schema(spec)
    old = {**new, "fields": [f for f in new["fields"] if f["name"] != "sample_rate"]}
    store = FileSchemaStore(tmp_path)
    for subject, schema in (("old", old), ("new", new)):
        store.register(subject, schema)
    encoders = [EventEncoder(old, "m", "1"), EventEncoder(new, "m", "1"), EventEncoder(new, "m", "1", sample_rate=0.25)]
    values = [e.encode({"x": 0.5 + i}, 1.5, None, f"e{i}", 1000 + i, "live", 0) for i, e in enumerate(encoders)]
    assert [decode(new, value)["sample_rate"] for value in values[1:]] == [None, 0.25]
    count = len(values)
    raw = RawBatch(0, values, [b"m"] * count, np.arange(count), np.zeros(count, dtype=np.int64))
    batch = Decoder(store, 10_000).decode(raw)
    assert not batch.invalid
    frames = [rows.frame for rows in batch.events]
    assert len({tuple(f.columns) for f in frames}) == 1
    assert sorted(x for f in frames for x in f[FEATURE + "x"].to_list()) == [0.5, 1.5, 2.5]


def test_sampling_needs_the_field() -> None:
    """With a schema of before, full events are still written, and a rate below 1 is refused when the emitter is built."""
    old = {**SCHEMA, "fields": [f for f in SCHEMA["fields"] if f["name"] != "sample_rate"]}
    value = EventEncoder(old, "m", "1").encode({}, 1.0, None, "e", 1, "live", 0)
    assert value[:10] == WriterSchema.single_object(old).header
    with pytest.raises(EmitterError, match="sample_rate"):
        emitter(schema=old, sample_rate=0.5)


@pytest.mark.parametrize("rate", [0, -0.1, 1.5, "half", float("nan")])
def test_a_rate_that_is_none_is_refused(rate: Any) -> None:
    """A rate outside (0, 1] is refused when the emitter is built."""
    with pytest.raises(EmitterError, match="sample_rate="):
        emitter(sample_rate=rate)


def test_a_redacted_value_is_null_and_in_no_log(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """A redacted column is null in the event, whatever its value; neither the log nor the spill has seen it. The service keeps it."""
    folder = tmp_path / "spill"
    with caplog.at_level(logging.DEBUG), emitter(redact=["2 text", "größe (cm)"], spill=folder) as made:
        features = {"2 text": "SECRET-NAME", "größe (cm)": "SECRET-NAME, no number", "a double": 1.5}
        assert made.emit(features, 1.0, event_id="e")
        (file,) = folder.glob("*.wal")
        data = file.read_bytes()
        made.close(0)
    assert features["2 text"] == "SECRET-NAME"
    assert made.counters().dropped["wrong_type"] == 0
    assert b"SECRET-NAME" not in data
    assert "SECRET-NAME" not in caplog.text
    got = decode(SCHEMA, data[16 + 8 :])["features"]
    assert {names.unmangle(k): v for k, v in got.items()} == {"a double": 1.5, "größe (cm)": None, "flag?": None, "2 text": None}


def test_a_redacted_name_that_is_no_column_is_refused() -> None:
    """A misspelt name would let the values out: it is refused when the emitter is built."""
    with pytest.raises(EmitterError, match="'grosse'"):
        Emitter(model="m", model_version="1", schema=SCHEMA, bootstrap_servers="127.0.0.1:1", redact=["grosse"])
