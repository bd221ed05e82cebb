"""The share of each row in a model's leading measure, so that it can be had of any group of rows: its mean over them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from config.spec import ModelSpec
from monitor.performance.measures import Floats
from monitor.performance.probabilities import check_probabilities, predicted_labels
from monitor.performance.profile import PerformanceProfile, known_rows
from schemas.result import PerformanceKind

MEASURE: Mapping[PerformanceKind, str] = {"regression": "mae", "classification": "accuracy", "prob_classification": "accuracy"}


def row_scores(profile: PerformanceProfile, spec: ModelSpec, frame: pl.DataFrame) -> Floats:
    """Of each row the absolute error (regression) or 1 for a right label and 0 for a wrong one; shape (rows,).

    NaN where target or prediction is not known, or the target's class has no probability: rows that the measure leaves out, too.

    Raises:
        NotKnown: no row has both.
        NotUsable: the values are none that can be measured.
    """
    known = known_rows(profile.kind, spec, frame)
    if profile.kind == "regression":
        assert isinstance(known.prediction, pl.Series)
        with np.errstate(over="ignore", invalid="ignore"):
            found: Floats = np.abs(known.prediction.to_numpy() - known.target.to_numpy())
    elif isinstance(known.prediction, pl.Series):
        found = (known.target == known.prediction).to_numpy().astype(np.float64)
    else:
        classes = list(spec.probabilities)
        check_probabilities(known.prediction, classes)
        labels, _, _ = predicted_labels(known.prediction, classes, profile.positive)
        found = (known.target == labels).to_numpy().astype(np.float64)
    if known.mask is None:
        return found
    scores = np.full(frame.height, np.nan)
    scores[known.mask] = found
    return scores
