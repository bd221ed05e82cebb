"""The domain classifier: can a model tell the window's rows from the reference's? It sees drift that no single column shows, such as two
columns that no longer go together. The scheme is that of Evidently's ``model`` method for embeddings (half of the rows to train on, ROC AUC
on the other half, 0.55 as threshold), for which it has no form on tables; trees take its linear model's place, since drift between columns
is what it is for. Takes seconds: for the slow lane.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from config.spec import Column
from monitor.changes import number, quoted
from monitor.columns import DATA_ERRORS, ReadColumn
from monitor.values import ValueMisfit, judged_kind

NAME = "(all features)"
METHOD = "domain classifier ROC AUC"
THRESHOLD = 0.55  # as Evidently's, unless chance alone reaches more
CHANCE = 1.6449  # standard deviations that a random score's ROC AUC exceeds in one of twenty
MOST_ROWS = 20_000  # of either side, evenly spaced
LEAST_ROWS = 20  # of either side: fewer say nothing
MOST_CATEGORIES = 254  # of one column, the most frequent; the others count as one more (scikit-learn takes 255)
MOST_EXPLAINED = 100  # features that are shuffled one by one to find which ones count
SHOWN = 3
VISIBLE = 0.005  # a ROC AUC that falls by less is not mentioned
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Told:
    """How well reference and window can be told apart: 0.5 is chance, 1 is always. ``rows`` are those of the window that took part."""

    auc: float
    threshold: float
    rows: int
    changes: tuple[str, ...]
    left_out: str

    @property
    def drifted(self) -> bool:
        """True where they can."""
        return self.auc > self.threshold


def spaced(frame: pl.DataFrame) -> pl.DataFrame:
    """At most 20,000 rows, evenly spaced."""
    if frame.height <= MOST_ROWS:
        return frame
    return frame[np.linspace(0, frame.height - 1, MOST_ROWS).astype(np.int64)]


def tell_apart(reference: pl.DataFrame, columns: Mapping[str, Column], read: Mapping[str, ReadColumn], threshold: float | None) -> Told:
    """Train on half of the rows of both, measure on the other half. The same rows give the same result.

    Args:
        reference: the reference's rows, of the spec's types.
        columns: numerical and categorical features of the spec, by name.
        read: the window's columns; those that cannot be read are left out.
        threshold: of the ROC AUC; None for .55, or for the 95 % quantile of what chance reaches on so many rows, where that is more.

    Raises:
        ValueError: no feature can be read, or there are too few rows.
    """
    window, unread = _readable(columns, read)
    if not window.width:
        raise ValueError("no feature of this window can be read")
    window = spaced(window)
    if min(reference.height, window.height) < LEAST_ROWS:
        raise ValueError(
            f"{window.height} rows against {reference.height} of the reference: the domain classifier needs {LEAST_ROWS} of either"
        )
    kinds = {name: judged_kind(columns[name]) for name in window.columns}
    values = np.column_stack([_encoded(reference[name], window[name], kind == "categorical") for name, kind in kinds.items()])
    labels = np.repeat([0, 1], [reference.height, window.height])
    model, test, truth = _trained(values, labels, [kind == "categorical" for kind in kinds.values()])
    auc = _auc(model, test, truth)
    limit = max(THRESHOLD, _chance(truth)) if threshold is None else threshold
    changes = _telling(model, test, truth, list(kinds), auc) if auc > limit and len(kinds) <= MOST_EXPLAINED else ()
    return Told(auc, limit, window.height, changes, f"without {', '.join(map(quoted, unread))}, which cannot be read" if unread else "")


def _readable(columns: Mapping[str, Column], read: Mapping[str, ReadColumn]) -> tuple[pl.DataFrame, list[str]]:
    found, unread = [], []
    for name in columns:
        try:
            found.append(read[name].series.alias(name))
        except (*DATA_ERRORS, ValueMisfit):  # the column's own status says why
            unread.append(name)
    return pl.DataFrame(found), unread


def _encoded(reference: pl.Series, window: pl.Series, categorical: bool) -> Matrix:
    """One column of both, the reference first, shape (rows of both,): categories as codes by frequency, null and infinite as NaN."""
    both = pl.concat([reference, window])
    if categorical and both.dtype != pl.Boolean:
        found = both.drop_nulls().value_counts(name="times")
        known = found.sort(["times", both.name], descending=[True, False])[both.name].head(MOST_CATEGORIES)
        codes = {category: float(code) for code, category in enumerate(known.to_list())}
        rest = pl.when(both.is_null()).then(None).otherwise(float(MOST_CATEGORIES))
        both = both.to_frame().select(pl.col(both.name).replace_strict(codes, default=rest, return_dtype=pl.Float64)).to_series()
    values = both.cast(pl.Float64).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)


def _trained(values: Matrix, labels: npt.NDArray[np.int64], categorical: Sequence[bool]) -> tuple[Any, Matrix, npt.NDArray[np.int64]]:
    """A model trained on one half, and the other half with its labels. On one processor: the stream needs the others."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  # takes seconds to import: only where a spec asks for it
    from sklearn.model_selection import train_test_split  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    train, test, known, truth = train_test_split(values, labels, test_size=0.5, random_state=42, shuffle=True, stratify=labels)
    model = HistGradientBoostingClassifier(
        categorical_features=list(categorical), class_weight="balanced", early_stopping=False, random_state=0
    )
    with threadpool_limits(1):
        model.fit(train, known)
    return model, test, truth


def _auc(model: Any, test: Matrix, truth: npt.NDArray[np.int64]) -> float:
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415  # as above
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    with threadpool_limits(1):
        return float(roc_auc_score(truth, model.predict_proba(test)[:, 1]))


def _chance(truth: npt.NDArray[np.int64]) -> float:
    """The ROC AUC that random scores exceed in one of twenty: that of Mann-Whitney's statistic, which is normal enough."""
    ones = int(truth.sum())
    zeros = len(truth) - ones
    return 0.5 + CHANCE * math.sqrt((ones + zeros + 1) / (12 * ones * zeros))


def _telling(model: Any, test: Matrix, truth: npt.NDArray[np.int64], names: Sequence[str], auc: float) -> tuple[str, ...]:
    """The features that the model goes by: how far the ROC AUC falls when one's values are shuffled."""
    order = np.random.default_rng(0).permutation(len(test))
    fallen = {}
    for at, name in enumerate(names):
        shuffled = test.copy()
        shuffled[:, at] = shuffled[order, at]
        fallen[name] = _auc(model, shuffled, truth)
    most = sorted((value, name) for name, value in fallen.items() if auc - value >= VISIBLE)[:SHOWN]
    return tuple(
        f"told apart by {quoted(name)}: ROC AUC {number(auc)} → {number(value)} when its values are shuffled" for value, name in most
    )
