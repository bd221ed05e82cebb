"""Measures of class probabilities: ROC AUC, log loss, and those of the labels that they amount to, as Evidently derives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from monitor.performance.classification import classification
from monitor.performance.labels import SHOWN
from monitor.performance.measures import Bools, Floats, Key, NotUsable, Scored

THRESHOLD = 0.5  # Evidently's: at this probability a row is of the positive class
TOLERANCE = 0.02  # of a row's sum: services round probabilities, to two decimals at the worst


def check_probabilities(probabilities: Floats, classes: Sequence[str]) -> None:
    """Refuse what are no probabilities; shape (rows, classes), finite.

    Raises:
        NotUsable: a value is below 0 or above 1, or a row's sum is not 1; names the class or the sums, and the number of rows.
    """
    outside = (probabilities < 0) | (probabilities > 1)
    if outside.any():
        at = int(np.argmax(outside.sum(axis=0)))
        low, high = probabilities[:, at].min(), probabilities[:, at].max()
        raise NotUsable(
            f"in {outside.any(axis=1).sum():,} of {len(probabilities):,} rows a probability is outside 0 to 1; "
            f"class {classes[at]!r} has values from {low:.4g} to {high:.4g}"
        )
    sums = probabilities.sum(axis=1)
    if (off := np.abs(sums - 1) > TOLERANCE).any():
        raise NotUsable(
            f"in {off.sum():,} of {len(probabilities):,} rows the probabilities do not add up to 1, "
            f"but to values from {sums[off].min():.4g} to {sums[off].max():.4g}"
        )


def prob_classification(
    target: pl.Series, probabilities: Floats, classes: Sequence[str], positive: str | None, shown: Sequence[str] = ()
) -> Scored:
    """Measures of probabilities of shape (rows, classes); ``target`` are labels out of ``classes``.

    With a positive class (of two) the predicted label is it from a probability of 0.5 up and the other class has 1 − p, as in Evidently;
    otherwise it is the class with the greatest probability, the first of equals. ``roc_auc`` is the mean over the classes, of those that
    have rows and are not all rows; ``log_loss`` is the mean of −ln of the target's own probability, kept 2.2e-16 away from 0 and 1.
    """
    predicted, classes, probabilities = predicted_labels(probabilities, classes, positive)
    names = dict(enumerate(classes))
    scored = classification(target, predicted, positive, shown)
    place = target.replace_strict({c: i for i, c in names.items()}, return_dtype=pl.Int64).to_numpy()
    actual = place[:, None] == np.arange(len(classes))
    areas = {c: roc_auc(actual[:, i], probabilities[:, i]) for i, c in names.items()}
    known = [a for a in areas.values() if a is not None]
    values: dict[Key, float | None] = {("roc_auc", ""): float(np.mean(known)) if known else None}
    values[("log_loss", "")] = log_loss(place, probabilities)
    by_class = {("roc_auc", c): areas[c] for c in list(areas)[:SHOWN]} if len(classes) > 2 else {}
    notes = (*scored.notes, *_undefined_areas(areas))
    return Scored(scored.rows, {**values, **scored.values, **by_class}, scored.classes, notes, scored.confusion)


def predicted_labels(probabilities: Floats, classes: Sequence[str], positive: str | None) -> tuple[pl.Series, Sequence[str], Floats]:
    """The labels that probabilities amount to, and the classes and probabilities that they were taken from, the positive one first."""
    if positive is not None and len(classes) == 2:
        chance = probabilities[:, classes.index(positive)]
        other = next(c for c in classes if c != positive)
        classes, probabilities = (positive, other), np.column_stack([chance, 1 - chance])
        predicted = pl.Series(np.where(chance >= THRESHOLD, 0, 1))
    else:
        predicted = pl.Series(probabilities.argmax(axis=1))
    return predicted.replace_strict(dict(enumerate(classes)), return_dtype=pl.String), classes, probabilities


def _undefined_areas(areas: dict[str, float | None]) -> tuple[str, ...]:
    lacking = [repr(c) for c, area in areas.items() if area is None]
    if not lacking:
        return ()
    some = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
    whole = "not defined" if len(lacking) == len(areas) else "of the other classes"
    return (f"roc_auc is {whole}: no row, or every row, is of class {some}",)


def roc_auc(actual: Bools, scores: Floats) -> float | None:
    """The area under the ROC curve as the Mann-Whitney statistic, ties half (Hanley and McNeil 1982); both of shape (rows,).

    None where no row, or every row, is of the class.
    """
    ones = int(actual.sum())
    zeros = actual.size - ones
    if not ones or not zeros:
        return None
    _, at, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal scores, from 1
    return float((ranks[at[actual]].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def log_loss(place: Floats, probabilities: Floats) -> float:
    """The mean of −ln p of each row's own class, natural logarithm; ``place`` is its column, shape (rows,)."""
    own = np.take_along_axis(probabilities, place.astype(np.int64)[:, None], axis=1)
    eps = np.finfo(np.float64).eps
    return float(-np.log(np.clip(own, eps, 1 - eps)).mean())
