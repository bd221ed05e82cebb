"""The worker without Faust: what is done with batches, closed windows, cuts and silence. Faust's services and agents call these.

Threads: ``source`` polls the consumer, ``core`` alone touches partitions' states, ``judge`` and ``slow`` wait for verdicts, ``commit``
writes transactions, ``restore`` brings partitions back, ``aux`` asks the broker. The event loop only hands on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import KafkaException
from prometheus_client import CollectorRegistry

from config.errors import TidemarkError
from config.settings import Settings
from monitor.metrics import Metrics
from monitor.reports import ReportProcess
from schemas.store import open_store
from streams.closing import poll_s
from streams.cuts import Cuts
from streams.dead_letter_limit import DeadLetterLimit
from streams.decode.decoder import Decoder
from streams.forgetting import Forgetting
from streams.intake import Intake
from streams.judge import ClosedWindow, Judge
from streams.kept_windows import remove_folders
from streams.lag import show_lag
from streams.last_results import last_results
from streams.partition import Partition
from streams.partitioner import partition_of
from streams.restore import Restorer
from streams.silence import Silence
from streams.source import Source
from streams.transactions import Transactions, transactional_producer
from streams.unbroken import Unbroken
from streams.verdicts import Verdicts, nowhere
from streams.windows.batch import RawBatch
from streams.windows.core import WindowCore
from streams.windows.state import PartitionState, StreamId
from streams.worker_slot import WorkerSlot

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Restoring a partition is mostly waiting for the broker, a second or two each: partitions do not wait for one another. Windows are judged
# one after another in their process; the second thread makes the next one ready meanwhile.
THREADS = {"source": 1, "core": 1, "judge": 2, "slow": 1, "commit": 1, "restore": 8, "aux": 1}


class Worker:
    """One worker's parts, wired. ``verdicts.on_closed`` takes closed windows to be judged; ``on_fatal`` ends the process."""

    def __init__(self, settings: Settings, registry: CollectorRegistry, judge: Judge, reports: ReportProcess) -> None:
        self.settings = settings
        self.metrics = Metrics(registry)
        self.judge = judge
        self.metrics.set_specs(judge.catalogue.current_digests())
        self.core = WindowCore(self.judge.catalogue, settings.partitions, int(settings.future_tolerance * 1000), settings.max_open_runs)
        self.source = Source(settings, self._on_assigned, self._on_revoked, self._on_statistics)
        self.slot = WorkerSlot(settings)
        self.producer = transactional_producer(settings, self.slot.transactional_id, self._on_statistics)
        self.transactions = Transactions(settings, self.producer)
        self.cuts = Cuts(self.source, self.transactions, self.judge.catalogue, self.metrics)
        decoder = Decoder(open_store(settings), settings.max_record_bytes)
        limit = DeadLetterLimit(settings.dead_letter_span, settings.dead_letter_share)
        self.intake = Intake(decoder, self.core, self.judge, limit, self.metrics)
        self.silence = Silence(settings, self.source, self.core)
        self.forgetting = Forgetting(settings, self.metrics)
        self.reports = reports
        self.reports.on_outcome = self.metrics.report
        self.verdicts = Verdicts(self.judge, self.reports, self.run_in)
        self.progress_s = time.monotonic()
        self._threads = {name: ThreadPoolExecutor(count, thread_name_prefix=name) for name, count in THREADS.items()}
        self._cutting = Unbroken()
        self.quiet = asyncio.Event()
        self._draft_waits = False
        self._loop = asyncio.get_running_loop()
        self._restoring: set[asyncio.Task[None]] = set()
        self.on_fatal: Callable[[BaseException], Awaitable[None]] = nowhere

    async def run_in(self, thread: str, call: Callable[..., T], *arguments: Any) -> T:
        """Run a call on one of the worker's threads."""
        return await self._loop.run_in_executor(self._threads[thread], call, *arguments)

    async def start(self) -> None:
        """Fence earlier transactions of this id and join the group.

        Raises:
            TidemarkError: the broker does not take the transactional producer.
        """
        try:
            await self.run_in("commit", self.producer.init_transactions, 30)
        except KafkaException as error:
            text = f"no transactional producer at {self.settings.brokers}: {error}"
            raise TidemarkError(text, "look at the broker's log: transactions need their topic's replicas") from error
        await self.run_in("source", self.source.subscribe)

    async def stop(self) -> None:
        """One last cut, then leave the group."""
        for restoring in self._restoring:  # their partitions go to another worker as they are
            restoring.cancel()
        try:
            await self._cutting.ended()
            await self.cut()
        finally:
            await self.run_in("source", self.source.close)
            self.judge.evaluator.close()
            self.reports.close()
            for thread in self._threads.values():
                thread.shutdown(wait=False, cancel_futures=True)

    # --- batches -----------------------------------------------------------------------------------------------------------------

    async def take(self) -> list[tuple[Partition, RawBatch]]:
        """The next batches; none when no record came for a moment."""
        now_s = time.monotonic()
        awaited_s = [p.closes_s if p.reading else now_s for p in self.source.partitions.values()]  # one being restored is read after a poll
        taken = await self.run_in("source", self.source.poll, poll_s(now_s, awaited_s))
        if taken:
            self.quiet.clear()
        else:
            self.quiet.set()
        return taken

    async def hold(self, timeout_s: float) -> None:
        """Stay a member of the group without taking records."""
        await self.run_in("source", self.source.keep_membership, timeout_s)

    async def go_on(self) -> None:
        """Take records again."""
        await self.run_in("source", self.source.go_on)

    async def process(self, batches: list[tuple[Partition, RawBatch]]) -> None:
        """Decode batches and put them into windows; closed ones go on to be judged, without waiting for the batches behind.

        Those of a partition whose window is expected to close first come first.
        """
        waiting = deque(sorted(batches, key=lambda item: item[0].closes_s))
        while waiting:
            partition, windows, early = await self.run_in("core", self.intake.next, waiting, self._cut_waits)
            self.progress_s = max(self.progress_s, self.intake.ingested_s)
            for window in early:
                self.verdicts.ahead(partition, window)
            for closed in windows:
                await self.verdicts.closed(partition, closed)

    def _cut_waits(self) -> bool:
        """True when the thread that takes batches in is wanted for a cut, or will be at once. From any thread."""
        return self._draft_waits or self.verdicts.wake.is_set()

    # --- cuts --------------------------------------------------------------------------------------------------------------------

    async def cut(self, only_results: bool = False) -> None:
        """Write what has come about since the last cut, in one transaction. One that has begun is ended, though its caller be cancelled.

        With ``only_results``, of the partitions only that have a result: it need not wait until the others' rows are written.

        A draft takes from the partitions' states what it holds. Were it dropped on the way to its transaction, as the end of a service
        drops what its tasks wait for, the next cut would name chunks that nobody has written.

        Raises:
            TidemarkError: the producer cannot go on; the process has to end.
        """
        await self._cutting.run(partial(self._cut, only_results))

    async def _cut(self, only_results: bool) -> None:
        self._draft_waits = True
        self.verdicts.wake.clear()
        try:
            drafts = await self.run_in("core", self.cuts.drafts, only_results)
        finally:
            self._draft_waits = False
        if drafts:
            await self.run_in("commit", self.cuts.commit, drafts)
            self.progress_s = time.monotonic()

    # --- assignment --------------------------------------------------------------------------------------------------------------

    def _on_revoked(self, partition: Partition) -> None:
        self.metrics.rebalance()
        self.metrics.remove_partition(partition.number)

    def _on_assigned(self, partition: Partition) -> None:
        self._loop.call_soon_threadsafe(self._begin_restore, partition)

    def _begin_restore(self, partition: Partition) -> None:
        task = self._loop.create_task(self._restore(partition))
        self._restoring.add(task)
        task.add_done_callback(self._restoring.discard)

    async def _restore(self, partition: Partition) -> None:
        try:
            began = time.perf_counter()
            restorer = Restorer(self.settings, self.judge.catalogue, lambda: partition.valid)
            restored = await self.run_in("restore", restorer.restore, partition.number)
            if restored is None or not partition.valid:
                return
            for last in await self.run_in("restore", last_results, self.settings, partition.number):
                if self.forgetting.recalls(last, restored.state, time.time()):
                    self.metrics.show_result(last.result, last.published_s)
            await self.run_in("restore", self.judge.prepare)
            await self.run_in("core", self._adopt, partition, restored)
            self.metrics.restore(time.perf_counter() - began)
            state = restored.state
            logger.info("partition %d restored at offset %d, %d pending windows", partition.number, state.position, len(state.pending))
            for closed in await self.run_in("core", self.intake.settle, partition, list(state.pending)):
                await self.verdicts.closed(partition, closed)
            self.source.start_reading(partition, state.position)
        except Exception as error:  # noqa: BLE001 - a partition that cannot be restored must end the worker, not stay silent
            await self.on_fatal(error)

    def _adopt(self, partition: Partition, restored: Any) -> None:
        now = time.monotonic()
        for stream in restored.state.streams.values():
            stream.seen_s = now
        self._change_specs(restored.state)
        models = {*self.judge.catalogue.models, *(s.model for s in restored.state.streams)}
        self.judge.kept_windows.restored(m for m in models if self._lies_on(partition.number, m))
        if restored.lost:
            logger.error("partition %d: %d records were deleted before they were read", partition.number, restored.lost)
            self.metrics.data_loss(partition.number, restored.lost)
        self.transactions.offsets[partition.number] = restored.chunk_offsets
        partition.queued_position = partition.committed_position = restored.state.position
        partition.state = restored.state
        self.progress_s = time.monotonic()  # its lag begins to count now, though this worker may have had nothing to do for hours

    def adopt_specs(self) -> None:
        """Let the current specs hold from the next boundary of each stream on. On the core's thread."""
        for partition in list(self.source.partitions.values()):
            if partition.ready and partition.state is not None:
                self._change_specs(partition.state)
        self.metrics.set_specs(self.judge.catalogue.current_digests())

    def _change_specs(self, state: PartitionState) -> None:
        for model in self.judge.catalogue.models:
            self.core.change_spec(state, model)

    # --- silence -----------------------------------------------------------------------------------------------------------------

    async def look_for_silence(self) -> None:
        """Close passed windows of silent live models, end replays that were left, and forget what has been silent for very long."""
        for partition, stream_id, due_ms in await self.run_in("core", self.silence.candidates, time.monotonic(), time.time()):
            if await self.run_in("source", self.silence.nothing_left, partition):
                closed = await self.run_in("core", self._close_silent, partition, stream_id, due_ms)
                for window in closed:
                    await self.verdicts.closed(partition, window)
        await self.run_in("core", self.forgetting.look, list(self.source.partitions.values()), time.monotonic())
        if ended := await self.run_in("core", self._ended_runs):
            await self.run_in("aux", remove_folders, ended)

    def _ended_runs(self) -> list[Path]:
        """Folders with rows of replays that are over, for good: their last windows' results are committed."""
        folders = []
        for partition in list(self.source.partitions.values()):
            if partition.ready and partition.state is not None:
                running = {*partition.state.streams, *(w.stream for w in partition.unpublished)}
                folders += self.judge.kept_windows.take_ended(partial(self._lies_on, partition.number), running)
        return folders

    def _lies_on(self, partition: int, model: str) -> bool:
        return partition_of(model.encode(), self.settings.partitions) == partition

    def _close_silent(self, partition: Partition, stream_id: StreamId, due_ms: int | None) -> list[ClosedWindow]:
        if not self.silence.still_silent(partition):
            return []
        assert partition.state is not None
        stream = partition.state.streams.get(stream_id)
        if stream is None:
            return []
        if due_ms is None:
            logger.warning("run %s of model %s ended as aborted: nothing came for TIDEMARK_RUN_TIMEOUT", stream_id.run, stream_id.model)
            return self.intake.settle(partition, self.core.close_run(partition.state, stream))
        return self.intake.settle(partition, self.core.advance(partition.state, stream, due_ms))

    def show_lag(self) -> int:
        """Show each partition's lag; returns the records not yet read."""
        return show_lag(self.source, self.metrics, time.time())

    def _on_statistics(self, text: str) -> None:
        self.metrics.client_statistics(json.loads(text))
