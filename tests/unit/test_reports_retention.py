"""What is kept is bounded by age and by size, the oldest first, and never costs what is in the making."""

from __future__ import annotations

import json
import os
from pathlib import Path

from config.settings import Settings
from monitor.reports.child import Maker, limits
from monitor.reports.jobs import Retain
from monitor.reports.paths import path_of
from monitor.reports.retention import PENDING_MS, Limit, report_is_pending, retain

HOUR_MS = 3_600_000


def write(path: Path, written_ms: int, size: int = 1000) -> Path:
    """A file of that size, written at that time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, ns=(written_ms * 1_000_000, written_ms * 1_000_000))
    return path


def kept(*paths: Path) -> list[bool]:
    """Which are there."""
    return [p.exists() for p in paths]


def test_what_is_older_than_the_limit_goes_with_its_summary_and_its_empty_folder(tmp_path: Path) -> None:
    """Age alone: two of four reports are older than 3 h; their JSON and their run's folder go too."""
    reports = [write(path_of(tmp_path, "m", "live", f"run{i // 2}", i * 1000, i * 1000 + 1000), i * HOUR_MS) for i in range(4)]
    beside = [write(p.with_suffix(".json"), 0, 10) for p in reports]
    limit = Limit(tmp_path, ".html", 3 * HOUR_MS, 10**9, (".json",))
    assert retain(limit, (5 * HOUR_MS - 1) * 1_000_000) == 2
    assert kept(*reports) == kept(*beside) == [False, False, True, True]
    assert not reports[0].parent.exists()


def test_the_oldest_go_until_the_rest_is_small_enough(tmp_path: Path) -> None:
    """Size alone: five samples of 1,000 bytes under a limit of 3,000 leave the three newest; at the limit nothing goes."""
    samples = [write(tmp_path / "m" / "live" / "live" / f"{i}-{i + 1}.parquet", i * HOUR_MS) for i in (3, 0, 4, 1, 2)]
    limit = Limit(tmp_path, ".parquet", 10**9, 3000)
    assert retain(limit, 0) == 2
    assert kept(*samples) == [True, False, True, False, True]
    assert retain(limit, 0) == 0


def test_a_report_in_the_making_stays(tmp_path: Path) -> None:
    """A pending page is passed over, the next oldest goes in its place; a page that has been pending for too long does go."""
    old, new = (write(tmp_path / f"{i}-9.html", i * HOUR_MS) for i in (1, 2))
    old.with_suffix(".json").write_text(json.dumps({"state": "pending"}))
    new.with_suffix(".json").write_text(json.dumps({"state": "full"}))
    limit = Limit(tmp_path, ".html", 10**9, 1500, (".json",))
    now_ns = (HOUR_MS + PENDING_MS - 1) * 1_000_000
    assert retain(limit, now_ns, lambda p: report_is_pending(p, now_ns)) == 1
    assert kept(old, new) == [True, False]
    assert not report_is_pending(old, now_ns + 2_000_000)
    assert not report_is_pending(new, now_ns)


def test_only_snapshots_count_in_a_workspace(tmp_path: Path) -> None:
    """Evidently's project and dashboard files stay, and so does a snapshots folder that gets empty."""
    project = write(tmp_path / "p" / "metadata.json", 0)
    snapshot = write(tmp_path / "p" / "snapshots" / "s.json", 0)
    assert retain(Limit(tmp_path, ".json", 1, 10**9, only_in="snapshots"), 10**15) == 1
    assert kept(project, snapshot, snapshot.parent) == [True, False, True]


def test_the_settings_are_the_limits(tmp_path: Path) -> None:
    """The job that removes takes age and size of each kind from the settings."""
    settings = Settings(home=tmp_path, reports_max_age="2h", archive_max_bytes="3kB", workspace_max_bytes="1kB")
    found = [(limit.folder.name, limit.max_age_ms, limit.max_bytes) for limit in limits(settings)]
    assert found == [
        ("reports", 2 * HOUR_MS, 2 * 10**9),
        ("archive", 30 * 24 * HOUR_MS, 3000),
        ("workspace", 90 * 24 * HOUR_MS, 1000),
    ]
    old = write(path_of(tmp_path / "reports", "m", "live", "live", 0, 1000), 0)
    samples = [tmp_path / "archive" / "m" / "live" / "live" / f"{i}-9.parquet" for i in range(5)]
    for sample in samples:
        sample.parent.mkdir(parents=True, exist_ok=True)
        sample.write_bytes(b"x" * 1000)
    assert Maker(settings).do(Retain()) == ""
    assert not old.exists()
    assert sum(p.exists() for p in samples) == 3
