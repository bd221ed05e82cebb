"""Where reports lie: ``TIDEMARK_HOME/reports/{model}/{run_kind}/{run}/{start_s}-{end_s}.html``, a JSON summary beside each."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.result import WindowResult

_FILE = re.compile(r"-?\d+--?\d+\.html\Z")


def folder_of_id(name: str) -> str:
    """A folder's name for an id. An id may be ``..``, which is no name for a folder: it becomes ``~2``, which is no id."""
    return f"~{len(name)}" if set(name) <= {"."} else name


def path_of(reports: Path, model: str, run_kind: str, run: str, start_ms: int, end_ms: int) -> Path:
    """The file of a window's report below the folder ``reports``; start and end in ms since the epoch, s in the name."""
    return reports / folder_of_id(model) / run_kind / folder_of_id(run) / f"{start_ms // 1000}-{end_ms // 1000}.html"


def path_of_result(reports: Path, result: WindowResult) -> Path:
    """The file of a result's report."""
    return path_of(reports, result.model, result.run_kind, result.run, result.start_ms, result.end_ms)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list of reports shows of one. ``state`` is ``pending``, ``full`` or ``short`` (without Evidently's part)."""

    model: str
    run_kind: str
    run: str
    start_ms: int
    end_ms: int
    rows: int
    drift_share: float
    drifted: tuple[str, ...]
    state: str

    @classmethod
    def of(cls, result: WindowResult, state: str) -> Summary:
        """The summary of a result."""
        drifted = tuple(c.name for c in result.columns if c.drifted)
        start, end = result.start_ms, result.end_ms
        return cls(result.model, result.run_kind, result.run, start, end, result.rows, result.drift_share, drifted, state)


@contextmanager
def part_beside(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """A file to write, which takes ``path``'s place when all is written: a reader sees all of the old file or all of the new one.

    It lies in ``folder`` until then (on the same file system), by default in that of ``path``. When writing fails nothing is left.
    """
    folder = folder or path.parent
    path.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=".part-")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees all of the old one or all of the new one."""
    with part_beside(path) as part:
        part.write_text(text, encoding="utf-8")


def write_report(path: Path, html: str, summary: Summary) -> None:
    """Write a report and its summary."""
    write_atomically(path, html)
    write_atomically(path.with_suffix(".json"), json.dumps(asdict(summary)))


def reports_in(folder: Path) -> list[Path]:
    """Every report below a folder, the latest written first."""
    found = [(p.stat().st_mtime_ns, p) for p in folder.rglob("*.html") if _FILE.match(p.name)]
    return [path for _, path in sorted(found, reverse=True)]


def newest_of_window(reports: Path, model: str, run_kind: str, start_s: int) -> Path | None:
    """The report of the window that starts at ``start_s`` in the run whose report was written last; None without any."""
    runs = reports / folder_of_id(model) / run_kind
    found = [p for p in runs.glob(f"*/{start_s}-*.html") if _FILE.match(p.name)]
    return max(found, key=lambda p: p.stat().st_mtime_ns, default=None)


def summaries(reports: Path, limit: int) -> Iterator[tuple[Path, Summary]]:
    """The latest reports with their summaries; a report whose summary is not there yet is left out."""
    for path in reports_in(reports)[:limit]:
        beside = path.with_suffix(".json")
        if beside.is_file():
            fields: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
            yield path, Summary(**{**fields, "drifted": tuple(fields["drifted"])})


def window_files(folder: Path, model: str, suffix: str) -> Iterator[Path]:
    """Every window's file of a model with this suffix, of all run kinds and runs, in no order."""
    files = (folder / folder_of_id(model)).glob(f"*/*/*{suffix}")
    return (p for p in files if _FILE.match(p.with_suffix(".html").name))
