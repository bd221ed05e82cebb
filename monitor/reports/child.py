"""The report process: makes one report after another for the process that started it, until that one is gone."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from config.spec import ModelSpec
from monitor.reports.paths import Summary, write_report
from monitor.window import WindowData
from schemas.result import WindowResult


@dataclass(frozen=True, slots=True)
class Job:
    """One report to make, and the file it goes to."""

    window: WindowData
    spec: ModelSpec
    reference_path: Path
    result: WindowResult
    path: Path


def make(job: Job) -> str:
    """Make one report; returns the empty string, or what failed."""
    if not job.reference_path.is_file():
        return f"its reference dataset {job.reference_path.name} is not there any more"
    from monitor.reports.render import full_report  # noqa: PLC0415  # imports Evidently: seconds, and 270 MB

    try:
        html = full_report(job.window, job.spec, job.reference_path, job.result)
        write_report(job.path, html, Summary.of(job.result, "full"))
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001  # handed back as text: one window's trouble must not end the process
        return f"{type(error).__name__}: {error}"
    return ""


def main(fd: int) -> None:
    """Answer jobs on the connection ``fd`` until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started us; it closes the connection
    os.nice(10)  # plots must not take the processor from the stream
    connection: Connection[str, Job] = Connection(fd)
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(make(job))


if __name__ == "__main__":
    main(int(sys.argv[1]))
