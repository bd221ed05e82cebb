"""The gauges of performance, drawn at scrape time with those of the last windows. Part of ``monitor.metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from schemas.result import Measure, Performance, WindowResult

Stream = tuple[str, str]
_KIND = ("model", "run_kind", "kind")
_MEASURE = (*_KIND, "measure", "label")


def measured(result: WindowResult) -> bool:
    """True when the window's targets gave any measure."""
    return any(p.status == "ok" for p in result.performance)


def classes_of(result: WindowResult) -> Iterator[str]:
    """The class labels that the window's measures would take series for."""
    return (m.label for p in result.performance for m in p.measures if m.label)


def performance_families(
    closed: Mapping[Stream, WindowResult], measured: Mapping[Stream, WindowResult], admits_class: Callable[[Stream, str], bool]
) -> Iterator[Metric]:
    """``closed`` are the last closed windows, ``measured`` the last ones with measures: windows whose targets come later change nothing.

    A class that ``admits_class`` refuses gets no series.
    """
    rows = GaugeMetricFamily("tidemark_performance_rows", "Rows of the last closed window whose target is known", labels=_KIND)
    for stream, result in closed.items():
        for performance in result.performance:
            rows.add_metric((*stream, performance.kind), performance.rows)
    value = GaugeMetricFamily("tidemark_performance", "Measure of the last window with known targets, in its own unit", labels=_MEASURE)
    before = GaugeMetricFamily("tidemark_performance_reference", "The same measure on the reference dataset", labels=_MEASURE)
    for stream, performance, measure in _measures(measured):
        if measure.label and not admits_class(stream, measure.label):
            continue
        labels = (*stream, performance.kind, measure.name, measure.label)
        if measure.value is not None:
            value.add_metric(labels, measure.value)
        if measure.reference is not None:
            before.add_metric(labels, measure.reference)
    yield from (rows, value, before)


def _measures(windows: Mapping[Stream, WindowResult]) -> Iterator[tuple[Stream, Performance, Measure]]:
    for stream, result in windows.items():
        for performance in result.performance:
            if performance.status == "ok":
                yield from ((stream, performance, measure) for measure in performance.measures)
