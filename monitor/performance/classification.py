"""Measures of predicted labels, all from the counts of (actual, predicted) pairs. The formulas are scikit-learn's, which Evidently asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.performance.labels import SHOWN
from monitor.performance.measures import Floats, Key, Scored

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """How often each class was predicted for each class. ``actual``, ``predicted`` (places in ``classes``) and ``counts`` have one shape.

    ``classes`` are those met, the most frequent target first.
    """

    classes: tuple[str, ...]
    actual: Counts
    predicted: Counts
    counts: Counts

    def per_class(self) -> tuple[Floats, Floats, Floats]:
        """Rows of each class, rows predicted as it, and rows that are both; shape (classes,) each."""
        hit = self.actual == self.predicted
        return self._sum(self.actual), self._sum(self.predicted), self._sum(self.actual[hit], self.counts[hit])

    def _sum(self, places: Counts, counts: Counts | None = None) -> Floats:
        summed = np.bincount(places, self.counts if counts is None else counts, len(self.classes))
        return summed.astype(np.float64)


def count_pairs(target: pl.Series, prediction: pl.Series) -> Pairs:
    """The pairs of two columns of labels without nulls, of one length."""
    table = pl.DataFrame([target.alias("t"), prediction.alias("p")]).group_by("t", "p").len("n")
    rows = dict(table.group_by("t").agg(pl.col("n").sum()).iter_rows())
    classes = sorted({*rows, *table["p"].to_list()}, key=lambda c: (-rows.get(c, 0), c))
    place = {c: i for i, c in enumerate(classes)}
    actual, predicted = (np.array([place[c] for c in table[side].to_list()], dtype=np.int64) for side in ("t", "p"))
    return Pairs(tuple(classes), actual, predicted, table["n"].cast(pl.Int64).to_numpy())


def classification(target: pl.Series, prediction: pl.Series, positive: str | None, shown: Sequence[str] = ()) -> Scored:
    """Measures of predicted labels; the columns hold no null.

    ``precision``, ``recall`` and ``f1`` are of the positive class, and with it ``tpr``, ``tnr``, ``fpr``, ``fnr``; without one they are
    the means over the classes met (macro). Where a class was met but never predicted, or predicted but never met, a division by zero
    is 0, as in scikit-learn; of a class that was neither, nothing is defined. ``shown`` are the classes to list first.
    """
    pairs = count_pairs(target, prediction)
    rows, predicted, hits = pairs.per_class()
    precision, recall, f1 = _share(hits, predicted), _share(hits, rows), _share(2 * hits, rows + predicted)
    listed = [*shown, *(c for c in pairs.classes if c not in shown)][:SHOWN]
    values: dict[Key, float | None] = {("accuracy", ""): float(hits.sum() / rows.sum())}
    notes: tuple[str, ...] = ()
    if positive is None:
        values |= {("precision", ""): precision.mean(), ("recall", ""): recall.mean(), ("f1", ""): f1.mean()}
    else:
        values |= _of_positive(pairs, positive, {"precision": precision, "recall": recall, "f1": f1})
        notes = () if positive in pairs.classes else (f"no row is of the positive class {positive!r}, nor predicted as it",)
    place = {c: i for i, c in enumerate(pairs.classes)}
    for name, of_class in (("precision", precision), ("recall", recall), ("f1", f1)):
        values |= {(name, c): float(of_class[place[c]]) if c in place else None for c in listed}
    return Scored(target.len(), _plain(values), tuple(listed), notes, _confusion(pairs, listed))


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _of_positive(pairs: Pairs, positive: str, measures: dict[str, Floats]) -> dict[Key, float | None]:
    """The measures of the positive class, and its rates; None each where it was not met at all."""
    names = (*measures, "tpr", "tnr", "fpr", "fnr")
    if positive not in pairs.classes:
        return {(name, ""): None for name in names}
    at = pairs.classes.index(positive)
    rows, predicted, hits = (counts[at] for counts in pairs.per_class())
    others = pairs.counts.sum() - rows
    tpr, fpr = hits / rows if rows else None, (predicted - hits) / others if others else None
    rates = (tpr, None if fpr is None else 1 - fpr, fpr, None if tpr is None else 1 - tpr)
    return dict(zip(((name, "") for name in names), (*(m[at] for m in measures.values()), *rates), strict=True))


def _plain(values: dict[Key, float | None]) -> dict[Key, float | None]:
    return {key: None if value is None else float(value) for key, value in values.items()}


def _confusion(pairs: Pairs, listed: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Counts in the order of ``listed``, and one row and column more where there are other classes."""
    place = {c: i for i, c in enumerate(listed)}
    at = np.array([place.get(c, len(listed)) for c in pairs.classes], dtype=np.int64)
    size = max(len(listed), int(at.max()) + 1)
    flat = np.bincount(at[pairs.actual] * size + at[pairs.predicted], pairs.counts, size * size).astype(np.int64)
    return tuple(tuple(row) for row in flat.reshape(size, size).tolist())
