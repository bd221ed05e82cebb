"""An embedding's way: a vector in the service, an array of doubles on the wire, a list column in the window, a verdict."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import logging
import math
import random
import struct
from array import array
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from config.errors import UsageError
from config.settings import Settings
from config.spec import ModelSpec
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.window import WindowData
from producers.emitter import EventRefused, WrongType
from producers.emitter.encode import EventEncoder
from producers.replay import encode as replay_encode
from producers.replay.options import ReplayOptions
from producers.replay.service import _without_nan
from producers.replay.source import Rows
from schemas.event import event_schema
from schemas.framing import WriterSchema
from schemas.store import FileSchemaStore
from streams import checkpoint
from streams.decode.blocks import blocks
from streams.decode.buffer import Buffer
from streams.decode.decoder import Decoder
from streams.decode.layout import EventLayout
from streams.decode.single import fault, plain
from streams.decode.walk import read_columns
from streams.windows.batch import FEATURE, ID, DecodedBatch, RawBatch
from streams.windows.catalogue import Binding, Catalogue
from streams.windows.core import WindowCore
from streams.windows.rows import HeldRows, Settled
from streams.windows.state import PartitionState
from tests.support.replayed import read_rows
from tests.unit.test_emitter_dead_broker import emitter

LENGTH = 8
LISTS = pl.List(pl.Float64)
SPEC = ModelSpec.model_validate(
    {
        "model": "m",
        "reference": "r.parquet",
        "features": {
            "x": {"type": "double"},
            "vector (ü)": {"type": "doubles", "kind": "embedding"},
            "note": {"type": "string", "kind": "text"},
        },
        "prediction": {"column": "p", "type": "double"},
        "window": {"size": "10s"},
        "monitors": ["data_drift", "data_quality"],
        "min_rows": 50,
        "max_rows": 500,
    }
)
SCHEMA = event_schema(SPEC)
WRITER = WriterSchema.single_object(SCHEMA)
LAYOUT = EventLayout(WRITER)
VECTOR = FEATURE + "vector (ü)"
WIRE_NAME = SCHEMA["fields"][-1]["type"]["fields"][1]["name"]
NOW_MS = 1_700_000_000_000
Blocks = list[tuple[list[float], bool]]  # items, and whether the block says its size


def number(value: int) -> bytes:
    """A zigzag number as Avro writes it."""
    raw, out = (value << 1) ^ (value >> 63), b""
    while raw >= 0x80:
        out, raw = out + bytes([raw & 0x7F | 0x80]), raw >> 7
    return out + bytes([raw])


def array_bytes(parts: Blocks) -> bytes:
    """An array of these blocks."""
    out = b""
    for items, sized in parts:
        count = number(-len(items)) + number(8 * len(items)) if sized else number(len(items))
        out += count + struct.pack(f"<{len(items)}d", *items)
    return out + b"\0"


def value_of(tail: bytes, n: int = 0) -> bytes:
    """An event whose vector, behind the union's branch, has these bytes; ``x`` is ``n`` and the text ``t<n>``."""
    record = {"event_id": f"id-{n:04d}", "event_time": n, "run": "live", "model": "m", "model_version": "1", "prediction": 0.5}
    whole = WRITER.encode({**record, "target": None, "features": {"x": float(n), WIRE_NAME: None, "note": None}})
    note = f"t{n}".encode()
    return whole[:-2] + b"\2" + tail + b"\2" + number(len(note)) + note


def read(values: list[bytes]) -> tuple[pl.DataFrame, list[bool]]:
    """Columns of the whole records, and which they are."""
    buffer = Buffer(values)
    frame, whole = read_columns(LAYOUT, buffer, buffer.starts + 10, buffer.ends)
    return frame, whole.tolist()


def by_fastavro(value: bytes) -> list[float]:
    """The vector as fastavro reads it."""
    record: Any = fastavro.schemaless_reader(io.BytesIO(value[10:]), plain(WRITER.schema), None)
    return list(record["features"][WIRE_NAME])


VECTORS = st.lists(st.floats(), max_size=9) | st.lists(st.floats(), min_size=4, max_size=4)
BLOCKS: st.SearchStrategy[Blocks] = st.lists(st.tuples(st.lists(st.floats(), min_size=1, max_size=70), st.booleans()), max_size=4)
ONE_BLOCK = VECTORS.map(lambda items: [(items, False)] if items else [])


@given(st.lists(st.none() | ONE_BLOCK | BLOCKS, min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_arrays_of_any_blocks_equal_fastavro(vectors: list[Blocks | None]) -> None:
    """Nulls, empty arrays, one block, several, blocks that say their size: the values are what was written, and what fastavro reads."""
    empty = WRITER.encode({**_event(), "features": {"x": 1.0, WIRE_NAME: None, "note": "t"}})
    values = [empty if parts is None else value_of(array_bytes(parts), n) for n, parts in enumerate(vectors)]
    frame, whole = read(values)
    assert all(whole)
    expected = [None if parts is None else [item for items, _ in parts for item in items] for parts in vectors]
    assert_series_equal(frame[VECTOR], pl.Series(VECTOR, expected, dtype=LISTS))
    read_one = [None if parts is None else by_fastavro(value) for parts, value in zip(vectors, values, strict=True)]
    assert_series_equal(frame[VECTOR], pl.Series(VECTOR, read_one, dtype=LISTS))
    assert frame["f:note"].to_list() == ["t" if parts is None else f"t{n}" for n, parts in enumerate(vectors)]


def _event() -> dict[str, Any]:
    return {"event_id": "i", "event_time": 0, "run": "live", "model": "m", "model_version": "1", "prediction": 0.5, "target": None}


PAIR = struct.pack("<2d", 1.5, -2.5)


@pytest.mark.parametrize(
    ("tail", "wrong"),
    [
        (b"\4" + PAIR + b"\0", ""),
        (b"\x84\x80\0" + PAIR + b"\0", ""),  # a count with more bytes than need be
        (b"\4" + PAIR + b"\x80\0", ""),  # so the end
        (b"\x80\0", ""),
        (b"\3\x20" + PAIR + b"\0", ""),
        (b"\2" + PAIR[:8] + b"\1\x10" + PAIR[8:] + b"\0", ""),
        (b"\3\x22" + PAIR + b"\0", "a block of 2 doubles has 17 bytes"),
        (b"\3\x1f" + PAIR + b"\0", "a block of 2 doubles has -16 bytes"),
        (b"\4" + PAIR, "the record ends within it"),
        (b"\4" + PAIR[:-1], "the record ends within it"),
        (b"\6" + PAIR + b"\0", "the record ends within it"),
        (b"\4" + PAIR + b"\2", "the record ends within it"),
        (b"\3", "the record ends within it"),
        (b"", "the record ends within it"),
        (number(2**62) + PAIR + b"\0", "the record ends within it"),
        (number(2**63 - 1) + PAIR + b"\0", "the record ends within it"),
        (number(-(2**63)) + b"\0" + PAIR + b"\0", f"a block of {2**63} doubles has 0 bytes"),
        (number(-(2**60)) + number(2**63 - 8) + PAIR, f"a block of {2**60} doubles has {2**63 - 8} bytes"),
        (number(-(2**59)) + number(2**62) + PAIR, "the record ends within it"),
        (b"\xff" * 9 + b"\2" + PAIR, "a number does not fit into 64 bits"),
        (b"\4" + PAIR + b"\xff" * 9 + b"\2", "a number does not fit into 64 bits"),
    ],
)
def test_arrays_at_the_edges_of_the_specification(tail: bytes, wrong: str) -> None:
    """Each array that Avro allows is read, each other refused by field and reason, and neighbours on both sides keep their values."""
    cut = len(b"\2\4t1") if "ends within" in wrong else 0  # nothing follows that could be taken for more of the array
    odd = value_of(tail, 1)[: -cut or None]
    neighbours = [value_of(array_bytes([([float(n)] * n, False)]), n) for n in (3, 4)]
    values = [neighbours[0], odd, neighbours[1]]
    frame, whole = read(values)
    found = fault(LAYOUT.scalars, values[1][10:])
    assert found == (f"field 'vector (ü)': {wrong}" if wrong else "")
    assert whole == [True, not wrong, True]
    assert frame[VECTOR].to_list()[0] == [3.0] * 3
    assert frame[VECTOR].to_list()[-1] == [4.0] * 4
    if not wrong:
        assert frame[VECTOR].to_list()[1] == by_fastavro(values[1])


@given(st.integers(0, 2**32), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_bad_vector_never_changes_a_neighbour(seed: int, alike: bool) -> None:
    """Whatever is cut, grown or flipped in some vectors, of one length or several, all untouched records keep theirs."""
    rng = random.Random(seed)
    vectors = [[rng.random() for _ in range(5 if alike else rng.randrange(7))] for _ in range(30)]
    values = [value_of(array_bytes([(v, rng.random() < 0.1)] if v else []), n) for n, v in enumerate(vectors)]
    begin = len(value_of(b"")) - len(b"\2\4t0")
    bad = rng.sample(range(30), rng.randint(1, 6))
    for n in bad:
        at, noise = begin + rng.randrange(-2, 6), rng.randbytes(rng.randint(0, 12))
        values[n] = rng.choice(
            [values[n][:at] + noise, values[n][:at] + noise + values[n][at:], values[n][:at] + noise + values[n][at + 2 :]]
        )
    frame, whole = read(values)
    seen = dict(zip(np.flatnonzero(whole).tolist(), frame[VECTOR].to_list(), strict=True))
    assert all(seen[n] == vectors[n] for n in range(30) if n not in bad)
    assert [n for n in bad if n not in seen] == [n for n in bad if fault(LAYOUT.scalars, values[n][10:])]


def test_a_count_is_no_allocation() -> None:
    """Counts up to the largest cost nothing but the look at them: the record's own bytes bound what is read."""
    claims = [number(2**k - 1) + PAIR for k in range(3, 63)] + [number(-(2**k)) + number(2 ** (k + 3)) + PAIR for k in range(3, 60)]
    frame, whole = read([value_of(claim) for claim in claims])
    assert not any(whole)
    assert frame.schema[VECTOR] == LISTS
    for claim in claims:
        with pytest.raises(IndexError):
            blocks(claim, 0)


def test_a_value_that_is_no_vector_is_null() -> None:
    """Events of a schema in which the column was a scalar, or a scalar column was an array, go into the window as nulls."""
    binding = Binding(SPEC, "ref")
    frame = pl.DataFrame({ID: ["a"], FEATURE + "x": pl.Series([[1.0]], dtype=LISTS), VECTOR: [2.0], FEATURE + "note": ["n"]})
    assert binding.conform(frame).rows() == [("a", None, None, "n")]
    assert binding.conform(frame).schema[VECTOR] == LISTS


@pytest.mark.parametrize(
    "vector",
    [
        [0.5, -1.0],
        (0.5, -1.0),
        np.array([0.5, -1.0]),
        np.array([0.5, -1.0], dtype=np.float32),
        array("f", [0.5, -1.0]),
        [np.float32(0.5), -1],
        pd.Series([0.5, -1.0]),
        np.array([[0.5, 9.0], [-1.0, 9.0]])[:, 0],
    ],
)
def test_vectors_of_every_kind_are_taken(vector: Any) -> None:
    """Lists, tuples, arrays of NumPy, pandas and the standard library, strided ones, of any numbers."""
    frame, _ = read([emitted(vector)])
    assert frame[VECTOR].to_list() == [[0.5, -1.0]]


@pytest.mark.parametrize(
    ("vector", "text"),
    [
        ("0.5", "is str, not an array of numbers"),
        (0.5, "is float, not an array of numbers"),
        ({"a": 1.0}, "is dict, not an array of numbers"),
        (np.zeros((2, 2)), "has 2 dimensions, not 1"),
        (np.float64(1.0), "has 0 dimensions, not 1"),
        ([[0.5], [0.5]], "item 0 is list, not a number"),
        ([0.5, None], "item 1 is missing, and an array has no nulls: leave the whole array out"),
        (pd.Series([pd.NA, 0.5], dtype=object), "item 0 is missing"),
        ([0.5, True], "item 1 is bool, not a number"),
        (np.array([True]), "item 0 is bool, not a number"),
        (["0.5"], "item 0 is str, not a number"),
        ([10**400], "item 0 int too large to convert to float"),
        (np.array([1j]), "item 0 is complex, not a number"),
    ],
)
def test_what_is_no_vector_is_refused_by_name(vector: Any, text: str) -> None:
    """The error names the column as the user wrote it, and the item where it is one."""
    with pytest.raises(WrongType) as caught:
        emitted(vector)
    assert caught.value.column == "vector (ü)"
    assert text in str(caught.value)


def test_no_vector_is_null_and_odd_numbers_are_numbers() -> None:
    """None and a missing column are null; an empty vector, NaN and infinity are values."""
    odd = [math.nan, math.inf, -math.inf, -0.0]
    frame, _ = read([emitted(None), emitted(pd.NA), emitted([]), emitted(odd)])
    assert_series_equal(frame[VECTOR], pl.Series(VECTOR, [None, None, [], odd], dtype=LISTS))


ENCODER = EventEncoder(SCHEMA, "m", "1")


def emitted(vector: Any, x: float = 0.0, note: str = "n", event_id: str | None = None, time_ms: int = NOW_MS) -> bytes:
    """An event as the emitter writes it."""
    return ENCODER.encode({"x": x, "vector (ü)": vector, "note": note}, 0.5, None, event_id, time_ms, "live", NOW_MS)


class NoCopy:
    """An array whose copy fails."""

    shape = (1,)

    def copy(self) -> None:
        raise RuntimeError

    def tolist(self) -> list[float]:
        return [4.0]


@pytest.mark.parametrize("vector", [[1.0, 2.0], np.array([1.0, 2.0]), array("d", [1.0, 2.0])])
def test_a_vector_is_copied_when_it_is_handed_in(vector: Any) -> None:
    """A service may fill its buffer anew at once: the event keeps what it held."""
    features = {"vector (ü)": vector}
    ENCODER.freeze(features)
    vector[0] = 99.0
    assert by_fastavro(emitted(features["vector (ü)"])) == [1.0, 2.0]
    strange = {"vector (ü)": NoCopy()}
    ENCODER.freeze(strange)  # type: ignore[arg-type]
    assert by_fastavro(emitted(strange["vector (ü)"])) == [4.0]


def test_a_wrong_vector_is_counted_and_never_raised(caplog: pytest.LogCaptureFixture) -> None:
    """In a service it is dropped as wrong_type with a log line that names the column; strict mode raises."""
    with emitter(schema=SCHEMA) as made, caplog.at_level(logging.WARNING):
        wrong = ["text", np.zeros((2, 2)), [None], NoCopy]
        assert all(made.emit({"vector (ü)": vector}, 1.0) for vector in wrong)
        assert made.flush(20)
        assert made.counters().dropped["wrong_type"] == len(wrong)
        assert "column 'vector (ü)'" in caplog.text
    with emitter(schema=SCHEMA, strict=True) as strict, pytest.raises(EventRefused, match=r"vector \(ü\)"):
        strict.emit({"vector (ü)": [1.0, "2"]}, 1.0)


def replayed(folder: Path, **columns: Any) -> Rows:
    """Rows read from a Parquet file of these columns."""
    count = len(next(iter(columns.values())))
    times = pl.Series("event_time", [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)] * count, dtype=pl.Datetime("ms", "UTC"))
    others = {"x": [0.5] * count, "note": ["a"] * count, "p": [1.0] * count}
    pl.DataFrame({"event_time": times, **others, **columns}).write_parquet(folder / "h.parquet")
    return read_rows(Settings(home=folder), SPEC, ReplayOptions(data=folder / "h.parquet"))


def test_replay_sends_the_vectors_of_a_parquet_file(tmp_path: Path) -> None:
    """List columns, and arrays of a fixed size with floats of 32 bits, become the bytes that fastavro's writer gives; in any slices."""
    vectors = [[0.5, math.nan, math.inf], None, [], [1.0] * 200, [-0.0], None]
    rows = replayed(tmp_path, **{"vector (ü)": pl.Series(vectors, dtype=LISTS)})
    encoder = replay_encode.EventEncoder(SPEC, WRITER, "r", "v")
    values = [v for low, high in [(0, 1), (1, 4), (4, 6)] for v in encoder.encode(rows, low, high)]
    for n, (value, vector) in enumerate(zip(values, vectors, strict=True)):
        head = {**_event(), "event_id": f"h-{n:09d}", "event_time": int(rows.times_ms[n]), "run": "r", "model_version": "v"}
        assert value == WRITER.encode({**head, "prediction": 1.0, "features": {"x": 0.5, WIRE_NAME: vector, "note": "a"}})
    fixed = replayed(tmp_path, **{"vector (ü)": pl.Series([[1.0, 2.0], None], dtype=pl.Array(pl.Float32, 2))})
    frame, _ = read(encoder.encode(fixed, 0, 2))
    assert frame[VECTOR].to_list() == [[1.0, 2.0], None]
    frame, _ = read(encoder.encode(replayed(tmp_path, **{"vector (ü)": [None, None]}), 0, 2))
    assert frame[VECTOR].to_list() == [None, None]


@pytest.mark.parametrize(
    ("vectors", "text"),
    [
        ([[1.0, None], [2.0]], r"row 1, column 'vector \(ü\)': has a null within its vector"),
        ([["1.0"], ["2.0"]], r"column 'vector \(ü\)': List\(String\) is no vector of numbers"),
        ([1.0, 2.0], r"column 'vector \(ü\)': Float64 is no vector of numbers"),
    ],
)
def test_replay_refuses_what_is_no_vector(vectors: Any, text: str, tmp_path: Path) -> None:
    """Texts, single numbers and nulls within a vector are refused before anything is sent, by column and file."""
    with pytest.raises(UsageError, match=text):
        replayed(tmp_path, **{"vector (ü)": vectors})


def test_json_has_no_vector_with_a_number_that_is_not_finite() -> None:
    """Replayed through the service, such a vector is null; the others, empty ones and nulls stay as they are."""
    vectors = [[1.0, math.nan], [math.inf], [1.0], [], None]
    frame = _without_nan(pl.DataFrame({"v": pl.Series(vectors, dtype=LISTS), "x": [math.nan, 1.0, 2.0, 3.0, None]}))
    assert frame["v"].to_list() == [None, None, [1.0], [], None]
    assert frame["x"].to_list() == [None, 1.0, 2.0, 3.0, None]


def test_duplicates_and_samples_of_vectors_are_the_same_in_any_order() -> None:
    """Of one id the smallest content stays, in whatever order rows came: vectors of several lengths, nulls and NaN too."""
    vectors = [[1.0, 2.0], [1.0], [], None, [math.nan], [1.0, math.nan]]
    rows = pl.DataFrame({ID: ["a"] * 6, VECTOR: pl.Series(vectors, dtype=LISTS)})
    outcomes = set()
    for order in itertools.permutations(range(6)):
        held = HeldRows(max_rows=3)
        for n in order:
            held.add(rows[[n]])
        settled = held.settle()
        outcomes.add((str(settled.frame.rows()), settled.rows, settled.duplicates))
    assert outcomes == {("[('a', [])]", 1, 5)}


class Windows:
    """A core that takes events and is cut, and restored from its checkpoint's bytes, at will."""

    def __init__(self, folder: Path) -> None:
        catalogue = Catalogue()
        catalogue.add(Binding(SPEC, "ref"))
        self.core = WindowCore(catalogue, partitions=1, future_tolerance_ms=10**15, max_open_runs=3)
        self.state = PartitionState(0)
        store = FileSchemaStore(folder / "schemas")
        store.register("m", SCHEMA)
        self.decoder = Decoder(store, 100_000)
        self.chunks: dict[bytes, bytes] = {}

    def feed(self, values: list[bytes]) -> DecodedBatch:
        """One batch; the next offsets."""
        n = len(values)
        offsets = np.arange(n) + self.state.position
        batch = self.decoder.decode(RawBatch(0, values, [b"m"] * n, offsets, np.full(n, NOW_MS)))
        self.core.ingest(self.state, batch)
        return batch

    def cut(self, crash: bool) -> None:
        """Write a checkpoint; go on from its bytes where ``crash``."""
        draft = checkpoint.take(self.state, {}, self.core.catalogue)
        assert draft is not None
        self.chunks = {k: v for k, v in self.chunks.items() if k not in draft.tombstones}
        self.chunks |= {k: checkpoint.encode_chunk(f) for k, f in draft.chunks}
        if crash:
            self.state = checkpoint.restore(draft.head, self.chunks, self.core.catalogue, draft.position)

    def closed(self) -> list[Settled]:
        """The windows that have closed, settled, by time."""
        return [self.state.pending[w].rows.settle() for w in sorted(self.state.pending)]


def matrix(rows: int, shift: float, seed: int) -> Any:
    """Vectors around ``shift``; shape (rows, LENGTH)."""
    return np.random.default_rng(seed).normal(shift, 1.0, (rows, LENGTH))


def notes(rows: int, words: list[str], seed: int) -> list[str]:
    """Texts of about eight words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(words, rng.integers(6, 11))) for _ in range(rows)]


KNOWN = ["late", "plane", "storm", "gate", "crew", "fuel", "runway"]


def events(rows: int, at_ms: int, seed: int, shift: float = 0.0, words: list[str] = KNOWN) -> list[bytes]:
    """Events of one window as the emitter writes them; every twentieth vector is null."""
    rng, texts = np.random.default_rng(seed), notes(rows, words, seed)
    vectors = [None if n % 20 == 7 else v for n, v in enumerate(matrix(rows, shift, seed))]
    return [emitted(v, float(rng.normal()), t, f"{at_ms}-{n:04d}", at_ms + n) for n, (v, t) in enumerate(zip(vectors, texts, strict=True))]


@pytest.mark.parametrize("rows", [300, 900])
def test_a_restored_window_has_the_same_vectors(rows: int, tmp_path: Path) -> None:
    """A window whose rows went through checkpoint chunks, with duplicates and beyond its sample, is the same as one that never stopped."""
    values = events(rows, NOW_MS, seed=3)
    values = [*values, *values[:40], emitted([1.0], event_id="zz", time_ms=NOW_MS + 60_000)]
    batches = [values[i : i + 70] for i in range(0, len(values), 70)]
    outcomes = []
    for crash in (False, True):
        windows = Windows(tmp_path)
        for batch in batches:
            windows.feed(batch)
            windows.cut(crash)
        outcomes.append(windows.closed()[0])
    plain_, restored = outcomes
    assert_frame_equal(plain_.frame, restored.frame)
    assert plain_.frame.schema[VECTOR] == LISTS
    assert plain_.frame.height == min(rows, SPEC.max_rows)
    assert (plain_.rows, plain_.duplicates, plain_.exact, dict(plain_.nulls)) == (
        restored.rows,
        restored.duplicates,
        restored.exact,
        dict(restored.nulls),
    )


def test_from_the_emitter_to_the_verdicts(tmp_path: Path) -> None:
    """An embedding, a text and a number go from the emitter's bytes through decoder, windows and a crash to a verdict each."""
    reference = {"x": np.random.default_rng(1).normal(size=800), "vector (ü)": matrix(800, 0.0, 1).tolist(), "note": notes(800, KNOWN, 1)}
    pl.DataFrame({**reference, "p": [0.5] * 800}).write_parquet(tmp_path / "r.parquet")
    profile = load_reference(SPEC, tmp_path / "r.parquet")
    windows = Windows(tmp_path)
    new_words = [*KNOWN, *(f"word{i}" for i in range(7))]
    for n, values in enumerate([events(450, NOW_MS, 5), events(450, NOW_MS + 10_000, 6, shift=1.0, words=new_words)]):
        broken = [values[0][:-20], values[1] + b"?"]
        batch = windows.feed([*values[:200], *broken, *values[200:]])
        assert [i for i, _ in batch.invalid] == [200, 201], n
        windows.cut(crash=True)
    windows.feed([emitted([1.0], event_id="zz", time_ms=NOW_MS + 60_000)])
    results = []
    for settled in windows.closed():
        names = Binding(SPEC, "ref").names(settled.frame.columns)
        frame = settled.frame.select(pl.col(c).alias(n) for c, n in names.items())
        nulls = {names[c]: n for c, n in settled.nulls.items() if c in names}
        data = WindowData("m", "live", "live", 0, 1, "d", 0, ("1",), frame, settled.rows, settled.duplicates, settled.exact, nulls)
        results.append(evaluate(data, SPEC, profile))
    columns = [{c.name: c for c in result.columns} for result in results]
    assert [r.status for r in results] == ["ok", "ok"]
    assert all(c.status == "ok" for found in columns for c in found.values())
    assert [{name: found[name].drifted for name in ("x", "vector (ü)", "note")} for found in columns] == [
        {"x": False, "vector (ü)": False, "note": False},
        {"x": False, "vector (ü)": True, "note": True},
    ]
    vector = columns[1]["vector (ü)"]
    assert (vector.kind, vector.nulls, vector.rows) == ("embedding", 23, 427)
    assert "words not in the reference" in " ".join(columns[1]["note"].changes)
