"""Drives the real ``WindowCore`` and ``checkpoint`` by the model's records and decisions, and shows their state in the model's terms."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from config.errors import InvalidEvent
from config.spec import ModelSpec
from schemas.control import Control
from schemas.event import LIVE_RUN
from streams import checkpoint
from streams.windows.batch import DecodedBatch, EventRows, RawBatch
from streams.windows.catalogue import Binding, Catalogue
from streams.windows.core import WindowCore
from streams.windows.grid import MIN_EVENT_TIME_MS
from streams.windows.state import PartitionState, StreamId, WindowId, WindowState
from tests.model.windows import LIVE, MIN_TIME, SPECS, Decision, Key, Log, Record, Rows

UNIT_MS = 1000  # one unit of the model's time
MODEL = "m"


def _binding(digest: int) -> Binding:
    size, grace = SPECS[digest]
    fields = {
        "model": MODEL,
        "reference": "reference.parquet",
        "features": {"x": {"type": "double"}},
        "prediction": {"column": "p", "type": "double"},
        "window": {"size": f"{size}s", "grace": f"{grace}s"},
    }
    return Binding(ModelSpec.model_validate(fields), "fingerprint")


BINDINGS = tuple(_binding(i) for i in range(len(SPECS)))
DIGESTS = {b.digest: i for i, b in enumerate(BINDINGS)}


class Code:
    """A worker's core on one partition, and what a broker would keep of it: the checkpoint's records and what was published."""

    def __init__(self) -> None:
        self.spec_on_disk = 0
        self.core = self._start()
        self.state = PartitionState(0)
        self.topic: dict[bytes, bytes] = {}
        self.committed: tuple[bytes, int] | None = None
        self.published: dict[Key, Rows] = {}
        self.late: list[int] = []
        self.dead: list[int] = []

    def _start(self) -> WindowCore:
        catalogue = Catalogue()
        catalogue.add(BINDINGS[self.spec_on_disk])
        return WindowCore(catalogue, partitions=1, future_tolerance_ms=10**9, max_open_runs=3)

    def read(self, log: Log, end: int, undecodable: set[int]) -> None:
        """Take in the records up to an offset as one batch."""
        if end > self.state.position:
            self.core.ingest(self.state, _batch(log, self.state.position, end, undecodable))

    def decide(self, what: Decision) -> None:
        """What ``Worker`` does about an outside decision."""
        if what == "spec":
            self.spec_on_disk = 1
            self.core.catalogue.add(BINDINGS[1])
            self.core.change_spec(self.state, MODEL)
        elif what == "idle":
            stream = self.state.streams[StreamId(MODEL, LIVE_RUN)]
            self.core.advance(self.state, stream, min(w.end_ms + BINDINGS[DIGESTS[w.digest]].spec.window.grace for w in stream.windows))
        else:
            self.core.close_run(self.state, self.state.streams[self.state.open_runs(MODEL)[0]])

    def cut(self, publish: int, crash: bool) -> None:
        """Take a cut with the first ``publish`` pending results; after a crash, the state comes back from its bytes alone."""
        out = list(self.state.pending)[:publish]
        self.published |= {_key(w): _rows(self.state.pending[w]) for w in out}
        results: Any = {w: str(w) for w in out}
        draft = checkpoint.take(self.state, results, self.core.catalogue)
        if draft is not None:
            self._commit(draft)
        if crash:
            self._restart()

    def _commit(self, draft: checkpoint.Draft) -> None:
        self.committed = (draft.head, draft.position)
        # Within a cut they lie by stream and by reason, not by offset: that order is not promised.
        self.late += sorted(o.offset for o in draft.late)
        self.dead += sorted(o.offset for o in draft.dead)
        self.topic |= {k: checkpoint.encode_chunk(f) for k, f in draft.chunks}
        for key in draft.tombstones:
            del self.topic[key]

    def _restart(self) -> None:
        """A new process: it finds the spec on disk and the committed cut. Where there was nothing to commit, the last cut must do."""
        self.core = self._start()
        self.state = PartitionState(0)
        if self.committed is not None:
            head, position = self.committed
            chunks = {k: self.topic[k] for k in checkpoint.live_chunks(head)}
            self.state = checkpoint.restore(head, chunks, self.core.catalogue, position)
            self.core.change_spec(self.state, MODEL)

    def progress(self) -> dict[str, Any]:
        """Stream times, runs and timeline in the model's terms."""
        streams = self.state.streams.values()
        return {
            "times": {_label(s.id): s.time_ms // UNIT_MS for s in streams if s.time_ms is not None},
            "runs": {s.id.run: (_label(s.id), DIGESTS[s.run.digest]) for s in streams if s.run},
            "timeline": [(_unit(start), DIGESTS[digest]) for start, digest in self.state.timeline.get(MODEL, [])],
        }

    def windows(self) -> dict[str, dict[Key, Rows]]:
        """Open and closed windows (published or pending) in the model's terms."""
        open_windows = {w: s for stream in self.state.streams.values() for w, s in stream.windows.items()}
        closed = self.published | {_key(w): _rows(s) for w, s in self.state.pending.items()}
        return {"open": {_key(w): _rows(s) for w, s in open_windows.items()}, "closed": closed}


def _unit(time_ms: int) -> int:
    return MIN_TIME if time_ms == MIN_EVENT_TIME_MS else time_ms // UNIT_MS


def _label(stream: StreamId) -> str:
    return LIVE if stream.run == LIVE_RUN else f"{stream.run}@{stream.run_offset}"


def _key(window: WindowId) -> Key:
    return Key(_label(window.stream), window.start_ms // UNIT_MS, window.end_ms // UNIT_MS, DIGESTS[window.digest])


def _rows(window: WindowState) -> Rows:
    return Rows(frozenset(window.rows.settle().frame["@id"]), window.rows.arrived)


def _batch(log: Log, first: int, end: int, undecodable: set[int]) -> DecodedBatch:
    size, key = end - first, MODEL.encode()
    raw = RawBatch(0, [b"%d" % o for o in range(first, end)], [key] * size, np.arange(first, end), np.zeros(size, dtype=np.int64))
    batch = DecodedBatch(raw)
    events: list[tuple[int, Record]] = []
    for i, record in enumerate(log[first:end]):
        if first + i in undecodable:
            batch.invalid.append((i, InvalidEvent("unknown_schema", "not in the store today")))
        elif record.kind in {"run_start", "run_end"}:
            kind: Any = record.kind
            batch.controls.append((i, Control(kind, MODEL, record.run, "token", 0, 10**6)))
        else:
            events.append((i, record))
    if events:
        batch.events.append(EventRows(np.array([i for i, _ in events]), _frame([r for _, r in events])))
    return batch


def _frame(records: list[Record]) -> pl.DataFrame:
    columns = {
        "@id": [r.id for r in records],
        "@time": [r.time * UNIT_MS for r in records],
        "@run": [r.run for r in records],
        "@model": [MODEL] * len(records),
        "@version": ["1"] * len(records),
        "@prediction": [0.0] * len(records),
        "f:x": [0.0] * len(records),
    }
    return pl.DataFrame(columns, schema_overrides={"@time": pl.Int64})
