"""Reports made beside the stream: a bounded queue, one thread that watches, and one child process with Evidently in it."""

from __future__ import annotations

import logging
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from config.settings import Settings
from config.spec import ModelSpec
from monitor.reports.child import Job
from monitor.reports.page import short_page
from monitor.reports.paths import Summary, path_of_result, remove_old, write_report
from monitor.window import WindowData
from schemas.result import WindowResult

log = logging.getLogger(__name__)
RELOAD_S = 3


class _Child:
    """The child process and the connection to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "monitor.reports.child", str(fd)], pass_fds=[fd], stdin=subprocess.DEVNULL
            )
        self.connection: Connection[Job, str] = Connection(ours.detach())

    def run(self, job: Job, timeout_s: float) -> str | None:
        """Make a report: the empty string, what failed, or None when there was no answer in time."""
        self.connection.send(job)
        return self.connection.recv() if self.connection.poll(timeout_s) else None

    def kill(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()


class ReportProcess:
    """Makes the HTML reports of windows without holding up the stream.

    A submitted window has a page at once: our own part, which reloads itself until the full report takes its place. When that fails,
    takes longer than ``settings.report_timeout`` or cannot wait in the queue, the page stays and says why.

    Args:
        settings: the installation.
        on_outcome: called with ``made``, ``failed`` or ``dropped`` per report, from another thread too.
        waiting: reports that may wait; each holds its window's rows.
        keep: reports kept per model and run kind; 4 MB each.
    """

    def __init__(self, settings: Settings, on_outcome: Callable[[str], None] = lambda _: None, waiting: int = 16, keep: int = 200) -> None:
        self._reports = settings.under_home("reports")
        self._timeout_s = settings.report_timeout
        self._on_outcome = on_outcome
        self._keep = keep
        self._queue: queue.Queue[Job | None] = queue.Queue(maxsize=waiting)
        self._closing = threading.Event()
        self._child: _Child | None = None
        self._thread = threading.Thread(target=self._work, name="reports", daemon=True)
        self._thread.start()

    def submit(self, window: WindowData, spec: ModelSpec, reference_path: Path, result: WindowResult) -> None:
        """Ask for a window's report; returns at once."""
        job = Job(window, spec, reference_path, result, path_of_result(self._reports, result))
        self._write_short(job, "Evidently's full report is being made; this page reloads by itself.", "pending")
        while True:
            try:
                self._queue.put_nowait(job)
                return
            except queue.Full:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Make room: the newest window is the one that an alert links to, so the oldest that waits gives way."""
        try:
            oldest = self._queue.get_nowait()
        except queue.Empty:
            return  # the thread took it meanwhile
        if oldest is not None:
            self._give_up(oldest, "dropped", f"{self._queue.maxsize} newer windows were waiting for theirs")

    def close(self) -> None:
        """Stop. The report in work is given up, as are those that wait; their pages say so."""
        self._closing.set()
        child = self._child
        if child is not None:
            child.process.kill()  # ends the wait for its answer
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            log.debug("the queue of reports is full: the thread sees that it has to close at the next one")
        self._thread.join()

    def _work(self) -> None:
        while True:
            job = self._queue.get()
            if job is not None and not self._closing.is_set():
                self._make(job)
            elif job is not None:
                self._give_up(job, "dropped", "the worker was stopped before its turn")
            if self._closing.is_set() and self._queue.empty():
                break
        if self._child is not None:
            self._child.kill()

    def _make(self, job: Job) -> None:
        try:
            self._child = self._child or _Child()
            failure = self._child.run(job, self._timeout_s)
        except (EOFError, OSError) as error:
            failure = "the worker was stopped" if self._closing.is_set() else f"the report process ended ({error or 'killed'})"
            self._restart()
        if failure is None:
            failure = f"it took longer than {self._timeout_s:g} s (TIDEMARK_REPORT_TIMEOUT)"
            self._restart()
        if failure:
            self._give_up(job, "failed", failure)
        else:
            self._on_outcome("made")
            self._retain(job)

    def _restart(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None  # the next report starts another

    def _give_up(self, job: Job, outcome: str, reason: str) -> None:
        log.warning("no full report of %s: %s", job.path.name, reason)
        self._write_short(job, f"There is no full report of this window: {reason}.", "short")
        self._on_outcome(outcome)

    def _write_short(self, job: Job, note: str, state: str) -> None:
        """Write our own part alone; a full disk costs the page, not the stream."""
        html = short_page(job.result, (note,), RELOAD_S if state == "pending" else 0)
        try:
            write_report(job.path, html, Summary.of(job.result, state))
        except OSError as error:
            log.error("cannot write the report %s: %s", job.path, error)

    def _retain(self, job: Job) -> None:
        try:
            remove_old(job.path.parent.parent, self._keep)
        except OSError as error:
            log.error("cannot remove old reports of %s: %s", job.result.model, error)
