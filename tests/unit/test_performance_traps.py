"""What targets, labels and probabilities of real windows hold: each has a status and a reason, none takes the window down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from config.errors import ReferenceDataError
from config.spec import ModelSpec
from monitor.performance.judge import judge_performance
from monitor.performance.labels import as_labels
from monitor.reference import load_reference
from tests.support.performance import fit, judge, make_spec, references, values, window_of

NAN, INF = float("nan"), float("inf")
PROBABILITIES = {"no": "p_no", "yes": "p_yes"}


def numbers(target: list[Any], prediction: list[Any]) -> pl.DataFrame:
    """Rows of a regression."""
    return pl.DataFrame({"target": target, "prediction": prediction}, schema={"target": pl.Float64, "prediction": pl.Float64}, strict=False)


def labels(target: list[Any], prediction: list[Any], dtype: Any = pl.String) -> pl.DataFrame:
    """Rows of a classification."""
    return pl.DataFrame({"target": target, "prediction": prediction}, schema={"target": dtype, "prediction": dtype})


def chances(target: list[str | None], yes: list[float | None], no: list[float | None] | None = None) -> pl.DataFrame:
    """Rows of a probabilistic classification of two classes."""
    other = no if no is not None else [None if p is None else 1 - p for p in yes]
    frame = {"target": target, "p_no": other, "p_yes": yes}
    return pl.DataFrame(frame, schema={"target": pl.String, "p_no": pl.Float64, "p_yes": pl.Float64}).with_columns(prediction=pl.lit("yes"))


def chance_spec(**fields: Any) -> ModelSpec:
    """A spec of two classes with probabilities."""
    return make_spec("prob_classification", "string", probabilities=PROBABILITIES, positive_class="yes", **fields)


REFERENCE = {
    "regression": numbers([1, 2, 3, 0], [2, 2, 2, 1]),
    "classification": labels(["yes", "no", "yes", "no"], ["yes", "no", "no", "no"]),
    "prob_classification": chances(["yes", "no", "yes"], [0.9, 0.2, 0.4]),
}
SPECS = {
    "regression": make_spec("regression", "double", min_rows=3),
    "classification": make_spec("classification", "string", positive_class="yes", min_rows=3),
    "prob_classification": chance_spec(min_rows=3),
}


@pytest.mark.parametrize("kind", list(SPECS))
def test_no_target_is_no_error(kind: str, tmp_path: Path) -> None:
    """A window without target, by column or by value, says that no target is known yet; one without prediction says that."""
    spec, rows = SPECS[kind], REFERENCE[kind]
    profile = fit(tmp_path, spec, rows)
    for without in (rows.drop("target"), rows.with_columns(target=pl.lit(None, dtype=rows.schema["target"])), rows.clear()):
        performance = judge(spec, profile, without)
        assert (performance.status, performance.rows, performance.reason) == ("insufficient_data", 0, "no target is known yet")
        assert performance.measures == ()
    output = ["p_no", "p_yes"] if kind == "prob_classification" else ["prediction"]
    for without in (rows.drop(output), rows.with_columns(pl.lit(None, dtype=rows.schema[c]).alias(c) for c in output)):
        performance = judge(spec, profile, without)
        assert performance.status == "insufficient_data"
        assert performance.reason in (
            "no row whose target is known has a prediction",
            "no row has the probability 'p_no'",
            "no row whose target is known has all probabilities",
        )


@pytest.mark.parametrize("kind", list(SPECS))
def test_fewer_targets_than_min_rows_are_counted_not_measured(kind: str, tmp_path: Path) -> None:
    """Two known targets of many rows, three wanted: insufficient data, with the two rows; a third one is enough."""
    spec, rows = SPECS[kind], REFERENCE[kind]
    profile = fit(tmp_path, spec, rows)
    unknown = rows.with_columns(target=pl.lit(None, dtype=rows.schema["target"]))
    performance = judge(spec, profile, pl.concat([rows.head(2), unknown, unknown]))
    assert (performance.status, performance.rows) == ("insufficient_data", 2)
    assert performance.reason == "the target of 2 rows is known, the spec wants at least 3"
    performance = judge(spec, profile, pl.concat([rows.head(3), unknown]))
    assert (performance.status, performance.rows) == ("ok", 3)


def test_measures_of_a_regression_by_hand(tmp_path: Path) -> None:
    """Errors 1, 0, −1, 1: every measure is what a pencil gives; a zero target is 100 % in the window, left out of the reference."""
    spec, rows = SPECS["regression"], REFERENCE["regression"]
    performance = judge(spec, fit(tmp_path, spec, rows), rows)
    found = {name: value for (name, _), value in values(performance).items()}
    assert found == pytest.approx(
        {
            "mae": 0.75,
            "mae_std": 0.5,
            "rmse": 0.75**0.5,
            "me": 0.25,
            "error_std": (11 / 12) ** 0.5,
            "mape": 100 * (1 + 0 + 1 / 3 + 1) / 4,
            "r2": 1 - 3 / 5,
            "max_error": 1.0,
        }
    )
    assert references(performance)[("mape", "")] == pytest.approx(100 * (1 + 0 + 1 / 3) / 3)
    assert performance.changes == ()


def test_what_changed_is_from_to(tmp_path: Path) -> None:
    """The texts hold the reference's and the window's numbers, and only of measures that differ."""
    spec = SPECS["regression"]
    reference = numbers([0, 0, 0, 0], [11.2, -11.2, 11.2, -11.2])
    performance = judge(spec, fit(tmp_path, spec, reference), numbers([0, 0, 0, 0], [19.44, -19.44, 19.44, -19.44]))
    assert performance.changes == ("mae 11.2 → 19.44", "rmse 11.2 → 19.44")


def test_not_finite_numbers_are_not_known(tmp_path: Path) -> None:
    """NaN and infinities of target or prediction are left out, as Evidently drops them; overflowing errors become None, not infinity."""
    spec = SPECS["regression"]
    profile = fit(tmp_path, spec, REFERENCE["regression"])
    odd = numbers([1, NAN, INF, 2, 3, 5], [1, 1, 1, NAN, -INF, 7])
    assert judge(spec, profile, pl.concat([odd, odd])).rows == 4 - 2 + 2
    assert judge(spec, profile, odd).rows == 2
    huge = judge(spec, profile, numbers([1e308, -1e308, 1e308], [-1e308, 1e308, -1e308]))
    assert (huge.status, values(huge)[("rmse", "")], values(huge)[("mae", "")]) == ("ok", None, None)


def test_a_constant_target_has_the_r2_of_scikit_learn(tmp_path: Path) -> None:
    """r2 of a constant target is 1 without errors and 0 with; of one row there is none, nor a deviation; never a division by zero."""
    spec = make_spec("regression", "double")
    profile = fit(tmp_path, spec, REFERENCE["regression"])
    assert values(judge(spec, profile, numbers([5, 5], [5, 5])))[("r2", "")] == 1.0
    assert values(judge(spec, profile, numbers([5, 5], [5, 6])))[("r2", "")] == 0.0
    one = values(judge(spec, profile, numbers([5], [6])))
    assert [one[(m, "")] for m in ("r2", "error_std", "mae_std", "mae")] == [None, None, None, 1.0]


def test_a_window_of_one_class_is_measured(tmp_path: Path) -> None:
    """Only the negative class: accuracy is measured, the positive class's measures are None and the reason says so, not 0 nor 1."""
    spec = SPECS["classification"]
    profile = fit(tmp_path, spec, REFERENCE["classification"])
    performance = judge(spec, profile, labels(["no"] * 5, ["no"] * 5))
    found = values(performance)
    assert performance.status == "ok"
    assert found[("accuracy", "")] == 1.0
    assert [found[(m, "")] for m in ("precision", "recall", "f1", "tpr", "fnr")] == [None] * 5
    assert found[("fpr", "")] is None
    assert performance.reason == "no row is of the positive class 'yes', nor predicted as it"
    assert found[("recall", "no")] == 1.0
    assert found[("recall", "yes")] is None
    only_yes = values(judge(spec, profile, labels(["yes"] * 4, ["yes"] * 4)))
    assert [only_yes[(m, "")] for m in ("precision", "recall", "f1", "tpr", "tnr")] == [1.0, 1.0, 1.0, 1.0, None]


def test_many_classes_of_which_two_are_seen_are_measured(tmp_path: Path) -> None:
    """A model of three classes whose window has two: stock fails (it looks for a label 1); here the means are over the two."""
    spec = make_spec("classification", "string")
    profile = fit(tmp_path, spec, labels(["a", "b", "c"], ["a", "b", "c"]))
    performance = judge(spec, profile, labels(["a", "a", "b", "b"], ["a", "b", "b", "b"]))
    found = values(performance)
    assert performance.status == "ok"
    assert found[("precision", "")] == pytest.approx((1 + 2 / 3) / 2)
    assert found[("recall", "")] == pytest.approx((1 / 2 + 1) / 2)
    assert found[("f1", "c")] is None
    assert references(performance)[("f1", "c")] == 1.0
    assert performance.confusion == ((1, 1, 0), (0, 2, 0), (0, 0, 0))


def test_classes_are_bounded(tmp_path: Path) -> None:
    """A hundred classes: twenty have measures, the most frequent of the reference; the confusion counts lose no row."""
    spec = make_spec("classification", "long")
    rows = pl.DataFrame({"target": [i for i in range(100) for _ in range(100 - i)]}).with_columns(prediction=pl.col("target") // 2)
    profile = fit(tmp_path, spec, rows)
    new = rows.with_columns(target=pl.col("target") + 5, prediction=pl.col("prediction") + 5)
    performance = judge(spec, profile, new)
    assert performance.classes == tuple(str(i) for i in range(20))
    assert len({m.label for m in performance.measures}) == 21
    assert len(performance.confusion) == 21
    assert sum(map(sum, performance.confusion)) == rows.height
    assert values(performance)[("recall", "0")] is None
    measured = [m for m in performance.measures if m.name == "f1" and m.label]
    assert len(measured) == 20


def test_a_class_that_the_reference_never_had_is_listed(tmp_path: Path) -> None:
    """A new class has measures, and no reference."""
    spec = make_spec("classification", "string")
    profile = fit(tmp_path, spec, labels(["a", "b", "c"], ["a", "b", "c"]))
    performance = judge(spec, profile, labels(["a", "</script>"], ["a", "</script>"]))
    assert performance.classes == ("a", "b", "c", "</script>")
    assert values(performance)[("f1", "</script>")] == 1.0
    assert references(performance)[("f1", "</script>")] is None


def test_labels_of_every_type_are_text() -> None:
    """Booleans, whole numbers in any type and text become labels; nulls and what is no number stay unknown."""
    assert as_labels(pl.Series([True, False, None])).to_list() == ["True", "False", None]
    assert as_labels(pl.Series([1, None, -7])).to_list() == ["1", None, "-7"]
    assert as_labels(pl.Series([1.0, 0.5, NAN, INF, None])).to_list() == ["1", "0.5", None, None, None]
    assert as_labels(pl.Series(["a", None])).to_list() == ["a", None]


def test_what_are_no_probabilities_is_named(tmp_path: Path) -> None:
    """Outside 0 to 1, and sums other than 1, are errors of the window's performance with class, values and rows; in a reference too."""
    spec = chance_spec()
    profile = fit(tmp_path, spec, REFERENCE["prob_classification"])
    outside = judge(spec, profile, chances(["yes", "no", "yes"], [1.5, 0.2, 0.3]))
    assert (outside.status, outside.rows, outside.measures) == ("error", 3, ())
    assert outside.reason == "in 1 of 3 rows a probability is outside 0 to 1; class 'no' has values from -0.5 to 0.8"
    sums = judge(spec, profile, chances(["yes", "no", "yes"], [0.9, 0.2, 0.3], [0.4, 0.8, 0.1]))
    assert sums.status == "error"
    assert sums.reason == "in 2 of 3 rows the probabilities do not add up to 1, but to values from 0.4 to 1.3"
    rounded = judge(spec, profile, chances(["yes", "no", "yes"], [0.9, 0.2, 0.33], [0.1, 0.8, 0.66]))
    assert rounded.status == "ok"
    with pytest.raises(ReferenceDataError, match="is outside 0 to 1"):
        fit(tmp_path, spec, chances(["yes", "no", "yes"], [1.5, 0.2, 0.3]))


def test_probabilities_of_one_class_only(tmp_path: Path) -> None:
    """Every row is of one class: roc_auc is None and the reason says why, log_loss and accuracy are measured."""
    spec = chance_spec()
    performance = judge(spec, fit(tmp_path, spec, REFERENCE["prob_classification"]), chances(["no"] * 3, [0.1, 0.2, 0.6]))
    found = values(performance)
    assert performance.status == "ok"
    assert found[("roc_auc", "")] is None
    assert found[("log_loss", "")] == pytest.approx(-np.log([0.9, 0.8, 0.4]).mean())
    assert found[("accuracy", "")] == pytest.approx(2 / 3)
    assert "roc_auc is not defined: no row, or every row, is of class 'yes', 'no'" in performance.reason


def test_rows_of_a_class_without_probability_are_left_out(tmp_path: Path) -> None:
    """A target that the spec gives no probability does not count, and the reason says how many; nothing else left is an error."""
    spec = chance_spec()
    profile = fit(tmp_path, spec, REFERENCE["prob_classification"])
    rows = chances(["yes", "no", "`maybe`", "yes"], [0.9, 0.2, 0.5, 0.8])
    performance = judge(spec, profile, rows)
    assert (performance.status, performance.rows) == ("ok", 3)
    assert performance.reason == "rows left out, since the spec has no probability for their class: 1 ('`maybe`')"
    assert values(performance) == values(judge(spec, profile, rows.filter(pl.col("target") != "`maybe`")))
    assert judge(spec, profile, chances(["x", "y", "x"], [0.9, 0.2, 0.5])).status == "error"


def test_a_column_of_another_type_is_its_performance_s_error(tmp_path: Path) -> None:
    """Text in a numerical target: the performance says so; the window is judged all the same."""
    spec = SPECS["regression"]
    rows = REFERENCE["regression"].with_columns(pl.col("target").cast(pl.String))
    performance = judge(spec, fit(tmp_path, spec, REFERENCE["regression"]), rows)
    assert (performance.status, performance.reason) == ("error", "column 'target' holds String, the spec says double")


def test_a_reference_without_targets_is_no_error(tmp_path: Path) -> None:
    """Windows are measured, without a reference beside them."""
    spec = SPECS["regression"]
    profile = fit(tmp_path, spec, REFERENCE["regression"].with_columns(target=pl.lit(None, dtype=pl.Float64)))
    performance = judge(spec, profile, REFERENCE["regression"])
    assert performance.status == "ok"
    assert set(references(performance).values()) == {None}
    assert performance.changes == ()


def test_the_probabilities_are_part_of_the_reference_s_fingerprint(tmp_path: Path) -> None:
    """Other probabilities are another reference; a missing column of them is named."""
    spec = chance_spec()
    one, other = (fit(tmp_path, spec, chances(["yes", "no"], [p, 0.2])) for p in (0.9, 0.8))
    assert one.fingerprint != other.fingerprint
    assert other.frame().columns[-2:] == ["p_no", "p_yes"]
    REFERENCE["prob_classification"].drop("p_no").with_columns(x=pl.lit(1.0)).write_parquet(tmp_path / "r.parquet")
    with pytest.raises(ReferenceDataError, match="lacks column 'p_no'"):
        load_reference(spec, tmp_path / "r.parquet")


def test_several_kinds_are_measured_side_by_side(tmp_path: Path) -> None:
    """One spec with labels and probabilities: two entries, each of the rows that it knows."""
    spec = chance_spec(monitors=["classification_performance", "prob_classification_performance"])
    rows = chances(["yes", "no", "yes"], [0.9, None, 0.4])
    kinds = judge_performance(window_of(rows), spec, fit(tmp_path, spec, rows).performance)
    assert [(p.kind, p.rows) for p in kinds] == [("classification", 3), ("prob_classification", 2)]
