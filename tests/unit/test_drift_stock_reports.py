"""Our verdicts and Snapshots against whole stock Evidently Reports on the same rows."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from evidently import Dataset, Report
from evidently.core.report import Snapshot
from evidently.metrics import DriftedColumnsCount, ValueDrift
from evidently.metrics.column_statistics import DriftedColumnCalculation, ValueDriftCalculation
from evidently.presets import DataDriftPreset

from config.spec import ModelSpec
from monitor.drift import data_definition, evidently_snapshot
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.window import WindowData
from schemas.result import WindowResult

FEATURES = {
    "delay (min)": {"type": "double"},
    "задержка": {"type": "double"},
    "stops": {"type": "double"},
    "seats": {"type": "long"},
    "carrier": {"type": "string", "kind": "categorical"},
    "late": {"type": "boolean"},
    "infinite": {"type": "double"},
    "constant": {"type": "double"},
    "tied": {"type": "double"},
    "nullable": {"type": "long"},
    "nullable flag": {"type": "boolean"},
    "category": {"type": "string", "kind": "categorical"},
}
FIRST = list(FEATURES)[:6]
SPEC = {
    "model": "m",
    "reference": "r.parquet",
    "prediction": {"column": "prediction", "type": "double"},
    "window": {"size": "1h"},
    "min_rows": 1,
}
CHOICES = {
    "delay (min)": {"method": "psi", "threshold": 0.01},
    "задержка": {"method": "ks"},
    "stops": {"threshold": 0.4},
    "seats": {"method": "t_test"},
    "carrier": {"method": "hellinger"},
    "late": {"method": "chisquare", "threshold": 0.2},
}


def rows(rng: np.random.Generator, n: int, shift: float) -> pd.DataFrame:
    """Rows of every kind of column, with nulls, infinities, ties and nullable types; ``shift`` moves them away."""
    delay = rng.lognormal(shift, 1, n)
    delay[rng.random(n) < 0.1] = np.nan
    infinite = rng.normal(2 * shift, 1, n)
    infinite[rng.random(n) < 0.05] = np.inf
    infinite[rng.random(n) < 0.05] = -np.inf
    holes = rng.random(n) < 0.2
    delay[0], infinite[0], holes[0] = 1.0, 0.5, False
    return pd.DataFrame(
        {
            "delay (min)": delay,
            "задержка": rng.normal(shift, 1, n),
            "stops": rng.integers(0, 4, n).astype(float),
            "seats": rng.poisson(100 + 20 * shift, n),
            "carrier": [f"c{i}" for i in rng.integers(0, 6 + round(5 * shift), n)],
            "late": rng.random(n) < 0.3 + shift / 4,
            "infinite": infinite,
            "constant": np.full(n, 3.0 + round(shift)),
            "tied": np.round(rng.normal(3 * shift, 4, n)),
            "nullable": pd.Series(rng.poisson(30 + 9 * shift, n), dtype="Int64").mask(holes),
            "nullable flag": pd.Series(rng.random(n) < 0.5 + shift / 3, dtype="boolean").mask(holes),
            "category": pd.Series([f"ç {i}" for i in rng.geometric(0.4 - shift / 4, n)], dtype="category").mask(holes),
            "prediction": rng.normal(10 + shift, 3, n),
        }
    )


class Case:
    """A reference and a window, judged by us."""

    def __init__(
        self,
        folder: Path,
        reference_rows: int,
        window_rows: int,
        shift: float,
        choices: dict[str, Any] | None = None,
        names: Sequence[str] = FIRST,
    ) -> None:
        rng = np.random.default_rng([reference_rows, window_rows, round(100 * shift)])
        kept = [*names, "prediction"]
        self.reference, self.rows = rows(rng, reference_rows, 0.0)[kept], rows(rng, window_rows, shift)[kept]
        features = {name: FEATURES[name] for name in names}
        self.spec = ModelSpec.model_validate({**SPEC, "features": features, "drift": {"columns": choices or {}}})
        pl.from_pandas(self.reference).write_parquet(folder / "r.parquet")
        profile = load_reference(self.spec, folder / "r.parquet")
        frame = pl.from_pandas(self.rows)
        nulls = {name: frame[name].null_count() for name in frame.columns}
        window = WindowData("m", "live", "live", 0, 3_600_000, "d", 0, ("1",), frame, frame.height, 0, True, nulls)
        self.result: WindowResult = evaluate(window, self.spec, profile)
        self.snapshot = evidently_snapshot(window, self.spec, profile, self.result.columns)

    def stock(self, metrics: list[Any]) -> dict[str, Any]:
        """What a stock Report gives on the same rows, as a dict."""
        definition = data_definition(self.spec)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = Report(metrics, include_tests=True).run(
                Dataset.from_pandas(self.rows, definition), Dataset.from_pandas(self.reference, definition)
            )
            found: dict[str, Any] = run.dict()
        return found


def drift_metrics(snapshot: dict[str, Any]) -> list[Any]:
    """The ValueDrift metrics with values rounded to 1e-9, by name."""
    found = [m for m in snapshot["metrics"] if m["config"]["type"].endswith("ValueDrift")]
    return sorted(({**m, "value": round(float(m["value"]), 9)} for m in found), key=lambda m: str(m["id"]))


def drift_tests(snapshot: dict[str, Any]) -> list[str]:
    """The tests of ValueDrift metrics in full."""
    return sorted(json.dumps(t, default=str) for t in snapshot["tests"] if t["id"] == "drift")


SIZES = [(100, 1), (100, 10_000), (300, 40), (1000, 900), (1001, 40), (4000, 900), (10_000, 1000), (100_000, 300), (100_000, 10_000)]
THIRDS = [list(FEATURES)[i::3] for i in range(3)]  # each report draws every plot: a third of the columns at a time


@pytest.mark.parametrize(
    ("sizes", "shift", "names"), [(s, (0.0, 0.15, 0.6)[(i + j) % 3], names) for i, s in enumerate(SIZES) for j, names in enumerate(THIRDS)]
)
def test_a_snapshot_is_what_stock_value_drift_gives(tmp_path: Path, sizes: tuple[int, int], shift: float, names: list[str]) -> None:
    """``Snapshot.dict()``: ids, names, configs, values and tests of every metric are those of stock ``ValueDrift`` metrics."""
    case = Case(tmp_path, *sizes, shift, names=names)
    stock = case.stock([ValueDrift(column=c.name) for c in case.result.columns])
    found = case.snapshot.dict()
    assert len(drift_metrics(found)) == len(names) + 1
    assert drift_metrics(found) == drift_metrics(stock)
    assert drift_tests(found) == drift_tests(stock)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.6])
def test_a_snapshot_of_chosen_methods_is_stock_s(tmp_path: Path, shift: float) -> None:
    """Methods and thresholds that a spec chooses appear in the Snapshot as in a stock Report."""
    case = Case(tmp_path, 1500, 400, shift, CHOICES)
    stock = case.stock([ValueDrift(column=c.name, **CHOICES.get(c.name, {})) for c in case.result.columns])
    assert drift_metrics(case.snapshot.dict()) == drift_metrics(stock)
    assert drift_tests(case.snapshot.dict()) == drift_tests(stock)


@pytest.mark.parametrize(("reference_rows", "shift"), [(800, 0.0), (800, 0.6), (2500, 0.0), (2500, 0.6)])
def test_the_dataset_verdict_is_the_preset_s(tmp_path: Path, reference_rows: int, shift: float) -> None:
    """Number, share and verdict of drifted features are those of stock ``DataDriftPreset``; so are the columns' scores."""
    case = Case(tmp_path, reference_rows, 500, shift)
    features = [c.name for c in case.result.columns if c.role == "feature"]
    stock = case.stock([DataDriftPreset(columns=features)])
    count = next(m for m in stock["metrics"] if "DriftedColumnsCount" in m["metric_name"])
    assert (case.result.drifted_columns, case.result.drift_share) == (count["value"]["count"], pytest.approx(count["value"]["share"]))
    assert case.result.drifted == (count["value"]["share"] >= case.spec.drift.share)
    ours = {m["config"]["column"]: m["value"] for m in drift_metrics(case.snapshot.dict())}
    assert {m["config"]["column"]: m["value"] for m in drift_metrics(stock)} == {name: ours[name] for name in features}
    assert {m["config"]["column"]: m["value"] for m in drift_metrics(stock)}
    counted = next(m for m in case.snapshot.dict()["metrics"] if "DriftedColumnsCount" in m["metric_name"])
    assert counted["value"] == count["value"]


def test_a_snapshot_survives_being_stored(tmp_path: Path) -> None:
    """A Snapshot written as JSON is read back by Evidently itself with the same metrics; its time is the window's end."""
    case = Case(tmp_path, 300, 200, 0.6)
    again = Snapshot.loads(case.snapshot.dumps())
    assert drift_metrics(again.dict()) == drift_metrics(case.snapshot.dict())
    assert again.dict()["metrics"]
    assert case.snapshot.dump_dict()["timestamp"].timestamp() == 3600


def test_stock_metrics_stay_stock(tmp_path: Path) -> None:
    """Our calculations do not take Evidently's metrics over: else full reports and the comparisons above would be of us with us."""
    Case(tmp_path, 300, 200, 0.6)
    assert type(ValueDrift(column="x").to_calculation()) is ValueDriftCalculation
    assert type(DriftedColumnsCount().to_calculation()) is DriftedColumnCalculation
