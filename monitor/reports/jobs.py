"""What the report process is asked to do, and the line in which it waits. Importing this imports no Evidently."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

from config.spec import ModelSpec
from monitor.window import WindowData
from schemas.result import WindowResult

RECORDS_IN_A_ROW = 64  # then a report that waits has its turn


@dataclass(frozen=True, slots=True)
class Record:
    """Keep a window: its rows in the archive (unless they had to be given up), its verdicts in the Evidently workspace. Milliseconds."""

    window: WindowData | None
    spec: ModelSpec
    reference_path: Path
    result: WindowResult
    compared: tuple[WindowResult, ...] = ()  # against earlier windows


@dataclass(frozen=True, slots=True)
class Render:
    """Make a full report, and the file it goes to. Seconds."""

    window: WindowData
    spec: ModelSpec
    reference_path: Path
    result: WindowResult
    path: Path
    compared: tuple[WindowResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Retain:
    """Remove what is older or larger than the settings allow."""


Job = Record | Render | Retain


class Waiting:
    """Jobs that wait: records before reports, since a record takes milliseconds and a report seconds. Bounded, so the oldest give way.

    Args:
        reports: reports that may wait; each holds its window's rows.
        records: records that may wait.
        record_bytes: bytes of rows that may wait with records; beyond, the oldest keep their verdicts only.
    """

    def __init__(self, reports: int, records: int = 2000, record_bytes: int = 48_000_000) -> None:
        self._limits = (reports, records, record_bytes)
        self._reports: deque[Render] = deque()
        self._records: deque[Record] = deque()
        self._sizes: deque[int] = deque()  # bytes of rows, about, of each of them
        self._in_a_row = 0
        self._changed = threading.Condition()
        self._closed = False

    def put(self, job: Record | Render) -> list[Record | Render]:
        """Add a job; returns those that gave way. A record among them with its rows is one that goes on without them."""
        with self._changed:
            given_up = self._put_render(job) if isinstance(job, Render) else self._put_record(job)
            self._changed.notify()
            return given_up

    def _put_render(self, job: Render) -> list[Record | Render]:
        self._reports.append(job)
        return [self._reports.popleft() for _ in range(len(self._reports) - self._limits[0])]

    def _put_record(self, job: Record) -> list[Record | Render]:
        self._records.append(job)
        self._sizes.append(0 if job.window is None else int(job.window.frame.estimated_size()))
        given_up: list[Record | Render] = []
        while len(self._records) > self._limits[1]:
            given_up.append(self._records.popleft())
            self._sizes.popleft()
        held = sum(self._sizes)
        for i in range(len(self._records) - 1):  # the newest keeps its rows, whatever their size
            if held <= self._limits[2]:
                break
            if self._sizes[i]:
                held -= self._sizes[i]
                self._sizes[i] = 0
                given_up.append(self._records[i])
                self._records[i] = replace(self._records[i], window=None)
        return given_up

    def get(self, timeout_s: float) -> Record | Render | None:
        """The next job; None when there was none in time, or when closed."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not self._closed and not self._records and not self._reports:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    return None
            return None if self._closed else self._next()

    def _next(self) -> Record | Render:
        if self._records and not (self._reports and self._in_a_row >= RECORDS_IN_A_ROW):
            self._in_a_row += 1
            self._sizes.popleft()
            return self._records.popleft()
        self._in_a_row = 0
        return self._reports.popleft()

    def close(self) -> None:
        """Give out no more; who waits in ``get`` returns at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def rest(self) -> tuple[list[Record], list[Render]]:
        """What waits still, taken out."""
        with self._changed:
            rest = list(self._records), list(self._reports)
            self._records.clear()
            self._sizes.clear()
            self._reports.clear()
            return rest
