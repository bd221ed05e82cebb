"""Embedding columns: one vector a row, all of one length, judged by Evidently's embedding drift methods.

``ratio`` (the default here) is the share of components whose normed Wasserstein distance is at least 0.1; ``distance`` is the Euclidean
distance between the mean vectors. Both use a reference that is sorted, or averaged, once. ``model`` (Evidently's default) and ``mmd`` are
Evidently's own functions, which take seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.changes import number, percent
from monitor.statistics.continuous import wasserstein
from monitor.statistics.methods import METHODS, Method
from monitor.statistics.profiles import STD_FLOOR, Floats, NumericProfile, Sample
from monitor.statistics.score import Score, verdict
from monitor.verdict import Verdict

Matrix = npt.NDArray[np.float64]  # shape (rows, length)
MOST_NUMBERS = 20_000_000  # of the reference, rows x length: 160 MB, and twice that for a ratio
COMPONENT_THRESHOLD = 0.1  # Evidently's, of a component's normed Wasserstein distance
MMD_ROWS = 1_000  # of either side: its kernel matrix has rows², 1 GB for a reference of 10,000
DEFAULT = METHODS["ratio"]


@dataclass(frozen=True, slots=True)
class EmbeddingProfile:
    """An embedding column of the reference.

    Attributes:
        length: of each vector.
        size: vectors that are used.
        mean: the mean vector, shape (length,).
        components: each component's distribution, only for ``ratio``.
        matrix: the vectors, only for methods without a fast form.
    """

    length: int
    size: int
    mean: Floats
    components: tuple[NumericProfile, ...]
    matrix: Matrix | None


@dataclass(frozen=True, slots=True)
class Vectors:
    """The usable vectors of a column, in row order, and how many of the others there are; nulls are in neither."""

    matrix: Matrix
    other_length: int
    not_finite: int

    def left_out(self, length: int) -> str:
        """What was left out, in words; empty for nothing."""
        parts = []
        if self.other_length:
            parts.append(f"{self.other_length} not of length {length}")
        if self.not_finite:
            parts.append(f"{self.not_finite} with a null or a number that is not finite")
        rows = len(self.matrix) + self.other_length + self.not_finite
        return f"{self.other_length + self.not_finite} of {rows} vectors left out: {', '.join(parts)}" if parts else ""


def vectors(series: pl.Series, length: int) -> Vectors:
    """The vectors of a conformed column that have this length (at least 1) and hold finite numbers only."""
    known = series.drop_nulls()
    alike = known.filter(known.list.len() == length)
    matrix = alike.explode().to_numpy().reshape(-1, length)  # a null becomes NaN
    finite = np.isfinite(matrix).all(axis=1)
    return Vectors(matrix if finite.all() else matrix[finite], len(known) - len(alike), len(alike) - int(np.count_nonzero(finite)))


def common_length(series: pl.Series) -> int:
    """The length that most vectors have, the smallest of equals; 0 where all are null or empty."""
    lengths = series.drop_nulls().list.len()
    lengths = lengths.filter(lengths > 0)
    return int(lengths.mode().min()) if len(lengths) else 0  # type: ignore[arg-type]  # lengths are whole numbers


def fit_vectors(matrix: Matrix, method: Method | None) -> EmbeddingProfile:
    """Fit an embedding column; of a reference with more than 20 million numbers, evenly spaced rows. Shape (rows, length), rows >= 1."""
    kept = matrix if matrix.size <= MOST_NUMBERS else _spaced(matrix, max(MOST_NUMBERS // matrix.shape[1], 1))
    chosen = method or DEFAULT
    components = _components(kept) if chosen.name == "ratio" else ()
    return EmbeddingProfile(kept.shape[1], len(kept), kept.mean(axis=0), components, None if chosen.fast else kept)


def _spaced(matrix: Matrix, rows: int) -> Matrix:
    return matrix[np.linspace(0, len(matrix) - 1, rows).astype(np.int64)] if len(matrix) > rows else matrix


def _components(matrix: Matrix) -> tuple[NumericProfile, ...]:
    """Each component as a profile. Ties keep their places, so that all components share counts and shares: two arrays each, not six."""
    size = len(matrix)
    ordered = np.ascontiguousarray(np.sort(matrix, axis=0).T)
    areas = np.zeros_like(ordered)
    counts, cumulative = np.ones(size, dtype=np.int64), np.arange(size + 1)
    shares = cumulative / size
    for points, area in zip(ordered, areas, strict=True):  # in extended precision, as fit_numbers
        area[1:] = np.cumsum((shares[1:-1] * np.diff(points)).astype(np.longdouble))
    norms = np.maximum(np.std(matrix, axis=0), STD_FLOOR)
    means, variances = matrix.mean(axis=0), matrix.var(axis=0, ddof=1 if size > 1 else 0)
    for array in (ordered, areas, counts, cumulative, shares):
        array.setflags(write=False)  # shared between threads
    return tuple(
        NumericProfile(Sample(points, points, counts, cumulative, size), shares, area, *map(float, of_component))
        for points, area, *of_component in zip(ordered, areas, norms, means, variances, strict=True)
    )


def judge_vectors(series: pl.Series, profile: EmbeddingProfile, method: Method | None, threshold: float | None) -> Verdict:
    """The verdict on a window's vectors.

    Raises:
        ValueError: no vector can be used, or Evidently's own method fails; says why.
    """
    found, chosen = vectors(series, profile.length), method or DEFAULT
    left_out = found.left_out(profile.length)
    if not len(found.matrix):
        raise ValueError(f"no usable vector: {left_out or f'all {len(series)} rows are null'}")
    score = verdict(chosen, (SCORES[chosen.name] if chosen.fast else _stock(chosen))(profile, found.matrix), threshold)
    return Verdict(score, len(found.matrix), _changes(profile, found.matrix, score), left_out)


def distances(profile: EmbeddingProfile, matrix: Matrix) -> Floats:
    """The normed Wasserstein distance of each component, shape (length,)."""
    size = len(matrix)
    ordered = np.ascontiguousarray(np.sort(matrix, axis=0).T)
    counts, cumulative = np.ones(size, dtype=np.int64), np.arange(size + 1)
    return np.array(
        [
            wasserstein(component, Sample(points, points, counts, cumulative, size))
            for component, points in zip(profile.components, ordered, strict=True)
        ]
    )


def ratio(profile: EmbeddingProfile, matrix: Matrix) -> float:
    """The share of components whose normed Wasserstein distance is 0.1 or more (Evidently's ``RatioDriftMethod``)."""
    return float(np.count_nonzero(distances(profile, matrix) >= COMPONENT_THRESHOLD) / profile.length)


def distance(profile: EmbeddingProfile, matrix: Matrix) -> float:
    """The Euclidean distance between the mean vectors (Evidently's ``DistanceDriftMethod``)."""
    return float(np.sqrt(np.square(profile.mean - matrix.mean(axis=0)).sum()))


SCORES: dict[str, Callable[[EmbeddingProfile, Matrix], float]] = {"ratio": ratio, "distance": distance}


def _stock(method: Method) -> Callable[[EmbeddingProfile, Matrix], float]:
    from monitor.drift import stock_embedding_score  # noqa: PLC0415  # evidently takes seconds to import: only where a spec needs it

    def score(profile: EmbeddingProfile, matrix: Matrix) -> float:
        assert profile.matrix is not None
        most = MMD_ROWS if method.name == "mmd" else max(len(profile.matrix), len(matrix))
        return stock_embedding_score(method, _spaced(profile.matrix, most), _spaced(matrix, most))

    return score


def _changes(profile: EmbeddingProfile, matrix: Matrix, score: Score) -> tuple[str, ...]:
    if not score.drifted:
        return ()
    length = number(float(np.sqrt(np.square(profile.mean).sum())))
    texts = [f"the mean vector, {length} long in the reference, moved by {number(distance(profile, matrix))}"]
    if score.method.name == "ratio":
        texts.insert(0, f"{round(score.score * profile.length)} of {profile.length} components drifted ({percent(score.score)})")
    return tuple(texts)
