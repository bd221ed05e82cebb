"""The cut as records of the checkpoint topic: a small head a partition, and chunks of the rows that windows accepted since the last cut.

Bottom-k merges in any order, so folding a window's live chunks gives the rows it held at the cut. A window that opens and is published
between two cuts writes nothing; a published window's chunks get tombstones.

A window of a day sees tens of thousands of cuts. Were it written whole every few of them, a slow model's rows would be written hundreds of
times. So the chunks of single cuts are merged among themselves first, and the whole window is written only once those have become many,
or as large as a part of it.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl

from config.errors import TidemarkError
from config.spec import ModelSpec
from schemas.result import WindowResult
from streams.windows.batch import Outcast
from streams.windows.catalogue import Binding, Catalogue
from streams.windows.rows import Counts, HeldRows, concat
from streams.windows.state import PartitionState, Run, Stream, StreamId, WindowId, WindowState

VERSION = 1
MAX_RECENT = 16  # chunks of single cuts; then they are merged
MAX_CHUNKS = 32  # then a window is written whole again, so that a restore reads a bounded number
WHOLE_FROM = 0.25  # of a window's rows: a merge of so many may as well write it whole
CHUNK_BYTES = 4_000_000  # in memory, before compression; the topic allows records of 8 MiB


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything that one partition puts into a transaction, taken at one position of its stream."""

    partition: int
    position: int
    head: bytes
    chunks: list[tuple[bytes, pl.DataFrame]]
    live_chunks: list[bytes]
    tombstones: list[bytes]
    results: list[WindowResult]  # against the reference, one for each of ``published``
    compared: list[WindowResult]  # the same windows against earlier ones
    published: list[WindowId]
    late: list[Outcast]
    dead: list[Outcast]


def head_key(partition: int) -> bytes:
    """The key of a partition's head record."""
    return f"{partition}|head".encode()


def chunk_key(partition: int, window: WindowId, chunk: int) -> bytes:
    """The key of one chunk of a window."""
    stream = window.stream
    parts = (partition, stream.model, stream.run, stream.run_offset, window.start_ms, window.end_ms, window.digest, chunk)
    return "|".join(map(str, parts)).encode()


def take(
    state: PartitionState,
    results: Mapping[WindowId, WindowResult],
    catalogue: Catalogue,
    compared: Mapping[WindowId, Sequence[WindowResult]] = MappingProxyType({}),
) -> Draft | None:
    """The cut at the state's position, publishing the results that are ready; None when nothing has changed.

    ``compared`` are results that are published together with those of ``results``.

    The state goes on as if the transaction had been committed; should it fail, the state is dropped and restored from the last cut.
    """
    published = [w for w in state.pending if w in results]
    if not state.changed and not published:
        return None
    tombstones = [chunk_key(state.partition, w, c) for w in published for c in state.pending.pop(w).chunks]
    chunks: list[tuple[bytes, pl.DataFrame]] = []
    for window in _windows(state):
        gone, fresh = _write(window)
        tombstones += [chunk_key(state.partition, window.id, c) for c in gone]
        chunks += [(chunk_key(state.partition, window.id, n), frame) for n, frame in fresh]
    live = [chunk_key(state.partition, w.id, c) for w in _windows(state) for c in w.chunks]
    late, state.late = state.late, []
    dead, state.dead = state.dead, []
    state.changed = False
    head = _head(state, catalogue)
    ready = [results[w] for w in published]
    beside = [result for w in published for result in compared.get(w, ())]
    return Draft(state.partition, state.position, head, chunks, live, tombstones, ready, beside, published, late, dead)


def encode_chunk(frame: pl.DataFrame) -> bytes:
    """A chunk's rows as an Arrow IPC file, zstd."""
    out = io.BytesIO()
    frame.write_ipc(out, compression="zstd")
    return out.getvalue()


def restore(head: bytes, chunks: Mapping[bytes, bytes], catalogue: Catalogue, position: int) -> PartitionState:
    """The state of a committed cut, from its head and the values of its live chunks by key.

    Raises:
        TidemarkError: the head is of another version, or a chunk that it names is missing.
    """
    data = json.loads(head)
    if data["version"] != VERSION:
        raise TidemarkError(
            f"the checkpoint has version {data['version']}, this worker writes {VERSION}",
            "run the worker that wrote it, or start a new group",
        )
    for known in data["specs"]:
        catalogue.add(Binding(ModelSpec.model_validate(known["spec"]), known["reference"]), current=False)
    state = PartitionState(data["partition"], position)
    state.timeline = {model: [(start, digest) for start, digest in entries] for model, entries in data["timeline"].items()}
    for s in data["streams"]:
        stream_id = StreamId(*s["id"])
        state.streams[stream_id] = Stream(stream_id, s["time_ms"], Run(**s["run"]) if s["run"] else None)
    for w in data["windows"]:
        window = _window(w, state.partition, chunks, catalogue)
        (state.pending if w["pending"] else state.streams[window.id.stream].windows)[window.id] = window
    return state


def live_chunks(head: bytes) -> list[bytes]:
    """Keys of the chunks that a head's windows are made of."""
    data = json.loads(head)
    return [chunk_key(data["partition"], _window_id(w), c) for w in data["windows"] for c in w["chunks"]]


def _windows(state: PartitionState) -> Iterator[WindowState]:
    for stream in state.streams.values():
        yield from stream.windows.values()
    yield from state.pending.values()


def _write(window: WindowState) -> tuple[list[int], list[tuple[int, pl.DataFrame]]]:
    """Chunks that are no longer live, and new ones to write."""
    fresh = window.rows.take_fresh()
    if fresh is None:
        return [], []
    gone, rows = _merge(window, fresh)
    size = max(1, rows.height * CHUNK_BYTES // max(int(rows.estimated_size()), 1))
    pieces = [rows[i : i + size] for i in range(0, rows.height, size)]
    chunks = list(zip(range(window.next_chunk, window.next_chunk + len(pieces)), pieces, strict=True))
    window.next_chunk += len(pieces)
    window.chunks = [c for c in window.chunks if c not in gone] + [n for n, _ in chunks]
    window.recent = [] if gone else [*window.recent, *chunks]
    return gone, chunks


def _merge(window: WindowState, fresh: pl.DataFrame) -> tuple[list[int], pl.DataFrame]:
    """Chunks to be replaced, and the rows to write instead of them and for this cut. Rows that left the sample do no harm in a chunk."""
    if len(window.recent) < MAX_RECENT and len(window.chunks) < MAX_CHUNKS:
        return [], fresh
    frames = [*(frame for _, frame in window.recent), fresh]
    stored = window.rows.stored
    if stored is not None and (len(window.chunks) >= MAX_CHUNKS or sum(f.height for f in frames) >= WHOLE_FROM * stored.height):
        return window.chunks, stored
    return [n for n, _ in window.recent], concat(frames, rechunk=True)


def _head(state: PartitionState, catalogue: Catalogue) -> bytes:
    streams = [{"id": list(s.id), "time_ms": s.time_ms, "run": _run(s.run)} for s in state.streams.values()]
    windows = [_window_head(w, pending=w.id in state.pending) for w in _windows(state)]
    digests = {w.id.digest for w in _windows(state)} | {s.run.digest for s in state.streams.values() if s.run}
    digests |= {digest for entries in state.timeline.values() for _, digest in entries}
    bindings = [catalogue[d] for d in sorted(digests)]
    specs = [{"spec": b.spec.model_dump(mode="json"), "reference": b.reference_fingerprint} for b in bindings]
    head = {
        "version": VERSION,
        "partition": state.partition,
        "streams": streams,
        "windows": windows,
        "timeline": state.timeline,
        "specs": specs,
    }
    return json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()


def _run(run: Run | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {"token": run.token, "span_start_ms": run.span_start_ms, "span_end_ms": run.span_end_ms, "digest": run.digest}


def _window_head(window: WindowState, pending: bool) -> dict[str, Any]:
    rows = window.rows
    return {
        "id": [list(window.id.stream), window.id.start_ms, window.id.end_ms, window.id.digest],
        "pending": pending,
        "chunks": window.chunks,
        "next_chunk": window.next_chunk,
        "versions": sorted(window.versions),
        "arrived": rows.arrived,
        "overflowed": rows.overflowed,
        "dropped": {"rows": rows.dropped.rows, "present": dict(rows.dropped.present)},
    }


def _window_id(head: Mapping[str, Any]) -> WindowId:
    stream, start, end, digest = head["id"]
    return WindowId(StreamId(*stream), start, end, digest)


def _window(head: Mapping[str, Any], partition: int, chunks: Mapping[bytes, bytes], catalogue: Catalogue) -> WindowState:
    window_id = _window_id(head)
    keys = [chunk_key(partition, window_id, c) for c in head["chunks"]]
    missing = [k.decode() for k in keys if k not in chunks]
    if missing:
        raise TidemarkError(
            f"the checkpoint lacks {len(missing)} chunks of a window, first {missing[0]}", "see docs/streams.md, 'A damaged checkpoint'"
        )
    rows = HeldRows(catalogue[window_id.digest].spec.max_rows)
    dropped = Counts(head["dropped"]["rows"], Counter(head["dropped"]["present"]))
    rows.restore((pl.read_ipc(io.BytesIO(chunks[k])) for k in keys), head["arrived"], head["overflowed"], dropped)
    return WindowState(window_id, rows, set(head["versions"]), list(head["chunks"]), head["next_chunk"])
