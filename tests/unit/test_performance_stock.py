"""Our measures of performance against stock Evidently's: its functions on many windows, its whole Reports on some."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from evidently import BinaryClassification, DataDefinition, Dataset, MulticlassClassification, Regression, Report
from evidently.legacy.calculations.classification_performance import calculate_matrix, calculate_metrics, get_prediction_data
from evidently.legacy.calculations.regression_performance import _calculate_quality_metrics
from evidently.legacy.metrics.classification_performance.objects import ClassificationReport
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.utils.data_operations import process_columns
from evidently.metrics import (
    FNR,
    FPR,
    MAE,
    MAPE,
    RMSE,
    TNR,
    TPR,
    AbsMaxError,
    Accuracy,
    F1ByLabel,
    F1Score,
    LogLoss,
    MeanError,
    Precision,
    PrecisionByLabel,
    R2Score,
    Recall,
    RecallByLabel,
    RocAuc,
    RocAucByLabel,
)
from sklearn.metrics import r2_score, root_mean_squared_error

from tests.support.performance import fit, judge, make_spec, references, values

Values = dict[tuple[str, str], Any]
CLASSES: dict[str, list[Any]] = {"string": ["cat", "dog", "ключ </b>", "d"], "long": [0, 1, 2, 7]}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Stock warns of divisions by zero and of constant inputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def same(ours: Values, stock: Values) -> None:
    """Every stock value is ours to 1e-9; what stock calls not-a-number is None."""
    assert stock
    for key, value in stock.items():
        if value is None or np.isnan(value):
            assert ours[key] is None, key
        else:
            assert ours[key] == pytest.approx(value, rel=1e-9, abs=1e-9), key


def regression_rows(rng: np.random.Generator, n: int, spread: float, whole: bool = False) -> pd.DataFrame:
    """Targets of 0 and more, some of them exactly 0, with predictions."""
    target = np.abs(rng.normal(20, 15, n)) * (rng.random(n) > 0.1)
    prediction = target + rng.normal(1, spread, n)
    return pd.DataFrame(
        {"target": target.round(), "prediction": prediction.round()} if whole else {"target": target, "prediction": prediction}
    )


@pytest.mark.parametrize("whole", [False, True])
def test_regression_equals_stock_functions(whole: bool, tmp_path: Path) -> None:
    """150 windows of 2 to 5,000 rows: all measures of the window (zero targets replaced) and of the reference (dropped) are stock's."""
    rng = np.random.default_rng(5)
    spec = make_spec("regression", "long" if whole else "double", "double")
    reference = regression_rows(rng, 2_000, 3, whole)
    profile = fit(tmp_path, spec, pl.from_pandas(reference))
    for i in range(75):
        rows = regression_rows(rng, int(rng.choice([2, 3, 10, 100, 1_000, 5_000])), float(rng.choice([0, 0.1, 5, 1e6])), whole)
        if i % 10 == 0:
            rows["target"] = 7.0
        performance = judge(spec, profile, pl.from_pandas(rows))
        same(values(performance), stock_regression(rows, "replace"))
        if i == 0:
            same(references(performance), stock_regression(reference, "drop"))


def stock_regression(rows: pd.DataFrame, zeros: str) -> Values:
    """What stock's quality metric works out, without its plots."""
    found = _calculate_quality_metrics(rows.copy(), "prediction", "target", mape_zero_handling=zeros)
    names = {
        "mae": "mean_abs_error",
        "mae_std": "abs_error_std",
        "me": "mean_error",
        "error_std": "error_std",
        "mape": "mean_abs_perc_error",
        "max_error": "abs_error_max",
    }
    more = {"rmse": root_mean_squared_error(rows["target"], rows["prediction"]), "r2": r2_score(rows["target"], rows["prediction"])}
    return {(name, ""): v for name, v in {**{ours: found[name] for ours, name in names.items()}, **more}.items()}


def report(metrics: list[Any], definition: DataDefinition, window: pd.DataFrame, reference: pd.DataFrame) -> tuple[Values, Values]:
    """Values of a whole stock Report, of the window and of the reference, by our names."""
    sets = [Dataset.from_pandas(frame.copy(), data_definition=definition) for frame in (window, reference)]
    context = Report(metrics).run(*sets).context
    return named(context._metrics.values()), named(context._reference_metrics.values())


NAMES = {
    "AbsMaxError": "max_error",
    "R2Score": "r2",
    "F1Score": "f1",
    "RocAuc": "roc_auc",
    "LogLoss": "log_loss",
    "MeanError": "me",
}


def named(results: Any) -> Values:
    """Stock's results by our names of measures."""
    found: Values = {}
    for result in results:
        metric = result.metric_value_location.metric.params["type"].removeprefix("evidently:metric_v2:")
        name = NAMES.get(metric.removesuffix("ByLabel"), metric.removesuffix("ByLabel").lower())
        if hasattr(result, "mean"):
            found[(name, "")] = result.mean.value
            if name != "mape":
                found[({"me": "error"}.get(name, name) + "_std", "")] = result.std.value
        elif metric.endswith("ByLabel"):
            found |= {(name, str(label)): one.value for label, one in result.values.items()}
        else:
            found[(name, "")] = result.value
    return found


def test_regression_equals_whole_stock_reports(tmp_path: Path) -> None:
    """Three windows with nulls and infinities: window and reference are what stock's metrics report."""
    rng = np.random.default_rng(6)
    spec = make_spec("regression", "double")
    reference = regression_rows(rng, 900, 4)
    profile = fit(tmp_path, spec, pl.from_pandas(reference))
    definition = DataDefinition(
        numerical_columns=["target", "prediction"], regression=[Regression(target="target", prediction="prediction")]
    )
    for spread in (0.5, 4.0, 30.0):
        rows = regression_rows(rng, 400, spread)
        holes = rows.copy()
        holes.loc[::9, "target"], holes.loc[1::9, "prediction"], holes.loc[2::9, "prediction"] = np.nan, np.inf, None
        metrics = [MeanError(), MAE(), RMSE(), MAPE(), R2Score(), AbsMaxError()]
        window, before = report(metrics, definition, holes, reference)
        assert len(window) == len(before) == 8
        performance = judge(spec, profile, pl.from_pandas(holes))
        assert performance.rows == int(np.isfinite(holes).all(axis=1).sum())
        same(values(performance), window)
        same(references(performance), before)


def test_stock_s_percentage_error_is_useless_with_negative_targets(tmp_path: Path) -> None:
    """One target below zero: stock divides by 2.2e-16, we by its absolute value. When Evidently corrects it, this fails."""
    rows = pd.DataFrame({"target": [10.0, -10.0], "prediction": [11.0, -11.0]})
    assert stock_regression(rows, "replace")[("mape", "")] > 1e15
    spec = make_spec("regression", "double")
    performance = judge(spec, fit(tmp_path, spec, pl.from_pandas(rows)), pl.from_pandas(rows))
    assert values(performance)[("mape", "")] == pytest.approx(10.0)


def label_rows(rng: np.random.Generator, n: int, classes: list[Any], right: float) -> pd.DataFrame:
    """Targets, predictions that are right so often, and a probability for each class."""
    weights = rng.dirichlet(np.ones(len(classes)))
    target = rng.choice(len(classes), n, p=weights)
    scores = rng.random((n, len(classes))) + 1e-3
    scores[np.arange(n), target] += 2 * right * rng.random(n)
    scores = scores / scores.sum(axis=1, keepdims=True)
    ties = rng.random(n) < 0.3
    scores[ties] = np.full(len(classes), 1 / len(classes))
    predicted = np.where(rng.random(n) < right, target, rng.choice(len(classes), n))
    names = np.array(classes, dtype=object)
    columns = {f"p_{c}": scores[:, i] for i, c in enumerate(classes)}
    frame = pd.DataFrame({"target": names[target], "prediction": names[predicted], **columns})
    return frame.infer_objects()


def stock_labels(rows: pd.DataFrame, prediction: Any, positive: Any = None) -> Values:
    """What stock's quality metrics work out from labels or probabilities, without plots."""
    mapping = ColumnMapping(target="target", prediction=prediction, pos_label=positive)
    data = get_prediction_data(rows, process_columns(rows, mapping), positive)
    quality = calculate_metrics(mapping, calculate_matrix(rows["target"], data.predictions, data.labels), rows["target"], data)
    names = ["accuracy", "precision", "recall", "f1"]
    names += ["roc_auc", "log_loss"] if data.prediction_probas is not None else []
    names += ["tpr", "tnr", "fpr", "fnr"] if positive is not None and quality.tpr is not None else []
    by_class = ClassificationReport.create(rows["target"], data.predictions).classes
    of_class = {(name, label): getattr(m, name) for label, m in by_class.items() for name in ("precision", "recall", "f1")}
    return {**{(name, ""): getattr(quality, name) for name in names}, **of_class}


@pytest.mark.parametrize("kind", ["string", "long"])
def test_many_classes_equal_stock_functions(kind: str, tmp_path: Path) -> None:
    """Twelve windows of four classes, three or more of them met: accuracy, and precision, recall and f1 in all and of each class."""
    rng = np.random.default_rng(7)
    spec = make_spec("classification", kind)
    reference = label_rows(rng, 2_000, CLASSES[kind], 0.7)
    profile = fit(tmp_path, spec, pl.from_pandas(reference))
    for _ in range(12):
        rows = label_rows(rng, int(rng.choice([6, 40, 300, 1_000])), CLASSES[kind], float(rng.random()))
        if len(set(rows["target"]) | set(rows["prediction"])) < 3:
            continue
        same(values(judge(spec, profile, pl.from_pandas(rows))), stock_labels(rows, "prediction"))


@pytest.mark.parametrize(
    ("kind", "classes", "positive"),
    [("string", ["no", "yes"], "yes"), ("string", ["no", "yes"], "no"), ("long", [0, 1], None), ("boolean", [False, True], None)],
)
def test_two_classes_equal_stock_functions(kind: str, classes: list[Any], positive: str | None, tmp_path: Path) -> None:
    """Twelve windows of two classes: measures of the positive class, and of each. Without a name it is 1, or True."""
    rng = np.random.default_rng(8)
    spec = make_spec("classification", kind, positive_class=positive)
    profile = fit(tmp_path, spec, pl.from_pandas(label_rows(rng, 2_000, classes, 0.7)))
    compared = 0
    for _ in range(12):
        rows = label_rows(rng, int(rng.choice([8, 40, 300, 1_000])), classes, float(rng.random()))
        if len(set(rows["target"])) < 2:  # stock's rates divide by zero
            continue
        compared += 1
        same(values(judge(spec, profile, pl.from_pandas(rows))), stock_labels(rows, "prediction", positive or classes[1]))
    assert compared >= 6


def probability_spec(kind: str, classes: list[Any], **fields: Any) -> Any:
    """A spec with a probability for each class; the model's own label is not looked at."""
    columns = {c: f"p_{c}" for c in classes}
    return make_spec("prob_classification", kind, "string", probabilities=columns, **fields)


@pytest.mark.parametrize("kind", ["string", "long"])
def test_probabilities_of_many_classes_equal_stock_functions(kind: str, tmp_path: Path) -> None:
    """Twelve windows of four classes with ties: roc_auc and log_loss, and the labels of the greatest probability."""
    rng = np.random.default_rng(9)
    classes = CLASSES[kind]
    spec = probability_spec(kind, classes)
    profile = fit(tmp_path, spec, pl.from_pandas(label_rows(rng, 2_000, classes, 0.7).astype({"prediction": str})))
    columns = {f"p_{c}": str(c) for c in classes}
    for _ in range(12):
        rows = label_rows(rng, int(rng.choice([40, 300, 1_000])), classes, float(rng.random()))
        if len(set(rows["target"])) < 4:  # stock has no roc_auc then
            continue
        stock = stock_labels(rows.rename(columns=columns), [str(c) for c in classes])
        same(values(judge(spec, profile, pl.from_pandas(rows.astype({"prediction": str})))), stock)


@pytest.mark.parametrize(("kind", "classes"), [("string", ["no", "yes"]), ("long", [0, 1])])
def test_probabilities_of_two_classes_equal_stock_functions(kind: str, classes: list[Any], tmp_path: Path) -> None:
    """Twelve windows of two classes: the threshold of 0.5, ties on it, roc_auc, log_loss and the rates."""
    rng = np.random.default_rng(10)
    spec = probability_spec(kind, classes, positive_class=classes[1])
    profile = fit(tmp_path, spec, pl.from_pandas(label_rows(rng, 2_000, classes, 0.7).astype({"prediction": str})))
    compared = 0
    for _ in range(12):
        rows = label_rows(rng, int(rng.choice([8, 40, 300, 1_000])), classes, float(rng.random()))
        if len(set(rows["target"])) < 2:
            continue
        compared += 1
        stock = stock_labels(rows.rename(columns={f"p_{classes[1]}": "chance"}), "chance", classes[1])
        same(values(judge(spec, profile, pl.from_pandas(rows.astype({"prediction": str})))), stock)
    assert compared >= 6


def test_labels_equal_whole_stock_reports(tmp_path: Path) -> None:
    """Labels of two and of four classes: window and reference are what stock's metrics report."""
    rng = np.random.default_rng(11)
    metrics = [Accuracy(), Precision(), Recall(), F1Score(), PrecisionByLabel(), RecallByLabel(), F1ByLabel()]
    for classes, positive in ((["no", "yes"], "yes"), (CLASSES["string"], None)):
        task: Any = (
            BinaryClassification(target="target", prediction_labels="prediction", pos_label=positive)
            if positive
            else MulticlassClassification(target="target", prediction_labels="prediction")
        )
        definition = DataDefinition(categorical_columns=["target", "prediction"], classification=[task])
        spec = make_spec("classification", "string", positive_class=positive)
        reference, rows = (label_rows(rng, 600, classes, right)[["target", "prediction"]] for right in (0.8, 0.5))
        window, before = report([*metrics, *([TPR(), TNR(), FPR(), FNR()] if positive else [])], definition, rows, reference)
        assert len(window) == 4 + 3 * len(classes) + 4 * (positive is not None)
        performance = judge(spec, fit(tmp_path, spec, pl.from_pandas(reference)), pl.from_pandas(rows))
        same(values(performance), window)
        same(references(performance), before)


def test_probabilities_equal_whole_stock_reports(tmp_path: Path) -> None:
    """Probabilities of two and of four classes, ties among them: window and reference are what stock's metrics report."""
    rng = np.random.default_rng(12)
    metrics = [Accuracy(), Precision(), Recall(), F1Score(), RocAuc(), LogLoss()]
    for classes, positive in ((["no", "yes"], "yes"), (CLASSES["string"], None)):
        task: Any = (
            BinaryClassification(target="target", prediction_probas="yes", pos_label=positive)
            if positive
            else MulticlassClassification(target="target", prediction_probas=classes)
        )
        columns = ["yes"] if positive else classes
        definition = DataDefinition(categorical_columns=["target"], numerical_columns=columns, classification=[task])
        spec = probability_spec("string", classes, positive_class=positive)
        reference, rows = (label_rows(rng, 600, classes, right) for right in (0.8, 0.5))
        stock = [f.rename(columns={f"p_{c}": c for c in classes})[["target", *columns]] for f in (rows, reference)]
        window, before = report([*metrics, *([] if positive else [RocAucByLabel()])], definition, *stock)
        performance = judge(spec, fit(tmp_path, spec, pl.from_pandas(reference)), pl.from_pandas(rows))
        assert performance.rows == 600
        same(values(performance), window)
        same(references(performance), before)


def test_what_stock_makes_of_few_labels() -> None:
    """Where we differ: of two of many classes stock fails; of the negative class alone it says 1.0. A change there fails this."""
    two = pd.DataFrame({"target": ["a", "b", "b"], "prediction": ["a", "b", "a"]})
    with pytest.raises(KeyError):
        stock_labels(two, "prediction")
    alone = pd.DataFrame({"target": ["no"] * 3, "prediction": ["no"] * 3})
    assert stock_labels(alone, "prediction", "yes")[("precision", "")] == 1.0
