"""Our metrics in real Evidently Reports and in the Snapshots of windows."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from evidently import DataDefinition, Dataset, Report
from evidently.core.report import Snapshot
from evidently.metrics import DuplicatedRowCount
from evidently.tests import lte
from evidently.ui.workspace import Workspace

from config.spec import ModelSpec
from monitor.drift import evidently_snapshot
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.suites.evidently_metrics import ColumnsWithNulls, DataStability, RowsWithNulls
from monitor.suites.run import STABILITY
from monitor.window import WindowData
from schemas.result import WindowResult

DEFINITION = DataDefinition(numerical_columns=["x", "n"], categorical_columns=["name", "flag"], text_columns=[], datetime_columns=[])


def rows(n: int, nulls: int, seed: int = 0, **changes: Any) -> pd.DataFrame:
    """Rows; the first ``nulls`` of them have none in x, every second of these none in name."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x": rng.uniform(0, 1, n),
            "n": rng.integers(0, 9, n),
            "name": rng.choice(["a", "b"], n).astype(object),
            "flag": rng.random(n) < 0.5,
        }
    )
    frame.loc[: nulls - 1, "x"] = np.nan
    frame.loc[: nulls - 1 : 2, "name"] = None
    return frame.assign(**changes)


def report(metrics: list[Any], current: pd.DataFrame, reference: pd.DataFrame | None) -> Snapshot:
    """A real Report, with tests, of these rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = [None if frame is None else Dataset.from_pandas(frame, DEFINITION) for frame in (current, reference)]
        return Report(metrics, include_tests=True).run(*data)


def outcomes(snapshot: Snapshot) -> list[tuple[Any, str]]:
    """Each metric's value with its tests' statuses, in the order of the Report."""
    found = snapshot.dict()
    statuses = {m["id"]: [t["status"] for t in found["tests"] if t["metric_config"]["metric_id"] == m["id"]] for m in found["metrics"]}
    return [(m["value"], " ".join(str(getattr(s, "value", s)) for s in statuses[m["id"]])) for m in found["metrics"]]


def test_counts_in_a_real_report_with_default_tests() -> None:
    """10 of 100 rows and 2 of 4 columns with nulls, in a stock Report beside a stock metric: counts, shares; without a reference the
    default tests want none, with one they allow its number of columns and a tenth more than its share of rows.
    """
    metrics = [ColumnsWithNulls(), RowsWithNulls(), DuplicatedRowCount()]
    alone = report(metrics, rows(100, 10), None)
    assert outcomes(alone) == [({"count": 2, "share": 0.5}, "FAIL"), ({"count": 10, "share": 0.1}, "FAIL"), (0.0, "SUCCESS")]
    assert [status for _, status in outcomes(report(metrics, rows(100, 10), rows(1000, 100, 1)))][:2] == ["SUCCESS", "SUCCESS"]
    assert [status for _, status in outcomes(report(metrics, rows(100, 10), rows(1000, 80, 1)))][:2] == ["SUCCESS", "FAIL"]
    assert [status for _, status in outcomes(report(metrics, rows(100, 0), rows(1000, 80, 1)))][:2] == ["SUCCESS", "SUCCESS"]


def test_the_user_s_own_tests_are_run() -> None:
    """Tests on count and on share, given as with Evidently's own metrics, take the place of the defaults."""
    metrics = [RowsWithNulls(tests=[lte(9)], share_tests=[lte(0.2)]), ColumnsWithNulls(tests=[lte(2)])]
    assert [status for _, status in outcomes(report(metrics, rows(100, 10), None))] == ["FAIL SUCCESS", "SUCCESS"]


def test_data_stability_in_a_real_report() -> None:
    """A quiet window has no failed check; a new category, numbers out of range, a moved mean and fractions for whole numbers fail one
    each or more, and the page names them.
    """
    reference = rows(1000, 0, 1)
    quiet = reference.sample(200, random_state=1)
    assert outcomes(report([DataStability()], quiet, reference)) == [({"count": 0, "share": 0.0}, "SUCCESS")]
    new = quiet.assign(name=["c", *quiet["name"][1:]], x=[5.0, *quiet["x"][1:]], n=100)
    snapshot = report([DataStability()], new, reference)
    # of 12 checks: two of the table, four null shares, two ranges, two lists of categories, two means
    assert outcomes(snapshot) == [({"count": 4, "share": 4 / 12}, "FAIL")]
    page = snapshot.get_html_str(as_iframe=False)
    assert all(word in page for word in ("new_category_share", "out_of_range_share", "mean_stability"))
    ((value, _),) = outcomes(report([DataStability()], quiet.assign(n=quiet["n"] + 0.5), reference))
    assert value["count"] == 3, "its type, and the two checks that need numbers"


def test_data_stability_needs_a_reference() -> None:
    """Without a reference there is nothing to be stable against: the metric says so."""
    with pytest.raises(ValueError, match="Reference data is required for DataStability"):
        report([DataStability()], rows(100, 0), None).dict()


SPEC = ModelSpec.model_validate(
    {
        "model": "m",
        "reference": "r.parquet",
        "features": {
            "x": {"type": "double"},
            "n": {"type": "long"},
            "name": {"type": "string", "kind": "categorical"},
            "flag": {"type": "boolean"},
        },
        "prediction": {"column": "prediction", "type": "double"},
        "monitors": ["data_drift", "data_quality"],
        "window": {"size": "1h"},
        "min_rows": 10,
        "tests": [{"test": "data_stability"}, {"test": "rows_with_nulls"}, {"test": "columns_with_nulls"}, {"test": "duplicated_rows"}],
    }
)


def snapshot_of(folder: Path, current: pd.DataFrame) -> tuple[WindowResult, Snapshot]:
    """A window's result and its Snapshot."""
    reference = rows(1000, 50, 1, prediction=0.5)
    pl.from_pandas(reference).write_parquet(folder / "r.parquet")
    profile = load_reference(SPEC, folder / "r.parquet")
    frame = pl.from_pandas(current)
    nulls = {name: frame[name].null_count() for name in frame.columns}
    window = WindowData("m", "live", "live", 0, 3_600_000, "d", 0, ("1",), frame, frame.height, 0, True, nulls)
    result = evaluate(window, SPEC, profile)
    return result, evidently_snapshot(window, SPEC, profile, result.columns, result.quality, result.tests)


def test_a_window_s_snapshot_has_our_metrics(tmp_path: Path) -> None:
    """The Snapshot of a window holds rows and columns with nulls and data stability with the result's values, and the result's own
    outcomes and texts as their tests; the values are what a real Report gives on the same rows.
    """
    current = rows(200, 30, 2, prediction=0.5)
    result, snapshot = snapshot_of(tmp_path, current)
    found = {m["config"]["type"].rsplit(":")[-1]: m["value"] for m in snapshot.dict()["metrics"]}
    assert found["RowsWithNulls"] == {"count": 30, "share": 0.15}
    assert found["ColumnsWithNulls"] == {"count": 2, "share": 0.4}
    failed = [t for t in result.tests if t.name in STABILITY and t.status != "SUCCESS"]
    assert failed
    assert found["DataStability"]["count"] == len(failed)
    texts = {t["description"]: getattr(t["status"], "value", t["status"]) for t in snapshot.dict()["tests"]}
    shown = [*failed, *(t for t in result.tests if t.name in ("rows_with_nulls", "columns_with_nulls"))]
    assert {t.description: t.status for t in shown}.items() <= texts.items()
    assert [v for v, _ in outcomes(report([ColumnsWithNulls(), RowsWithNulls()], current, None))] == [
        found["ColumnsWithNulls"],
        found["RowsWithNulls"],
    ]


def test_a_workspace_keeps_and_reads_them(tmp_path: Path) -> None:
    """A Snapshot with our metrics goes into a workspace; another process that knows nothing of Tidemark, as ``evidently ui`` is, reads
    it back with their values and tests.
    """
    _, snapshot = snapshot_of(tmp_path, rows(200, 30, 2, prediction=0.5))
    workspace = Workspace.create(str(tmp_path / "workspace"))
    project = workspace.create_project("m")
    workspace.add_run(project.id, snapshot)
    code = """
import sys
from evidently.ui.workspace import Workspace
workspace = Workspace(sys.argv[1])
project = workspace.list_projects()[0]
run = workspace.get_run(project.id, workspace.list_runs(project.id)[0])
print(sorted(str(r.count.value) for r in run.metric_results.values() if type(r).__name__ == "CountValue"))
print(sum(len(r.tests) for r in run.metric_results.values()))
assert not any(name.startswith("monitor") for name in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "workspace")], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    values, tests = done.stdout.splitlines()
    counts = [m["value"]["count"] for m in snapshot.dict()["metrics"] if isinstance(m["value"], dict)]
    assert values == str(sorted(str(float(c)) if isinstance(c, float) else str(c) for c in counts))
    assert int(tests) == len(snapshot.dict()["tests"])
