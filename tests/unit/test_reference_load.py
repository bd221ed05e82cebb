"""The reference dataset: what is refused, with which words, and what its fingerprint depends on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from config.errors import ReferenceDataError, SpecError
from config.spec import ModelSpec
from monitor.reference import load_reference
from monitor.statistics.profiles import NumericProfile

FEATURES: dict[str, Any] = {
    "x": {"type": "double"},
    "n": {"type": "long"},
    "late": {"type": "boolean"},
    "carrier": {"type": "string", "kind": "categorical"},
}


def make_spec(columns: dict[str, Any] | None = None) -> ModelSpec:
    """A spec of the columns above."""
    return ModelSpec.model_validate(
        {
            "model": "m",
            "reference": "r.parquet",
            "features": FEATURES,
            "prediction": {"column": "prediction", "type": "double"},
            "window": {"size": "1h"},
            "drift": {"columns": columns or {}},
        }
    )


def rows() -> pl.DataFrame:
    """A reference that fits the spec, with a null, a NaN and text of several bytes a character."""
    return pl.DataFrame(
        {
            "x": [1.5, None, float("nan"), 2.5, 0.0],
            "n": [1, 2, None, 4, 5],
            "late": [True, None, False, False, True],
            "carrier": ["UA", "é", None, "", "B6"],
            "prediction": [1.0, 2.0, 3.0, 4.0, 5.0],
        }
    )


def write(folder: Path, frame: pl.DataFrame, **options: Any) -> Path:
    """The frame as a Parquet file."""
    path = folder / f"r{len(list(folder.iterdir()))}.parquet"
    frame.write_parquet(path, **options)
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop("carrier", "n"), ("lacks column 'n', 'carrier'", "'prediction'")),
        (lambda f: f.with_columns(x=pl.lit("one")), ("column 'x' holds String, the spec says double",)),
        (lambda f: f.with_columns(carrier=pl.lit(3)), ("column 'carrier' holds Int32, the spec says string",)),
        (lambda f: f.with_columns(n=pl.lit(1.5)), ("column 'n' holds Float64 with fractions",)),
        (lambda f: f.with_columns(late=pl.lit(7)), ("column 'late' holds Int32 with other values than 0 and 1",)),
        (lambda f: f.with_columns(x=pl.lit(None)), ("column 'x' holds no usable value: all 5 rows",)),
        (lambda f: f.with_columns(x=pl.lit(float("inf"))), ("column 'x' holds no usable value",)),
        (lambda f: f.clear(), ("has 0 rows", "at least 2")),
        (lambda f: f.head(1), ("has 1 rows",)),
    ],
)
def test_an_unfit_reference_is_refused(tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame], words: tuple[str, ...]) -> None:
    """The error names the file, the column, what it holds and what the spec says, and a remedy."""
    path = write(tmp_path, change(rows()))
    with pytest.raises(ReferenceDataError) as caught:
        load_reference(make_spec(), path)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    for word in (path.name, *words):
        assert word in caught.value.message


def test_a_file_that_is_missing_or_no_parquet_is_refused(tmp_path: Path) -> None:
    """No file, a folder, or other bytes: one clear error that names the path."""
    (tmp_path / "text.parquet").write_text("not a parquet file at all")
    for path in (tmp_path / "none.parquet", tmp_path / "text.parquet", tmp_path):
        with pytest.raises(ReferenceDataError, match=path.name):
            load_reference(make_spec(), path)


def test_an_unknown_method_is_refused_at_load(tmp_path: Path) -> None:
    """A spec that names an unknown drift method fails when its reference is loaded, not in the first window."""
    with pytest.raises(SpecError, match=r"drift\.columns\.x\.method is 'kolmogorov'") as caught:
        load_reference(make_spec({"x": {"method": "kolmogorov"}}), write(tmp_path, rows()))
    assert "wasserstein" in caught.value.remedy


def test_the_fingerprint_is_of_the_values(tmp_path: Path) -> None:
    """Encoding, compression, row groups, narrower types, pandas' floats for integers and further columns do not change it."""
    spec, plain = make_spec(), rows()
    first = load_reference(spec, write(tmp_path, plain)).fingerprint
    same = [
        write(tmp_path, plain, compression="gzip", row_group_size=2, statistics=False),
        write(tmp_path, plain.with_columns(pl.col("carrier").cast(pl.Categorical), pl.col("n").cast(pl.Int16), extra=pl.lit(1))),
        write(tmp_path, plain.with_columns(pl.col("n").cast(pl.Float64), pl.col("x").fill_nan(None), pl.col("late").cast(pl.Float64))),
        write(tmp_path, plain.select(reversed(plain.columns)).with_columns(x=pl.when(pl.col("x") == 0).then(-0.0).otherwise(pl.col("x")))),
    ]
    assert {load_reference(spec, path).fingerprint for path in same} == {first}
    assert len(first) == 16
    assert int(first, 16)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.reverse(),
        lambda f: f.with_columns(x=pl.when(pl.col("x") == 1.5).then(1.5000001).otherwise(pl.col("x"))),
        lambda f: f.with_columns(carrier=pl.Series(["U", "Aé", None, "", "B6"])),
        lambda f: f.with_columns(carrier=pl.col("carrier").fill_null("")),
        lambda f: f.with_columns(n=pl.col("n").fill_null(0)),
        lambda f: f.with_columns(late=pl.col("late").fill_null(False)),
        lambda f: pl.concat([f, f.tail(1)]),
    ],
)
def test_other_values_are_another_fingerprint(tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """One value, one null, the border between two texts, or one row more gives another fingerprint."""
    spec = make_spec()
    assert load_reference(spec, write(tmp_path, rows())).fingerprint != load_reference(spec, write(tmp_path, change(rows()))).fingerprint


def test_the_frame_is_read_again_and_must_be_the_same(tmp_path: Path) -> None:
    """``frame()`` gives the spec's columns as the spec types them; after the file changed it refuses."""
    path = write(tmp_path, rows().with_columns(pl.col("n").cast(pl.Float64), extra=pl.lit(1)))
    profile = load_reference(make_spec(), path)
    assert profile.frame().schema == rows().schema
    assert profile.rows == 5
    rows().reverse().write_parquet(path)
    with pytest.raises(ReferenceDataError, match="has changed since it was loaded"):
        profile.frame()


def test_a_profile_cannot_be_changed(tmp_path: Path) -> None:
    """Threads share a profile: its arrays are read-only, its mapping and fields closed."""
    profile = load_reference(make_spec(), write(tmp_path, rows()))
    fitted = profile.columns["x"].fitted
    assert isinstance(fitted, NumericProfile)
    for array in (fitted.sample.points, fitted.sample.counts, fitted.sample.cumulative, fitted.areas, fitted.shares):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(TypeError):
        profile.columns["y"] = profile.columns["x"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        profile.rows = 3  # type: ignore[misc]
    assert np.array_equal(fitted.sample.points, [0.0, 1.5, 2.5])
    assert profile.columns["x"].nulls == 2
