"""The report process: does one job after another for the process that started it, until that one is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from config.settings import Settings
from monitor.children import serve
from monitor.reports.archive import write_sample
from monitor.reports.jobs import Job, Record, Render
from monitor.reports.paths import Summary, write_report
from monitor.reports.retention import Limit, report_is_pending, retain

if TYPE_CHECKING:
    from monitor.workspace.store import SnapshotStore


class Maker:
    """Does the jobs of one installation. Evidently (seconds, and 270 MB) is imported by ``prepare``, where every window needs it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store: SnapshotStore | None = None

    def prepare(self) -> None:
        """Make ready what every window needs, before the first one comes."""
        if self._settings.workspace:
            self._snapshots()

    def do(self, job: Job) -> str:
        """Do one job; returns the empty string, or what failed."""
        if isinstance(job, Record):
            return "; ".join(text for text in (_tried(self._archive, job), _tried(self._snapshot, job)) if text)
        return _tried(self._render, job) if isinstance(job, Render) else _tried(self._retain)

    def _archive(self, job: Record) -> None:
        if self._settings.archive and job.window is not None:
            write_sample(self._settings.home, job.window, job.spec, job.reference_path, job.result, job.compared)

    def _snapshot(self, job: Record) -> None:
        if self._settings.workspace:
            self._snapshots().add(job.result, job.spec)

    def _snapshots(self) -> SnapshotStore:
        if self._store is None:
            from monitor.workspace.store import SnapshotStore  # noqa: PLC0415  # imports Evidently

            self._store = SnapshotStore(self._settings.under_home("workspace"))
        return self._store

    def _render(self, job: Render) -> None:
        if not job.reference_path.is_file():
            raise FileNotFoundError(f"its reference dataset {job.reference_path.name} is not there any more")
        from monitor.reports.render import full_report  # noqa: PLC0415  # imports Evidently

        html = full_report(job.window, job.spec, job.reference_path, job.result, job.compared)
        write_report(job.path, html, Summary.of(job.result, "full"))

    def _retain(self) -> None:
        now_ns, settings = time.time_ns(), self._settings
        reports, archive, workspace = limits(settings)
        retain(reports, now_ns, lambda path: report_is_pending(path, now_ns))
        retain(archive, now_ns)
        retain(workspace, now_ns)
        if self._store is not None:
            self._store.remove_empty_projects(now_ns / 1e9)


def limits(settings: Settings) -> tuple[Limit, Limit, Limit]:
    """What is kept of reports, samples and snapshots."""
    return (
        Limit(settings.under_home("reports"), ".html", settings.reports_max_age, settings.reports_max_bytes, (".json",)),
        Limit(settings.under_home("archive"), ".parquet", settings.archive_max_age, settings.archive_max_bytes),
        Limit(settings.under_home("workspace"), ".json", settings.workspace_max_age, settings.workspace_max_bytes, only_in="snapshots"),
    )


def _tried(call: Any, *arguments: Any) -> str:
    try:
        call(*arguments)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except FileNotFoundError as error:
        return str(error)
    except BaseException as error:  # noqa: BLE001  # handed back as text: one window's trouble must not end the process
        return f"{type(error).__name__}: {error}"
    return ""


class Answers:
    """The first message is the installation's settings, every other one a job."""

    def __init__(self) -> None:
        self._maker: Maker | None = None

    def answer(self, message: Settings | Job) -> str:
        """The empty string, or what failed."""
        if isinstance(message, Settings):
            self._maker = Maker(message)
            return _tried(self._maker.prepare)
        assert self._maker is not None, "a job came before the settings"
        return self._maker.do(message)


if __name__ == "__main__":
    serve(Answers().answer)
