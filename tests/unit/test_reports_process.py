"""Each judged window is kept beside the stream: rows and snapshot first, full reports where they are due, whatever is in the line."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from config.settings import Settings
from monitor.reports import ReportProcess
from monitor.reports.archive import read_sample, sample_path, samples_of
from monitor.reports.jobs import Record, Render, Waiting
from monitor.reports.paths import summaries
from tests.support.judged import Case, judged_window
from tests.support.waiting import wait_for


def record(case: Case, start_ms: int = 0) -> Record:
    """The record of a window."""
    window, spec, reference, result = case
    return Record(window, spec, reference, replace(result, start_ms=start_ms))


def render(case: Case, start_ms: int = 0) -> Render:
    """The report of a window."""
    window, spec, reference, result = case
    return Render(window, spec, reference, replace(result, start_ms=start_ms), Path("r.html"))


def snapshots(home: Path) -> dict[Path, int]:
    """The snapshots of the workspace, with the times that they were written."""
    return {p: p.stat().st_mtime_ns for p in (home / "workspace").glob("*/snapshots/*.json")}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A judged window."""
    return judged_window(tmp_path)


def starts(line: Waiting) -> list[tuple[str, int]]:
    """What the line gives out until it is empty."""
    found = []
    while (job := line.get(0)) is not None:
        found.append((type(job).__name__, job.result.start_ms))
    return found


def test_records_go_before_reports_but_do_not_starve_them(case: Case) -> None:
    """A report that waits lets 64 records pass, each in order, then it has its turn."""
    line = Waiting(reports=4)
    line.put(render(case, 1))
    for i in range(70):
        line.put(record(case, i))
    found = starts(line)
    assert found.index(("Render", 1)) == 64
    assert [s for kind, s in found if kind == "Record"] == list(range(70))


def test_the_oldest_rows_give_way_and_their_verdicts_stay(case: Case) -> None:
    """Beyond the bytes the oldest records lose their rows, beyond the number they go; the newest keeps its own, however large."""
    size = int(case[0].frame.estimated_size())
    line = Waiting(reports=1, records=4, record_bytes=2 * size)
    given_up = [[(type(j).__name__, j.result.start_ms) for j in line.put(record(case, i))] for i in range(5)]
    assert given_up == [[], [], [("Record", 0)], [("Record", 1)], [("Record", 0), ("Record", 2)]]
    kept = [line.get(0) for _ in range(4)]
    assert [j.result.start_ms for j in kept if j] == [1, 2, 3, 4]
    assert [j.window is not None for j in kept if isinstance(j, Record)] == [False, False, True, True]
    small = Waiting(reports=1, record_bytes=1)
    assert small.put(record(case)) == []
    assert small.put(render(case, 1)) == []
    assert [j.result.start_ms for j in small.put(render(case, 2))] == [1]


def test_waiting_ends_when_the_line_closes(case: Case) -> None:
    """A thread that waits for a job returns at once; what is in the line is still there to be taken out."""
    line = Waiting(reports=1)
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(line.get(60)))
    thread.start()
    line.close()
    thread.join(5)
    assert got == [None]
    line.put(record(case))
    assert line.get(0) is None
    assert [len(jobs) for jobs in line.rest()] == [1, 0]


LOADED = """
import sys
from config.settings import Settings
from monitor.reports.child import Answers
answers = Answers()
assert "evidently" not in sys.modules
assert answers.answer(Settings(home=sys.argv[1], workspace=sys.argv[2])) == ""
print("evidently.core.report" in sys.modules)
"""


@pytest.mark.parametrize("workspace", ["true", "false"])
def test_evidently_is_imported_before_the_first_window(tmp_path: Path, workspace: str) -> None:
    """The child imports Evidently with its first message where every window needs it, and not where only reports do."""
    command = [sys.executable, "-c", LOADED, str(tmp_path), workspace]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    assert said.strip() == workspace.capitalize()


def test_the_child_starts_without_a_window(tmp_path: Path) -> None:
    """The report process is there as soon as the worker is, and ends with it, though it may not be ready."""
    before = set(psutil.Process().children())
    reports = ReportProcess(Settings(home=tmp_path))
    wait_for(lambda: set(psutil.Process().children()) - before, "the child", 60)
    reports.close()
    assert set(psutil.Process().children()) == before


def test_every_window_is_kept_and_every_second_has_a_report(tmp_path: Path) -> None:
    """Five quiet windows, closed while the worker goes on: five samples, five snapshots, full reports of the second and fourth alone.
    One window that comes again after a restart stays one.
    """
    outcomes: list[str] = []
    reports = ReportProcess(Settings(home=tmp_path, report_every=2), outcomes.append)
    cases = [judged_window(tmp_path, hour) for hour in range(5)]
    for case in cases:
        reports.closed(*case)
    wait_for(lambda: outcomes == ["made", "made"], "two reports", 120)
    reports.close()
    made = sorted(s.start_ms for _, s in summaries(tmp_path / "reports", 10) if s.state == "full")
    assert made == [cases[1][0].start_ms, cases[3][0].start_ms]
    assert {p: read_sample(tmp_path, p).result for p in samples_of(tmp_path, "m")} == {sample_path(tmp_path, c[3]): c[3] for c in cases}
    before = snapshots(tmp_path)
    assert len(before) == 5
    again = ReportProcess(Settings(home=tmp_path))
    again.closed(*cases[4])
    wait_for(lambda: snapshots(tmp_path) != before, "a snapshot", 120)
    again.close()
    assert snapshots(tmp_path).keys() == before.keys()
    assert len(list(samples_of(tmp_path, "m"))) == 5


def test_archive_and_workspace_can_be_off(case: Case, tmp_path: Path) -> None:
    """With both off nothing is written, and no process is started for a quiet window; a drifted one still has its page."""
    reports = ReportProcess(Settings(home=tmp_path, archive=False, workspace=False))
    reports.closed(*case)
    drifted = judged_window(tmp_path, 1, shift=2)
    assert drifted[3].drifted
    reports.closed(*drifted)
    reports.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["references", "reports"]
    assert [s.start_ms for _, s in summaries(tmp_path / "reports", 5)] == [drifted[0].start_ms]


def test_a_window_that_cannot_be_kept_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the archive cannot be written to, the snapshot is made all the same, and the log names window and reason."""
    (tmp_path / "archive").write_text("a file where a folder has to be")
    reports = ReportProcess(Settings(home=tmp_path))
    reports.closed(*judged_window(tmp_path))
    wait_for(lambda: len(caplog.records) > 0, "a line in the log", 120)
    reports.close()
    assert len(snapshots(tmp_path)) == 1
    assert any("is not kept in full: " in r.getMessage() and "archive" in r.getMessage() for r in caplog.records)
