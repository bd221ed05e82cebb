"""Cuts: takes drafts of the partitions, commits them, and tells metrics and log what has become final."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from monitor.metrics import Metrics
from streams import checkpoint
from streams.checkpoint import Draft
from streams.partition import Partition
from streams.source import Source
from streams.transactions import CutAborted, Transactions
from streams.windows.catalogue import Catalogue

logger = logging.getLogger(__name__)


def _give_up(partitions: Iterable[Partition]) -> None:
    """What was drafted of these partitions is in no cut: no further one may be drafted, not even the last one of an orderly end."""
    for partition in partitions:
        partition.valid = False


class Cuts:
    """Drafts and commits. One cut at a time."""

    def __init__(self, source: Source, transactions: Transactions, catalogue: Catalogue, metrics: Metrics) -> None:
        self.source = source
        self.transactions = transactions
        self.catalogue = catalogue
        self.metrics = metrics

    def drafts(self, only_results: bool = False) -> list[tuple[Partition, Draft]]:
        """What each partition (with ``only_results``: that has a result) has for a cut at its position. On the thread that alone touches
        the partitions' states."""
        drafts: list[tuple[Partition, Draft]] = []
        for partition in list(self.source.partitions.values()):
            if partition.ready and partition.state is not None and (partition.results or not only_results):
                try:
                    draft = checkpoint.take(partition.state, partition.results, self.catalogue, partition.compared)
                    self._show(partition)  # now that the rows lie in few pieces
                except BaseException:
                    _give_up([partition, *(p for p, _ in drafts)])
                    raise
                if draft is not None:
                    drafts.append((partition, draft))
        return drafts

    def _show(self, partition: Partition) -> None:
        assert partition.state is not None
        open_windows: dict[tuple[str, str], list[int]] = {}
        for stream in partition.state.streams.values():
            totals = open_windows.setdefault((stream.id.model, stream.id.run_kind), [0, 0, 0])
            for window in stream.windows.values():
                totals[0] += 1
                totals[1] += window.rows.held
                totals[2] += window.rows.held_bytes
        for (model, kind), (windows, rows, size) in open_windows.items():
            self.metrics.set_open_windows(model, kind, windows, rows, size)

    def commit(self, drafts: list[tuple[Partition, Draft]]) -> None:
        """Write the drafts of the partitions that are still ours; when they are refused, those are restored from the last cut.

        Raises:
            TidemarkError: the producer cannot go on; the process has to end.
        """
        began = time.perf_counter()
        with self.source.transaction_lock:
            ours = [(p, d) for p, d in drafts if p.valid]
            if not ours:
                return
            # Older than this look at the tokens: a partition given away since then has lost its token, and a generation that has ended
            # since then is refused. Metadata taken later could vouch for partitions already lost.
            metadata = self.source.group_metadata
            try:
                self.transactions.commit([d for _, d in ours], metadata)
            except CutAborted as error:
                logger.warning("a cut was refused, its partitions are restored: %s", error)
                for partition, _ in ours:
                    self.source.reset(partition)
                return
            except BaseException:
                _give_up(p for p, _ in ours)
                raise
        self.metrics.transaction(time.perf_counter() - began)
        for partition, draft in ours:
            self._committed(partition, draft)

    def _committed(self, partition: Partition, draft: Draft) -> None:
        now = time.time()
        partition.committed_position = draft.position
        for window_id, result in zip(draft.published, draft.results, strict=True):
            partition.results.pop(window_id, None)
            self.metrics.observe_compared(result, partition.compared.pop(window_id, ()))
            self.metrics.observe_result(result, now, partition.evaluation_s.pop(window_id, 0.0))
            if (closed_s := partition.closed_s.pop(window_id, None)) is not None:
                self.metrics.published(time.monotonic() - closed_s)
            self.metrics.duplicates(result.model, result.run_kind, result.duplicates)
            logger.info("window %s: %s, %d rows, drift share %.2f", result.key, result.status, result.rows, result.drift_share)
        for outcast in draft.late:
            self.metrics.late(outcast.model, outcast.run_kind, 1)
        for outcast in draft.dead:
            self.metrics.dead_letters(outcast.reason, 1)
        if draft.dead:
            first = draft.dead[0]
            logger.warning(
                "%d dead letters of partition %d, first: offset %d, %s: %s",
                len(draft.dead),
                draft.partition,
                first.offset,
                first.reason,
                first.message,
            )
