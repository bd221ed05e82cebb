"""Our tests without bounds against Evidently's own suites, which it keeps as ``evidently.legacy``, on the same rows."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from evidently.legacy import tests as legacy
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.test_preset import DataStabilityTestPreset
from evidently.legacy.test_suite import TestSuite

from config.spec import ModelSpec
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.window import WindowData

OURS = {
    "Number of Columns": "column_count",
    "Column Types": "column_types",
    "The Share of Missing Values in a Column": "null_share",
    "Share of Out-of-Range Values": "out_of_range_share",
    "Share of Out-of-List Values": "new_category_share",
    "Mean Value Stability": "mean_stability",
    "The Number of Columns With Missing Values": "columns_with_nulls",
    "The Number Of Rows With Missing Values": "rows_with_nulls",
    "The Share of Rows With Missing Values": "rows_with_nulls_share",
    "Number of Constant Columns": "constant_columns",
    "Number of Duplicate Rows": "duplicated_rows",
    "Number of Duplicate Columns": "duplicated_columns",
    "Number of Drifted Features": "drifted_columns",
    "Share of Drifted Columns": "drifted_columns_share",
}
NUMBERS, WORDS = ["a", "b", "c", "wide"], ["name", "place"]
SPEC = ModelSpec.model_validate(
    {
        "model": "m",
        "reference": "r.parquet",
        "features": {**{n: {"type": "double"} for n in NUMBERS}, **{n: {"type": "string", "kind": "categorical"} for n in WORDS}},
        "prediction": {"column": "prediction", "type": "double"},
        "monitors": ["data_drift"],
        "drift": {"share": 0.3},
        "window": {"size": "1h"},
        "min_rows": 1,
        "tests": [{"test": name} for name in ["data_stability", *list(OURS.values())[6:]]],
    }
)


def rows(rng: np.random.Generator, n: int, trouble: float) -> pd.DataFrame:
    """Rows; ``trouble`` (0 to 1) brings nulls, new categories, values out of range, shifts, repeated rows and columns."""
    wide = rng.uniform(0, 1, n)
    frame = pd.DataFrame(
        {
            "a": np.where(rng.random(n) < 0.05 + 0.1 * trouble, np.nan, rng.normal(3 * trouble, 1, n)),
            "b": np.clip(rng.normal(trouble, 1, n), -2, 2 + (trouble > 0.5)),
            "c": np.round(rng.normal(0, 1 + trouble, n), 1),
            "wide": wide if trouble < 0.3 else np.full(n, 0.5),
            "name": rng.choice(["x", "y", *(["z"] if trouble > 0.4 else [])], n),
            "place": rng.choice(["p", "q", "r"], n),
            "prediction": rng.normal(size=n) if trouble < 0.9 else wide * 0 + 0.5,
        }
    )
    if trouble < 0.6:
        return frame
    return pd.concat([frame, frame.head(n // 10)], ignore_index=True)


def stock(reference: pd.DataFrame, window: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Evidently's verdicts by our name and column; its number of rows is left out (see the docs)."""
    features = [*NUMBERS, *WORDS]
    suite = TestSuite(
        tests=[
            DataStabilityTestPreset(),
            legacy.TestNumberOfColumnsWithMissingValues(),
            legacy.TestNumberOfRowsWithMissingValues(),
            legacy.TestShareOfRowsWithMissingValues(),
            legacy.TestNumberOfConstantColumns(),
            legacy.TestNumberOfDuplicatedRows(),
            legacy.TestNumberOfDuplicatedColumns(),
            legacy.TestNumberOfDriftedColumns(columns=features),
            legacy.TestShareOfDriftedColumns(columns=features),
        ]
    )
    mapping = ColumnMapping(prediction="prediction", numerical_features=NUMBERS, categorical_features=WORDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        suite.run(reference_data=reference, current_data=window, column_mapping=mapping)
    found = {}
    for test in suite.as_dict()["tests"]:
        column = re.search(r"column \*\*(.+?)\*\*", test["description"])
        if test["name"] != "Number of Rows":
            found[OURS[test["name"]], column[1] if column else ""] = str(test["status"])
    return found


@pytest.mark.parametrize("trouble", [0.0, 0.05, 0.2, 0.35, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("window_rows", [60, 700])
def test_default_verdicts_are_evidently_s(tmp_path: Path, window_rows: int, trouble: float) -> None:
    """14 windows from quiet to broken: each default test of ours, stability and the rest, has the verdict of Evidently's own test."""
    rng = np.random.default_rng([window_rows, round(100 * trouble)])
    reference, window = rows(rng, 500, 0.0), rows(rng, window_rows, trouble)
    pl.from_pandas(reference).write_parquet(tmp_path / "r.parquet")
    frame = pl.from_pandas(window)
    nulls = {name: frame[name].null_count() for name in frame.columns}
    data = WindowData("m", "live", "live", 0, 1, "d", 0, ("1",), frame, frame.height, 0, True, nulls)
    tests = evaluate(data, SPEC, load_reference(SPEC, tmp_path / "r.parquet")).tests
    ours = {(t.name, t.column): t.status for t in tests}
    assert len(ours) == len(tests)
    assert ours == stock(reference, window), [t.description for t in tests]
    if trouble > 0.6:
        assert sum(t.status == "FAIL" for t in tests) > 8
