"""How far the worker is behind: in records, by time, and behind what is committed."""

from __future__ import annotations

from monitor.metrics import Metrics
from streams.source import Source


def show_lag(source: Source, metrics: Metrics, now_s: float) -> int:
    """Show each ready partition's lag at the wall clock ``now_s``; returns the records not yet read over all of them.

    Ends of partitions are as the consumer last heard. Lag by time is the age, by the broker's timestamp, of the last record read while
    others wait: it holds for live and replayed events alike.
    """
    total = 0
    for partition in list(source.partitions.values()):
        if partition.ready and partition.state is not None:
            lag = max(0, partition.end - partition.state.position)
            age_s = max(0.0, now_s - partition.read_to_ms / 1000) if lag and partition.read_to_ms else 0.0
            metrics.set_lag(partition.number, lag, max(0, partition.end - partition.committed_position), age_s)
            total += lag
    return total
