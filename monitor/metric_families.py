"""Metrics that are drawn at scrape time: the gauges of the last windows, and librdkafka's own statistics. Part of ``monitor.metrics``."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from config.durations import utc_text
from monitor.metric_performance import measured, performance_families
from monitor.metric_quality import quality_families
from monitor.metric_segments import Admits, segment_families
from schemas.result import ColumnResult, WindowResult

STREAM = ("model", "run_kind")
Stream = tuple[str, str]
MAX_VERSIONS = 3  # series a stream: a rollout has two


@dataclass(frozen=True, slots=True)
class Closed:
    """A window's result, and the wall clock (s since the epoch) when it was closed."""

    result: WindowResult
    closed_at_s: float
    alert: bool = False  # the alert of drift stands after it


@dataclass(slots=True)
class _StreamWindows:
    """What the gauges of one (model, run_kind) are drawn from: its last closed, judged, drifted, described and measured window."""

    closed: Closed
    judged: Closed | None = None
    drifted: Closed | None = None
    described: Closed | None = None  # not a small one
    measured: Closed | None = None  # its targets were known


# name, help, value of the last CLOSED window
_CLOSED_GAUGES: tuple[tuple[str, str, Callable[[Closed], float]], ...] = (
    ("tidemark_window_start_event_time_seconds", "Start of the last closed window, event time", lambda c: c.result.start_ms / 1000),
    ("tidemark_window_end_event_time_seconds", "End of the last closed window, event time", lambda c: c.result.end_ms / 1000),
    ("tidemark_window_rows", "Rows of the last closed window", lambda c: c.result.rows),
    ("tidemark_window_sampled_rows", "Rows of the last closed window that were judged", lambda c: c.result.sampled_rows),
    ("tidemark_last_window_closed_timestamp_seconds", "Wall clock when the last window closed", lambda c: c.closed_at_s),
)
# name, help, value of the last JUDGED window (status ok): too few rows say nothing about drift, so they don't change these
_JUDGED_GAUGES: tuple[tuple[str, str, Callable[[Closed], float]], ...] = (
    ("tidemark_window_drift_share", "Drifted features over judged features in the last judged window", lambda c: c.result.drift_share),
    ("tidemark_window_drift_share_threshold", "Share at which a window has drifted", lambda c: c.result.share_threshold),
    ("tidemark_window_drifted_columns", "Drifted features in the last judged window", lambda c: c.result.drifted_columns),
    ("tidemark_window_drifted", "1 if the last judged window has drifted", lambda c: c.result.drifted),
    ("tidemark_last_window_judged_timestamp_seconds", "Wall clock when the last judged window closed", lambda c: c.closed_at_s),
)
# name, help, value of the last DRIFTED window: alerts and their links read these, so that they name a window whose report exists
_DRIFTED_GAUGES: tuple[tuple[str, str, Callable[[Closed], float]], ...] = (
    ("tidemark_drifted_window_start_event_time_seconds", "Start of the last drifted window", lambda c: c.result.start_ms / 1000),
    ("tidemark_drifted_window_end_event_time_seconds", "End of the last drifted window", lambda c: c.result.end_ms / 1000),
    ("tidemark_drifted_window_share", "Drifted features over judged features in the last drifted window", lambda c: c.result.drift_share),
)
# name, help, value of the last JUDGED window of a spec with calibrated thresholds or persistence: alerts go by it in place of the share
_RULE_GAUGES: tuple[tuple[str, str, Callable[[Closed], float]], ...] = (
    ("tidemark_window_alert", "1 if as many of the last judged windows have drifted as alert_when asks for", lambda c: c.alert),
    ("tidemark_window_evidently_drifted", "1 if the last judged window has drifted by Evidently's rule", lambda c: by_evidently(c.result)),
)
_SEVERITY_GAUGES: tuple[tuple[str, str, Callable[[Closed], float]], ...] = (
    (
        "tidemark_drifted_window_severity",
        "How far beyond its calibrated threshold the furthest column of the last drifted window is; 1 at it",
        lambda c: c.result.severity,
    ),
)
CHANGES_SHOWN = 5  # columns of a drifted window whose change is told
CHANGE_LENGTH = 200  # characters
COLUMN = (*STREAM, "column", "role")
_SCORED = (*COLUMN, "method")


def own_rule(result: WindowResult) -> bool:
    """True where an alert does not simply follow from the window's drifted share."""
    return result.thresholds == "calibrated" or tuple(result.alert_windows) != (1, 1)


def by_evidently(result: WindowResult) -> bool:
    """The verdict of Evidently's rule, whichever rule counts."""
    return result.drifted if result.evidently_drifted is None else result.evidently_drifted


def _score(column: ColumnResult) -> float | None:
    """A drifted column without a score had an infinite one, which results (JSON) cannot hold and Prometheus can."""
    return math.inf if column.score is None and column.drifted else column.score


class WindowGauges(Collector):
    """The gauges of last windows. Drawn under one lock, so a scrape never sees half of a window, nor a column of an older one."""

    def __init__(
        self, admits_column: Callable[[Stream, str], bool], admits_class: Callable[[Stream, str], bool], admits_segment: Admits
    ) -> None:
        self._admits = admits_column
        self._admits_class = admits_class
        self._admits_segment = admits_segment
        self._lock = threading.Lock()
        self._streams: dict[Stream, _StreamWindows] = {}

    def put(self, stream: Stream, closed: Closed) -> None:
        with self._lock:
            windows = self._streams.setdefault(stream, _StreamWindows(closed))
            windows.closed = closed
            if closed.result.status == "ok":
                windows.judged = closed
                windows.drifted = closed if closed.result.drifted else windows.drifted
            windows.described = windows.described if closed.result.status == "insufficient_data" else closed
            windows.measured = closed if measured(closed.result) else windows.measured

    def remove(self, stream: Stream) -> None:
        with self._lock:
            self._streams.pop(stream, None)

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            streams = {s: replace(w) for s, w in sorted(self._streams.items())}
        yield from self._families(_CLOSED_GAUGES, {s: w.closed for s, w in streams.items()})
        judged = {s: w.judged for s, w in streams.items() if w.judged}
        yield from self._families(_JUDGED_GAUGES, judged)
        drifted = {s: w.drifted for s, w in streams.items() if w.drifted}
        yield from self._families(_DRIFTED_GAUGES, drifted)
        own = {s: c for s, c in judged.items() if own_rule(c.result)}
        yield from self._families(_RULE_GAUGES, own)
        yield from self._families(_SEVERITY_GAUGES, {s: c for s, c in drifted.items() if c.result.thresholds == "calibrated"})
        yield from self._columns(judged, drifted)
        yield self._changes(drifted)
        yield _versions(streams)
        yield from quality_families({s: w.described.result for s, w in streams.items() if w.described}, self._admits)
        last = {s: w.closed.result for s, w in streams.items()}
        known = {s: w.measured.result for s, w in streams.items() if w.measured}
        yield from performance_families(last, known, self._admits_class)
        yield from segment_families({s: c.result for s, c in judged.items()}, known, self._admits_segment)

    def _families(
        self, gauges: tuple[tuple[str, str, Callable[[Closed], float]], ...], windows: Mapping[Stream, Closed]
    ) -> Iterator[Metric]:
        for name, text, value in gauges:
            family = GaugeMetricFamily(name, text, labels=STREAM)
            for stream, closed in windows.items():
                family.add_metric(stream, float(value(closed)))
            yield family

    def _columns(self, judged: Mapping[Stream, Closed], drifted: Mapping[Stream, Closed]) -> Iterator[Metric]:
        score = GaugeMetricFamily(
            "tidemark_column_drift_score", "Drift score of the last judged window, in its method's unit", labels=_SCORED
        )
        limit = GaugeMetricFamily("tidemark_column_drift_threshold", "Threshold that the score is held against", labels=_SCORED)
        flag = GaugeMetricFamily("tidemark_column_drifted", "1 if the column drifted in the last judged window", labels=COLUMN)
        for stream, column in self._judged_columns(judged):
            labels = (*stream, column.name, column.role)
            flag.add_metric(labels, float(column.drifted))
            if (value := _score(column)) is not None:
                score.add_metric((*labels, column.method), value)
            if column.threshold is not None:
                limit.add_metric((*labels, column.method), column.threshold)
        last = GaugeMetricFamily(
            "tidemark_drifted_window_column_score", "Scores of the drifted columns of the last drifted window", labels=_SCORED
        )
        for stream, column in self._judged_columns(drifted):
            if column.drifted and (value := _score(column)) is not None:
                last.add_metric((*stream, column.name, column.role, column.method), value)
        yield from (score, limit, flag, last)

    def _changes(self, drifted: Mapping[Stream, Closed]) -> Metric:
        """What changed in the columns that are furthest beyond their thresholds, for the text of an alert."""
        family = GaugeMetricFamily(
            "tidemark_drifted_window_change",
            "How far beyond its threshold a drifted column of the last drifted window is, with what changed in it",
            labels=(*COLUMN, "change"),
        )
        for stream, closed in drifted.items():
            shown = [c for c in closed.result.columns if c.drifted and c.changes and self._admits(stream, c.name)]
            for column in sorted(shown, key=lambda c: -(c.excess or 0.0))[:CHANGES_SHOWN]:
                text = "; ".join(column.changes)
                change = (text if len(text) <= CHANGE_LENGTH else f"{text[: CHANGE_LENGTH - 1]}…") + _hint(column)
                family.add_metric((*stream, column.name, column.role, change), column.excess or 0.0)
        return family

    def _judged_columns(self, windows: Mapping[Stream, Closed]) -> Iterator[tuple[Stream, ColumnResult]]:
        for stream, closed in windows.items():
            for column in closed.result.columns:
                if column.status == "ok" and self._admits(stream, column.name):
                    yield stream, column


def _hint(column: ColumnResult) -> str:
    """What stands behind a change; nothing where the population changed, as it mostly did."""
    if column.hint == "seasonal" and column.like_start_ms is not None:
        return f" [seasonal: as in the window of {utc_text(column.like_start_ms)} UTC]"
    return f" [{column.hint}]" if column.hint == "data break" else ""


def _versions(streams: Mapping[Stream, _StreamWindows]) -> Metric:
    """At most ``MAX_VERSIONS`` of a window, the last by name: names come from events, so their number has no other bound."""
    family = GaugeMetricFamily(
        "tidemark_model_version_info", "1 for each version of the model in the last closed window", labels=(*STREAM, "model_version")
    )
    for stream, windows in streams.items():
        for version in sorted(windows.closed.result.model_versions)[-MAX_VERSIONS:]:
            family.add_metric((*stream, version), 1.0)
    return family


class ClientStatistics(Collector):
    """librdkafka counts for itself; its last statistics are handed on as they are."""

    def __init__(self) -> None:
        self._last: dict[str, Mapping[str, Any]] = {}

    def put(self, statistics: Mapping[str, Any]) -> None:
        self._last = {**self._last, str(statistics.get("type", "client")): statistics}

    def collect(self) -> Iterator[Metric]:
        labels = ("client",)
        received = CounterMetricFamily("tidemark_kafka_received_messages", "Messages that librdkafka received", labels=labels)
        sent = CounterMetricFamily("tidemark_kafka_sent_messages", "Messages that librdkafka sent", labels=labels)
        rebalances = CounterMetricFamily("tidemark_kafka_group_rebalances", "Rebalances that librdkafka counted", labels=labels)
        trip = GaugeMetricFamily("tidemark_kafka_round_trip_seconds", "Mean round trip to the slowest broker", labels=labels)
        for client, statistics in sorted(self._last.items()):
            received.add_metric((client,), float(statistics.get("rxmsgs", 0)))
            sent.add_metric((client,), float(statistics.get("txmsgs", 0)))
            if "cgrp" in statistics:
                rebalances.add_metric((client,), float(statistics["cgrp"].get("rebalance_cnt", 0)))
            brokers = [b["rtt"]["avg"] for b in statistics.get("brokers", {}).values() if b.get("rtt", {}).get("cnt")]
            if brokers:
                trip.add_metric((client,), max(brokers) / 1e6)  # librdkafka counts µs
        yield from (received, sent, rebalances, trip)
