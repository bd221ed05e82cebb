"""A window's segments against the reference's. Nothing in it takes the window down."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from config.spec import ModelSpec
from monitor.calibration.verdict import Thresholds
from monitor.columns import DATA_ERRORS, ReadColumn
from monitor.judging import judge_column
from monitor.performance.labels import as_labels
from monitor.performance.measures import Floats, NotKnown, NotUsable
from monitor.performance.rows import row_scores
from monitor.reference import ColumnProfile, ReferenceProfile
from monitor.segments.profile import SegmentedColumn, SegmentProfile, leading_measure, mean_known, partition, wanted_rows
from monitor.text import excess
from monitor.values import ValueMisfit
from monitor.window import WindowData
from schemas.result import Measure, SegmentResult


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is known of each row: its prediction (or why there is none) and its part in the leading measure, NaN where that is not known."""

    prediction: pl.Series | None
    broken: str
    scores: Floats | None


def judge_segments(
    window: WindowData, spec: ModelSpec, read: Mapping[str, ReadColumn], profile: ReferenceProfile
) -> tuple[SegmentResult, ...]:
    """Each segment of the window's sample: its share, the drift of its predictions, and how well the model did there.

    A segment with fewer than ``spec.min_rows`` rows has status ``insufficient_data``; of a window with fewer there are none. A column that
    cannot be read gives one result with status ``error`` and no value.
    """
    if not profile.segments or window.rows < spec.min_rows:
        return ()
    rows = _rows(window, spec, read, profile)
    return tuple(found for column in profile.segments for found in _column(spec, read[column.name], column, rows, profile))


def _rows(window: WindowData, spec: ModelSpec, read: Mapping[str, ReadColumn], profile: ReferenceProfile) -> _Rows:
    prediction, broken, scores = None, "", None
    try:
        prediction = read[spec.prediction.column].series
    except (ValueMisfit, *DATA_ERRORS) as error:
        broken = f"the prediction: {error or type(error).__name__}"
    try:
        scores = row_scores(profile.performance[0], spec, window.frame) if profile.performance else None
    except (NotKnown, NotUsable):
        scores = None  # the window's performance says why
    return _Rows(prediction, broken, scores)


def _column(spec: ModelSpec, read: ReadColumn, column: SegmentedColumn, rows: _Rows, profile: ReferenceProfile) -> Iterator[SegmentResult]:
    try:
        labels = as_labels(read.series)
    except (ValueMisfit, *DATA_ERRORS) as error:
        yield SegmentResult(column.name, "", "error", str(error) or type(error).__name__)
        return
    found = partition(labels, [s.value for s in column.segments])
    predictions = None if rows.prediction is None else rows.prediction.gather(found.order)
    scores = None if rows.scores is None else rows.scores[found.order]
    for at, segment in enumerate(column.segments):
        start, count = int(found.bounds[at]), int(found.bounds[at + 1] - found.bounds[at])
        result = SegmentResult(column.name, segment.value, "ok", rows=count, reference_share=segment.share, share=count / len(labels))
        part = None if predictions is None else predictions.slice(start, count)
        result = _judged(result, spec, segment, part, rows.broken, profile)
        yield result if scores is None else _measured(result, spec, segment, found.part(scores, at), profile)


def _judged(
    result: SegmentResult, spec: ModelSpec, segment: SegmentProfile, part: pl.Series | None, broken: str, profile: ReferenceProfile
) -> SegmentResult:
    """With the verdict on the predictions, by the method and threshold of the prediction as a whole."""
    if result.rows < wanted_rows(spec):
        return replace(result, status="insufficient_data", reason=f"{result.rows:,} rows, the spec wants at least {wanted_rows(spec):,}")
    if segment.prediction is None:
        return replace(result, status=segment.status, reason=segment.reason)
    if part is None:
        return replace(result, status="error", reason=broken)
    try:
        found = judge_column(ReadColumn(part, spec.prediction), segment.prediction, _thresholds(spec, segment.prediction, result, profile))
    except DATA_ERRORS as error:
        return replace(result, status="error", reason=str(error) or type(error).__name__)
    score = found.score
    beyond = excess(score)[1]
    return replace(
        result,
        method=score.method.display_name,
        score=score.score if math.isfinite(score.score) else None,
        threshold=score.threshold,
        drifted=score.drifted,
        excess=beyond if score.drifted and math.isfinite(beyond) else None,
        changes=found.changes,
    )


def _thresholds(spec: ModelSpec, prediction: ColumnProfile, result: SegmentResult, profile: ReferenceProfile) -> Thresholds | None:
    """The prediction's calibrated threshold at the segment's size: scores of one effective size have about one law.

    Without the confirmation by permutation, which takes too long for a hundred segments.
    """
    column = profile.calibration.columns.get(spec.prediction.column) if profile.calibration else None
    if profile.calibration is None or column is None:
        return None
    of_segment = replace(column, values=prediction.fitted.size, rare=False)
    return Thresholds(profile.calibration, of_segment, result.rows, spec.drift.floor)


def _measured(result: SegmentResult, spec: ModelSpec, segment: SegmentProfile, scores: Floats, profile: ReferenceProfile) -> SegmentResult:
    with np.errstate(over="ignore"):
        known, value = mean_known(scores, wanted_rows(spec))
    return replace(result, known=known, measure=Measure(leading_measure(profile.performance), value, segment.performance))
