"""Class probabilities from the service's call, or a file, to the window's measures, by the real parts of emitter, replay and worker."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from config.settings import Settings
from config.spec import ModelSpec, read_spec
from producers.emitter import Emitter, WrongType
from producers.emitter.encode import EventEncoder
from producers.emitter.handed_in import by_label
from producers.replay.encode import EventEncoder as ReplayEncoder
from producers.replay.options import ReplayOptions
from producers.replay.source import Rows
from schemas.event import event_schema
from schemas.framing import WriterSchema
from schemas.names import mangle
from schemas.result import Performance, WindowResult
from schemas.store import FileSchemaStore
from streams.decode.buffer import Buffer
from streams.decode.decoder import Decoder
from streams.decode.layout import EventLayout
from streams.decode.walk import read_columns
from streams.judge import ClosedWindow, Judge
from streams.windows.batch import PROBABILITY, RawBatch
from streams.windows.core import WindowCore
from streams.windows.state import PartitionState
from tests.support.performance import values
from tests.support.ports import free_ports
from tests.support.replayed import read_rows

SPEC = """
model: m
reference: references/m.parquet
features: {x: {type: double}}
prediction: {column: label, type: string, kind: categorical}
target: {column: truth, type: string, kind: categorical}
probabilities: {"no": "P(no)", "oui – été": "P(oui)", 3: P3}
window: {size: 10s}
min_rows: 5
monitors: [data_drift, prob_classification_performance]
"""
CLASSES = ("no", "oui – été", "3")
COLUMNS = ("P(no)", "P(oui)", "P3")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """A judge of the model, its reference made."""
    tmp_path = tmp_path_factory.mktemp("m")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "m.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "references").mkdir()
    rows(400, 1).drop("event_time").write_parquet(tmp_path / "references" / "m.parquet")
    made = Judge(Settings(home=tmp_path, specs_dir=tmp_path / "specs", slack_webhook_file=None))
    made.load()
    yield made
    made.evaluator.close()


@pytest.fixture(scope="module")
def spec(judge: Judge) -> ModelSpec:
    """The model's spec."""
    return read_spec(judge.settings.specs_dir / "m.yaml")


def rows(n: int, seed: int) -> pl.DataFrame:
    """Rows of one window of 10 s, as a data file has them."""
    rng = np.random.default_rng(seed)
    chances, truth = rng.dirichlet(np.ones(3), n), rng.integers(0, 3, n)
    names = np.array(CLASSES)
    columns = {
        "event_time": pl.Series(np.arange(n) * 9_000 // n, dtype=pl.Datetime("ms", "UTC")),
        "x": rng.normal(size=n),
        "label": names[chances.argmax(axis=1)],
        "truth": names[truth],
        **{name: chances[:, i] for i, name in enumerate(COLUMNS)},
    }
    return pl.DataFrame(columns)


def emitted(schema: dict[str, Any], frame: pl.DataFrame, *, chances: bool = True) -> list[bytes]:
    """The rows as a service's emitter encodes them; one more event closes their window."""
    encoder = EventEncoder(schema, "m", "1")
    found = []
    for i, row in enumerate(frame.iter_rows(named=True)):
        probabilities = {label: row[name] for label, name in zip(CLASSES, COLUMNS, strict=True)} if chances else None
        values = (row["label"], row["truth"], f"e{i:04}", row["event_time"], "live", 0)
        found.append(encoder.encode({"x": row["x"]}, *values, probabilities))
    return [*found, encoder.encode({"x": 0.0}, "no", None, "last", 20_000, "live", 0)]


def result_of(judge: Judge, events: list[bytes]) -> WindowResult:
    """The result of the window that the events close, by the worker's own parts."""
    decoder = Decoder(FileSchemaStore(judge.settings.under_home("schemas")), 100_000)
    n = len(events)
    raw = RawBatch(0, events, [b"m"] * n, np.arange(n), np.full(n, 30_000, dtype=np.int64))
    batch, state = decoder.decode(raw), PartitionState(0)
    assert batch.invalid == []
    (closed,) = WindowCore(judge.catalogue, 1, 60_000, 3).ingest(state, batch)
    window = state.pending[closed]
    return judge.judge(ClosedWindow.of(window), 0)[1][0]


def store(judge: Judge, schema: dict[str, Any]) -> WriterSchema:
    """Keep a schema where the decoder looks it up, whatever came before it."""
    return FileSchemaStore(judge.settings.under_home("schemas")).keep(schema)


def decoded(judge: Judge, event: bytes) -> pl.DataFrame:
    """One event's columns."""
    decoder = Decoder(FileSchemaStore(judge.settings.under_home("schemas")), 10_000)
    batch = decoder.decode(RawBatch(0, [event], [b"m"], np.arange(1), np.zeros(1, dtype=np.int64)))
    assert batch.invalid == []
    return batch.events[0].frame


def performance_of(result: WindowResult) -> Performance:
    """The result's only performance."""
    (performance,) = result.performance
    return performance


def test_emitted_probabilities_are_measured(judge: Judge, spec: ModelSpec) -> None:
    """300 emitted events: rows, log loss and accuracy are those of the numbers handed in, under the true names of classes and columns."""
    store(judge, event_schema(spec))
    frame = rows(300, 2)
    performance = performance_of(result_of(judge, emitted(event_schema(spec), frame)))
    assert (performance.status, performance.rows, performance.classes) == ("ok", 300, CLASSES)
    chances = frame.select(COLUMNS).to_numpy()
    place = np.array([CLASSES.index(c) for c in frame["truth"]])
    assert values(performance)[("log_loss", "")] == pytest.approx(-np.log(chances[np.arange(300), place]).mean(), rel=1e-12)
    assert values(performance)[("accuracy", "")] == pytest.approx((chances.argmax(axis=1) == place).mean())
    assert values(performance)[("roc_auc", "oui – été")] is not None


def test_replayed_probabilities_are_measured_alike(judge: Judge, spec: ModelSpec, tmp_path: Path) -> None:
    """The same rows from a data file by the replay's encoder: the same measures; the file's record is byte for byte the emitter's."""
    writer = store(judge, event_schema(spec))
    frame = rows(300, 2)
    frame.write_parquet(tmp_path / "e.parquet")
    read = read_rows(judge.settings, spec, ReplayOptions(data=tmp_path / "e.parquet"))
    read = replace(read, frame=read.frame.with_columns(frame["label"]))
    replayed = ReplayEncoder(spec, writer, "live", "1").encode(read, 0, 300)
    by_hand = emitted(event_schema(spec), frame)
    assert replayed[7] == by_hand[7].replace(b"\x0ae0007", b"\x16e-000000007")
    assert performance_of(result_of(judge, [*replayed, by_hand[-1]])) == performance_of(result_of(judge, by_hand))


def test_an_older_schema_without_probabilities_stays_valid(judge: Judge, spec: ModelSpec) -> None:
    """Events of a schema from before are decoded and judged; only the probabilities' measures say what is not known."""
    older = event_schema(spec.model_copy(update={"probabilities": {}}))
    assert all(f["name"] != "probabilities" for f in older["fields"])
    store(judge, older)
    result = result_of(judge, emitted(older, rows(50, 3), chances=False))
    assert result.status == "ok"
    assert performance_of(result).reason == "no row has the probability 'P(no)'"


def test_rows_with_and_without_probabilities_share_a_window(judge: Judge, spec: ModelSpec) -> None:
    """Half the events by the older schema, and some without the argument: the others are measured."""
    older = event_schema(spec.model_copy(update={"probabilities": {}}))
    store(judge, older)
    store(judge, event_schema(spec))
    frame = rows(60, 4)
    old, silent = emitted(older, frame[:20], chances=False)[:-1], emitted(event_schema(spec), frame[:40], chances=False)[20:-1]
    result = result_of(judge, [*old, *silent, *emitted(event_schema(spec), frame)[40:]])
    assert result.rows == 60
    assert (performance_of(result).status, performance_of(result).rows) == ("ok", 20)


def test_a_window_keeps_the_spec_s_classes_only(judge: Judge, spec: ModelSpec) -> None:
    """A foreign schema's further class is decoded and not kept; a field of that name that is no record is stepped over."""
    more = event_schema(spec.model_copy(update={"probabilities": {"new": "q", **spec.probabilities}}))
    store(judge, more)
    values_ = ("no", "no", "e1", 5_000, "live", 0, {"new": 0.5, "no": 0.5})
    frame = decoded(judge, EventEncoder(more, "m", "1").encode({"x": 1.0}, *values_))
    assert frame[PROBABILITY + "new"].to_list() == [0.5]
    binding = judge.catalogue.current("m")
    assert binding is not None
    assert [c for c in binding.conform(frame).columns if c.startswith(PROBABILITY)] == [PROBABILITY + c for c in CLASSES]
    odd = event_schema(spec.model_copy(update={"probabilities": {}}))
    odd["fields"].insert(-1, {"name": "probabilities", "type": "string"})
    store(judge, odd)
    record = {"event_id": "e", "event_time": 1, "run": "live", "model": "m", "model_version": "1", "prediction": "no", "target": None}
    event = WriterSchema.single_object(odd).encode({**record, "probabilities": "none", "features": {"x": 1.0}})
    assert decoded(judge, event)["f:x"].to_list() == [1.0]


@contextmanager
def emitter(spec: ModelSpec, **given: Any) -> Iterator[Emitter]:
    """An emitter that has no broker to talk to."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    made = Emitter(model="m", model_version="1", schema=event_schema(spec), bootstrap_servers=address, metrics=False, **given)
    yield made
    made.close(0)


class Hostile:
    """A label that cannot be made text."""

    def __str__(self) -> str:
        raise RuntimeError


def test_wrong_probabilities_are_dropped_and_counted_never_raised(spec: ModelSpec) -> None:
    """No mapping, values that are no numbers, labels without text: the service sees no error, each event is counted as wrong_type."""
    with emitter(spec) as made:
        for wrong in ([0.5, 0.5, 0.0], "no", 3, {"no": "much"}, {"no": b"1"}, {Hostile(): 1.0}):
            made.emit({"x": 1.0}, "no", probabilities=wrong)  # type: ignore[arg-type]
        assert made.flush(10)
        assert made.counters().dropped["wrong_type"] == 6
        assert made.emit({"x": 1.0}, "no", probabilities={"no": 1.0})
        assert made.counters().pending == 1


def test_strict_mode_names_what_is_wrong(spec: ModelSpec) -> None:
    """In strict mode the error names the class whose probability does not fit, or the argument."""
    with emitter(spec, strict=True) as made:
        with pytest.raises(WrongType, match="probability of oui – été"):
            made.emit({"x": 1.0}, "no", probabilities={"oui – été": "much"})
        with pytest.raises(WrongType, match="not a mapping of class label to probability"):
            made.emit({"x": 1.0}, "no", probabilities=[0.5])  # type: ignore[arg-type]


def test_an_unknown_class_is_named_and_left_out(spec: ModelSpec, caplog: pytest.LogCaptureFixture) -> None:
    """A label that the schema lacks is logged with its name and the known ones; the event goes out with the others."""
    with caplog.at_level(logging.WARNING, "tidemark.emitter"), emitter(spec) as made:
        assert made.emit({"x": 1.0}, "no", probabilities={"no": 0.2, "`yes`\n": 0.8})
        made.flush(0.5)
        assert made.counters().dropped["wrong_type"] == 0
    assert "probability of class '`yes`\\n' is not in the event schema (its classes: 'no', 'oui – été', '3'): it is left out" in caplog.text


def test_a_model_s_own_labels_are_taken() -> None:
    """NumPy's numbers and whole floats as labels, as ``dict(zip(model.classes_, row))`` has them, meet the spec's text."""
    for key in (3, np.int64(3), 3.0, np.float64(3), "3", np.str_("3")):
        assert by_label({key: 0.25}) == {"3": 0.25}
    assert by_label({np.True_: 0.1, False: 0.9}) == {"True": 0.1, "False": 0.9}


NULLABLE = st.none() | st.floats()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=2, max_size=5, unique=True), st.data())
@hypothesis.settings(max_examples=60, deadline=None)
def test_columns_equal_what_was_encoded(labels: list[str], data: st.DataObject) -> None:
    """Any labels and values, nulls, NaN and infinities too: emitter and replay write the bytes of fastavro, the decoder reads them."""
    spec = ModelSpec.model_validate({**yaml.safe_load(SPEC), "probabilities": {c: f"P {i}" for i, c in enumerate(labels)}})
    chances = data.draw(st.lists(st.lists(NULLABLE, min_size=len(labels), max_size=len(labels)), min_size=1, max_size=6))
    writer = WriterSchema.single_object(event_schema(spec))
    same = {"run": "live", "model": "m", "model_version": "1", "prediction": "no", "target": None, "features": {"x": 1.5}}
    by_class = [dict(zip(labels, row, strict=True)) for row in chances]
    events = [
        writer.encode({"event_id": f"d-{i:09d}", "event_time": i, **same, "probabilities": {mangle(c): v for c, v in row.items()}})
        for i, row in enumerate(by_class)
    ]
    encoder = EventEncoder(event_schema(spec), "m", "1")
    assert events == [encoder.encode({"x": 1.5}, "no", None, f"d-{i:09d}", i, "live", 0, row) for i, row in enumerate(by_class)]
    columns = {f"P {i}": pl.Series([row[i] for row in chances], dtype=pl.Float64) for i in range(len(labels))}
    frame = pl.DataFrame({"x": [1.5] * len(chances), "label": ["no"] * len(chances), **columns})
    replayed = Rows("d", frame, np.arange(len(chances)), np.arange(len(chances)))
    assert events == ReplayEncoder(spec, writer, "live", "1").encode(replayed, 0, len(chances))
    layout, buffer = EventLayout(writer), Buffer(events)
    read, whole = read_columns(layout, buffer, buffer.starts + len(writer.header), buffer.ends)
    assert (layout.problem, whole.all()) == ("", True)
    for i, label in enumerate(labels):
        assert_series_equal(read[PROBABILITY + label], columns[f"P {i}"], check_names=False, check_exact=True)
