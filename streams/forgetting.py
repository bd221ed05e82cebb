"""Forgetting: metrics of models that stopped, of replays that ended, and of models that another worker has now are removed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from config.settings import Settings
from monitor.metrics import Metrics
from streams.last_results import LastResult
from streams.partition import Partition
from streams.partitioner import partition_of
from streams.windows.state import PartitionState

logger = logging.getLogger(__name__)
GIVEN_AWAY_S = 60.0  # a partition that comes back within this time, as rebalances do, finds its metrics as they were


class Forgetting:
    """Knows when something was last heard of each stream that has metrics. Times are s on the worker's monotonic clock.

    A stream counts as heard of: when a record of it came; while a replay is open; when it got metrics without either (a restored result).
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._limit_s = {"live": settings.forget_after, "replay": settings.forget_replay_after}
        self._partitions = settings.partitions
        self._metrics = metrics
        self._heard_s: dict[tuple[str, str], float] = {}
        self._ours_s: dict[tuple[str, str], float] = {}

    def recalls(self, last: LastResult, state: PartitionState, wall_s: float) -> bool:
        """True unless the result is of a replay that ended too long ago: a restart must not alert anew for what was forgotten."""
        recent = last.result.run_kind == "live" or wall_s - last.published_s < self._limit_s["replay"]
        return recent or bool(state.open_runs(last.result.model))

    def look(self, partitions: Sequence[Partition], now_s: float) -> list[tuple[str, str]]:
        """Remove what has been silent or another worker's for too long; returns it. On the thread that alone touches partitions' states."""
        shown = self._metrics.streams()
        ours = {p.number for p in partitions}
        self._heard_s = {s: self._heard_s.get(s, now_s) for s in shown}
        self._ours_s = {s: now_s if partition_of(s[0].encode(), self._partitions) in ours else self._ours_s.get(s, now_s) for s in shown}
        for partition in partitions:
            if partition.ready and partition.state is not None:
                for stream in partition.state.streams.values():
                    self._hear((stream.id.model, stream.id.run_kind), stream.seen_s if stream.id.run_kind == "live" else now_s)
        gone = [s for s in sorted(shown) if self._gone(s, now_s)]
        for model, run_kind in gone:
            self._metrics.remove_model(model, run_kind)
        return gone

    def _hear(self, stream: tuple[str, str], at_s: float) -> None:
        if stream in self._heard_s:
            self._heard_s[stream] = max(self._heard_s[stream], at_s)

    def _gone(self, stream: tuple[str, str], now_s: float) -> bool:
        silent_s, limit_s = now_s - self._heard_s[stream], self._limit_s[stream[1]]
        if now_s - self._ours_s[stream] >= GIVEN_AWAY_S:
            logger.info("model %s (%s) is another worker's now: its metrics are removed here", *stream)
            return True
        if silent_s >= limit_s:
            logger.warning("nothing of model %s (%s) for %.0f s: its metrics are removed", *stream, limit_s)
            return True
        return False
