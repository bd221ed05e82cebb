"""Batches to windows: decodes, ingests, settles what closes, and counts. All on the thread that alone touches partitions' states."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from config.errors import TidemarkError
from monitor.metrics import Metrics
from streams.closing import next_closing_s
from streams.dead_letter_limit import DeadLetterLimit, poisoned
from streams.decode.decoder import Decoder
from streams.early import Early, EarlyWindows
from streams.judge import ClosedWindow, Judge
from streams.partition import Partition
from streams.windows.batch import RawBatch
from streams.windows.core import WindowCore
from streams.windows.state import WindowId


class Intake:
    """What happens to a batch before its windows go on to be judged. ``ingested_s``: when one last went in, on the monotonic clock."""

    def __init__(self, decoder: Decoder, core: WindowCore, judge: Judge, limit: DeadLetterLimit, metrics: Metrics) -> None:
        self.decoder = decoder
        self.core = core
        self.judge = judge
        self.limit = limit
        self.metrics = metrics
        self.early = EarlyWindows(judge.catalogue, judge.slow, metrics.early_verdict)
        self.ingested_s = 0.0

    def next(
        self, waiting: deque[tuple[Partition, RawBatch]], give_way: Callable[[], bool]
    ) -> tuple[Partition, list[ClosedWindow], list[Early]]:
        """Ingest batches up to the first that closes windows, or lets some be judged early, or until ``give_way`` says that this thread
        is wanted for something else. Each way to it and back costs milliseconds under full load.

        Raises:
            TidemarkError: a batch does not follow the one before, or too many records are dead letters.
        """
        while True:
            partition, raw = waiting.popleft()
            closed, early = self._ingest_or_drop(partition, raw)
            if closed or early or not waiting or give_way():
                return partition, closed, early

    def settle(self, partition: Partition, windows: Sequence[WindowId]) -> list[ClosedWindow]:
        """Closed windows as they are to be judged, their rows kept for baselines: from now on only the checkpoint reads them."""
        state = partition.state
        if state is None or not windows:
            return []
        partition.closed_s |= dict.fromkeys(windows, time.monotonic())
        closed = [self.early.closed(state.pending[w], partition.early) for w in windows]
        if partition.valid:
            self.judge.kept_windows.closed([(c.id, c.settled) for c in closed], partition.unpublished, self.judge.catalogue)
        return closed

    def _ingest_or_drop(self, partition: Partition, raw: RawBatch) -> tuple[list[ClosedWindow], list[Early]]:
        """Ingest; a batch that fails midway leaves a state that no cut may hold, not even the last one of an orderly end."""
        try:
            return self._ingest(partition, raw)
        except BaseException:
            partition.valid = False
            raise

    def _ingest(self, partition: Partition, raw: RawBatch) -> tuple[list[ClosedWindow], list[Early]]:
        state = partition.state
        if not partition.valid or state is None:
            return [], []
        if raw.follows != state.position:  # nothing may be dropped or come twice between the source and here
            text = f"a batch of partition {raw.partition} follows offset {raw.follows}, but {state.position} was next"
            raise TidemarkError(text, "report this: it is a bug; the supervisor starts the worker anew from its last cut")
        began = time.perf_counter()
        batch = self.decoder.decode(raw)
        decoded = time.perf_counter()
        dead = len(state.dead)
        self.ingested_s = time.monotonic()
        closed = self.core.ingest(state, batch, self.ingested_s)
        partition.read_to_ms = int(raw.broker_ms[-1])
        self.metrics.batch(len(raw), decoded - began, time.perf_counter() - decoded)
        self._count(partition, raw, poisoned(state.dead[dead:]))
        partition.closes_s = next_closing_s(state, self.core.catalogue, self.ingested_s)
        return self.settle(partition, closed), self.early.due(state, partition.early)

    def _count(self, partition: Partition, raw: RawBatch, dead: int) -> None:
        state = partition.state
        assert state is not None
        now = time.time()
        for stream in [*state.ended, *state.streams.values()]:  # of a run that ends the last batch counts, too
            kind = stream.id.run_kind
            if stream.received:
                self.metrics.records(stream.id.model, kind, stream.received)
                self.metrics.event_received(stream.id.model, kind, now)
                stream.received = 0
            if stream.time_ms is not None:
                self.metrics.set_stream_time(stream.id.model, kind, stream.time_ms / 1000)
        state.ended.clear()
        self.limit.add(len(raw), dead)
