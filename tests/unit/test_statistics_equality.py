"""Our statistics against Evidently's own functions on the same data: method, threshold and verdict equal, scores within 1e-9.

The data are made twice from the same values: as pandas for Evidently (nullable types, categoricals) and as polars, through Parquet, for us.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from evidently.legacy.calculations.stattests.registry import get_stattest
from evidently.legacy.core import ColumnType

from config.spec import ModelSpec
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.statistics.methods import METHODS
from monitor.window import WindowData
from schemas.result import ColumnResult

TYPES = {"numerical": ColumnType.Numerical, "categorical": ColumnType.Categorical}
REFERENCE_ROWS = (100, 1000, 1001, 10_000, 100_000)
WINDOW_ROWS = (1, 2, 17, 300, 1000, 10_000)
Rng = np.random.Generator


@dataclass(frozen=True)
class Values:
    """One column: values, which of them are null, and the type under which Evidently gets them."""

    values: list[Any]
    null: np.ndarray
    pandas_type: str


def _some(rng: Rng, values: Any, pandas_type: str, nulls: float = 0.0) -> Values:
    listed = np.asarray(values).tolist()
    null = rng.random(len(listed)) < nulls
    if null.all():
        null[:1] = False
    return Values(listed, null, pandas_type)


def _infinite(rng: Rng, n: int, w: bool) -> np.ndarray:
    values = rng.normal(0.1 * w, 1, n)
    values[rng.random(n) < 0.05] = np.inf
    values[rng.random(n) < 0.02] = -np.inf
    values[0] = 0.5
    return values


def _names(rng: Rng, n: int, how_many: int, first: int = 0) -> list[str]:
    return [f"ключ {i} (é)" for i in rng.integers(first, first + how_many, n)]


def _rare(n: int, w: bool) -> list[str]:
    return ["new" if w else "seldom", *["x", "y"] * (n // 2)][:n]


COLUMNS: dict[str, tuple[str, str, Callable[[Rng, int, bool], Values]]] = {
    # name: (type, kind, maker of n values; the flag says whether they are a window's)
    "normal": ("double", "numerical", lambda r, n, w: _some(r, r.normal(0.2 * w, 1, n), "float64")),
    "same": ("double", "numerical", lambda r, n, w: _some(r, r.normal(0, 1, n), "float64")),
    "skewed": ("double", "numerical", lambda r, n, w: _some(r, r.lognormal(0, 2, n), "float64")),
    "ties": ("double", "numerical", lambda r, n, w: _some(r, np.round(r.normal(0, 5, n)), "float64")),
    "nulls": ("double", "numerical", lambda r, n, w: _some(r, r.normal(0, 1 + w, n), "float64", 0.3)),
    "nullable": ("double", "numerical", lambda r, n, w: _some(r, r.normal(0.1 * w, 1, n), "Float64", 0.3)),
    "infinities": ("double", "numerical", lambda r, n, w: _some(r, _infinite(r, n, w), "float64")),
    "constant": ("double", "numerical", lambda r, n, w: _some(r, np.full(n, 7.0), "float64")),
    "near constant": ("double", "numerical", lambda r, n, w: _some(r, 5 + 1e-6 * r.normal(3e6 * w, 1, n), "float64")),
    "huge": ("double", "numerical", lambda r, n, w: _some(r, r.normal(1e12, 1e9, n), "float64")),
    "outlier": ("double", "numerical", lambda r, n, w: _some(r, r.standard_cauchy(n), "float64")),
    "few": ("double", "numerical", lambda r, n, w: _some(r, r.integers(0, 4 + w, n).astype(float), "float64")),
    "two": ("double", "numerical", lambda r, n, w: _some(r, (r.random(n) < 0.4).astype(float), "float64")),
    "dozen": ("double", "numerical", lambda r, n, w: _some(r, r.integers(0, 12 + w, n).astype(float), "float64")),
    "twenty": ("double", "numerical", lambda r, n, w: _some(r, np.arange(n) % (20 + 3 * w) / 2, "float64")),
    "twenty-one": ("double", "numerical", lambda r, n, w: _some(r, np.arange(n) % 21 * 1.5, "float64")),
    "few whole": ("long", "numerical", lambda r, n, w: _some(r, r.integers(0, 3, n), "int64")),
    "rare": ("string", "categorical", lambda r, n, w: _some(r, _rare(n, w), "object")),
    "whole": ("long", "numerical", lambda r, n, w: _some(r, r.poisson(30 + 2 * w, n), "int64")),
    "nullable whole": ("long", "numerical", lambda r, n, w: _some(r, r.poisson(30, n), "Int64", 0.2)),
    "flag": ("boolean", "categorical", lambda r, n, w: _some(r, r.random(n) < 0.3 + 0.1 * w, "bool")),
    "nullable flag": ("boolean", "categorical", lambda r, n, w: _some(r, r.random(n) < 0.3, "boolean", 0.3)),
    "carrier": ("string", "categorical", lambda r, n, w: _some(r, _names(r, n, 15), "object")),
    "moved names": ("string", "categorical", lambda r, n, w: _some(r, _names(r, n, 40, 5 * w), "object", 0.1)),
    "all new": ("string", "categorical", lambda r, n, w: _some(r, _names(r, n, 4, 9 * w), "object")),
    "categorical": ("string", "categorical", lambda r, n, w: _some(r, _names(r, n, 6), "category", 0.1)),
    "many": ("string", "categorical", lambda r, n, w: _some(r, _names(r, n, 3000), "object")),
    "one": ("string", "categorical", lambda r, n, w: _some(r, ["x"] * n, "object")),
    "codes": ("long", "categorical", lambda r, n, w: _some(r, r.integers(0, 7, n), "int64")),
}


def as_pandas(column: Values) -> Any:
    """What Evidently gets: the column with nulls and infinities dropped, as ``get_one_column_drift`` drops them."""
    values = [None if null else v for v, null in zip(column.values, column.null, strict=True)]
    return pd.Series(values, dtype=column.pandas_type).replace([-np.inf, np.inf], np.nan).dropna()


def as_polars(name: str, column: Values) -> pl.Series:
    """The same values as a window's frame holds them."""
    dtype = {"double": pl.Float64, "long": pl.Int64, "boolean": pl.Boolean, "string": pl.String}[COLUMNS[name][0]]
    series = pl.Series(name, [None if null else v for v, null in zip(column.values, column.null, strict=True)], dtype=dtype)
    return series.cast(pl.Categorical) if column.pandas_type == "category" else series


def spec_of(names: list[str], method: str | None = None, threshold: float | None = None) -> ModelSpec:
    """A spec of these columns, all with one method."""
    return ModelSpec.model_validate(
        {
            "model": "m",
            "reference": "r.parquet",
            "features": {name: {"type": COLUMNS[name][0], "kind": COLUMNS[name][1]} for name in names},
            "prediction": {"column": "prediction", "type": "double"},
            "monitors": ["data_drift"],
            "window": {"size": "1h"},
            "min_rows": 1,
            "drift": {"columns": {name: {"method": method, "threshold": threshold} for name in names}},
        }
    )


def ours(
    spec: ModelSpec, reference: dict[str, Values], windows: list[dict[str, Values]], folder: Path
) -> Iterator[dict[str, ColumnResult]]:
    """Our verdicts on each window, the reference through a Parquet file."""
    frame = pl.DataFrame([as_polars(name, values) for name, values in reference.items()])
    frame.with_columns(prediction=pl.lit(0.0)).write_parquet(folder / "r.parquet")
    profile = load_reference(spec, folder / "r.parquet")
    for window in windows:
        rows = pl.DataFrame([as_polars(name, values) for name, values in window.items()])
        nulls = {name: rows[name].null_count() for name in rows.columns}
        data = WindowData("m", "live", "live", 0, 1, "d", 0, ("1",), rows, rows.height, 0, True, nulls)
        yield {c.name: c for c in evaluate(data, spec, profile).columns}


def check(found: ColumnResult, reference: Any, window: Any, method: str | None, threshold: float | None) -> str:
    """Compare one verdict with Evidently's function on the same values; the method that Evidently used."""
    kind = TYPES[COLUMNS[found.name][1]]
    test = get_stattest(reference, window, kind, method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stock = test(reference.copy(), window.copy(), kind, threshold)
    score = float(stock.drift_score)
    if np.isnan(score):
        assert (found.status, bool(stock.drifted)) == ("error", False), found
        return str(test.name)
    assert (found.status, found.method, found.threshold) == ("ok", test.display_name, stock.actual_threshold), found
    assert found.rows == len(window)
    assert found.score is not None
    ours_, theirs = (found.score**2, score**2) if test.name == "hellinger" else (found.score, score)
    # Hellinger is sqrt(1 - x): near 0 the last digit of x is its eighth digit, and Evidently's own order of summing varies there.
    assert abs(ours_ - theirs) <= 1e-9 * max(1.0, abs(theirs)), (found, score)
    assert found.drifted == bool(stock.drifted), (found, score)
    return str(test.name)


def test_600_windows_have_evidently_s_default_verdicts(tmp_path: Path) -> None:
    """Default method, threshold, verdict and score are Evidently's on every type of column, window size and reference size."""
    compared, methods = 0, set()
    spec = spec_of(list(COLUMNS))
    for rows in REFERENCE_ROWS:
        rng = np.random.default_rng(rows)
        reference = {name: make(rng, rows, False) for name, (_, _, make) in COLUMNS.items()}
        theirs = {name: as_pandas(values) for name, values in reference.items()}
        windows = [{name: make(rng, n, True) for name, (_, _, make) in COLUMNS.items()} for n in WINDOW_ROWS]
        for window, found in zip(windows, ours(spec, reference, windows, tmp_path), strict=True):
            for name, values in window.items():
                methods.add(check(found[name], theirs[name], as_pandas(values), None, None))
                compared += 1
    assert compared >= 600
    assert methods == {"ks", "wasserstein", "jensenshannon", "chisquare", "z"}


SLOW = {"TVD", "empirical_mmd"}  # permutations: seconds a column, so on small samples only


OF_VALUES = [m.name for m in METHODS.values() if m.kinds[0] in TYPES]


@pytest.mark.parametrize("method", [name for name in OF_VALUES if name not in SLOW])
def test_a_chosen_method_and_threshold_have_evidently_s_verdicts(method: str, tmp_path: Path) -> None:
    """A method and threshold that the spec chooses give Evidently's verdict and score, on every column of its kinds."""
    names = [name for name, (_, kind, _) in COLUMNS.items() if kind in METHODS[method].kinds]
    spec = spec_of(names, method, 0.07)
    judged = 0
    for rows, sizes in ((100, (1, 100)), (3000, (100, 3000)), (20_000, (300,))):
        rng = np.random.default_rng(rows + len(method))
        reference = {name: COLUMNS[name][2](rng, rows, False) for name in names}
        windows = [{name: COLUMNS[name][2](rng, n, True) for name in names} for n in sizes]
        for window, found in zip(windows, ours(spec, reference, windows, tmp_path), strict=True):
            for name, values in window.items():
                judged += _chosen(found[name], as_pandas(reference[name]), as_pandas(values), method)
    assert judged >= 4  # fisher_exact takes only binary columns of equal length: four here


def _chosen(found: ColumnResult, reference: Any, window: Any, method: str) -> bool:
    """Compare, or see that a column which Evidently refuses has the status error with a reason. True when there was a score."""
    if found.status == "error":
        assert found.reason
        with pytest.raises(Exception):  # noqa: B017, PT011  # whatever Evidently refuses it with, or the score is not a number
            _number(reference, window, method, found.kind)
        return False
    check(found, reference, window, method, 0.07)
    return True


def _number(reference: Any, window: Any, method: str, kind: str) -> float:
    score = get_stattest(reference, window, TYPES[kind], method)(reference.copy(), window.copy(), TYPES[kind], None).drift_score
    if np.isnan(score):
        raise ValueError("not a number")
    return float(score)


@pytest.mark.parametrize("method", sorted(SLOW))
def test_permutation_methods_are_evidently_s_and_leave_the_random_state_alone(method: str, tmp_path: Path) -> None:
    """TVD and MMD come from Evidently's own functions under a fixed seed; NumPy's global random state is as before."""
    name = "flag" if method == "TVD" else "normal"
    rng = np.random.default_rng(5)
    reference, window = {name: COLUMNS[name][2](rng, 60, False)}, {name: COLUMNS[name][2](rng, 40, True)}
    np.random.seed(77)
    before = np.random.get_state()[1].tolist()
    found = next(ours(spec_of([name], method), reference, [window], tmp_path))[name]
    assert np.random.get_state()[1].tolist() == before
    np.random.seed(0)
    check(found, as_pandas(reference[name]), as_pandas(window[name]), method, None)
