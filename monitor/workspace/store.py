"""Snapshots of judged windows in an Evidently workspace, as ``evidently ui`` reads it. Runs in the report process: imports Evidently.

``TIDEMARK_HOME/workspace/{project}/snapshots/{snapshot}.json``. Live windows of a model make one project, each replay run another, since
Evidently draws a project along time and a replay goes through the same time again. All ids are derived, so a window that is judged
again after a restart takes the place of its first snapshot.
"""

from __future__ import annotations

import json
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evidently.core.report import Snapshot
from evidently.legacy.utils import NumpyEncoder
from evidently.sdk.models import ProjectModel

from config.spec import ModelSpec
from monitor.drift import scored_snapshot
from monitor.reports.page import utc
from monitor.reports.paths import part_beside
from monitor.suites.evidently_metrics import DescribedRows
from monitor.workspace.dashboard import dashboard_of
from monitor.workspace.widgets import verdicts_widget
from schemas.result import WindowResult

_NAMESPACE = uuid.UUID("6d1f6f52-5b2b-5b0e-9a57-6c3f0a8f7f11")  # ours; changing it would double every window
FRESH_S = 3600.0  # a project without snapshots is left alone so long: another worker may be about to write its first


def snapshot_id(result: WindowResult) -> uuid.UUID:
    """The id of a window's snapshot: the same for the same result."""
    return uuid.uuid5(_NAMESPACE, result.key)


def project_id(result: WindowResult) -> uuid.UUID:
    """The id of the project that holds a window's snapshot."""
    return uuid.uuid5(_NAMESPACE, "|".join(("project", result.model, result.run_kind, _run(result))))


def _run(result: WindowResult) -> str:
    return "" if result.run_kind == "live" else f"{result.run}@{result.run_offset}"


class SnapshotStore:
    """A workspace that snapshots are written to. Several processes may write to one.

    Args:
        folder: the workspace.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Evidently's pages watch the workspace and take a file that is moved in; one that is renamed within it they overlook.
        self._parts = folder.with_name(f".{folder.name}-parts")

    def add(self, result: WindowResult, spec: ModelSpec) -> Path | None:
        """Write the snapshot of a window, and its project when that is new; None when no column could be judged.

        Raises:
            OSError: the disk is full or cannot be written to.
        """
        if not any(c.status == "ok" and c.score is not None for c in result.columns):
            return None
        project = self._folder / str(project_id(result))
        self._write_project(project, result, spec)
        model = snapshot_of(result, spec).to_snapshot_model()
        model.widgets = [verdicts_widget(result)]
        path = project / "snapshots" / f"{snapshot_id(result)}.json"
        self._write(path, json.dumps(model.dict(), cls=NumpyEncoder))
        return path

    def remove_empty_projects(self, now_s: float) -> int:
        """Remove the projects of ours whose last snapshot is gone; returns how many."""
        removed = 0
        for mark in list(self._folder.glob("*/tidemark.json")):
            project = mark.parent
            if now_s - mark.stat().st_mtime > FRESH_S and not any(project.glob("snapshots/*.json")):
                shutil.rmtree(project)
                removed += 1
        return removed

    def _write_project(self, project: Path, result: WindowResult, spec: ModelSpec) -> None:
        """Project and dashboard. A dashboard that a user has changed is left as it is, whatever the spec's columns have become."""
        mark = project / "tidemark.json"
        made = json.loads(mark.read_text(encoding="utf-8")) if mark.is_file() else {}
        names = [c.name for c in result.columns]
        if made.get("columns") == names:
            return
        page = json.dumps(dashboard_of(uuid.UUID(project.name), result).dict(), cls=NumpyEncoder)
        dashboard = project / "dashboard.json"
        if not dashboard.is_file() or dashboard.read_text(encoding="utf-8") == made.get("dashboard"):
            self._write(dashboard, page)
        if not made:
            self._write(project / "metadata.json", json.dumps(_project(project.name, result, spec).dict(), cls=NumpyEncoder, indent=2))
        self._write(mark, json.dumps({"columns": names, "dashboard": page}))

    def _write(self, path: Path, text: str) -> None:
        with part_beside(path, self._parts) as part:
            part.write_text(text, encoding="utf-8")


def _project(identifier: str, result: WindowResult, spec: ModelSpec) -> ProjectModel:
    name = result.model if result.run_kind == "live" else f"{result.model} · replay {result.run}"
    return ProjectModel(id=uuid.UUID(identifier), name=name, description=spec.description or None)


def snapshot_of(result: WindowResult, spec: ModelSpec) -> Snapshot:
    """A window's verdicts as Evidently's Snapshot; its time is the window's end, UTC."""
    return scored_snapshot(
        DescribedRows(result.sampled_rows, result.quality, result.tests),
        spec,
        result.columns,
        timestamp=datetime.fromtimestamp(result.end_ms / 1000, UTC).replace(tzinfo=None),  # Evidently compares with naive times
        metadata=_about(result),
        tags=[result.run_kind, *(["drifted"] if result.drifted else [])],
        name=f"{utc(result.start_ms)} to {utc(result.end_ms)} UTC",
    )


def _about(result: WindowResult) -> dict[str, Any]:
    return {
        "model": result.model,
        "run": result.run,
        "model versions": ", ".join(result.model_versions),
        "rows": str(result.rows),
        "drifted columns": f"{result.drifted_columns} ({result.drift_share:.0%})",
        "spec": result.spec_digest,
        "reference": result.reference_fingerprint,
    }
