"""What a worker knows of one partition: the streams on it, their open and pending windows. All of it is in the cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import polars as pl

from schemas.event import LIVE_RUN
from streams.windows.batch import VERSION, Outcast
from streams.windows.rows import HeldRows


class StreamId(NamedTuple):
    """A model's stream: the live one, or a run, which is its id AND the offset of its ``run_start`` (ids may come again)."""

    model: str
    run: str
    run_offset: int = -1

    @property
    def run_kind(self) -> Literal["live", "replay"]:
        """``live`` or ``replay``."""
        return "live" if self.run == LIVE_RUN else "replay"


class WindowId(NamedTuple):
    """A window of a stream, ``[start_ms, end_ms)``, bound to a spec."""

    stream: StreamId
    start_ms: int
    end_ms: int
    digest: str


@dataclass(slots=True)
class WindowState:
    """A window with its rows.

    ``chunks`` are the numbers of its live records on the checkpoint topic, in the order they were written. ``recent`` are the last of them
    with their rows: what one cut wrote each, and no merge has taken up yet.
    """

    id: WindowId
    rows: HeldRows
    versions: set[str] = field(default_factory=set)
    chunks: list[int] = field(default_factory=list)
    next_chunk: int = 0
    recent: list[tuple[int, pl.DataFrame]] = field(default_factory=list)

    def add(self, frame: pl.DataFrame) -> None:
        """Accept rows."""
        self.rows.add(frame)
        versions = frame[VERSION]
        if (versions == versions[0]).all():  # the usual case, and a tenth of the cost
            self.versions.add(versions[0])
        else:
            self.versions.update(versions.unique().to_list())


@dataclass(slots=True)
class Run:
    """An open replay: what its ``run_start`` declared. It keeps the spec it began with."""

    token: str
    span_start_ms: int
    span_end_ms: int
    digest: str


@dataclass(slots=True)
class Stream:
    """One stream's progress. ``time_ms`` is stream time: the highest event time seen, or None before the first event.

    ``seen_s`` is when a record of it last came, on the worker's monotonic clock, and
    ``received`` counts them until the worker takes them down; neither is in the cut.
    """

    id: StreamId
    time_ms: int | None = None
    run: Run | None = None
    windows: dict[WindowId, WindowState] = field(default_factory=dict)
    seen_s: float = 0.0
    received: int = 0


@dataclass(slots=True)
class PartitionState:
    """The state at ``position``, the next offset to read. ``timeline`` says from which event time a live spec holds.

    ``pending`` are closed windows whose result is not published; ``late`` and ``dead`` wait for the next cut. ``ended``
    are runs that ended since somebody last looked; no cut keeps them.
    """

    partition: int
    position: int = 0
    streams: dict[StreamId, Stream] = field(default_factory=dict)
    timeline: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    pending: dict[WindowId, WindowState] = field(default_factory=dict)
    late: list[Outcast] = field(default_factory=list)
    dead: list[Outcast] = field(default_factory=list)
    ended: list[Stream] = field(default_factory=list)
    changed: bool = False

    def open_runs(self, model: str) -> list[StreamId]:
        """The open replay runs of a model."""
        return [s for s in self.streams if s.model == model and s.run != LIVE_RUN]
