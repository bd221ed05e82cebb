"""The segments of a reference: the most frequent values of a categorical feature, each with the predictions and the performance there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from config.spec import ModelSpec
from monitor.performance.labels import as_labels
from monitor.performance.measures import Floats, NotKnown, finite
from monitor.performance.profile import PerformanceProfile
from monitor.performance.rows import MEASURE, row_scores
from monitor.values import usable
from schemas.result import Status

if TYPE_CHECKING:  # the reference's profile holds these
    from monitor.reference import ColumnProfile

MOST_VALUES = 20  # of one segment column; the others are too rare to be told from chance
UNJUDGED = "the prediction is judged as a whole only: by segment its drift method would take seconds"


@dataclass(frozen=True, slots=True)
class SegmentProfile:
    """The reference's rows with one value of a segment column.

    Attributes:
        share: of all rows of the reference, 0 to 1.
        prediction: the prediction in these rows; None where it is not judged, with the ``status`` and ``reason`` that results then have.
        performance: the leading measure over these rows, None where too few targets are known.
    """

    value: str
    rows: int
    share: float
    performance: float | None
    prediction: ColumnProfile | None
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SegmentedColumn:
    """The segments of one column, the most frequent first."""

    name: str
    segments: tuple[SegmentProfile, ...]


@dataclass(frozen=True, slots=True)
class Partition:
    """The rows of a frame by segment: ``order`` are places of rows, shape (rows,); those of segment i are ``bounds[i]:bounds[i + 1]``."""

    order: npt.NDArray[np.intp]
    bounds: npt.NDArray[np.intp]

    def part(self, values: Floats, at: int) -> Floats:
        """One segment's part of ``values``, which are in the partition's order."""
        return values[self.bounds[at] : self.bounds[at + 1]]


def partition(labels: pl.Series, values: Sequence[str]) -> Partition:
    """The rows of each value in one pass, in row order; rows with another value, or none, come after all of them."""
    places = {value: at for at, value in enumerate(values)}
    codes = labels.replace_strict(places, default=len(values), return_dtype=pl.Int8).fill_null(len(values)).to_numpy()
    order = codes.argsort(kind="stable")  # of bytes: a radix sort
    return Partition(order, codes[order].searchsorted(np.arange(len(values) + 1)))


def mean_known(scores: Floats, at_least: int) -> tuple[int, float | None]:
    """How many scores are known (no NaN), and their mean where ``at_least`` so many are."""
    known = scores[~np.isnan(scores)]
    return len(known), finite(known.mean()) if len(known) >= max(at_least, 1) else None


def wanted_rows(spec: ModelSpec) -> int:
    """Rows below which a segment is not judged; a window holds no more than ``max_rows``."""
    return min(spec.min_rows, spec.max_rows)


def fit_segments(
    spec: ModelSpec,
    frame: pl.DataFrame,
    performance: Sequence[PerformanceProfile],
    fit: Callable[[pl.Series], ColumnProfile] | None,
    unjudged: str = "",
) -> tuple[SegmentedColumn, ...]:
    """Fit the spec's segments on a conformed reference.

    ``fit`` makes the profile of the predictions of some rows; None where these are not judged, which ``unjudged`` then gives the reason of.
    """
    scores = _scores(spec, frame, performance)

    def profile(value: str, predictions: pl.Series, own: Floats) -> SegmentProfile:
        rows = len(predictions)
        known = SegmentProfile(value, rows, rows / frame.height, mean_known(own, wanted_rows(spec))[1], None, reason=unjudged)
        return known if fit is None else _with_prediction(spec, known, predictions, fit)

    return tuple(SegmentedColumn(name, _fit_column(spec, frame, name, scores, profile)) for name in spec.segments)


def _scores(spec: ModelSpec, frame: pl.DataFrame, performance: Sequence[PerformanceProfile]) -> Floats:
    """The score of each row, shape (rows,); all NaN where nothing is known or measured."""
    try:
        return row_scores(performance[0], spec, frame) if performance else np.full(frame.height, np.nan)
    except NotKnown:
        return np.full(frame.height, np.nan)


def _fit_column(
    spec: ModelSpec, frame: pl.DataFrame, name: str, scores: Floats, profile: Callable[[str, pl.Series, Floats], SegmentProfile]
) -> tuple[SegmentProfile, ...]:
    labels = as_labels(frame[name])
    counts = labels.drop_nulls().alias("value").value_counts(name="rows")
    most = sorted(counts.iter_rows(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]
    rows = partition(labels, [value for value, _ in most])
    ordered, predictions = scores[rows.order], frame[spec.prediction.column].gather(rows.order)
    return tuple(
        profile(value, predictions.slice(int(rows.bounds[at]), count), rows.part(ordered, at)) for at, (value, count) in enumerate(most)
    )


def _with_prediction(
    spec: ModelSpec, segment: SegmentProfile, predictions: pl.Series, fit: Callable[[pl.Series], ColumnProfile]
) -> SegmentProfile:
    wanted, found = wanted_rows(spec), len(usable(predictions))
    if found >= max(wanted, 1):
        return replace(segment, prediction=fit(predictions))
    reason = f"the reference has {found:,} {'prediction' if found == 1 else 'predictions'} there, the spec wants at least {wanted:,}"
    return replace(segment, status="insufficient_data", reason=reason)


def leading_measure(performance: Sequence[PerformanceProfile]) -> str:
    """The measure that segments are compared by: that of the first kind of performance; empty without any."""
    return MEASURE[performance[0].kind] if performance else ""
