"""What real windows hold: none of it takes the window down, each column's own status says what is wrong.

The traps that DESIGN.md lists, and the tests that go through them:

| trap | test |
|---|---|
| an all-null column (stock aborts the whole preset) | test_an_all_null_column_is_that_column_s_error |
| a column missing from the window | test_a_missing_column_is_that_column_s_error |
| an extra column | test_an_extra_column_changes_nothing |
| nullable Int64 and Float64 | test_nullable_columns_are_judged_by_their_values |
| numbers stored as strings | test_numbers_stored_as_strings_are_refused |
| one class only in a classification window | test_performance_traps.py: test_a_window_of_one_class_is_measured |
| infinity | test_infinities_are_left_out |
| a near-constant reference column | test_a_near_constant_reference_gives_a_large_finite_score |
| an empty window | test_an_empty_window_has_no_verdict |
| new categories | test_new_categories_are_judged_and_named |
| non-ASCII and spaces in names | test_hostile_column_names_reach_result_and_snapshot |
| ReferenceMetricNotFound and ColumnNotFound subclass BaseException | test_a_base_exception_of_evidently_is_that_column_s_error |
| guessed types turned a category into text | test_types_are_never_guessed |
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from evidently import Dataset
from evidently.core.report import ReferenceMetricNotFound
from evidently.legacy.base_metric import ColumnNotFound
from evidently.legacy.calculations.stattests import registry

from config.spec import ModelSpec
from monitor.drift import data_definition, evidently_snapshot
from monitor.evaluate import evaluate
from monitor.reference import ReferenceProfile, load_reference
from monitor.window import WindowData
from schemas.result import ColumnResult, WindowResult, decode_result, encode_result

HOSTILE = ("<!channel>", "{{ x }}", "</script>", "`rm`", "naïve ключ", "a\nb", "y" * 500)


def make_spec(**fields: Any) -> ModelSpec:
    """A spec with one column of each type, changed by ``fields``."""
    base: dict[str, Any] = {
        "model": "m",
        "reference": "r.parquet",
        "features": {
            "x": {"type": "double"},
            "count": {"type": "long"},
            "flag": {"type": "boolean"},
            "délai (µs)": {"type": "double"},
            "name": {"type": "string", "kind": "categorical"},
        },
        "prediction": {"column": "prediction", "type": "double"},
        "target": {"column": "target", "type": "string", "kind": "categorical"},
        "monitors": ["data_drift", "prediction_drift", "target_drift"],
        "window": {"size": "1h"},
        "min_rows": 10,
    }
    return ModelSpec.model_validate({**base, **fields})


def rows(n: int, seed: int = 0) -> pl.DataFrame:
    """Rows that fit the spec."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "x": rng.normal(size=n),
            "count": rng.poisson(40, n),
            "flag": rng.random(n) < 0.5,
            "délai (µs)": rng.normal(size=n),
            "name": rng.choice(["a", "b", "ç"], n),
            "prediction": rng.normal(size=n),
            "target": rng.choice(["yes", "no"], n),
        }
    )


def window_of(frame: pl.DataFrame, **fields: Any) -> WindowData:
    """A closed window of these rows."""
    plain: dict[str, Any] = {"rows": frame.height, "nulls": {c: frame[c].null_count() for c in frame.columns}}
    return WindowData(**{**_PLAIN, "frame": frame, **plain, **fields})


_PLAIN: dict[str, Any] = {
    "model": "m",
    "run": "live",
    "run_kind": "live",
    "start_ms": 0,
    "end_ms": 3_600_000,
    "spec_digest": "d",
    "source_partition": 0,
    "model_versions": ("1",),
    "duplicates": 0,
    "exact": True,
}


@pytest.fixture
def profile(tmp_path: Path) -> ReferenceProfile:
    """The fitted reference."""
    return fit(tmp_path, make_spec())


def fit(folder: Path, spec: ModelSpec, frame: pl.DataFrame | None = None) -> ReferenceProfile:
    """Write a reference and fit it."""
    (rows(2000, 9) if frame is None else frame).write_parquet(folder / "r.parquet")
    return load_reference(spec, folder / "r.parquet")


def by_name(result: WindowResult) -> dict[str, ColumnResult]:
    """The columns of a result; the result survives its own encoding and gives a Snapshot."""
    assert decode_result(encode_result(result)) == result
    return {c.name: c for c in result.columns}


def judge(frame: pl.DataFrame, profile: ReferenceProfile, spec: ModelSpec | None = None, **fields: Any) -> WindowResult:
    """Judge a window of these rows, and make its Evidently Snapshot."""
    window, spec = window_of(frame, **fields), spec or make_spec()
    result = evaluate(window, spec, profile)
    snapshot = evidently_snapshot(window, spec, profile, result.columns)
    judged = [c for c in result.columns if c.status == "ok" and c.score is not None]
    features = any(c.role == "feature" for c in judged)
    assert len(snapshot.dict()["metrics"]) == len(judged) + features
    return result


def others_ok(result: WindowResult, *broken: str) -> bool:
    """All columns but the broken ones were judged."""
    return all((c.status == "ok") != (c.name in broken) for c in result.columns)


def test_a_quiet_window_is_quiet(profile: ReferenceProfile) -> None:
    """Rows of the reference's distribution: every column is judged, in the spec's order and role, and nothing has drifted."""
    result = judge(rows(500), profile)
    assert (result.status, result.drifted, result.drift_share) == ("ok", False, 0.0)
    assert [(c.name, c.role) for c in result.columns][-2:] == [("prediction", "prediction"), ("target", "target")]
    assert others_ok(result)


def test_an_all_null_column_is_that_column_s_error(profile: ReferenceProfile) -> None:
    """Stock Evidently aborts the whole preset; here the column says so and the others are judged."""
    for nothing in (pl.lit(None), pl.lit(None, dtype=pl.Float64), pl.lit(float("nan")), pl.lit(float("inf"))):
        result = judge(rows(500).with_columns(x=nothing), profile)
        assert others_ok(result, "x")
        assert "all 500 rows are null or not finite" in by_name(result)["x"].reason
        assert result.drift_share == 0.0


def test_a_missing_column_is_that_column_s_error(profile: ReferenceProfile) -> None:
    """A column that no event carried has status error and as many nulls as the window has rows."""
    result = judge(rows(500).drop("name", "target"), profile)
    assert others_ok(result, "name", "target")
    assert by_name(result)["name"].reason == "no event of this window carried the column"
    assert by_name(result)["name"].nulls == 500


def test_an_extra_column_changes_nothing(profile: ReferenceProfile) -> None:
    """A column that the spec does not name is not judged."""
    assert judge(rows(500).with_columns(extra=pl.lit("z")), profile) == judge(rows(500), profile)


def test_nullable_columns_are_judged_by_their_values(profile: ReferenceProfile) -> None:
    """Nulls are left out of the scores (as Evidently drops them) and counted."""
    frame = rows(900)
    holes = [i % 3 == 0 for i in range(900)]
    result = judge(frame.with_columns(pl.when(pl.Series(holes)).then(None).otherwise(pl.all()).name.keep()), profile)
    full = judge(frame.filter(~pl.Series(holes)), profile)
    assert [c.score for c in result.columns] == [c.score for c in full.columns]
    assert {(c.rows, c.nulls) for c in result.columns} == {(600, 300)}


def test_numbers_stored_as_strings_are_refused(profile: ReferenceProfile) -> None:
    """Text in a numerical column is an error of the column that names both types; it is never parsed."""
    result = judge(rows(500).with_columns(pl.col("x").cast(pl.String), pl.col("count").cast(pl.String)), profile)
    assert others_ok(result, "x", "count")
    assert by_name(result)["x"].reason == "the column holds String, the spec says double"


def test_whole_numbers_under_another_type_are_the_same_column(profile: ReferenceProfile) -> None:
    """Integers as floats (pandas' way of nulls), narrower integers, and text as Categorical or Enum give the very same result."""
    frame = rows(500)
    other = frame.with_columns(
        pl.col("count").cast(pl.Float64), pl.col("name").cast(pl.Enum(["ç", "b", "a"])), pl.col("target").cast(pl.Categorical)
    )
    assert judge(other, profile).columns == judge(frame, profile).columns
    fraction = judge(frame.with_columns(pl.col("count") + 0.5), profile)
    assert "fractions" in by_name(fraction)["count"].reason


def test_infinities_are_left_out(profile: ReferenceProfile) -> None:
    """Infinite values do not count, as Evidently drops them; the rest of the column is judged."""
    frame = rows(500)
    odd = pl.DataFrame({"x": [float("inf")] * 20 + [float("-inf")] * 5})
    result = judge(pl.concat([frame, odd], how="diagonal"), profile)
    assert by_name(result)["x"].score == by_name(judge(frame, profile))["x"].score
    assert by_name(result)["x"].rows == 500


def test_a_near_constant_reference_gives_a_large_finite_score(tmp_path: Path) -> None:
    """A reference that hardly varies gives scores in the thousands (the norm is floored at 0.001 as in Evidently), not an error."""
    profile = fit(tmp_path, make_spec(), rows(2000).with_columns(x=5 + 1e-9 * pl.col("x")))
    column = by_name(judge(rows(500).with_columns(x=pl.col("x") + 9), profile))["x"]
    assert column.score is not None
    assert 1000 < column.score < 100_000
    assert column.drifted


def test_an_empty_window_has_no_verdict(profile: ReferenceProfile) -> None:
    """No rows, or fewer than min_rows: insufficient data, nothing drifted, counts reported; a frame without any column too."""
    for frame in (rows(0), pl.DataFrame(), rows(9).with_columns(x=pl.lit(100.0))):
        result = judge(frame, profile)
        assert (result.status, result.drifted, result.drift_share, result.rows) == ("insufficient_data", False, 0.0, frame.height)
        assert {c.status for c in result.columns} == {"insufficient_data"}
        assert not any(c.drifted or c.changes for c in result.columns)
    assert "9 rows, the spec wants at least 10" in result.reason
    assert by_name(result)["x"].rows == 9


def test_new_categories_are_judged_and_named(profile: ReferenceProfile) -> None:
    """Categories that the reference does not have count in the score; hostile names are literal text, long ones cut."""
    frame = rows(700).with_columns(name=pl.Series([HOSTILE[i % 7] for i in range(700)]))
    column = by_name(judge(frame, profile))["name"]
    assert column.drifted
    assert column.changes[0].startswith("7 new categories, 100 % of rows: ")
    one = by_name(judge(rows(700).with_columns(name=pl.lit("<!channel> `x`")), profile))["name"]
    assert one.changes[0] == '1 new category, 100 % of rows: "<!channel> `x`" 100 %'
    long = by_name(judge(rows(700).with_columns(name=pl.lit("y" * 500)), profile))["name"]
    assert max(map(len, long.changes)) < 200


def test_booleans_are_categories(profile: ReferenceProfile) -> None:
    """A boolean column is judged by its shares although the spec's kind is numerical by default."""
    column = by_name(judge(rows(500).with_columns(flag=pl.lit(True)), profile))["flag"]
    assert (column.kind, column.method, column.drifted) == ("categorical", "Jensen-Shannon distance", True)
    assert 'share of "True" ' in " ".join(column.changes)


def test_hostile_column_names_reach_result_and_snapshot(tmp_path: Path) -> None:
    """Column names of any characters and 500 of them are judged and appear as they are."""
    frame, features = rows(2000), {}
    for name in HOSTILE:
        frame, features[name] = frame.with_columns(frame["x"].alias(name)), {"type": "double"}
    spec = make_spec(features=features)
    result = judge(frame.head(500), fit(tmp_path, spec, frame), spec)
    assert tuple(c.name for c in result.columns if c.role == "feature") == HOSTILE
    assert others_ok(result)


def test_a_refusing_method_is_that_column_s_error(tmp_path: Path) -> None:
    """Evidently's Fisher test refuses samples of other sizes, its G test other totals: the column says why, the others are judged."""
    spec = make_spec(drift={"columns": {"flag": {"method": "fisher_exact"}, "name": {"method": "g_test"}, "x": {"method": "anderson"}}})
    result = judge(rows(500), fit(tmp_path, spec), spec)
    assert others_ok(result, "flag", "name")
    assert "as many values in the window (500) as in the reference (2000)" in by_name(result)["flag"].reason
    assert "g_test needs as many values in the window (500) as in the reference (2000)" in by_name(result)["name"].reason


@pytest.mark.parametrize("kind", [ReferenceMetricNotFound, ColumnNotFound])
def test_a_base_exception_of_evidently_is_that_column_s_error(
    kind: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidently's errors that subclass BaseException, raised inside a statistic, do not end the worker."""
    assert not issubclass(kind, Exception)

    def broken(*_: Any, **__: Any) -> None:
        raise kind("x")

    spec = make_spec(drift={"columns": {"x": {"method": "es"}}})
    profile = fit(tmp_path, spec)
    monkeypatch.setattr(registry.StatTest, "__call__", broken)
    result = judge(rows(500), profile, spec)
    assert others_ok(result, "x")
    assert by_name(result)["x"].reason.startswith("Epps-Singleton: ")


def test_types_are_never_guessed(profile: ReferenceProfile) -> None:
    """Left to itself Evidently takes a category of many values for text and a number of few for a category; ours are the spec's, and no
    part of the DataDefinition is left open for guessing.
    """
    frame = rows(600).with_columns(name=pl.Series([f"dest {i}" for i in range(600)]), count=pl.Series([i % 3 for i in range(600)]))
    guessed = Dataset.from_pandas(frame.to_pandas()).data_definition
    assert "name" in guessed.text_columns
    assert "count" in guessed.categorical_columns
    result = judge(frame, profile)
    assert (by_name(result)["name"].kind, by_name(result)["count"].kind) == ("categorical", "numerical")
    ours = data_definition(make_spec())
    assert {"name", "target", "flag"} == set(ours.categorical_columns)
    assert {"x", "count", "délai (µs)", "prediction"} == set(ours.numerical_columns)
    open_parts = (ours.text_columns, ours.datetime_columns, ours.unknown_columns, ours.list_columns)
    assert all(part == [] for part in open_parts)  # None would be guessed
    kept = Dataset.from_pandas(frame.to_pandas(), ours).data_definition
    assert (kept.text_columns, sorted(kept.categorical_columns)) == ([], ["flag", "name", "target"])


def test_every_trap_in_the_table_has_its_test() -> None:
    """The table above names tests that exist."""
    lines = [line.split("|")[2].strip() for line in (__doc__ or "").splitlines() if line.startswith("| ")][1:]
    assert len(lines) == 13
    for line in lines:
        file, _, name = line.rpartition(": ")
        assert f"def {name}(" in Path(__file__).with_name(file or Path(__file__).name).read_text(encoding="utf-8"), line


def test_no_judged_feature_is_an_error_not_a_quiet_window(profile: ReferenceProfile) -> None:
    """When no feature can be judged, the window says so: never 'no drift', though the prediction was judged."""
    result = judge(rows(500).select("prediction", "target"), profile)
    assert (result.status, result.drifted) == ("error", False)
    assert "no column could be judged; x: " in result.reason
    assert result.column("prediction") is not None
    assert others_ok(result, "x", "count", "flag", "délai (µs)", "name")


def test_the_share_counts_judged_features_only(profile: ReferenceProfile) -> None:
    """Drifted features over judged features: broken columns, prediction and target do not count; at the threshold it has drifted."""
    frame = rows(500).drop("name").with_columns(x=pl.col("x") + 5, count=pl.col("count") + 50, prediction=pl.col("prediction") + 9)
    result = judge(frame, profile)
    assert (result.drifted_columns, result.drift_share, result.drifted) == (2, 0.5, True)
    assert result.drifted_names() == ["x", "count"]
    assert result.drifted_names("prediction") == ["prediction"]


def test_a_sampled_window_reports_the_whole_window_s_counts(profile: ReferenceProfile) -> None:
    """Scores come from the sample; rows, duplicates and nulls from the counts of the whole window."""
    result = judge(rows(500), profile, rows=9000, nulls={"x": 40}, duplicates=7, exact=False)
    assert (result.rows, result.sampled_rows, result.duplicates, result.exact) == (9000, 500, 7, False)
    assert (by_name(result)["x"].rows, by_name(result)["x"].nulls) == (500, 40)


def test_the_same_window_gives_the_same_bytes(profile: ReferenceProfile) -> None:
    """Judged twice, and with its rows in another order, a window gives the same encoded result."""
    frame = rows(500).with_columns(x=pl.col("x") + 1, name=pl.lit("new"))
    first = encode_result(judge(frame, profile))
    assert encode_result(judge(frame, profile)) == first
    assert encode_result(judge(frame.reverse(), profile)) == first
