"""`tidemark report`: any archived window is found by its start, and its report is the one that the worker would have made."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from polars.testing import assert_frame_equal

from config.errors import TidemarkError, UsageError
from config.settings import Settings
from monitor.reports.archive import read_sample, write_sample
from monitor.reports.on_demand import make_report
from monitor.reports.paths import summaries
from monitor.reports.window_choice import choose, parse_window
from tests.support.judged import HOUR_MS, START_MS, judged_rows, judged_window

START_S = START_MS // 1000
REPLAY: dict[str, Any] = {"run": "2025-a", "run_kind": "replay", "run_offset": 7}


def archive(home: Path, *hours: int, **about: Any) -> list[Path]:
    """Put windows into the archive."""
    return [write_sample(home, *judged_window(home, hour, **about)) for hour in hours]


def test_a_sample_keeps_the_verdicts_against_earlier_windows(tmp_path: Path) -> None:
    """Results against baselines are in the sample, and so in a report that is made later."""
    window, spec, reference, result = judged_window(tmp_path, 3, 1.5)
    compared = tuple(replace(result, kind=kind, baseline_start_ms=0, baseline_end_ms=1) for kind in ("previous", "lag:1d"))
    assert read_sample(tmp_path, write_sample(tmp_path, window, spec, reference, result, compared)).compared == compared
    page = make_report(Settings(home=tmp_path), "m", "last", None).read_text()
    assert page.count("lag:1d") == 1
    assert read_sample(tmp_path, write_sample(tmp_path, window, spec, reference, result)).compared == ()


def test_a_sample_is_the_judged_window_again(tmp_path: Path) -> None:
    """Rows in order and type, result, spec and reference come back as they were; a moved installation finds its reference."""
    home = tmp_path / "before"
    window, spec, reference, result = judged_window(home, 3, 1.5, **REPLAY)
    path = write_sample(home, window, spec, reference, result)
    sample = read_sample(home, path)
    assert_frame_equal(sample.window.frame, window.frame)
    assert (sample.spec, sample.reference_path, sample.result) == (spec, reference, result)
    assert replace(sample.window, frame=window.frame, nulls={}) == window
    home.rename(tmp_path / "after")
    moved = read_sample(tmp_path / "after", tmp_path / "after" / path.relative_to(home))
    assert moved.reference_path.is_file()
    assert [p.name for p in path.relative_to(home).parents][:3] == ["2025-a", "replay", "m"]


def test_a_file_that_is_no_sample_is_named(tmp_path: Path) -> None:
    """A Parquet file of something else, and a file of no format at all, are told as such."""
    other, broken = tmp_path / "other.parquet", tmp_path / "broken.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(other)
    broken.write_text("PAR1 not really")
    for path in (other, broken, tmp_path / "gone.parquet"):
        with pytest.raises(TidemarkError, match=re.escape(str(path))):
            read_sample(tmp_path, path)


@pytest.mark.parametrize(
    ("text", "start_s"),
    [
        ("last", None),
        ("2013-06-24T04:00", 1372046400),
        ("2013-06-24 04:00:00", 1372046400),
        ("2013-06-24T00:00-04:00", 1372046400),
        ("2013-06-24T04:00Z", 1372046400),
        ("1372046400", 1372046400),
        ("2013-06-24", 1372032000),
    ],
)
def test_a_window_is_named_by_its_start(text: str, start_s: int | None) -> None:
    """ISO times are UTC unless they say otherwise; bare numbers are s since the epoch."""
    assert parse_window(text) == start_s


@pytest.mark.parametrize("text", ["", "yesterday", "2013-13-01", "12:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With the text and how to write it."""
    with pytest.raises(UsageError, match="is no time") as told:
        parse_window(text)
    assert "2013-06-24T04:00" in told.value.remedy


def test_live_comes_first_then_the_run_written_last(tmp_path: Path) -> None:
    """The same window of three runs: the live one without --run; without a live one that written last; --run names one."""
    runs = {name: archive(tmp_path, 0, **{**REPLAY, "run": name})[0] for name in ("a", "b")}
    os.utime(runs["b"], (1, 1))
    assert choose(tmp_path, "m", START_S, None).path == runs["a"]
    assert choose(tmp_path, "m", START_S, "b").path == runs["b"]
    (live,) = archive(tmp_path, 0)
    os.utime(live, (0, 0))
    assert choose(tmp_path, "m", START_S, None).path == live


def test_last_is_the_latest_window_not_the_one_written_last(tmp_path: Path) -> None:
    """Of live windows where there are any; of a run where it is named."""
    early, late = archive(tmp_path, 1, 2)
    (replayed,) = archive(tmp_path, 9, **REPLAY)
    os.utime(early, (2e9, 2e9))
    assert choose(tmp_path, "m", None, None).path == late
    assert choose(tmp_path, "m", None, "2025-a").path == replayed


def test_a_missing_window_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    """The nearest ten of twelve are named; of another model or run, the models and runs that have windows."""
    archive(tmp_path, *range(12))
    with pytest.raises(TidemarkError, match="starts at 2025-") as told:
        choose(tmp_path, "m", START_S + 1, None)
    assert told.value.remedy.count("(live)") == 10
    assert "the 10 nearest of 12" in told.value.remedy
    with pytest.raises(TidemarkError, match="runs with windows: live"):
        choose(tmp_path, "m", None, "other")
    with pytest.raises(TidemarkError, match="models with windows: m"):
        choose(tmp_path, "other", None, None)


def test_a_report_is_made_from_the_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A quiet window that never had a report gets its full one: progress on stderr, the path alone on stdout, listed as full."""
    archive(tmp_path, 0, 1)
    path = make_report(Settings(home=tmp_path, public_url="http://127.0.0.1:8502"), "m", str(START_S + HOUR_MS // 1000), None)
    said = capsys.readouterr()
    assert said.out == f"{path}\n"
    assert re.search(r"\d s +Data drift\n", said.err)
    assert f"http://127.0.0.1:8502/reports/m/live/live/{path.name}" in said.err
    html = path.read_text(encoding="utf-8")
    assert "window.drawDashboard" in html
    assert "no data drift" in html
    ((listed, summary),) = summaries(tmp_path / "reports", 5)
    assert (listed, summary.state, summary.start_ms) == (path, "full", START_MS + HOUR_MS)


def test_a_lost_reference_is_named(tmp_path: Path) -> None:
    """Nothing is drawn against another reference."""
    archive(tmp_path, 0)
    reference = tmp_path / "references" / "r.parquet"
    reference.unlink()
    with pytest.raises(TidemarkError, match=re.escape(str(reference))):
        make_report(Settings(home=tmp_path), "m", "last", None)


def test_the_command_ends_with_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tidemark report` and `tidemark ui` in an empty installation say what is not there."""
    import monitor.cli

    monkeypatch.setattr(monitor.cli, "settings", lambda: Settings(home=tmp_path))
    invoke: Callable[..., object] = CliRunner().invoke
    for arguments, said in ((["m", "last"], "no window of model 'm' is in the archive"), ([], "no window is in the workspace")):
        command = next(c for c in monitor.cli.commands if c.name == ("report" if arguments else "ui"))
        outcome = invoke(command, arguments)
        assert said in str(outcome.exception)  # type: ignore[attr-defined]


def test_rows_take_little_room(tmp_path: Path) -> None:
    """A sample of rounded numbers and categories is far smaller than its rows in memory."""
    window, spec, reference, result = judged_window(tmp_path, 0, rows=5_000)
    frame = judged_rows(0, 5_000).with_columns(pl.col(pl.Float64).round(1))
    path = write_sample(tmp_path, replace(window, frame=frame), spec, reference, result)
    assert path.stat().st_size < frame.estimated_size() / 3
