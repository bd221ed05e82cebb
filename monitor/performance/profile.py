"""The rows that can be measured, and the reference's own measures: computed once, when the reference is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import polars as pl

from config.spec import Column, ModelSpec
from monitor.performance.classification import classification
from monitor.performance.labels import SHOWN, as_labels, positive_class
from monitor.performance.measures import Bools, Floats, NotKnown, NotUsable, Scored, Side
from monitor.performance.probabilities import check_probabilities, prob_classification
from monitor.performance.regression import regression
from monitor.values import ValueMisfit, conform
from schemas.result import PerformanceKind


@dataclass(frozen=True, slots=True)
class Known:
    """The rows whose target and prediction are known. ``target`` are numbers or labels by the kind; ``prediction`` too, or probabilities.

    ``notes`` say which rows are left out; ``mask`` is True for each row of the frame that is one of these, None where all are.
    """

    target: pl.Series
    prediction: pl.Series | Floats
    notes: tuple[str, ...] = ()
    mask: Bools | None = None

    @property
    def rows(self) -> int:
        return self.target.len()


@dataclass(frozen=True, slots=True)
class PerformanceProfile:
    """One kind of performance, ready for windows: the reference's measures (None where its target is not known) and the positive class."""

    kind: PerformanceKind
    reference: Scored | None
    positive: str | None


def performance_kinds(spec: ModelSpec) -> Iterator[PerformanceKind]:
    """The kinds of performance that the spec's monitors ask for."""
    return (kind for kind in get_args(PerformanceKind) if f"{kind}_performance" in spec.monitors)


def fit_performance(spec: ModelSpec, frame: pl.DataFrame) -> tuple[PerformanceProfile, ...]:
    """The measures of the reference.

    Raises:
        NotUsable: the reference's probabilities are none.
    """
    return tuple(_fit(kind, spec, frame) for kind in performance_kinds(spec))


def _fit(kind: PerformanceKind, spec: ModelSpec, frame: pl.DataFrame) -> PerformanceProfile:
    try:
        known = known_rows(kind, spec, frame)
    except NotKnown:
        return PerformanceProfile(kind, None, positive_class(spec, spec.probabilities))
    classes = spec.probabilities if kind == "prob_classification" else _first_classes(known)
    profile = PerformanceProfile(kind, None, positive_class(spec, classes))
    return replace(profile, reference=measure(profile, spec, known, "reference"))


def _first_classes(known: Known) -> list[str]:
    """Classes of labels, three at most: enough to tell two from more."""
    if known.target.dtype != pl.String or not isinstance(known.prediction, pl.Series):
        return []
    return pl.concat([known.target.unique(), known.prediction.unique()]).unique().head(3).to_list()


def measure(profile: PerformanceProfile, spec: ModelSpec, known: Known, side: Side) -> Scored:
    """The measures of known rows.

    Raises:
        NotUsable: what was predicted are no probabilities.
    """
    shown = profile.reference.classes if profile.reference else tuple(spec.probabilities)[:SHOWN]
    if profile.kind == "regression":
        assert isinstance(known.prediction, pl.Series)
        return regression(known.target.to_numpy(), known.prediction.to_numpy(), side)
    if isinstance(known.prediction, pl.Series):
        return classification(known.target, known.prediction, profile.positive, shown)
    check_probabilities(known.prediction, list(spec.probabilities))
    return prob_classification(known.target, known.prediction, list(spec.probabilities), profile.positive, shown)


def known_rows(kind: PerformanceKind, spec: ModelSpec, frame: pl.DataFrame) -> Known:
    """The rows of a window or reference whose target and prediction are known: neither null, NaN nor infinite, as Evidently drops these.

    Raises:
        NotKnown: there is none.
        NotUsable: a column is of another type than the spec says, or no target is of a class that has a probability.
    """
    assert spec.target is not None  # the spec has been checked
    target = _values(kind, frame, spec.target.column, spec.target)
    if target is None or target.null_count() == target.len():
        raise NotKnown("no target is known yet")
    if kind == "prob_classification":
        return _known_probabilities(spec, frame, target)
    prediction = _values(kind, frame, spec.prediction.column, spec.prediction)
    both = target.is_not_null() & (prediction.is_not_null() if prediction is not None else pl.lit(False))
    if prediction is None or not both.any():
        raise NotKnown("no row whose target is known has a prediction")
    if both.all():
        return Known(target, prediction)
    return Known(target.filter(both), prediction.filter(both), mask=both.to_numpy())


def _values(kind: PerformanceKind, frame: pl.DataFrame, name: str, column: Column) -> pl.Series | None:
    """A column as numbers or labels, unknown values null; None when the frame does not have it."""
    if name not in frame.columns:
        return None
    series = _conformed(frame, name, column)
    return _finite(series.cast(pl.Float64)) if kind == "regression" else as_labels(series)


def _conformed(frame: pl.DataFrame, name: str, column: Column) -> pl.Series:
    try:
        return conform(frame[name], column)
    except ValueMisfit as error:
        raise NotUsable(f"column {name!r} {error}") from error


def _finite(series: pl.Series) -> pl.Series:
    finite = series.is_finite()
    return series if finite.all() else series.to_frame().select(pl.when(finite).then(pl.col(series.name))).to_series()


def _known_probabilities(spec: ModelSpec, frame: pl.DataFrame, target: pl.Series) -> Known:
    missing = [name for name in spec.probability_columns if name not in frame.columns]
    if missing:
        raise NotKnown(f"no row has the probability {missing[0]!r}")
    columns = [_conformed(frame, name, column) for name, column in spec.probability_columns.items()]
    stacked = np.column_stack([series.to_numpy() for series in columns])  # a null becomes NaN
    known = target.is_not_null() & pl.Series(np.isfinite(stacked).all(axis=1))
    if not known.any():
        raise NotKnown("no row whose target is known has all probabilities")
    of_class = known & target.is_in(list(spec.probabilities))
    notes: tuple[str, ...] = ()
    strangers = target.filter(known & ~of_class)
    if strangers.len():
        notes = (_strangers(strangers),)
        if not of_class.any():
            raise NotUsable(notes[0])
    return Known(target.filter(of_class), stacked[of_class.to_numpy()], notes, of_class.to_numpy())


def _strangers(targets: pl.Series) -> str:
    classes = sorted(targets.unique().to_list())
    some = ", ".join(repr(c[:60]) for c in classes[:3]) + (f" and {len(classes) - 3} more" if len(classes) > 3 else "")
    return f"rows left out, since the spec has no probability for their class: {targets.len():,} ({some})"
