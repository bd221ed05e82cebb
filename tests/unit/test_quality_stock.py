"""What we say of a window's data against Evidently's own metrics on the same rows."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.data_integration import get_number_of_constant_columns, get_number_of_duplicated_columns
from evidently.metrics import (
    ConstantColumnsCount,
    DatasetMissingValueCount,
    DuplicatedColumnsCount,
    DuplicatedRowCount,
    MaxValue,
    MeanValue,
    MinValue,
    MissingValueCount,
    OutListValueCount,
    OutRangeValueCount,
    QuantileValue,
    StdValue,
)

from config.spec import ModelSpec
from monitor.evaluate import evaluate
from monitor.quality.column import QUANTILES
from monitor.reference import ReferenceProfile, load_reference
from monitor.window import WindowData
from schemas.result import ColumnQuality, DataQuality

NUMBERS = ("normal", "tied", "gaps", "nan", "long", "long gaps", "near", "infinite", "constant", "empty", "copy", "tiny")
WORDS = ("name", "name gaps", "no name")
FLAGS = ("flag", "flag gaps")
TYPES = {
    **{n: {"type": "long" if n.startswith("long") else "double"} for n in NUMBERS},
    **{n: {"type": "string", "kind": "categorical"} for n in WORDS},
    **{n: {"type": "boolean"} for n in FLAGS},
    "code": {"type": "double", "kind": "categorical"},
}
SPEC = ModelSpec.model_validate(
    {
        "model": "m",
        "reference": "r.parquet",
        "features": TYPES,
        "prediction": {"column": "prediction", "type": "double"},
        "monitors": ["data_quality"],
        "window": {"size": "1h"},
        "min_rows": 1,
    }
)


def gaps(rng: np.random.Generator, values: Any, share: float) -> list[Any]:
    """The values as a list with None at random places."""
    return [None if gap else v for v, gap in zip(np.asarray(values).tolist(), rng.random(len(values)) < share, strict=True)]


def rows(rng: np.random.Generator, n: int, spread: float = 1.0, repeats: int = 0) -> pl.DataFrame:
    """Rows of every kind of column; ``spread`` takes them beyond the reference, the first ``repeats`` rows come twice."""
    normal = rng.normal(0, spread, n)
    columns: dict[str, Any] = {
        "normal": normal,
        "tied": rng.integers(-3, 4, n) * 0.1 * spread,
        "gaps": gaps(rng, rng.lognormal(0, spread, n), 0.2),
        "nan": np.where(rng.random(n) < 0.3, np.nan, rng.normal(5, spread, n)),
        "long": rng.poisson(40 * spread, n),
        "long gaps": gaps(rng, rng.integers(-5, 60, n), 0.4),
        "near": 1e9 + rng.normal(0, 1e-3 * spread, n),
        "infinite": np.where(rng.random(n) < 0.1, rng.choice([np.inf, -np.inf], n), rng.normal(size=n)),
        "constant": np.full(n, 0.1),
        "empty": [None] * n,
        "copy": normal,
        "tiny": rng.normal(size=n) * 1e-12,
        "name": rng.choice(["a", "b", "ç", *(["new", "<b>"] if spread > 1 else [])], n),
        "name gaps": gaps(rng, rng.choice(["x", "y", *(["z"] if spread > 1 else [])], n), 0.1),
        "no name": [None] * n,
        "flag": rng.random(n) < 0.4,
        "flag gaps": gaps(rng, rng.random(n) < 0.9, 0.3),
        "code": rng.integers(0, 3 + round(spread), n).astype(float),
        "prediction": rng.normal(size=n),
    }
    schema = {
        name: {"double": pl.Float64, "long": pl.Int64, "boolean": pl.Boolean, "string": pl.String}[t["type"]] for name, t in TYPES.items()
    }
    frame = pl.DataFrame(columns, schema={**schema, "prediction": pl.Float64}, strict=False)
    return pl.concat([frame, frame.head(repeats)])


@pytest.fixture(scope="module")
def reference() -> pl.DataFrame:
    """The reference's rows."""
    return rows(np.random.default_rng(9), 800)


@pytest.fixture(scope="module")
def profile(reference: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> ReferenceProfile:
    """The fitted reference."""
    path: Path = tmp_path_factory.mktemp("quality") / "r.parquet"
    reference.write_parquet(path)
    return load_reference(SPEC, path)


def described(frame: pl.DataFrame, profile: ReferenceProfile) -> DataQuality:
    """A window of these rows as our result describes it."""
    nulls = {name: frame[name].null_count() for name in frame.columns}
    window = WindowData("m", "live", "live", 0, 1, "d", 0, ("1",), frame, frame.height, 0, True, nulls)
    quality = evaluate(window, SPEC, profile).quality
    assert quality is not None
    return quality


def dataset(frame: pl.DataFrame) -> Dataset:
    """The rows as Evidently takes them."""
    words = [*WORDS, *FLAGS, "code"]
    definition = DataDefinition(numerical_columns=[*NUMBERS, "prediction"], categorical_columns=words, text_columns=[], datetime_columns=[])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Dataset.from_pandas(pandas(frame), definition)


def pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """The rows in pandas; longs with nulls as its nullable integers."""
    table = frame.to_pandas()
    for name in ("long", "long gaps"):
        table[name] = pd.Series(frame[name].to_list(), dtype="Int64")
    return table


def stock(metric: Any, data: Dataset) -> float:
    """The value that a stock metric's own calculation gives, without its plots."""
    calculation = metric.to_calculation()
    if hasattr(calculation, "calculate_value"):
        value = calculation.calculate_value(data.column(metric.column))
        return math.nan if value is pd.NA else float(value)  # pandas' own word for it where integers are nullable
    return float(calculation._calculate_value(data).share.value)


def close(ours: float | None, theirs: float, scale: float = 0.0) -> bool:
    """Equal within 1e-9 of the value, or of the numbers that it was summed from; None is Evidently's not-a-number."""
    if ours is None or math.isnan(theirs):
        return ours is None and math.isnan(theirs)
    return abs(ours - theirs) <= 1e-9 * max(abs(theirs), scale)


def check_numbers(found: ColumnQuality, data: Dataset) -> None:
    """One column of numbers without infinities against Evidently's metrics of it."""
    scale = max(abs(found.minimum or 0.0), abs(found.maximum or 0.0))
    for metric, ours in ((MinValue, found.minimum), (MaxValue, found.maximum), (MeanValue, found.mean)):
        assert close(ours, stock(metric(column=found.name), data), scale), (metric, found)
    # a spread of 1e-3 around 1e9 has its 13th digit in the last place of the numbers themselves
    assert close(found.deviation, stock(StdValue(column=found.name), data), scale * 1e-6), found
    quantiles = [stock(QuantileValue(column=found.name, quantile=float(q)), data) for q in QUANTILES]
    assert all(close(a, b) for a, b in zip(found.quantiles, quantiles, strict=True)), (found, quantiles)


@pytest.mark.parametrize("seed", range(40))
def test_descriptions_are_evidently_s(seed: int, reference: pl.DataFrame, profile: ReferenceProfile) -> None:
    """40 windows of 19 columns, 1 to 3,000 rows: null shares, distinct values, new categories, ranges, mean and quantiles, duplicates,
    constants are what Evidently's metrics give on the same rows.
    """
    rng = np.random.default_rng(seed)
    n = int(np.exp(rng.uniform(0, 8)))
    frame = rows(rng, n, spread=float(rng.choice([1.0, 1.0, 1.3, 3.0])), repeats=int(rng.integers(0, n)) if seed % 2 else 0)
    if seed % 3 == 0:  # a few different rows only, so that rows repeat without being copied
        frame = frame.sample(frame.height, with_replacement=True, seed=seed)
    found, data, table = described(frame, profile), dataset(frame), pandas(frame)
    for column in found.columns:
        check_column(column, data, table, reference)
    assert found.duplicated_rows == table.duplicated().sum()
    assert found.rows_with_nulls == table.isna().any(axis=1).sum()
    assert len(found.constant_columns) == get_number_of_constant_columns(table)
    assert list(found.columns_with_nulls) == [name for name in table.columns if table[name].isna().any()]
    assert sorted(found.duplicated_columns) == sorted(repeated(table))


def check_column(column: ColumnQuality, data: Dataset, table: pd.DataFrame, reference: pl.DataFrame) -> None:
    """One column's shares and counts, and its numbers where it has only finite ones."""
    values = table[column.name]
    assert column.status == "ok"
    assert column.null_share == stock(MissingValueCount(column=column.name), data)
    assert (column.rows, column.distinct) == (values.count(), values.nunique()), column
    assert column.constant == (values.nunique() <= 1)
    if not values.count():
        assert (column.mean, column.minimum, column.quantiles, column.new_category_share, column.out_of_range_share) == (
            None,
            None,
            (),
            None,
            None,
        )
        return
    known = reference[column.name].drop_nulls()
    if column.kind == "categorical":
        if len(known):
            new = OutListValueCount(column=column.name, values=known.unique().to_list())
            assert close(column.new_category_share, stock(new, data)), column
        return
    finite = known.filter(known.is_finite()) if known.dtype == pl.Float64 else known
    if len(finite):
        beyond = OutRangeValueCount(column=column.name, left=finite.min(), right=finite.max())
        assert close(column.out_of_range_share, stock(beyond, data)), column
    if np.isfinite(values.dropna().to_numpy(dtype=float)).all():
        check_numbers(column, data)


def repeated(table: pd.DataFrame) -> list[str]:
    """Columns that ``Series.equals`` an earlier one, which is how Evidently compares them."""
    names = list(table.columns)
    return [b for i, b in enumerate(names) if any(table[a].equals(table[b]) for a in names[:i])]


@pytest.mark.parametrize("seed", range(4))
def test_whole_reports_say_the_same(seed: int, profile: ReferenceProfile) -> None:
    """Counts of duplicated rows, duplicated and constant columns are those of a real Report; pairs of equal columns are counted by
    Evidently, columns that repeat an earlier one by us, which is the same number unless three columns are equal.
    """
    rng = np.random.default_rng(1000 + seed)
    frame = rows(rng, 200 + 100 * seed, repeats=17 * seed)
    found = described(frame, profile)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics = [DuplicatedRowCount(), DuplicatedColumnsCount(), ConstantColumnsCount(), DatasetMissingValueCount(columns=[])]
        values = [m["value"] for m in Report(metrics).run(dataset(frame), None).dict()["metrics"]]
    assert values[:3] == [found.duplicated_rows, len(found.duplicated_columns), len(found.constant_columns)]
    assert values[3]["count"] == sum(c.null_share * frame.height for c in found.columns)
    assert values[3]["share"] > 1, "Evidently divides missing cells by rows; we say null shares per column and rows with nulls"


def test_three_equal_columns_are_two_that_repeat() -> None:
    """Of k equal columns k - 1 repeat an earlier one; Evidently's number is that of pairs, k (k - 1) / 2."""
    table = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0]})
    assert repeated(table) == ["b", "c"]
    assert get_number_of_duplicated_columns(table) == 3
