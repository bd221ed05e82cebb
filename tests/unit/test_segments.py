"""Segments: each judged as if its rows were a window of their own, and never at the cost of the window."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from evidently import DataDefinition, Dataset, Regression, Report
from evidently.metrics import MAE, ValueDrift

from config.errors import SpecError
from config.spec import read_spec
from monitor.evaluate import evaluate
from monitor.profile_store import stored_reference
from monitor.reference import load_reference
from monitor.reports.page import short_page
from schemas.result import decode_result, encode_result
from tests.support.segments import CARRIERS, closed_window, judge, segment, segmented_rows, segmented_spec

LABELS = {"column": "p", "type": "string", "kind": "categorical"}
CLASSES: dict[str, Any] = {
    "prediction": LABELS,
    "target": {**LABELS, "column": "y"},
    "monitors": ["data_drift", "prediction_drift", "classification_performance"],
}


def labelled(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows with three classes in place of numbers; one prediction of ten is not known."""
    words = [pl.col(c).cut([8.0, 12.0], labels=["low", "mid", "high"]).cast(pl.String).alias(c) for c in ("p", "y")]
    return frame.with_columns(words).with_columns(p=pl.when(pl.int_range(pl.len()) % 10 != 0).then(pl.col("p")))


def stock(reference: pl.DataFrame, rows: pl.DataFrame, metrics: list[Any], definition: DataDefinition) -> list[dict[str, Any]]:
    """What a stock Report gives on these rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data, before = (Dataset.from_pandas(f.to_pandas(), definition) for f in (rows, reference))
        found: list[dict[str, Any]] = Report(metrics, include_tests=True).run(data, before).dict()
    return found


CASES: list[tuple[str, dict[str, Any], float]] = [
    ("numbers", {}, 0.0),
    ("numbers", {}, 0.6),
    ("numbers", {"drift": {"columns": {"p": {"method": "psi", "threshold": 0.05}}}}, 0.6),
    ("numbers", {"drift": {"columns": {"p": {"method": "t_test"}}}}, 0.2),
    ("labels", CLASSES, 0.0),
    ("labels", CLASSES, 3.0),
]


@pytest.mark.parametrize(("kind", "fields", "shift"), CASES)
def test_a_segment_s_verdict_is_stock_s_on_its_rows(tmp_path: Path, kind: str, fields: dict[str, Any], shift: float) -> None:
    """Method, score, verdict and measure of each segment are those of stock Evidently on reference and window filtered by the value."""
    reference, rows = segmented_rows(1, 3000), segmented_rows(2, 1500, "AA", shift)
    rows = rows.with_columns(p=pl.when(pl.int_range(pl.len()) % 7 != 0).then(pl.col("p")), y=pl.col("y"))
    if kind == "labels":
        reference, rows = labelled(reference), labelled(rows)
    spec = segmented_spec(**{"min_rows": 30, **fields})
    result = judge(tmp_path, spec, reference, rows)
    assert [(s.segment, s.value) for s in result.segments] == [*(("carrier", c) for c in CARRIERS), ("night", "False"), ("night", "True")]
    numbers = ["p", "y"] if kind == "numbers" else []
    tasks: dict[str, Any] = {"regression": [Regression(target="y", prediction="p")]} if numbers else {}
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=[] if numbers else ["p", "y"], **tasks)
    choice = fields.get("drift", {}).get("columns", {}).get("p", {})
    methods = set()
    for found in result.segments:
        value: Any = found.value if found.segment == "carrier" else found.value == "True"
        ours, theirs = (f.filter(pl.col(found.segment) == value) for f in (reference, rows))
        report = stock(ours, theirs, [ValueDrift(column="p", **choice)], definition)
        metric, test = report["metrics"][0], report["tests"][0]  # type: ignore[call-overload]
        assert (found.status, found.rows) == ("ok", theirs.height)
        assert found.score == pytest.approx(float(metric["value"]), rel=1e-9, abs=1e-12)
        assert found.drifted == (str(test["status"].value) == "FAIL")
        assert found.method in metric["metric_name"] or choice, metric["metric_name"]
        methods.add(found.method)
        both = theirs.drop_nulls(["p", "y"])
        assert found.measure is not None
        assert found.measure.value is not None
        assert found.known == both.height
        if numbers:
            (mae,) = stock(ours, both, [MAE()], definition)["metrics"]  # type: ignore[call-overload]
            assert found.measure.value == pytest.approx(mae["value"]["mean"], rel=1e-12)
        else:
            assert found.measure.value == pytest.approx((both["p"] == both["y"]).mean())
    assert len(methods) == (1 if choice else 2)  # small and large references are judged by different methods


def test_a_drifted_segment_is_found_in_a_quiet_window(tmp_path: Path) -> None:
    """Predictions that moved for one small group leave the whole quiet; the group has drifted, with what changed, and its error grew."""
    result = judge(tmp_path, segmented_spec(), segmented_rows(1, 20_000), segmented_rows(7, 6_000, "'; --", 1.0))
    whole = result.column("prediction")
    assert whole is not None
    assert (whole.drifted, result.drifted) == (False, False)
    (found,) = result.drifted_segments()
    assert (found.segment, found.value, found.status) == ("carrier", "'; --", "ok")
    assert any(text.startswith("mean ") for text in found.changes)
    assert found.measure is not None
    assert found.measure.name == "mae"
    assert found.measure.value is not None
    assert found.measure.reference is not None
    assert found.measure.value > 1.3 * found.measure.reference
    assert found.excess == pytest.approx(found.score / found.threshold)  # type: ignore[operator]


def test_too_few_rows_give_no_verdict(tmp_path: Path) -> None:
    """A segment below ``min_rows`` in window or reference has no verdict and says why; its share is there; a window below it has none."""
    reference = segmented_rows(1, 4_000)
    few = judge(tmp_path, segmented_spec(), reference, segmented_rows(2, 1_000))
    small = segment(few, "carrier", "ZZ")
    assert (small.status, small.score, small.drifted) == ("insufficient_data", None, False)
    assert small.reason == f"{small.rows} rows, the spec wants at least 100"
    assert small.share == pytest.approx(small.rows / 1_000)
    assert small.measure is not None
    assert (small.known, small.measure.value) == (small.rows, None)
    lacking = judge(tmp_path, segmented_spec(), reference.head(1_000), segmented_rows(2, 8_000))
    assert "the reference has" in segment(lacking, "carrier", "ZZ").reason
    assert judge(tmp_path, segmented_spec(), reference, segmented_rows(2, 99)).segments == ()


def test_shares_are_of_all_rows(tmp_path: Path) -> None:
    """Rows without a value and rows with a new one belong to no segment and count in the shares; rows keep their own segment."""
    rows = segmented_rows(2, 1_000).with_columns(
        carrier=pl.when(pl.int_range(pl.len()) < 100)
        .then(None)
        .when(pl.int_range(pl.len()) < 300)
        .then(pl.lit("new"))
        .otherwise(pl.lit("AA"))
    )
    result = judge(tmp_path, segmented_spec(), segmented_rows(1, 2_000), rows)
    assert [s.rows for s in result.segments if s.segment == "carrier"] == [700, 0, 0, 0]
    assert segment(result, "carrier", "AA").share == 0.7
    assert sum(s.reference_share for s in result.segments if s.segment == "carrier") == pytest.approx(1)


def test_the_most_frequent_values_are_the_segments(tmp_path: Path) -> None:
    """Of 30 values the 20 with most rows in the reference are segments, the most frequent first."""
    rows = segmented_rows(1, 1_000).with_columns(carrier=pl.Series([f"c{min(i % 45, 29):02}" for i in range(1_000)]))
    result = judge(tmp_path, segmented_spec(), rows, rows)
    values = [s.value for s in result.segments if s.segment == "carrier"]
    assert values == ["c29", *(f"c{i:02}" for i in range(19))]


@pytest.mark.parametrize(
    ("harm", "broken"),
    [
        (pl.lit(3).alias("carrier"), "holds"),
        (pl.lit("much").alias("night"), "holds"),
        (None, "no event of this window carried the column"),
    ],
)
def test_a_broken_segment_column_takes_nothing_down(tmp_path: Path, harm: pl.Expr | None, broken: str) -> None:
    """A segment column of another type, or a missing one, gives one error; the other column and the window are judged."""
    rows = segmented_rows(2, 1_000)
    result = judge(tmp_path, segmented_spec(), segmented_rows(1, 2_000), rows.drop("carrier") if harm is None else rows.with_columns(harm))
    assert result.status == "ok"
    (error,) = [s for s in result.segments if s.status == "error"]
    assert (error.value, error.drifted) == ("", False)
    assert broken in error.reason
    assert [s for s in result.segments if s.segment != error.segment and s.status == "ok"]


def test_a_broken_prediction_leaves_the_shares(tmp_path: Path) -> None:
    """Without usable predictions segments have status error with the reason, and their shares all the same."""
    rows = segmented_rows(2, 1_000)
    for harmed, reason in (
        (rows.drop("p"), "the prediction: no event"),
        (rows.with_columns(p=pl.lit(None, pl.Float64)), "no usable value"),
    ):
        found = segment(judge(tmp_path, segmented_spec(), segmented_rows(1, 2_000), harmed), "carrier", "AA")
        assert found.status == "error"
        assert reason in found.reason
        assert found.share > 0.4


def test_probabilities_give_the_accuracy_of_their_labels(tmp_path: Path) -> None:
    """A classifier known by its probabilities has in each segment the accuracy that a window of these rows alone has."""
    spec = segmented_spec(
        target={"column": "y", "type": "string", "kind": "categorical"}, probabilities={"a": "pa", "b": "pb"}, positive_class="b",
        monitors=["prob_classification_performance"],
    )  # fmt: skip
    chance = (pl.col("p") / 20).clip(0, 1)
    frames = [
        segmented_rows(seed, 2_000).with_columns(
            pa=1 - chance,
            pb=chance,
            y=pl.when(pl.int_range(pl.len()) % 9 != 0).then(pl.when(pl.col("y") > 9).then(pl.lit("b")).otherwise(pl.lit("a"))),
        )
        for seed in (1, 2)
    ]
    result = judge(tmp_path, spec, *frames)
    assert [s.method for s in result.segments] == [""] * 6  # prediction_drift is not among the monitors
    profile = load_reference(spec, tmp_path / "r.parquet")
    for value in CARRIERS[:3]:
        found = segment(result, "carrier", value)
        (alone,) = evaluate(closed_window(frames[1].filter(pl.col("carrier") == value)), spec, profile).performance
        assert found.measure is not None
        assert (found.measure.name, found.known) == ("accuracy", alone.rows)
        assert found.measure.value == alone.measure("accuracy").value  # type: ignore[union-attr]


def test_a_stored_profile_has_its_segments(tmp_path: Path) -> None:
    """Segments judged by a profile from the store, its arrays mapped, are those judged by the fitted one."""
    segmented_rows(1, 2_000).write_parquet(tmp_path / "r.parquet")
    spec, window = segmented_spec(), closed_window(segmented_rows(2, 1_000))
    first, second = (stored_reference(spec, tmp_path / "r.parquet") for _ in range(2))
    assert evaluate(window, spec, second).segments == evaluate(window, spec, first).segments != ()
    mapped = second.segments[0].segments[0].prediction
    assert mapped is not None
    assert not mapped.fitted.shares.flags.writeable  # type: ignore[union-attr]


def test_a_slow_method_judges_the_whole_only(tmp_path: Path) -> None:
    """Where the prediction's method takes seconds, segments say so and have shares and performance, no score."""
    spec = segmented_spec(drift={"columns": {"p": {"method": "es"}}})
    found = segment(judge(tmp_path, spec, segmented_rows(1, 2_000), segmented_rows(2, 1_000)), "carrier", "AA")
    assert (found.status, found.score, found.method) == ("ok", None, "")
    assert "judged as a whole only" in found.reason
    assert found.measure is not None
    assert found.measure.value is not None


def test_calibrated_thresholds_follow_the_size_of_the_segment(tmp_path: Path) -> None:
    """With calibrated thresholds a smaller segment has a higher one than the whole, of the same method, and quiet ones do not drift."""
    spec = segmented_spec(drift={"thresholds": "calibrated", "floor": False, "rate": 0.05}, min_rows=50)
    result = judge(tmp_path, spec, segmented_rows(1, 4_000), segmented_rows(2, 2_000))
    whole = result.column("prediction")
    assert whole is not None
    carriers = [segment(result, "carrier", value) for value in CARRIERS]
    assert {s.method for s in carriers} == {whole.method}
    limits = [whole.threshold, *(s.threshold for s in carriers)]
    assert limits == sorted(limits)  # type: ignore[type-var]
    assert not result.drifted_segments()
    moved = judge(tmp_path, spec, segmented_rows(1, 4_000), segmented_rows(2, 2_000, "'; --", 2.0))
    assert "'; --" in [s.value for s in moved.drifted_segments()]


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        (["gone"], "segments names 'gone', which is no feature of this model; name categorical features: a, b, c,"),
        (["x"], "segments names 'x', which is numerical, not categorical"),
        (["p"], "'p', which is no feature"),
        (["night", "night"], "twice: night, night; keep one"),
        (["a", "b", "c", "d", "e", "f"], "6 features, at most 5"),
        ("carrier", "segments"),
    ],
)
def test_wrong_segments_are_refused(tmp_path: Path, segments: Any, said: str) -> None:
    """A spec whose segments cannot be groups is refused with field, value and remedy."""
    fields = segmented_spec().model_dump(mode="json")
    fields["features"] |= {name: {"type": "boolean"} for name in "abcdef"}
    (tmp_path / "m.yaml").write_text(yaml.safe_dump({**fields, "segments": segments}))
    with pytest.raises(SpecError, match="segments") as caught:
        read_spec(tmp_path / "m.yaml")
    assert said in str(caught.value)


def test_segments_change_the_digest_and_their_absence_does_not() -> None:
    """Windows judged with segments are bound to another spec; a spec without keeps the digest it had before there were any."""
    assert segmented_spec(segments=[]).digest("r") != segmented_spec().digest("r")
    assert "segments" not in segmented_spec(segments=[]).model_dump(exclude_defaults=True)


def test_results_without_segments_are_read(tmp_path: Path) -> None:
    """A result written before there were segments is read with none."""
    record = json.loads(encode_result(judge(tmp_path, segmented_spec(), segmented_rows(1, 500), segmented_rows(2, 500))))
    assert record.pop("segments")
    assert decode_result(json.dumps(record).encode()).segments == ()


def test_the_page_names_drifted_segments_of_a_quiet_window(tmp_path: Path) -> None:
    """A window's page says that segments drifted although the whole has not, what changed there, and escapes every value."""
    rows = segmented_rows(7, 6_000, "</b> ü", 0.7)
    result = judge(tmp_path, segmented_spec(), segmented_rows(1, 20_000), rows)
    assert (result.drifted, [s.value for s in result.drifted_segments()]) == (False, ["</b> ü"])
    html = short_page(result, ())
    assert "has not drifted; the predictions of 1 of its 6 segments have" in html
    assert '<span class="name">carrier = &lt;/b&gt; ü</span>: mean ' in html
    assert "</b> ü" not in html
    assert "Segments" not in short_page(replace(result, segments=()), ())
