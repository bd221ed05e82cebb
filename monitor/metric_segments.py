"""The gauges of segments, drawn at scrape time with those of the last windows. Part of ``monitor.metrics``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from schemas.result import SegmentResult, WindowResult

Stream = tuple[str, str]
Segment = tuple[str, str]  # column and value
_SEGMENT = ("model", "run_kind", "segment", "value")
_SCORED = (*_SEGMENT, "method")
_MEASURED = (*_SEGMENT, "measure")
Admits = Callable[[Stream, Segment], bool]

# name, help, value of each segment of the last judged window
_OF_ROWS: tuple[tuple[str, str, Callable[[SegmentResult], float]], ...] = (
    ("tidemark_segment_rows", "Judged rows of the segment in the last judged window", lambda s: s.rows),
    ("tidemark_segment_share", "Share of the last judged window's rows that are of the segment", lambda s: s.share),
    ("tidemark_segment_reference_share", "Share of the reference's rows that are of the segment", lambda s: s.reference_share),
)


def _read(segment: SegmentResult) -> bool:
    """False for a column that could not be read, which has no value; an empty text is a value like others."""
    return segment.reference_share > 0


def segments_of(result: WindowResult) -> Iterator[Segment]:
    """The segments that a result would take series for."""
    return ((s.segment, s.value) for s in result.segments if _read(s))


def segment_families(judged: Mapping[Stream, WindowResult], measured: Mapping[Stream, WindowResult], admits: Admits) -> Iterator[Metric]:
    """``judged`` are the last judged windows, ``measured`` the last ones whose targets were known; ``admits`` may refuse series."""
    shown = [(stream, s) for stream, result in judged.items() for s in result.segments if _read(s) and admits(stream, (s.segment, s.value))]
    for name, text, of_rows in _OF_ROWS:
        family = GaugeMetricFamily(name, text, labels=_SEGMENT)
        for stream, segment in shown:
            family.add_metric((*stream, segment.segment, segment.value), float(of_rows(segment)))
        yield family
    yield from _drift([(stream, s) for stream, s in shown if s.status == "ok" and s.threshold is not None])
    yield from _performance(measured, admits)


def _drift(judged: list[tuple[Stream, SegmentResult]]) -> Iterator[Metric]:
    score = GaugeMetricFamily(
        "tidemark_segment_prediction_drift_score", "Drift score of the segment's predictions, in its method's unit", labels=_SCORED
    )
    limit = GaugeMetricFamily("tidemark_segment_prediction_drift_threshold", "Threshold that the score is held against", labels=_SCORED)
    flag = GaugeMetricFamily(
        "tidemark_segment_drifted", "1 if the segment's predictions drifted in the last judged window", labels=_SEGMENT
    )
    for stream, segment in judged:
        labels = (*stream, segment.segment, segment.value)
        flag.add_metric(labels, float(segment.drifted))
        # A drifted one without a score had an infinite one, which results (JSON) cannot hold.
        score.add_metric((*labels, segment.method), math.inf if segment.score is None else segment.score)
        limit.add_metric((*labels, segment.method), float(segment.threshold or 0.0))
    yield from (score, limit, flag)


def _performance(windows: Mapping[Stream, WindowResult], admits: Admits) -> Iterator[Metric]:
    value = GaugeMetricFamily(
        "tidemark_segment_performance", "Leading measure of the segment in the last window with known targets", labels=_MEASURED
    )
    before = GaugeMetricFamily(
        "tidemark_segment_performance_reference", "The same measure in the segment of the reference dataset", labels=_MEASURED
    )
    for stream, result in windows.items():
        for segment in result.segments:
            if segment.measure is None or not admits(stream, (segment.segment, segment.value)):
                continue
            labels = (*stream, segment.segment, segment.value, segment.measure.name)
            if segment.measure.value is not None:
                value.add_metric(labels, segment.measure.value)
            if segment.measure.reference is not None:
                before.add_metric(labels, segment.measure.reference)
    yield from (value, before)
