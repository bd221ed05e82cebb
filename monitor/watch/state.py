"""From samples of the worker's metrics to the state of each stream. Pure functions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from monitor.watch.values import DriftedColumn, Sample, Stream, StreamState

RECORDS = "tidemark_records_total"
JUDGED_AT = "tidemark_last_window_judged_timestamp_seconds"
CLOSED_AT = "tidemark_last_window_closed_timestamp_seconds"
SHARE = "tidemark_window_drift_share"
LAG = "tidemark_consumer_lag_records"
_COLUMN_DRIFTED = "tidemark_column_drifted"
_COLUMN_SCORE = "tidemark_column_drift_score"
NAMES = (
    *("tidemark_stream_time_seconds", "tidemark_window_start_event_time_seconds", "tidemark_window_end_event_time_seconds"),
    *("tidemark_window_rows", "tidemark_window_drift_share_threshold", SHARE, JUDGED_AT, CLOSED_AT),
    *(RECORDS, LAG, _COLUMN_DRIFTED, _COLUMN_SCORE),
)
"""Every metric that is read."""


def stream_of(sample: Sample) -> Stream | None:
    """The stream that a sample is about, or None."""
    labels = sample.labels
    return (labels["model"], labels["run_kind"]) if "model" in labels and "run_kind" in labels else None


def stream_states(samples: Iterable[Sample]) -> tuple[StreamState, ...]:
    """The state of each stream, in order of model and run kind, without rates and history.

    After a rebalance two workers may show a model for a while: the one whose window closed last is right (compared by label
    ``instance``; its samples are never mixed with the other's).
    """
    groups: dict[Stream, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        stream = stream_of(sample)
        if stream is not None:
            groups[stream][sample.labels.get("instance", "")].append(sample)
    return tuple(_state(stream, max(groups[stream].values(), key=_closed_at)) for stream in sorted(groups))


def _closed_at(samples: Sequence[Sample]) -> float:
    return max((s.value for s in samples if s.name == CLOSED_AT), default=-math.inf)


def _state(stream: Stream, samples: Sequence[Sample]) -> StreamState:
    of = {s.name: s.value for s in samples if "column" not in s.labels}.get
    return StreamState(
        *stream,
        stream_time_s=of("tidemark_stream_time_seconds"),
        window_start_s=of("tidemark_window_start_event_time_seconds"),
        window_end_s=of("tidemark_window_end_event_time_seconds"),
        rows=of("tidemark_window_rows"),
        judged=of(JUDGED_AT) is not None and of(JUDGED_AT) == of(CLOSED_AT),
        judged_at_s=of(JUDGED_AT),
        share=of(SHARE),
        threshold=of("tidemark_window_drift_share_threshold"),
        drifted=_drifted_columns(samples),
    )


def _drifted_columns(samples: Sequence[Sample]) -> tuple[DriftedColumn, ...]:
    """Drifted columns: features, then prediction and target, each by score, largest first."""
    scores = {_column(s): s for s in samples if s.name == _COLUMN_SCORE}
    found = []
    for flag in samples:
        if flag.name == _COLUMN_DRIFTED and flag.value == 1:
            score = scores.get(_column(flag))
            method = score.labels.get("method", "") if score else ""
            found.append(DriftedColumn(*_column(flag), method, score.value if score else None))
    return tuple(sorted(found, key=lambda c: (c.role != "feature", -(c.score or 0.0), c.name)))


def _column(sample: Sample) -> tuple[str, str]:
    return sample.labels.get("column", ""), sample.labels.get("role", "")


def lag(samples: Iterable[Sample]) -> tuple[float | None, int]:
    """Records not yet read over all partitions (None when no partition is read) and the number of partitions."""
    partitions: dict[str, float] = {}
    for sample in samples:
        if sample.name == LAG:
            partition = sample.labels.get("partition", "")
            partitions[partition] = max(sample.value, partitions.get(partition, 0.0))
    return (sum(partitions.values()) if partitions else None), len(partitions)


def window_shares(points: Iterable[tuple[float, float]]) -> tuple[float, ...]:
    """The share of each judged window, from successive ``(judged_at_s, share)``; points of one window count once."""
    shares: list[float] = []
    last: float | None = None
    for judged_at, share in points:
        if judged_at != last and math.isfinite(share):
            shares.append(share)
            last = judged_at
    return tuple(shares)
