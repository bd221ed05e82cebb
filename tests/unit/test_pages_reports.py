"""HTML reports: made beside the stream by the real child process, safe against any name, there at once whatever fails."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from config.settings import Settings
from config.spec import ModelSpec
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.reports import ReportProcess, path_of
from monitor.reports.page import header
from monitor.reports.paths import newest_of_window, summaries
from monitor.window import WindowData
from schemas.result import WindowResult
from tests.support.results import HOSTILE, judged_column, window_result
from tests.support.waiting import wait_for

NAME = HOSTILE.replace("\n", " ")
SPEC = {
    "model": "m",
    "reference": "r.parquet",
    "features": {NAME: {"type": "double"}, "city": {"type": "string", "kind": "categorical"}, "empty": {"type": "double"}},
    "prediction": {"column": "prediction", "type": "double"},
    "window": {"size": "1h"},
    "min_rows": 1,
}


def rows(seed: int, n: int, shift: float) -> pl.DataFrame:
    """Rows with a hostile column name, hostile category values, and infinities."""
    rng = np.random.default_rng(seed)
    number = rng.normal(shift, 1, n)
    number[0] = np.inf
    city = rng.choice(["Århus", "</script><script>alert(2)</script>", "x"], n)
    return pl.DataFrame({NAME: number, "city": city, "empty": rng.normal(0, 1, n), "prediction": rng.normal(shift, 1, n)})


Case = tuple[WindowData, ModelSpec, Path, WindowResult]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A drifted window, one of whose columns is all null, judged for real."""
    spec = ModelSpec.model_validate(SPEC)
    reference = tmp_path / "r.parquet"
    rows(1, 500, 0).write_parquet(reference)
    frame = rows(2, 300, 2).with_columns(pl.lit(None, pl.Float64).alias("empty"))
    window = WindowData("m", "..", "replay", 0, 3_600_000, "d", 0, ("1",), frame, 300, 0, True, {"empty": 300})
    return window, spec, reference, evaluate(window, spec, load_reference(spec, reference))


def test_a_report_is_there_at_once_and_then_in_full(case: Case, tmp_path: Path) -> None:
    """submit returns with a page in place; Evidently's page follows, without the all-null column and with nothing run from names."""
    outcomes: list[str] = []
    reports = ReportProcess(Settings(home=tmp_path), outcomes.append)
    path = path_of(tmp_path / "reports", "m", "replay", "..", 0, 3_600_000)
    window, spec, _reference, result = case
    reports.submit(window, spec, tmp_path / "gone.parquet", result)  # its failure must not cost the next one
    reports.submit(*case)
    assert path.is_relative_to(tmp_path / "reports" / "m" / "replay")
    assert path.resolve() == path
    assert 'http-equiv="refresh"' in path.read_text(encoding="utf-8")
    wait_for(lambda: len(outcomes) == 2, "two reports", 120)
    reports.close()
    assert outcomes == ["failed", "made"]
    html = path.read_text(encoding="utf-8")
    assert "window.drawDashboard" in html
    assert 'http-equiv="refresh"' not in html
    assert "Evidently&#39;s part below leaves out empty:" in html
    assert "<img src=x" not in html
    assert "<script>alert(2)" not in html
    assert "&lt;!channel&gt;" in html
    ((found, summary),) = summaries(tmp_path / "reports", 10)
    assert found == path
    assert (summary.state, summary.run, summary.drifted) == ("full", "..", (NAME, "prediction"))


def test_a_report_that_takes_too_long_leaves_its_short_page(case: Case, tmp_path: Path) -> None:
    """Past the time limit the child is killed, and the page says why."""
    outcomes: list[str] = []
    reports = ReportProcess(Settings(home=tmp_path, report_timeout=0.05), outcomes.append)
    reports.submit(*case)
    wait_for(lambda: len(outcomes) == 1, "a report", 120)
    path = newest_of_window(tmp_path / "reports", "m", "replay", 0)
    assert path is not None
    assert "longer than 0.05 s (TIDEMARK_REPORT_TIMEOUT)" in path.read_text(encoding="utf-8")
    reports.close()
    assert outcomes == ["failed"]


def test_a_missing_reference_is_named_on_the_page(case: Case, tmp_path: Path) -> None:
    """A failing report is counted, its page keeps our verdicts and names what failed."""
    window, spec, reference, result = case
    reference.unlink()
    outcomes: list[str] = []
    reports = ReportProcess(Settings(home=tmp_path), outcomes.append)
    reports.submit(window, spec, reference, result)
    wait_for(lambda: bool(outcomes), "a report", 120)
    reports.close()
    path = newest_of_window(tmp_path / "reports", "m", "replay", 0)
    assert path is not None
    html = path.read_text(encoding="utf-8")
    assert outcomes == ["failed"]
    assert "reference dataset r.parquet is not there any more" in html
    assert "Verdicts" in html


def test_a_full_queue_drops_the_oldest_without_waiting_and_closing_ends_at_once(case: Case, tmp_path: Path) -> None:
    """Ten submits into a queue of one return at once; the oldest give way to the newest, and each has an outcome after close()."""
    window, spec, reference, result = case
    outcomes: list[str] = []
    reports = ReportProcess(Settings(home=tmp_path), outcomes.append, waiting=1)
    began = time.monotonic()
    for i in range(10):
        reports.submit(window, spec, reference, replace(result, start_ms=i * 1000))
    assert outcomes.count("dropped") >= 8
    newest = newest_of_window(tmp_path / "reports", "m", "replay", 9)
    assert newest is not None
    assert "is being made" in newest.read_text(encoding="utf-8")
    reports.close()
    assert time.monotonic() - began < 5
    assert len(outcomes) == 10
    assert "made" not in outcomes


def test_the_header_shows_names_literally() -> None:
    """A hostile name stands escaped in our part, and nothing of it is markup."""
    html = header(window_result(judged_column(HOSTILE, 0.5, changes=(f"new value {HOSTILE}",))))
    assert "<img" not in html
    assert "{{ .x }}" in html
    assert html.count("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;") == 3


def test_the_header_shows_earlier_windows() -> None:
    """Each baseline has a line: which window, what it comes to, the drifted columns by name, escaped; one without rows says why."""
    hour = 3_600_000
    before = window_result(judged_column(HOSTILE, 0.5), kind="previous", baseline_start_ms=0, baseline_end_ms=hour)
    reason = "no rows are kept of the window"
    lag = window_result(kind="lag:7d", status="insufficient_data", reason=reason, baseline_start_ms=hour, baseline_end_ms=2 * hour)
    html = header(window_result(judged_column("a", 0.5)), (), (before, lag))
    table = html[html.index("Against earlier windows") :]
    lines = [line.split("</tr>")[0] for line in table.split("<tr>")[2:4]]
    assert "previous" in lines[0]
    assert "1970-01-01 00:00 to 1970-01-01 01:00" in lines[0]
    assert "100 %" in lines[0]
    assert "&lt;img src=x" in lines[0]
    assert "<img" not in html
    assert "insufficient data</span> no rows are kept of the window" in lines[1]
    assert "Against earlier windows" not in header(window_result(judged_column("a", 0.5)))


def test_the_header_tells_a_season() -> None:
    """A column that is as it was a week ago says so behind what changed."""
    column = replace(judged_column("a", 0.5, changes=("mean 1 → 2",)), hint="seasonal", like_start_ms=3_600_000)
    assert "mean 1 → 2 (seasonal: as in the window of 1970-01-01 01:00 UTC)" in header(window_result(column))


def test_an_infinite_score_is_shown(tmp_path: Path) -> None:
    """A drifted column without a score (it was infinite) is shown as ∞."""
    assert "∞" in header(window_result(judged_column("a", 1.0, score=None)))


def test_a_windows_newest_run_is_found(tmp_path: Path) -> None:
    """Two runs hold the same window: the one written last is found; a window without report is None."""
    for i, run in enumerate(("a", "b")):
        path = path_of(tmp_path, "m", "replay", run, 5000, 6000)
        path.parent.mkdir(parents=True)
        path.write_text("x")
        os.utime(path, (10 - i, 10 - i))
    assert newest_of_window(tmp_path, "m", "replay", 5) == path_of(tmp_path, "m", "replay", "a", 5000, 6000)
    assert newest_of_window(tmp_path, "m", "replay", 6) is None
