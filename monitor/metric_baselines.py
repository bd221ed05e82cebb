"""The gauges of windows against earlier windows, drawn at scrape time. Part of ``monitor.metrics``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from schemas.result import WindowResult

Stream = tuple[str, str]
_LABELS = ("model", "run_kind", "baseline")


class BaselineGauges(Collector):
    """The last judged comparison of each stream with each of its baselines, five at most. One that the spec no longer has is left out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[Stream, dict[str, WindowResult | None]] = {}

    def put(self, stream: Stream, compared: Sequence[WindowResult]) -> None:
        """Take a window's comparisons; one that could not be made leaves the last one of its baseline."""
        with self._lock:
            before = self._streams.get(stream, {})
            self._streams[stream] = {r.kind: r if r.status == "ok" else before.get(r.kind) for r in compared}

    def add(self, stream: Stream, result: WindowResult) -> None:
        """Take one comparison."""
        with self._lock:
            if result.status == "ok":
                self._streams.setdefault(stream, {})[result.kind] = result

    def remove(self, stream: Stream) -> None:
        with self._lock:
            self._streams.pop(stream, None)

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            shown = [(s, r) for s, results in sorted(self._streams.items()) for r in results.values() if r is not None]
        share = GaugeMetricFamily(
            "tidemark_baseline_drift_share", "Drifted features over judged ones in the last window against an earlier one", labels=_LABELS
        )
        drifted = GaugeMetricFamily(
            "tidemark_baseline_drifted", "1 if the last window has drifted against an earlier one, by the same share", labels=_LABELS
        )
        for stream, result in shown:
            share.add_metric((*stream, result.kind), result.drift_share)
            drifted.add_metric((*stream, result.kind), float(result.drifted))
        yield from (share, drifted)
