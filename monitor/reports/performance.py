"""Evidently's sections about performance, on the rows whose target is known."""

from __future__ import annotations

from typing import Any

import polars as pl
from evidently import BinaryClassification, DataDefinition, Dataset, MulticlassClassification, Regression, Report
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.presets import ClassificationPreset, RegressionPreset

from config.spec import ModelSpec
from monitor.performance.labels import positive_class
from monitor.performance.measures import NotKnown, NotUsable
from monitor.performance.profile import Known, known_rows
from monitor.reports.literal import literal, literal_values
from schemas.result import PerformanceKind


def performance_widgets(kind: PerformanceKind, spec: ModelSpec, reference: pl.DataFrame, window: pl.DataFrame) -> list[BaseWidgetInfo]:
    """Evidently's preset for a kind of performance; without a reference side where its target is not known.

    Raises:
        NotKnown, NotUsable: there is nothing to draw, or Evidently has no picture of it; the message says why.
    """
    known = known_rows(kind, spec, window)
    try:
        before: Known | None = known_rows(kind, spec, reference)
    except NotKnown:
        before = None
    definition = _regression(spec) if kind == "regression" else _classification(kind, spec, [k for k in (known, before) if k])
    preset = RegressionPreset() if kind == "regression" else ClassificationPreset()
    data, reference_data = (Dataset.from_pandas(_frame(spec, k).to_pandas(), definition) if k else None for k in (known, before))
    return list(Report([preset]).run(data, reference_data).to_snapshot_model().widgets)


def _frame(spec: ModelSpec, known: Known) -> pl.DataFrame:
    """The columns under their own names; probabilities under those of their classes, as Evidently wants them."""
    assert spec.target is not None
    target = literal_values(known.target).alias(literal(spec.target.column))
    if isinstance(known.prediction, pl.Series):
        return pl.DataFrame([target, literal_values(known.prediction).alias(literal(spec.prediction.column))])
    columns = [pl.Series(literal(c), known.prediction[:, i]) for i, c in enumerate(spec.probabilities)]
    return pl.DataFrame([target, *columns])


def _regression(spec: ModelSpec) -> DataDefinition:
    assert spec.target is not None
    target, prediction = literal(spec.target.column), literal(spec.prediction.column)
    task = Regression(target=target, prediction=prediction)
    return DataDefinition(numerical_columns=[target, prediction], categorical_columns=[], regression=[task])


def _classification(kind: PerformanceKind, spec: ModelSpec, known: list[Known]) -> DataDefinition:
    assert spec.target is not None
    classes = list(spec.probabilities) if kind == "prob_classification" else _labels(known)
    target, shown = literal(spec.target.column), [literal(c) for c in classes]
    if len(classes) < 2:
        raise NotUsable(f"all rows are of one class, {classes[0]!r}; Evidently draws two or more")
    positive = positive_class(spec, classes)
    if len(classes) == 2 and positive is None:
        raise NotUsable(f"Evidently draws two classes only where one is the positive one: set positive_class to one of {classes}")
    given: dict[str, Any] = {"prediction_labels": literal(spec.prediction.column)}
    columns = [literal(spec.prediction.column)]
    if kind == "prob_classification":
        given, columns = {"prediction_probas": shown}, []
    if len(classes) == 2 and positive is not None:
        if columns == []:
            given = {"prediction_probas": literal(positive)}
        task: Any = BinaryClassification(target=target, pos_label=literal(positive), **given)
    else:
        task = MulticlassClassification(target=target, **given)
    numbers = [] if columns else shown
    return DataDefinition(numerical_columns=numbers, categorical_columns=[target, *columns], classification=[task])


def _labels(known: list[Known]) -> list[str]:
    series = [s for k in known for s in (k.target, k.prediction) if isinstance(s, pl.Series)]
    return sorted(pl.concat([s.unique().rename("v") for s in series]).unique().to_list())
