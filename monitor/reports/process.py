"""Reports made beside the stream: bounded lines, one thread that watches, and one child process with Evidently in it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

from config.settings import Settings, settings
from config.spec import ModelSpec
from monitor.children import Child, ChildEnded
from monitor.reports.jobs import Job, Record, Render, Retain, Waiting
from monitor.reports.page import short_page
from monitor.reports.paths import Summary, path_of_result, write_report
from monitor.window import WindowData
from schemas.result import WindowResult

log = logging.getLogger(__name__)
RELOAD_S = 3
NICE = 15  # plots, and the seconds that importing them takes, must not take the processor from the stream
RETAIN_EVERY_S = 60.0  # while windows come
IDLE_S = 3600.0  # what is kept gets older without windows too
CLOSE_S = 3.0  # for the records that wait when the worker ends, which has 15 s for all of its end


class ReportProcess:
    """Keeps windows and makes their HTML reports without holding up the stream.

    Each window that is :meth:`closed` goes into the archive and the Evidently workspace (both are settings). One that has drifted, and
    every ``settings.report_every``-th of a run, is submitted for a full report. A submitted window has a page at once: our own part,
    which reloads itself until the full report takes its place. When that fails, takes longer than ``settings.report_timeout`` or
    cannot wait in the queue, the page stays and says why.

    Args:
        settings: the installation.
        on_outcome: called with ``made``, ``failed`` or ``dropped`` per report, from another thread too.
        waiting: reports that may wait; each holds its window's rows.
    """

    def __init__(self, settings: Settings, on_outcome: Callable[[str], None] = lambda _: None, waiting: int = 16) -> None:
        self._settings = settings
        self._reports = settings.under_home("reports")
        self.on_outcome = on_outcome
        self._waiting = Waiting(waiting)
        self._closing = threading.Event()
        self._closed_s = 0.0
        self._child: Child | None = None
        self._retained_s = -RETAIN_EVERY_S
        self._windows: Counter[tuple[str, str, int]] = Counter()
        self._thread = threading.Thread(target=self._work, name="reports", daemon=True)
        self._thread.start()

    def closed(
        self, window: WindowData, spec: ModelSpec, reference_path: Path, result: WindowResult, compared: tuple[WindowResult, ...] = ()
    ) -> None:
        """Keep a judged window, and ask for its full report where one is due; returns at once. To be called for every window.

        ``compared`` are its results against earlier windows.
        """
        if self._settings.archive or self._settings.workspace:
            rows = window if self._settings.archive else None
            self._put(Record(rows, spec, reference_path, result, compared))
        if self._is_due(result):
            self.submit(window, spec, reference_path, result, compared)

    def _is_due(self, result: WindowResult) -> bool:
        run = (result.model, result.run, result.run_offset)
        self._windows[run] += 1
        every = self._settings.report_every
        return result.drifted or bool(every and self._windows[run] % every == 0)

    def submit(
        self, window: WindowData, spec: ModelSpec, reference_path: Path, result: WindowResult, compared: tuple[WindowResult, ...] = ()
    ) -> None:
        """Ask for a window's full report; returns at once."""
        job = Render(window, spec, reference_path, result, path_of_result(self._reports, result), compared)
        self._write_short(job, "Evidently's full report is being made; this page reloads by itself.", "pending")
        self._put(job)

    def _put(self, job: Record | Render) -> None:
        """The newest window is the one that an alert links to, so the oldest that waits gives way."""
        for given_up in self._waiting.put(job):
            if isinstance(given_up, Render):
                self._give_up(given_up, "dropped", "too many newer windows were waiting for theirs")
            else:
                log.warning("window %s is not archived: too many newer windows wait", given_up.result.key)

    def close(self) -> None:
        """Stop. The report in work is given up, as are those that wait (their pages say so); windows that wait are kept yet."""
        self._closed_s = time.monotonic()
        self._closing.set()
        self._waiting.close()
        self._thread.join()

    def _work(self) -> None:
        self._start_early()
        while not self._closing.is_set():
            job = self._waiting.get(IDLE_S)
            if job is not None:
                self._do(job)
            if self._child is not None and time.monotonic() - self._retained_s >= RETAIN_EVERY_S and not self._closing.is_set():
                self._retained_s = time.monotonic()
                self._do(Retain())
        self._finish()
        if self._child is not None:
            self._child.close()

    def _start_early(self) -> None:
        """Let the child import Evidently while the worker starts: seconds of CPU that the first windows would have to share."""
        if not self._settings.workspace:
            return
        try:
            self._ready_child()
        except (ChildEnded, TimeoutError) as error:  # the first job tries again, and says what fails then
            log.debug("the report process did not start: %r", error)
            self._restart()

    def _finish(self) -> None:
        records, reports = self._waiting.rest()
        for job in reports:
            self._give_up(job, "dropped", "the worker was stopped before its turn")
        deadline_s = time.monotonic() + CLOSE_S
        for done, record in enumerate(records):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or self._child is None:  # none is started at the end: that takes seconds
                log.warning("%d windows are not kept: the worker was stopped before their turn", len(records) - done)
                return
            self._do(record, left_s)

    def _do(self, job: Job, timeout_s: float | None = None) -> None:
        failure = self._run(job, timeout_s or self._settings.report_timeout)
        if isinstance(job, Render):
            if failure:
                self._give_up(job, "failed", failure)
            else:
                self.on_outcome("made")
        elif failure:
            what = f"window {job.result.key} is not kept in full" if isinstance(job, Record) else "what is too old was not removed"
            log.warning("%s: %s", what, failure)

    def _run(self, job: Job, timeout_s: float) -> str:
        """Let the child do a job, at most ``timeout_s``; the empty string, or what failed."""
        try:
            return str(self._ready_child().call(job, timeout_s, lambda: self._is_unwanted(job)))
        except ChildEnded as error:
            self._restart()
            return f"the report process ended ({error})"
        except TimeoutError:
            self._restart()
            return "the worker was stopped" if self._is_unwanted(job) else f"it took longer than {timeout_s:g} s (TIDEMARK_REPORT_TIMEOUT)"

    def _ready_child(self) -> Child:
        if self._child is None:
            self._child = Child("monitor.reports.child", NICE)
            self._child.call(self._settings, self._settings.report_timeout, self._closing.is_set)
        return self._child

    def _is_unwanted(self, job: Job) -> bool:
        """True when the worker ends: at once for a report, which takes seconds, soon for a record."""
        return self._closing.is_set() and (isinstance(job, Render) or time.monotonic() - self._closed_s > CLOSE_S)

    def _restart(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None  # the next report starts another

    def _give_up(self, job: Render, outcome: str, reason: str) -> None:
        log.warning("no full report of %s: %s", job.path.name, reason)
        self._write_short(job, f"There is no full report of this window: {reason}.", "short")
        self.on_outcome(outcome)

    def _write_short(self, job: Render, note: str, state: str) -> None:
        """Write our own part alone; a full disk costs the page, not the stream."""
        html = short_page(job.result, (note,), RELOAD_S if state == "pending" else 0, job.compared)
        try:
            write_report(job.path, html, Summary.of(job.result, state))
        except OSError as error:
            log.error("cannot write the report %s: %s", job.path, error)


@cache
def process_reports() -> ReportProcess:
    """The report process of this process; who counts its outcomes sets ``on_outcome``."""
    return ReportProcess(settings())
