"""Tests by spec: bounds, defaults, descriptions, and what they do with data that are not as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from config.spec import ModelSpec
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.window import WindowData
from schemas.result import TestResult, WindowResult, decode_result, encode_result
from streams.topics import CHECKPOINT_RECORD_BYTES
from tests.support.results import HOSTILE

BASE: dict[str, Any] = {
    "model": "m",
    "reference": "r.parquet",
    "features": {
        "x": {"type": "double"},
        "n": {"type": "long"},
        "name": {"type": "string", "kind": "categorical"},
        "flag": {"type": "boolean"},
    },
    "prediction": {"column": "prediction", "type": "double"},
    "target": {"column": "target", "type": "double"},
    "monitors": ["data_drift", "data_quality"],
    "window": {"size": "1h"},
    "min_rows": 10,
}


def spec_of(*tests: dict[str, Any], **fields: Any) -> ModelSpec:
    """A spec with these tests."""
    return ModelSpec.model_validate({**BASE, "tests": list(tests), **fields})


def rows(n: int, seed: int = 0) -> pl.DataFrame:
    """Rows that fit the spec, none of them alike."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "x": rng.uniform(0, 10, n),
            "n": rng.integers(0, 50, n),
            "name": rng.choice(["a", "b"], n),
            "flag": rng.random(n) < 0.5,
            "prediction": rng.normal(size=n),
            "target": rng.normal(size=n),
        }
    )


def judge(spec: ModelSpec, frame: pl.DataFrame, reference: pl.DataFrame, folder: Path, **fields: Any) -> WindowResult:
    """The result of a window of these rows, which survives its own encoding."""
    reference.write_parquet(folder / "r.parquet")
    plain: dict[str, Any] = {"rows": frame.height, "nulls": {c: frame[c].null_count() for c in frame.columns}, "exact": True} | fields
    window = WindowData("m", "live", "live", 0, 1, "d", 0, ("1",), frame, duplicates=0, **plain)
    result = evaluate(window, spec, load_reference(spec, folder / "r.parquet"))
    assert decode_result(encode_result(result)) == result
    return result


def one(test: dict[str, Any], frame: pl.DataFrame, folder: Path, reference: pl.DataFrame | None = None) -> TestResult:
    """The outcome of a suite of one test, without its description's tail."""
    (outcome,) = judge(spec_of(test), frame, rows(1000, 9) if reference is None else reference, folder).tests
    return outcome


@pytest.mark.parametrize(
    ("bounds", "status"),
    [
        ({"eq": 30}, "SUCCESS"),
        ({"eq": 31}, "FAIL"),
        ({"gt": 29, "lt": 31}, "SUCCESS"),
        ({"gt": 30}, "FAIL"),
        ({"lt": 30}, "FAIL"),
        ({"gte": 30, "lte": 30}, "SUCCESS"),
        ({"gte": 31}, "FAIL"),
        ({"lte": 29}, "FAIL"),
        ({"lte": 29, "critical": False}, "WARNING"),
    ],
)
def test_bounds_are_kept_or_not(tmp_path: Path, bounds: dict[str, Any], status: str) -> None:
    """30 rows with nulls against each kind of bound, all of them have to hold; a failed test that is not critical is a WARNING."""
    frame = rows(200).with_columns(x=pl.when(pl.int_range(200) < 30).then(None).otherwise("x"))
    assert one({"test": "rows_with_nulls", **bounds}, frame, tmp_path).status == status


def test_a_description_has_the_numbers(tmp_path: Path) -> None:
    """The text says what was found, of how much, what was expected and why, for a default and for the user's own bound."""
    reference = rows(1000, 9).with_columns(x=pl.when(pl.int_range(1000) < 50).then(None).otherwise("x"))
    frame = rows(200).with_columns(x=pl.when(pl.int_range(200) < 30).then(None).otherwise("x"))
    default = one({"test": "rows_with_nulls"}, frame, tmp_path, reference)
    assert default == TestResult(
        "rows_with_nulls",
        "FAIL",
        "30 of 200 rows have nulls, 15 %; expected at most 11 (the reference has 50 of 1,000 rows, +10%)",
    )
    own = one({"test": "rows_with_nulls_share", "lte": 0.2}, frame, tmp_path, reference)
    assert own == TestResult("rows_with_nulls_share", "SUCCESS", "30 of 200 rows have nulls, 15 %; expected at most 0.2")


@pytest.mark.parametrize(
    ("test", "change", "text"),
    [
        ("row_count", None, "the window has 200 rows; expected at least 500"),
        ("column_count", pl.col("name").alias("other"), "5 of the reference's 5 columns came; expected exactly 6"),
        ("constant_columns", pl.lit(3).alias("n"), '1 of 5 columns are constant: "n"; expected at most 0 (the reference has 0)'),
        (
            "duplicated_columns",
            pl.col("x").alias("prediction"),
            '1 of 5 columns repeat an earlier column: "prediction"; expected at most 0 (the reference has 0)',
        ),
        (
            "out_of_range_share",
            pl.when(pl.int_range(200) < 3).then(-1.0).otherwise("x").alias("x"),
            "1.5 % of 200 values are outside the reference's 0 to 10; its numbers are -1 to 10; expected exactly 0",
        ),
        (
            "new_category_share",
            pl.when(pl.int_range(200) < 4).then(pl.lit("ü\n")).otherwise("name").alias("name"),
            '2 % of 200 values are categories that the reference never had: "ü\\n"; expected exactly 0',
        ),
        (
            "null_share",
            pl.when(pl.int_range(200) < 4).then(None).otherwise("name").alias("name"),
            "2 % of rows have no value; expected at most 0 (the reference has 0 %)",
        ),
        (
            "mean_stability",
            pl.lit(12.0).alias("x"),
            "the mean is 12, 2.433 standard deviations from the reference's 4.955 (± 2.895); expected at most 2",
        ),
    ],
)
def test_each_test_finds_its_trouble(tmp_path: Path, test: str, change: pl.Expr | None, text: str) -> None:
    """On rows without trouble the test passes; with one trouble it fails, and says how much of what and where."""
    bounds: dict[str, Any] = {"row_count": {"gte": 500}, "column_count": {"eq": 6}}.get(test, {})
    column = {"out_of_range_share": "x", "new_category_share": "name", "null_share": "name", "mean_stability": "x"}.get(test)
    wanted = {"test": test, **bounds, **({"columns": [column]} if column else {})}
    reference = rows(1000, 9).with_columns(x=pl.int_range(1000) % 101 / 10)
    if not bounds:
        frame = rows(200).with_columns(x=pl.int_range(200) % 101 / 10)
        assert one(wanted, frame, tmp_path, reference).status == "SUCCESS"
    else:
        frame = rows(200)
    assert one(wanted, frame if change is None else frame.with_columns(change), tmp_path, reference) == TestResult(
        test, "FAIL", text, column or ""
    )


def test_what_a_spec_bounds_itself_the_preset_leaves_to_it(tmp_path: Path) -> None:
    """``data_stability`` with a null_share test of one column: that column has one null_share outcome, by the user's bound."""
    frame = rows(200).with_columns(x=pl.when(pl.int_range(200) < 30).then(None).otherwise("x"))
    spec = spec_of({"test": "data_stability", "critical": False}, {"test": "null_share", "columns": ["x"], "lte": 0.2})
    tests = judge(spec, frame, rows(1000, 9), tmp_path).tests
    found = [(t.name, t.column, t.status) for t in tests]
    assert len({(name, column) for name, column, _ in found}) == len(found)
    assert [f for f in found if f[0] == "null_share"] == [
        *[("null_share", name, "SUCCESS") for name in ("n", "name", "flag", "prediction")],
        ("null_share", "x", "SUCCESS"),
    ]
    assert {name for name, _, _ in found} == {
        "column_count",
        "column_types",
        "null_share",
        "out_of_range_share",
        "new_category_share",
        "mean_stability",
    }


def test_the_target_does_not_count_among_nulls(tmp_path: Path) -> None:
    """A target that is not known yet is null in every row: it is described, and no test and no count of the table takes it for a fault."""
    spec = spec_of({"test": "data_stability"}, {"test": "rows_with_nulls"}, {"test": "columns_with_nulls"})
    frame = rows(200).with_columns(target=pl.lit(None, pl.Float64))
    result = judge(spec, frame, rows(1000, 9), tmp_path)
    assert result.quality is not None
    assert (result.quality.rows_with_nulls, result.quality.columns_with_nulls, result.quality.constant_columns) == (0, (), ())
    target = result.quality.column("target")
    assert target is not None
    assert (target.null_share, target.rows) == (1.0, 0)
    assert not [t for t in result.tests if t.column == "target"]


def test_a_broken_column_costs_its_own_tests_only(tmp_path: Path) -> None:
    """Text where numbers belong: the column's tests are ERROR with the reason, column_types fails, the others have verdicts."""
    frame = rows(200).with_columns(n=pl.lit("many"))
    result = judge(spec_of({"test": "data_stability"}, {"test": "duplicated_rows"}), frame, rows(1000, 9), tmp_path)
    by_name = {(t.name, t.column): t for t in result.tests}
    reason = "the column holds String, the spec says long"
    for name in ("out_of_range_share", "mean_stability"):
        assert (by_name[name, "n"].status, by_name[name, "n"].description) == ("ERROR", reason)
    assert by_name["column_types", ""].status == "FAIL"
    assert reason in by_name["column_types", ""].description
    assert by_name["duplicated_rows", ""].status == by_name["mean_stability", "x"].status == by_name["null_share", "n"].status == "SUCCESS"
    assert result.quality is not None
    broken = result.quality.column("n")
    assert broken is not None
    assert (broken.status, broken.reason, broken.distinct, broken.rows) == ("error", reason, None, 200)


def test_a_missing_column_is_null_in_every_row(tmp_path: Path) -> None:
    """A column that no event carried: null share 1, every row has a null, column_count names it, what needs values is an ERROR."""
    spec = spec_of({"test": "data_stability"}, {"test": "rows_with_nulls"})
    result = judge(spec, rows(200).drop("x"), rows(1000, 9), tmp_path)
    by_name = {(t.name, t.column): t for t in result.tests}
    assert (
        by_name["column_count", ""].description
        == '4 of the reference\'s 5 columns came; missing: "x"; expected exactly 5 (as the reference)'
    )
    assert by_name["null_share", "x"].status == by_name["rows_with_nulls", ""].status == "FAIL"
    assert by_name["mean_stability", "x"].status == by_name["out_of_range_share", "x"].status == "ERROR"
    assert result.quality is not None
    assert (result.quality.rows_with_nulls, result.quality.columns_with_nulls) == (200, ("x",))


def test_a_small_window_is_described_and_not_tested(tmp_path: Path) -> None:
    """Below ``min_rows`` the data are described with their counts and no test has an outcome."""
    result = judge(spec_of({"test": "data_stability"}), rows(9), rows(1000, 9), tmp_path)
    assert (result.status, result.tests) == ("insufficient_data", ())
    assert result.quality is not None
    assert [c.rows for c in result.quality.columns] == [9] * 6


def test_an_empty_window_is_described_too(tmp_path: Path) -> None:
    """A window without rows: nothing is constant, null or repeated."""
    result = judge(spec_of({"test": "data_stability"}), rows(9).clear(), rows(1000, 9), tmp_path)
    assert result.quality is not None
    quality = result.quality
    assert (quality.rows_with_nulls, quality.duplicated_rows, quality.constant_columns, quality.duplicated_columns) == (0, 0, (), ())
    assert {(c.null_share, c.rows, c.distinct, c.constant) for c in quality.columns} == {(0.0, 0, 0, False)}


def test_null_shares_are_of_all_rows(tmp_path: Path) -> None:
    """A window that holds a sample of 200 of its 1,000 rows says the null share of the 1,000, which it counted as they came."""
    nulls = dict.fromkeys(rows(1).columns, 0) | {"x": 250}
    result = judge(
        spec_of({"test": "null_share", "columns": ["x"]}), rows(200), rows(1000, 9), tmp_path, rows=1000, nulls=nulls, exact=False
    )
    assert result.quality is not None
    assert [c.null_share for c in result.quality.columns] == [0.25, 0, 0, 0, 0, 0]
    assert result.quality.columns_with_nulls == ("x",)
    assert result.tests[0].description.startswith("25 % of rows have no value")


def test_where_our_defaults_differ_from_evidently_s(tmp_path: Path) -> None:
    """Fewer repeated rows than the reference's are no failure; a mean that equals a constant reference's is none; of two features one
    may not drift but none need not (Evidently's bounds for these three can never be kept).
    """
    reference = pl.concat([rows(500, 9), rows(500, 9)]).with_columns(n=pl.lit(7))
    frame = rows(200).with_columns(n=pl.lit(7))
    spec = spec_of({"test": "duplicated_rows"}, {"test": "mean_stability", "columns": ["n"]}, {"test": "drifted_columns"})
    spec = spec.model_copy(update={"features": {name: spec.features[name] for name in ("n", "name")}})
    assert [t.status for t in judge(spec, frame, reference, tmp_path).tests] == ["SUCCESS"] * 3


def test_tests_run_without_the_monitor(tmp_path: Path) -> None:
    """A spec may test without ``data_quality``: outcomes are there, the description is not; with neither, nothing is described."""
    tested = judge(spec_of({"test": "constant_columns"}, monitors=["data_drift"]), rows(50), rows(1000, 9), tmp_path)
    assert (tested.quality, len(tested.tests)) == (None, 1)
    plain = judge(spec_of(monitors=["data_drift"]), rows(50), rows(1000, 9), tmp_path)
    assert (plain.quality, plain.tests) == (None, ())


def test_hostile_names_are_text(tmp_path: Path) -> None:
    """Hostile columns and categories come through as they are, on one line; a category of 10,000 characters is cut, 30 new ones are 10."""
    features = {HOSTILE: {"type": "string", "kind": "categorical"}}
    spec = ModelSpec.model_validate({**BASE, "features": features, "tests": [{"test": "data_stability"}]})
    plain = rows(60).select("prediction", "target")
    reference = plain.with_columns(pl.lit("a").alias(HOSTILE))
    names = [HOSTILE, "y" * 10_000, *[f"n{i:02}" for i in range(28)]] * 2
    result = judge(spec, plain.with_columns(pl.Series(HOSTILE, names)), reference, tmp_path)
    assert result.quality is not None
    column = result.quality.columns[0]
    assert column.name == HOSTILE
    assert (len(column.new_categories), column.new_category_share) == (10, 1.0)
    assert column.new_categories[0] == f"{HOSTILE[:59]}…"
    assert max(map(len, column.new_categories)) == 60
    (test,) = [t for t in result.tests if t.name == "new_category_share"]
    assert (test.column, test.status, "\n" in test.description) == (HOSTILE, "FAIL", False)


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ([{"test": "data_stability", "lte": 3}], "takes no bounds"),
        ([{"test": "column_types", "eq": 3}], "takes no bounds"),
        ([{"test": "row_count"}], "needs a bound"),
        ([{"test": "row_count", "gte": float("inf")}], "finite number"),
        ([{"test": "constant_columns", "columns": ["x"]}], "is of the whole window"),
        ([{"test": "null_share", "columns": ["y"]}], "names 'y', which is no column of this model; its columns are x, n, name"),
        ([{"test": "mean_stability", "columns": ["flag"]}], "is not for column 'flag', which is categorical"),
        ([{"test": "new_category_share", "columns": ["x"]}], "is not for column 'x', which is numerical"),
        ([{"test": "null_share"}, {"test": "null_share", "columns": ["x"]}], "lists null_share twice"),
        ([{"test": "duplicated_rows"}, {"test": "duplicated_rows", "lte": 3}], "lists duplicated_rows twice"),
        ([{"test": "all_good"}], "data_stability"),
    ],
)
def test_a_wrong_test_is_named(tests: list[dict[str, Any]], message: str) -> None:
    """A test that cannot be meant is refused when the spec is read, with the name of what is wrong."""
    with pytest.raises(ValidationError, match=message):
        spec_of(*tests)


def test_drift_tests_need_the_drift_monitor() -> None:
    """A test of drifted columns where no column is judged for drift is refused."""
    with pytest.raises(ValidationError, match="needs monitor data_drift"):
        spec_of({"test": "drifted_columns_share"}, monitors=["data_quality"])


def test_a_thousand_hostile_columns_are_one_record(tmp_path: Path) -> None:
    """1,000 columns whose every value is new, long and four bytes a character: the result with all outcomes is under the 8 MiB that the
    results topic and the producer take.
    """
    names = [f"{i}" + "\U0001f4a9" * 40 for i in range(1000)]
    values = [f"{i}" + "\U0001f9a5" * 500 for i in range(30)]
    features = {name: {"type": "string", "kind": "categorical"} for name in names}
    spec = ModelSpec.model_validate({**BASE, "features": features, "tests": [{"test": "data_stability"}]})
    outputs = rows(30).select("prediction", "target")
    reference = outputs.with_columns(pl.lit("a").alias(name) for name in names)
    result = judge(spec, outputs.with_columns(pl.Series(name, values) for name in names), reference, tmp_path)
    assert sum(t.status == "FAIL" for t in result.tests) >= 1000
    assert len(encode_result(result)) < CHECKPOINT_RECORD_BYTES
