"""Events per CPU second from Avro bytes to columns: ``python -m benchmarks.decode [--events N]``.

Ours gives checked columns and places the bad records; the other side is a loop over fastavro's ``schemaless_reader``, which gives dicts.
CPU seconds of the whole process, so that neither other processes nor further threads change the figures. The answers are compared in full:
values of every field, which records are bad, and why.
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import polars as pl
import yaml
from polars.testing import assert_frame_equal

from benchmarks.ingest import CATEGORIES, SPEC, START_MS, STEP_MS, values
from benchmarks.table import machine, pair, publish
from config.spec import ModelSpec
from schemas.event import event_schema
from schemas.framing import SINGLE_OBJECT_MAGIC, WriterSchema
from schemas.store import FileSchemaStore
from streams.decode.decoder import Decoder
from streams.decode.layout import EventLayout
from streams.decode.single import plain
from streams.windows.batch import DecodedBatch, RawBatch

MODEL = "m0"
MAX_BYTES = 100_000
POISON: list[Callable[[bytes], bytes]] = [
    lambda v: b'{"event_id": "json"}',  # no framing
    lambda v: v[:2] + b"?" * 8 + v[10:],  # unknown schema
    lambda v: v + b"x" * MAX_BYTES,  # too large
    lambda v: v[:-5],  # truncated
    lambda v: v + b"tail",  # grown
    lambda v: v[:10] + b"\xfe\x0f" + v[11:],  # a text that swallows its neighbours
    lambda v: v[:12] + b"\xff" + v[13:],  # not UTF-8
    lambda v: v.replace(b"\x04m0\x02\x31\x02", b"\x04m0\x02\x31\x04"),  # a branch that the union does not have
]


def encode(writer: WriterSchema, count: int, ragged: bool, length: int = 0) -> list[bytes]:
    """Events of 18 fields; ``ragged`` ones have nulls and texts of other lengths, so that no two are laid out alike.

    With a ``length``, each has a vector of so many numbers, too.
    """
    rng, out = random.Random(0), []
    vectors = np.random.default_rng(0).normal(size=(count if length else 0, length))
    for i, plain_row in enumerate(values(count, 1).iter_rows(named=True)):
        row = roughen(rng, plain_row) if ragged else plain_row
        if length:
            row["vector"] = vectors[i].tolist()
        ids = {"event_id": f"{i:032x}", "event_time": START_MS + i * STEP_MS, "run": "live", "model": MODEL, "model_version": "1"}
        out.append(writer.encode({**ids, "prediction": row.pop("y"), "target": None, "features": row}))
    return out


def roughen(rng: random.Random, row: dict[str, Any]) -> dict[str, Any]:
    """The row with some nulls and a text of another length."""
    gaps = {k: None for k in row if k != "y" and rng.random() < 0.05}
    return {**row, CATEGORIES[0]: "x" * rng.randrange(30), **gaps}


def poisoned(good: list[bytes]) -> list[bytes]:
    """The values with every hundredth bad, in eight ways by turns."""
    return [POISON[i // 100 % 8](v) if i % 100 == 50 else v for i, v in enumerate(good)]


def batches(encoded: list[bytes], size: int) -> list[RawBatch]:
    """The values as batches of a partition."""
    parts = [encoded[i : i + size] for i in range(0, len(encoded), size)]
    return [RawBatch(0, p, [MODEL.encode()] * len(p), np.arange(len(p)), np.zeros(len(p), dtype=np.int64)) for p in parts]


def loop(writer: WriterSchema, parts: list[RawBatch]) -> tuple[list[tuple[int, int, dict[str, Any]]], list[tuple[int, int, str]]]:
    """Batch, place and record of the good ones, and batch, place and reason of the bad ones, with fastavro record by record."""
    schema = plain(writer.schema)
    good, bad = [], []
    for number, part in enumerate(parts):
        for place, value in enumerate(part.values):
            source = io.BytesIO(value)
            head = source.read(10)
            if len(value) > MAX_BYTES or head != writer.header:
                framing = "unknown_schema" if head[:2] == SINGLE_OBJECT_MAGIC else "no_framing"
                bad.append((number, place, "too_large" if len(value) > MAX_BYTES else framing))
                continue
            try:
                record = fastavro.schemaless_reader(source, schema, None)
            except (EOFError, IndexError, ValueError):
                bad.append((number, place, "undecodable"))
                continue
            if source.tell() == len(value):
                good.append((number, place, record))
            else:
                bad.append((number, place, "undecodable"))
    return good, bad


def equal(layout: EventLayout, ours: list[DecodedBatch], theirs: Any) -> bool:
    """True when every value, every bad record's place and every reason is the same."""
    good, bad = theirs
    if [(n, i, e.reason) for n, batch in enumerate(ours) for i, e in batch.invalid] != bad:
        return False
    if [(n, i) for n, batch in enumerate(ours) for e in batch.events for i in e.index.tolist()] != [(n, i) for n, i, _ in good]:
        return False
    frame = pl.concat([e.frame for batch in ours for e in batch.events])
    scalars = [s for s in layout.scalars if s.column in layout.columns]
    found = {str(s.column): [(r["features"] if str(s.column).startswith("f:") else r)[s.name] for *_, r in good] for s in scalars}
    assert_frame_equal(frame, pl.DataFrame({c: found[c] for c in layout.columns}, schema=frame.schema), check_exact=True)
    return True


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and what it gave."""
    began = time.process_time()
    given = call()
    return time.process_time() - began, given


def main() -> None:
    """Measure in turns and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        store = FileSchemaStore(Path(home))
        lines = [line(name, writer, store, parts, options.repeats) for name, writer, parts in cases(store, options.events)]
    publish("decode", lines, machine("numpy", "polars", "pyarrow", "fastavro"))


def register(store: FileSchemaStore, **features: Any) -> WriterSchema:
    """The schema of a model with these features more."""
    spec = yaml.safe_load(SPEC.format(model=MODEL))
    spec["features"] |= features
    return store.register(MODEL, event_schema(ModelSpec.model_validate(spec)))


def cases(store: FileSchemaStore, count: int) -> Iterator[tuple[str, WriterSchema, list[RawBatch]]]:
    """What is measured."""
    writer = register(store)
    good = encode(writer, count, ragged=False)
    yield "clean, batches of 20,000", writer, batches(good, 20_000)
    yield "clean, batches of 5,000", writer, batches(good, 5_000)
    yield "clean, nulls and texts of any length", writer, batches(encode(writer, count, ragged=True), 20_000)
    yield "1 % poison of 8 kinds", writer, batches(poisoned(good), 20_000)
    writer = register(store, vector={"type": "doubles", "kind": "embedding"})
    good = encode(writer, count // 10, ragged=False, length=384)
    yield "one embedding of 384 numbers more, batches of 5,000", writer, batches(good, 5_000)


def line(name: str, writer: WriterSchema, store: FileSchemaStore, parts: list[RawBatch], repeats: int) -> dict[str, Any]:
    """One pair, measured in turns."""
    decoder, count = Decoder(store, MAX_BYTES), sum(map(len, parts))
    same, ours, other = True, [], []
    for repeat in range(repeats):
        seconds, decoded = timed(lambda: [decoder.decode(part) for part in parts])
        ours.append(count / seconds)
        seconds, looped = timed(lambda: loop(writer, parts))
        other.append(count / seconds)
        same = same and (repeat > 0 or equal(EventLayout(writer), decoded, looped))  # one look at all of it: the input stays the same
    return pair(f"decoder / fastavro loop: {name}", ours, other, "events/CPU s", same)


if __name__ == "__main__":
    main()
