"""Takes decoded batches in, in offset order, and moves a partition's streams on: which rows join which window, what is late, what closes.

Semantics of Kafka Streams: stream time is the highest event time seen per stream, a running maximum in offset order, so that the outcome
never depends on how records were batched. A record is late when its window's end plus grace is not after the stream time before it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from config.durations import show_ms
from config.errors import InvalidEvent
from schemas.event import LIVE_RUN
from streams.partitioner import partition_of
from streams.windows import runs
from streams.windows.batch import (
    MODEL,
    RUN,
    TIME,
    DecodedBatch,
    EventRows,
    IntArray,
    Outcast,
    RawBatch,
    partition_rows,
    runs_of_equal,
    take,
)
from streams.windows.catalogue import Binding, Catalogue
from streams.windows.grid import MAX_EVENT_TIME_MS, MIN_EVENT_TIME_MS
from streams.windows.rows import HeldRows
from streams.windows.state import PartitionState, Stream, StreamId, WindowId, WindowState

BoolArray = np.ndarray[tuple[int], np.dtype[np.bool_]]


class WindowCore:
    """The window semantics over one partition's state. Holds no state of its own besides its settings."""

    def __init__(self, catalogue: Catalogue, partitions: int, future_tolerance_ms: int, max_open_runs: int) -> None:
        self.catalogue = catalogue
        self.partitions = partitions
        self.future_tolerance_ms = future_tolerance_ms
        self.max_open_runs = max_open_runs

    def ingest(self, state: PartitionState, batch: DecodedBatch, now_s: float = 0.0) -> list[WindowId]:
        """Take a batch in; returns the windows it closed, which are pending now. ``state.position`` moves behind the batch.

        ``now_s`` is when it arrived on the caller's monotonic clock; streams keep it to tell how long they have been silent.
        """
        closed: list[WindowId] = []
        for index, error in batch.invalid:
            self._bury(state, batch.raw, [index], error)
        first = 0
        for index, control in [*batch.controls, (len(batch.raw), None)]:
            joining: dict[StreamId, list[EventRows]] = {}
            for rows in batch.events:
                low, high = np.searchsorted(rows.index, [first, index])
                if high > low:
                    part = EventRows(rows.index[low:high], rows.frame[low:high])
                    for stream, plausible in self._events(state, batch.raw, part, now_s):
                        joining.setdefault(stream.id, []).append(plausible)
            for stream_id, parts in joining.items():
                self._join(state, batch.raw, state.streams[stream_id], parts)
            closed += self._close_due(state)
            if control is not None:
                try:
                    closed += runs.apply(self, state, control, int(batch.raw.offsets[index]), batch.raw.keys[index], now_s)
                except InvalidEvent as error:
                    self._bury(state, batch.raw, [index], error)
            first = index + 1
        if len(batch.raw):
            state.position = int(batch.raw.offsets[-1]) + 1
            state.changed = True
        return closed

    def live(self, state: PartitionState, model: str) -> Stream | None:
        """The model's live stream, begun when it is met first; None for an unknown model."""
        stream_id = StreamId(model, LIVE_RUN)
        if stream_id not in state.streams:
            binding = self.catalogue.current(model)
            if binding is None:
                return None
            state.streams[stream_id] = Stream(stream_id)
            state.timeline.setdefault(model, [(MIN_EVENT_TIME_MS, binding.digest)])
        return state.streams[stream_id]

    def change_spec(self, state: PartitionState, model: str) -> None:
        """The model's spec is another now: it holds from the first boundary of both grids after stream time and every open window.

        Grids that share none soon (days of two time zones) change at one of the old grid's; the first new window is then cut short.
        """
        binding, timeline = self.catalogue.current(model), state.timeline.get(model)
        stream = state.streams.get(StreamId(model, LIVE_RUN))
        if binding is None or not timeline or stream is None or timeline[-1][1] == binding.digest:
            return
        old = self.catalogue[timeline[-1][1]]
        start = max(
            [MIN_EVENT_TIME_MS if stream.time_ms is None else stream.time_ms + 1, timeline[-1][0], *(w.end_ms for w in stream.windows)]
        )
        start = _boundary(old, binding, start)
        timeline.append((start, binding.digest))
        state.changed = True

    def advance(self, state: PartitionState, stream: Stream, time_ms: int) -> list[WindowId]:
        """Set stream time from outside (idle closing): what is due closes."""
        stream.time_ms = time_ms if stream.time_ms is None else max(time_ms, stream.time_ms)
        state.changed = True
        return self._close_due(state)

    def close_run(self, state: PartitionState, stream: Stream) -> list[WindowId]:
        """End a replay: all its windows close, in order of time."""
        state.ended.append(state.streams.pop(stream.id))
        state.changed = True
        return self._close(state, stream, sorted(stream.windows))

    def _close_due(self, state: PartitionState) -> list[WindowId]:
        closed = []
        for stream in state.streams.values():
            if stream.time_ms is not None and stream.windows:
                due = [w for w in sorted(stream.windows) if self.catalogue.closes_ms(w) <= stream.time_ms]
                closed += self._close(state, stream, due)
        return closed

    @staticmethod
    def _close(state: PartitionState, stream: Stream, windows: list[WindowId]) -> list[WindowId]:
        for window in windows:
            state.pending[window] = stream.windows.pop(window)
        return windows

    def _events(self, state: PartitionState, raw: RawBatch, rows: EventRows, now_s: float) -> Iterator[tuple[Stream, EventRows]]:
        """The rows of each stream that may join its windows; the others are dead letters."""
        for key, part in partition_rows(rows, [MODEL, RUN]):
            model, run = str(key[0]), str(key[1])
            good = self._right_key(state, raw, part, model)
            stream = self._stream(state, raw, good, model, run)
            if stream is not None:
                stream.received += len(good.index)
                plausible = self._plausible(state, raw, stream, good)
                if len(plausible.index):  # a broken clock's dead letters do not keep a model alive that has stopped
                    stream.seen_s = now_s
                    yield stream, plausible

    def _right_key(self, state: PartitionState, raw: RawBatch, rows: EventRows, model: str) -> EventRows:
        """The rows whose key is their model and whose key belongs here; the others are dead letters."""
        expected = model.encode()
        right = partition_of(expected, self.partitions) == raw.partition
        keys = raw.keys if len(rows.index) == len(raw) else [raw.keys[i] for i in rows.index.tolist()]
        same = np.ones(len(keys), dtype=np.bool_) if set(keys) == {expected} else np.array([k == expected for k in keys], dtype=np.bool_)
        if not same.all():
            error = InvalidEvent(
                "key_mismatch", f"the record's key is not its model {model!r}", "send every event under the model's name as key"
            )
            self._bury(state, raw, rows.index[~same], error, model)
            rows = take(rows, same)
        if not right and len(rows.index):
            text = f"key {model!r} belongs to partition {partition_of(expected, self.partitions)} of {self.partitions}, not {raw.partition}"
            self._bury(state, raw, rows.index, InvalidEvent("wrong_partition", text, "set partitioner to murmur2_random"), model)
            return take(rows, np.zeros(len(rows.index), dtype=np.bool_))
        return rows

    def _stream(self, state: PartitionState, raw: RawBatch, rows: EventRows, model: str, run: str) -> Stream | None:
        if not len(rows.index):
            return None
        if self.catalogue.current(model) is None:
            error = InvalidEvent("unknown_model", f"no spec for model {model!r}", "put its spec into config/models/ and reload")
        elif run == LIVE_RUN:
            return self.live(state, model)
        else:
            found = next((s for s in state.open_runs(model) if s.run == run), None)
            if found is not None:
                return state.streams[found]
            error = InvalidEvent(
                "unknown_run", f"run {run!r} of model {model!r} is not open", "send run_start before a run's events, run_end after"
            )
        self._bury(state, raw, rows.index, error, model, "live" if run == LIVE_RUN else "replay")
        return None

    def _plausible(self, state: PartitionState, raw: RawBatch, stream: Stream, rows: EventRows) -> EventRows:
        """Without event times that a broken clock made: one of them must not close every window."""
        times = rows.frame[TIME].to_numpy()
        if stream.run is not None:
            span = (stream.run.span_start_ms, stream.run.span_end_ms)
            bad = (times < span[0]) | (times > span[1])
            error = InvalidEvent("outside_run_span", f"event time is outside the span {span} (ms) that run {stream.id.run!r} declared")
        else:
            bad = (times > raw.broker_ms[rows.index] + self.future_tolerance_ms) | (times < MIN_EVENT_TIME_MS) | (times > MAX_EVENT_TIME_MS)
            ahead = show_ms(self.future_tolerance_ms)
            error = InvalidEvent("future_event_time", f"event time is more than {ahead} ahead of the broker's clock, or no date at all")
        if not bad.any():
            return rows
        self._bury(state, raw, rows.index[bad], error, stream.id.model, stream.id.run_kind)
        return take(rows, ~bad)

    def _join(self, state: PartitionState, raw: RawBatch, stream: Stream, parts: list[EventRows]) -> None:
        """Put a stream's rows, a part for each schema, into their windows; late ones aside. Stream time moves."""
        for rows, before in zip(parts, _times_before(parts), strict=True):
            self._join_part(state, raw, stream, rows, before if stream.time_ms is None else np.maximum(before, stream.time_ms))
        highest = max(int(rows.frame[TIME].to_numpy().max()) for rows in parts)
        stream.time_ms = highest if stream.time_ms is None else max(stream.time_ms, highest)

    def _join_part(self, state: PartitionState, raw: RawBatch, stream: Stream, rows: EventRows, before: IntArray) -> None:
        times = rows.frame[TIME].to_numpy()
        for binding, since_ms, chosen in self._by_binding(state, stream, times):
            part = rows if chosen is None else take(rows, chosen)
            starts, ends = binding.grid.bounds(times if chosen is None else times[chosen])
            starts = np.maximum(starts, since_ms)
            seen = before if chosen is None else before[chosen]
            late = ends + binding.spec.window.grace <= seen
            if late.any():
                self._late(state, raw, stream, part.index[late])
                part, starts, ends = take(part, ~late), starts[~late], ends[~late]
            for start, end, frame in runs_of_equal(binding.conform(part.frame), starts, ends):
                self._window(stream, WindowId(stream.id, start, end, binding.digest), binding).add(frame)

    def _by_binding(self, state: PartitionState, stream: Stream, times: IntArray) -> Iterator[tuple[Binding, int, BoolArray | None]]:
        """Each binding that holds at some of the times, from when on (ms), and where; None for everywhere."""
        if stream.run is not None:
            yield self.catalogue[stream.run.digest], MIN_EVENT_TIME_MS, None
            return
        timeline = state.timeline[stream.id.model]
        which = np.searchsorted(np.array([start for start, _ in timeline[1:]], dtype=np.int64), times, side="right")
        used = np.unique(which)
        for i in used:
            start, digest = timeline[i]
            yield self.catalogue[digest], start, None if len(used) == 1 else which == i

    @staticmethod
    def _window(stream: Stream, window: WindowId, binding: Binding) -> WindowState:
        if window not in stream.windows:
            stream.windows[window] = WindowState(window, HeldRows(binding.spec.max_rows))
        return stream.windows[window]

    def _late(self, state: PartitionState, raw: RawBatch, stream: Stream, index: IntArray) -> None:
        state.late += [
            Outcast(int(raw.offsets[i]), raw.keys[i], raw.values[i], "late", "its window has closed", stream.id.model, stream.id.run_kind)
            for i in index
        ]

    @staticmethod
    def _bury(
        state: PartitionState, raw: RawBatch, index: IntArray | list[int], error: InvalidEvent, model: str = "", run_kind: str = "live"
    ) -> None:
        state.dead += [
            Outcast(int(raw.offsets[i]), raw.keys[i], raw.values[i], error.reason, error.message, model, run_kind) for i in index
        ]


def _times_before(parts: list[EventRows]) -> list[IntArray]:
    """For each row the highest time of the rows before it (the first row's is its own), in offset order over all parts."""
    times = np.concatenate([rows.frame[TIME].to_numpy() for rows in parts])
    order = np.argsort(np.concatenate([rows.index for rows in parts]), kind="stable")  # one part is in order already
    highest = np.maximum.accumulate(times[order])
    before = np.empty_like(times)
    before[order] = np.concatenate([highest[:1], highest[:-1]])
    return np.split(before, np.cumsum([len(rows.index) for rows in parts])[:-1])


def _boundary(old: Binding, new: Binding, time_ms: int) -> int:
    """The first boundary of both grids at or after a time; of the old one alone when they share none within two windows."""
    edge, horizon = time_ms, time_ms + 2 * max(old.spec.window.size, new.spec.window.size)
    while edge <= horizon:
        after = max(old.grid.next_boundary(edge), new.grid.next_boundary(edge))
        if after == edge:
            return edge
        edge = after
    return old.grid.next_boundary(time_ms)
