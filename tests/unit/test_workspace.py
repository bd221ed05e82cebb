"""The Evidently workspace: what we write, Evidently's own Workspace reads, and it says what our results say."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from evidently.sdk.models import DashboardModel
from evidently.ui.workspace import Workspace

from monitor.workspace.store import FRESH_S, SnapshotStore, project_id, snapshot_id
from tests.support.judged import HOSTILE_NAMES, HOUR_MS, START_MS, Case, judged_spec, judged_window
from tests.support.results import window_result

PROJECT, SNAPSHOT = "b18b0bcf-7f12-59e2-bd2a-b58cbf060314", "84f889eb-80ed-5c0a-8a44-1cd1023ca0f6"
REPLAY: dict[str, Any] = {"run": "2025-a", "run_kind": "replay", "run_offset": 7}


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    """A workspace that does not exist yet."""
    return SnapshotStore(tmp_path / "workspace")


def add(store: SnapshotStore, *cases: Case) -> None:
    """Write the snapshots of windows."""
    for _, spec, _, result in cases:
        assert store.add(result, spec) is not None


def test_evidently_reads_project_windows_and_scores(tmp_path: Path, store: SnapshotStore) -> None:
    """One project for the model, one run for each window at its end, with the result's scores and verdicts to the last digit."""
    cases = [judged_window(tmp_path, hour, shift) for hour, shift in ((0, 0.0), (1, 0.5), (2, 2.0))]
    add(store, *cases)
    workspace = Workspace(str(tmp_path / "workspace"))
    (project,) = workspace.list_projects()
    assert (project.name, project.description) == ("m", "<script>alert(3)</script>")
    assert set(workspace.list_runs(project.id)) == {snapshot_id(c[3]) for c in cases}
    for _, _, _, result in cases:
        run = workspace.get_run(project.id, snapshot_id(result))
        assert run.timestamp.replace(tzinfo=UTC).timestamp() == result.end_ms / 1000
        metrics = {m.metric_value_location.metric.params.get("column"): m for m in run.metric_results.values()}
        scores = {name: m.value for name, m in metrics.items() if isinstance(name, str)}
        assert scores == {c.name: c.score for c in result.columns}
        assert set(scores) > set(HOSTILE_NAMES)
        count = metrics[None]
        assert (count.count.value, count.share.value) == (result.drifted_columns, result.drift_share)
        drifted = {t.metric_config.params["column"] for m in run.metric_results.values() for t in m.tests if t.status.name == "FAIL"}
        assert drifted == {c.name for c in result.columns if c.drifted}
        assert ("drifted" in run.tags) == result.drifted
        (table,) = run.widgets
        assert {row[0] for row in table.params["data"]} >= {"plain", HOSTILE_NAMES[2], "n" * 47 + "…"}


def test_a_window_judged_again_is_not_doubled(tmp_path: Path, store: SnapshotStore) -> None:
    """The same result has the same id, in another process too; another window, run or attempt of a run has another."""
    case = judged_window(tmp_path)
    add(store, case, case)
    add(SnapshotStore(tmp_path / "workspace"), case)
    assert len(list((tmp_path / "workspace").glob("*/snapshots/*"))) == 1
    others = [
        replace(case[3], start_ms=case[3].start_ms + 1),
        replace(case[3], **REPLAY),
        replace(case[3], **{**REPLAY, "run_offset": 8}),
    ]
    assert len({snapshot_id(r) for r in (case[3], *others)}) == 4
    assert snapshot_id(replace(case[3], model_versions=("other",))) == snapshot_id(case[3])
    assert not list((tmp_path / ".workspace-parts").iterdir())


def test_a_replay_has_a_project_of_its_own(tmp_path: Path, store: SnapshotStore) -> None:
    """Evidently draws a project along time: live windows and each attempt of a run are lines of their own."""
    live, first = judged_window(tmp_path), judged_window(tmp_path, **REPLAY)
    again = judged_window(tmp_path, **{**REPLAY, "run_offset": 99})
    add(store, live, first, again)
    assert len({project_id(c[3]) for c in (live, first, again)}) == 3
    names = sorted(p.name for p in Workspace(str(tmp_path / "workspace")).list_projects())
    assert names == ["m", "m · replay 2025-a", "m · replay 2025-a"]


def dashboard(folder: Path, case: Case) -> DashboardModel:
    """A project's dashboard as Evidently reads it."""
    return Workspace(str(folder / "workspace")).get_dashboard(project_id(case[3]))


def test_the_dashboard_shows_drift_at_first_sight_and_each_column(tmp_path: Path, store: SnapshotStore) -> None:
    """Share and number over time, the prediction, then a panel for each feature; each panel asks for a metric that is there."""
    case = judged_window(tmp_path)
    add(store, case)
    model = dashboard(tmp_path, case)
    titles = [p.title for p in model.panels]
    assert titles[2:5] == ["Share of drifted features", "Drifted features", "prediction"]
    assert titles[5:7] == ["plain", f"{HOSTILE_NAMES[0][:47]}…"]
    assert [p for tab in model.tabs for p in tab.panels] == [p.id for p in model.panels]
    asked = {v.metric_labels["column"] for p in model.panels for v in p.values if "column" in v.metric_labels}
    assert asked == {c.name for c in case[3].columns}


def test_the_dashboard_follows_the_spec_unless_a_user_has_changed_it(tmp_path: Path, store: SnapshotStore) -> None:
    """A new column gets a panel; a dashboard that was edited in Evidently's pages is left as it is."""
    case = judged_window(tmp_path)
    add(store, case)
    fewer = replace(case[3], columns=case[3].columns[:2])
    store.add(fewer, case[1])
    assert len(dashboard(tmp_path, case).panels) == 6
    add(store, case)
    edited = dashboard(tmp_path, case)
    edited.panels[0].title = "mine"
    Workspace(str(tmp_path / "workspace")).save_dashboard(project_id(case[3]), edited)
    store.add(fewer, case[1])
    assert dashboard(tmp_path, case).dict() == edited.dict()


def test_a_window_without_scores_has_no_snapshot(tmp_path: Path, store: SnapshotStore) -> None:
    """Too few rows: nothing was judged, so there is nothing for Evidently to show."""
    case = judged_window(tmp_path, rows=20)
    assert case[3].status == "insufficient_data"
    assert store.add(case[3], case[1]) is None
    assert not (tmp_path / "workspace").exists()


def test_projects_without_windows_are_removed(tmp_path: Path, store: SnapshotStore) -> None:
    """Once retention has taken the last snapshot; not a fresh one, nor one that a user made."""
    old, live = judged_window(tmp_path, **REPLAY), judged_window(tmp_path)
    add(store, old, live)
    folder = tmp_path / "workspace"
    theirs = folder / str(uuid.uuid4())
    theirs.mkdir()
    (theirs / "metadata.json").write_text("{}")
    for case in (old, live):
        (folder / str(project_id(case[3])) / "snapshots" / f"{snapshot_id(case[3])}.json").unlink()
    mark = folder / str(project_id(old[3])) / "tidemark.json"
    now_s = mark.stat().st_mtime + 10
    os.utime(mark, (now_s - FRESH_S - 1,) * 2)
    assert store.remove_empty_projects(now_s) == 1
    assert {p.name for p in folder.iterdir()} == {theirs.name, str(project_id(live[3]))}


def test_ids_stay_the_same_over_versions() -> None:
    """The ids of a known result: were they to change, every window would be doubled in workspaces that exist."""
    result = window_result(kind="drift")  # part of what ids are made of
    assert (str(project_id(result)), str(snapshot_id(result))) == (PROJECT, SNAPSHOT)


def test_files_are_plain_evidently(tmp_path: Path, store: SnapshotStore) -> None:
    """No name of ours stands for a type: Evidently reads the file without Tidemark."""
    case = judged_window(tmp_path, 1, spec=judged_spec(drift={"columns": {"plain": {"method": "psi", "threshold": 0.3}}}))
    path = store.add(case[3], case[1])
    assert path is not None
    data = json.loads(path.read_text(encoding="utf-8"))
    types = {m["metric_value_location"]["metric"]["params"]["type"] for m in data["metric_results"].values()}
    assert types == {"evidently:metric_v2:ValueDrift", "evidently:metric_v2:DriftedColumnsCount"}
    assert data["timestamp"] == "2025-06-11T02:00:00"
    assert case[3].end_ms == START_MS + 2 * HOUR_MS
