"""Everything that Tidemark tells Prometheus; no other module builds metrics. Base units, ``_total`` on counters only, bounded labels."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, disable_created_metrics

from config.errors import DEAD_LETTER_REASONS
from monitor.metric_baselines import BaselineGauges
from monitor.metric_caps import LabelCaps
from monitor.metric_families import COLUMN, STREAM, ClientStatistics, Closed, Stream, WindowGauges
from monitor.metric_performance import classes_of
from monitor.metric_quality import columns_of
from monitor.metric_segments import segments_of
from monitor.persistence import History
from schemas.result import REFERENCE, WindowResult

# `_created` series would double the number of series and nothing of ours reads them
disable_created_metrics()  # type: ignore[no-untyped-call]

OUTCOMES = ("made", "failed", "dropped")  # of a report
EARLY_OUTCOMES = ("used", "again")
STATUSES = ("ok", "insufficient_data", "error")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The metrics of one worker process, in a registry of its own. Every method may be called from any thread.

    Labels are bounded: past ``max_streams`` pairs of model and run kind, or ``max_columns`` columns, ``max_classes`` class labels or
    ``max_segments`` segments over all of them, a name gets no series and ``tidemark_label_overflow_total`` counts the refusals. Times are s
    since the epoch unless a name says otherwise.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        max_streams: int = 20,
        max_columns: int = 150,
        max_classes: int = 60,
        max_segments: int = 100,
    ) -> None:
        self._lock = threading.Lock()
        self._streams: set[Stream] = set()
        self._forgotten: set[Stream] = set()
        self._histories: dict[Stream, History] = {}
        limits = {"column": max_columns, "class": max_classes, "segment": max_segments}
        self._build_windows(registry, {"model": max_streams} | limits)
        self._build_pipeline(registry)

    def _build_windows(self, registry: CollectorRegistry, limits: Mapping[str, int]) -> None:
        overflow = Counter(
            "tidemark_label_overflow_total", "Label values that got no series: the cap was reached", ("label",), registry=registry
        )
        self._caps = caps = LabelCaps(limits, overflow)
        self._gauges = WindowGauges(
            lambda stream, column: caps.has("column", (stream, column)),
            lambda stream, label: caps.has("class", (stream, label)),
            lambda stream, segment: caps.has("segment", (stream, segment)),
        )
        registry.register(self._gauges)

        def counter(name: str, text: str, labels: tuple[str, ...] = STREAM) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._baselines = BaselineGauges()
        registry.register(self._baselines)
        self._windows = counter("tidemark_windows_total", "Closed windows by the status of their result", (*STREAM, "status"))
        self._drifted_windows = counter("tidemark_drifted_windows_total", "Closed windows that have drifted")
        self._alerted_windows = counter("tidemark_alerted_windows_total", "Judged windows after which the alert of drift stood")
        self._drifted_columns = counter("tidemark_drifted_columns_total", "Drifted features, summed over windows")
        self._column_drifts = counter("tidemark_column_drifted_windows_total", "Windows in which the column drifted", COLUMN)
        self._tests_failed = counter(
            "tidemark_tests_failed_total", "Failed outcomes of a test, of the window or of a column", (*STREAM, "test")
        )
        self._evaluation = Histogram("tidemark_evaluation_seconds", "Judging one window", registry=registry, buckets=SECONDS)
        self._publish = Histogram(
            "tidemark_publish_seconds", "From a window's close to its committed result", registry=registry, buckets=SECONDS
        )

    def _build_pipeline(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = STREAM) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, labels: tuple[str, ...] = STREAM) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def seconds(name: str, text: str) -> Histogram:
            return Histogram(name, text, registry=registry, buckets=SECONDS)

        self._records = counter("tidemark_records_total", "Records taken into windows or found late")
        self._late = counter("tidemark_late_records_total", "Records that came after their window had closed")
        self._duplicates = counter("tidemark_duplicate_records_total", "Records whose event_id was already in the window")
        self._dead_letters = counter("tidemark_dead_letters_total", "Records that could not be used", ("reason",))
        self._lost_offsets = counter("tidemark_lost_offsets_total", "Offsets that retention removed unread", ("partition",))
        self._specs = gauge(
            "tidemark_model_spec_info", "The spec that the model's next windows are bound to; always 1", ("model", "digest")
        )
        self._rebalances = counter("tidemark_rebalances_total", "Changes of this worker's partitions", ())
        self._reports = counter("tidemark_reports_total", "HTML reports by outcome: made, failed, dropped", ("outcome",))
        for reason in DEAD_LETTER_REASONS:  # from 0 on, so that `increase()` sees the first one
            self._dead_letters.labels(reason)
        for outcome in OUTCOMES:
            self._reports.labels(outcome)
        self._early = counter("tidemark_early_verdicts_total", "Windows judged before they closed: used, or judged again", ("outcome",))
        for outcome in EARLY_OUTCOMES:
            self._early.labels(outcome)
        self._batch_records = Summary("tidemark_batch_records", "Records per batch", registry=registry)
        self._decode = seconds("tidemark_batch_decode_seconds", "Decoding one batch")
        self._ingest = seconds("tidemark_batch_ingest_seconds", "Putting one batch into windows")
        self._transaction = seconds("tidemark_transaction_seconds", "One cut: begin to commit")
        self._restore = seconds("tidemark_restore_seconds", "Restoring one partition from its cut")
        self._lag = gauge("tidemark_consumer_lag_records", "Records in the partition after the last one read", ("partition",))
        self._lag_s = gauge(
            "tidemark_consumer_lag_seconds", "Age by the broker's clock of the last record read; 0 when none waits", ("partition",)
        )
        self._committed_lag = gauge("tidemark_committed_lag_records", "Records in the partition after the committed offset", ("partition",))
        self._last_event = gauge("tidemark_last_event_received_timestamp_seconds", "Wall clock when the last record was received")
        self._stream_time = gauge("tidemark_stream_time_seconds", "Highest event time seen")
        self._open_windows = gauge("tidemark_open_windows", "Open windows")
        self._open_rows = gauge("tidemark_open_window_rows", "Rows in open windows")
        self._open_bytes = gauge("tidemark_open_window_bytes", "Memory of open windows")
        self._client = ClientStatistics()
        registry.register(self._client)
        self._per_stream: tuple[Counter | Gauge, ...] = (
            *(self._windows, self._drifted_windows, self._alerted_windows, self._drifted_columns, self._column_drifts, self._tests_failed),
            *(self._records, self._late, self._duplicates, self._last_event, self._stream_time),
            *(self._open_windows, self._open_rows, self._open_bytes),
        )

    def _admit(self, model: str, run_kind: str) -> bool:
        """Admit a stream. Its counters begin at 0 at once, before its first window, so that `increase()` sees the first one."""
        with self._lock:
            new = (model, run_kind) not in self._streams
            if not self._caps.fits("model", (model, run_kind)):
                return False
            self._forgotten.discard((model, run_kind))
            self._streams.add((model, run_kind))
            if new:
                for status in STATUSES:
                    self._windows.labels(model, run_kind, status)
                windows = (self._drifted_windows, self._alerted_windows, self._drifted_columns)
                for counter in (*windows, self._records, self._late, self._duplicates):
                    counter.labels(model, run_kind)
            return True

    def observe_result(self, result: WindowResult, closed_at_s: float, evaluation_s: float) -> None:
        """Take a window's result: gauges of the last window, and counters, so that no window between two scrapes is lost.

        ``closed_at_s`` is the wall clock (s since the epoch) at which the window closed, ``evaluation_s`` how long judging it took.
        """
        self._evaluation.observe(evaluation_s)
        stream = (result.model, result.run_kind)
        if not self._admit(*stream):
            return
        self._windows.labels(*stream, result.status).inc()
        if result.status == "ok":
            self._drifted_windows.labels(*stream).inc(result.drifted)
            self._drifted_columns.labels(*stream).inc(result.drifted_columns)
            self._count_columns(stream, result)
        self._count_tests(stream, result)
        self._admit_labels(stream, result)
        alert = self._alert(stream, result)
        self._alerted_windows.labels(*stream).inc(alert)
        self._gauges.put(stream, Closed(result, closed_at_s, alert))

    def _alert(self, stream: Stream, result: WindowResult) -> bool:
        """True where the window was judged and the alert stands after it."""
        with self._lock:
            return result.status == "ok" and self._histories.setdefault(stream, History()).add(result)

    def observe_compared(self, result: WindowResult, compared: Sequence[WindowResult]) -> None:
        """Take a window's results against earlier windows, ``compared``; ``result`` is the one against the reference."""
        if self._admit(result.model, result.run_kind):
            self._baselines.put((result.model, result.run_kind), compared)

    def show_result(self, result: WindowResult, closed_at_s: float) -> None:
        """Set the gauges as ``observe_result`` does, and count nothing: for a result that was published before this process began."""
        stream = (result.model, result.run_kind)
        if not self._admit(*stream):
            return
        if result.kind != REFERENCE:
            self._baselines.add(stream, result)
        else:
            self._count_columns(stream, result, weight=0)
            self._count_tests(stream, result, weight=0)
            self._admit_labels(stream, result)
            self._gauges.put(stream, Closed(result, closed_at_s, self._alert(stream, result)))

    def _admit_labels(self, stream: Stream, result: WindowResult) -> None:
        with self._lock:
            for segment in segments_of(result):
                self._caps.fits("segment", (stream, segment))
            for label in dict.fromkeys(classes_of(result)):
                self._caps.fits("class", (stream, label))

    def _count_columns(self, stream: Stream, result: WindowResult, weight: int = 1) -> None:
        with self._lock:
            fits = {name for name in columns_of(result) if self._caps.fits("column", (stream, name))}
        for column in result.columns:
            if column.name in fits and column.status == "ok":
                self._column_drifts.labels(*stream, column.name, column.role).inc(column.drifted * weight)

    def _count_tests(self, stream: Stream, result: WindowResult, weight: int = 1) -> None:
        for test in result.tests:
            self._tests_failed.labels(*stream, test.name).inc((test.status == "FAIL") * weight)

    def streams(self) -> frozenset[Stream]:
        """The pairs of model and run kind that have series."""
        with self._lock:
            return frozenset(self._streams)

    def remove_model(self, model: str, run_kind: str) -> None:
        """Remove every series of a model that no longer sends, and free its place under the caps. A record brings it back."""
        stream = (model, run_kind)
        self._gauges.remove(stream)
        self._baselines.remove(stream)
        with self._lock:
            self._streams.discard(stream)
            self._histories.pop(stream, None)
            self._forgotten.add(stream)
            self._caps.forget(stream)
            for metric in self._per_stream:
                metric.remove_by_labels({"model": model, "run_kind": run_kind})

    def records(self, model: str, run_kind: str, n: int) -> None:
        """Count records that belong to a model's stream."""
        if self._admit(model, run_kind):
            self._records.labels(model, run_kind).inc(n)

    def late(self, model: str, run_kind: str, n: int) -> None:
        """Count late records."""
        if self._admit(model, run_kind):
            self._late.labels(model, run_kind).inc(n)

    def duplicates(self, model: str, run_kind: str, n: int) -> None:
        """Count records whose ``event_id`` was already in their window."""
        if self._admit(model, run_kind):
            self._duplicates.labels(model, run_kind).inc(n)

    def early_verdict(self, outcome: str) -> None:
        """Count a window that was judged before it closed; ``outcome`` is one of ``EARLY_OUTCOMES``."""
        self._early.labels(outcome).inc()

    def dead_letters(self, reason: str, n: int) -> None:
        """Count dead letters; ``reason`` is one of ``DEAD_LETTER_REASONS``."""
        self._dead_letters.labels(reason).inc(n)

    def set_specs(self, digests: Mapping[str, str]) -> None:
        """The digest of each model's current spec and reference."""
        self._specs.clear()
        for model, digest in digests.items():
            self._specs.labels(model, digest).set(1)

    def batch(self, records: int, decode_s: float, ingest_s: float) -> None:
        """One batch: how many records, s of decoding, s of putting them into windows."""
        self._batch_records.observe(records)
        self._decode.observe(decode_s)
        self._ingest.observe(ingest_s)

    def published(self, seconds: float) -> None:
        """A window's result was committed so many s after the window closed."""
        self._publish.observe(seconds)

    def transaction(self, seconds: float) -> None:
        """One cut's transaction took so many s."""
        self._transaction.observe(seconds)

    def set_lag(self, partition: int, records: int, committed_lag: int, seconds: float) -> None:
        """Records of a partition that are not yet read, and not yet committed; how old the last one read is where others wait."""
        self._lost_offsets.labels(str(partition))  # from 0 on
        self._lag.labels(str(partition)).set(records)
        self._lag_s.labels(str(partition)).set(seconds)
        self._committed_lag.labels(str(partition)).set(committed_lag)

    def remove_partition(self, partition: int) -> None:
        """Forget the lag of a partition that another worker has now."""
        for gauge in (self._lag, self._lag_s, self._committed_lag):
            gauge.remove_by_labels({"partition": str(partition)})

    def event_received(self, model: str, run_kind: str, wall_s: float) -> None:
        """A record of the model was received at this wall clock."""
        if self._admit(model, run_kind):
            self._last_event.labels(model, run_kind).set(wall_s)

    def set_stream_time(self, model: str, run_kind: str, seconds: float) -> None:
        """The highest event time seen. A removed model is not brought back by it: its stream goes on without records."""
        if (model, run_kind) not in self._forgotten and self._admit(model, run_kind):
            self._stream_time.labels(model, run_kind).set(seconds)

    def set_open_windows(self, model: str, run_kind: str, windows: int, rows: int, bytes: int) -> None:
        """What a model's open windows hold. A removed model is not brought back by it."""
        if (model, run_kind) not in self._forgotten and self._admit(model, run_kind):
            self._open_windows.labels(model, run_kind).set(windows)
            self._open_rows.labels(model, run_kind).set(rows)
            self._open_bytes.labels(model, run_kind).set(bytes)

    def data_loss(self, partition: int, offsets: int) -> None:
        """Retention removed so many offsets of a partition before they were read."""
        self._lost_offsets.labels(str(partition)).inc(offsets)

    def rebalance(self) -> None:
        """This worker's partitions changed."""
        self._rebalances.inc()

    def restore(self, seconds: float) -> None:
        """One partition was restored from its cut in so many s."""
        self._restore.observe(seconds)

    def client_statistics(self, statistics: Mapping[str, Any]) -> None:
        """The statistics of a Kafka client, as ``stats_cb`` gives them (parsed JSON); the client's type is its label."""
        self._client.put(statistics)

    def report(self, outcome: str) -> None:
        """A report was ``made``, ``failed`` (a short page stands in for it) or ``dropped`` (too many were waiting)."""
        self._reports.labels(outcome).inc()
