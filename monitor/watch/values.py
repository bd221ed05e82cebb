"""What ``tidemark watch`` shows, apart from where it was read and how it is drawn. Times are s since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

Stream = tuple[str, str]
"""Model and run kind (``live`` or ``replay``)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a metric: its name, its labels and its value."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class DriftedColumn:
    """A column that drifted in the last judged window; ``score`` is in the unit of ``method`` (a distance or a p-value)."""

    name: str
    role: str
    method: str
    score: float | None


@dataclass(frozen=True, slots=True)
class StreamState:
    """One model's live traffic or replay. A value is None while its series isn't there, e.g. before the first window has closed.

    ``rows``, ``window_start_s`` and ``window_end_s`` are of the last closed window, ``share``, ``threshold`` and ``drifted`` of the last
    judged one; ``judged`` is False when the last closed window was not judged (too few rows, or an error). ``shares`` are the shares of
    drifted features of the last judged windows, oldest first.
    """

    model: str
    run_kind: str
    stream_time_s: float | None = None
    window_start_s: float | None = None
    window_end_s: float | None = None
    rows: float | None = None
    judged: bool = False
    judged_at_s: float | None = None
    share: float | None = None
    threshold: float | None = None
    drifted: tuple[DriftedColumn, ...] = ()
    events_per_s: float | None = None
    shares: tuple[float, ...] = ()

    @property
    def stream(self) -> Stream:
        """Model and run kind."""
        return self.model, self.run_kind

    def with_history(self, events_per_s: float | None, shares: tuple[float, ...]) -> StreamState:
        """The same with what only several scrapes can tell."""
        return replace(self, events_per_s=events_per_s, shares=shares)


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """An alert that fires; ``model`` and ``run_kind`` are empty when it is about no stream."""

    name: str
    severity: str
    model: str
    run_kind: str
    summary: str
    since: str


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is shown at one time.

    ``alerts`` is None when they cannot be known (Prometheus does not answer). ``lag_records`` is the sum over partitions: lag belongs to
    a partition, which may hold several models, so it stands above the table and not in a row. ``down`` names workers that Prometheus
    could not scrape.
    """

    source: str
    streams: tuple[StreamState, ...]
    lag_records: float | None
    partitions: int
    alerts: tuple[FiringAlert, ...] | None
    down: tuple[str, ...] = ()
    note: str = ""
