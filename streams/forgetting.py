"""Forgetting: the metrics of models that stopped, and of replays that ended, are removed after a while. Their alerts come before."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from config.settings import Settings
from monitor.metrics import Metrics
from streams.partition import Partition

logger = logging.getLogger(__name__)


class Forgetting:
    """Knows when something was last heard of each stream that has metrics. Times are s on the worker's monotonic clock.

    A stream counts as heard of: when a record of it came; while a replay is open; when it got metrics without either (a restored result).
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._limit_s = {"live": settings.forget_after, "replay": settings.forget_replay_after}
        self._metrics = metrics
        self._heard_s: dict[tuple[str, str], float] = {}

    def look(self, partitions: Iterable[Partition], now_s: float) -> list[tuple[str, str]]:
        """Remove what has been silent for too long; returns it. On the thread that alone touches the partitions' states."""
        shown = self._metrics.streams()
        self._heard_s = {s: self._heard_s.get(s, now_s) for s in shown}
        for partition in partitions:
            if partition.ready and partition.state is not None:
                for stream in partition.state.streams.values():
                    self._hear((stream.id.model, stream.id.run_kind), stream.seen_s if stream.id.run_kind == "live" else now_s)
        silent = [s for s, heard_s in self._heard_s.items() if now_s - heard_s >= self._limit_s[s[1]]]
        for model, run_kind in silent:
            logger.warning("nothing of model %s (%s) for %.0f s: its metrics are removed", model, run_kind, self._limit_s[run_kind])
            self._metrics.remove_model(model, run_kind)
            del self._heard_s[model, run_kind]
        return silent

    def _hear(self, stream: tuple[str, str], at_s: float) -> None:
        if stream in self._heard_s:
            self._heard_s[stream] = max(self._heard_s[stream], at_s)
