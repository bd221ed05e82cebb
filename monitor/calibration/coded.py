"""A column of the reference as small whole numbers, so that thousands of windows of it are counted and ranked at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.statistics.profiles import STD_FLOOR, Floats, Ints
from monitor.values import category_counts

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class CodedColumn:
    """The judged values of a column by rank (numbers) or by sorted category.

    Attributes:
        codes: of each row, shape (rows,); ``distinct`` where the row has no usable value.
        counts: rows of each code, shape (distinct,).
        points: the value of each code, shape (distinct,); empty for categories.
        integral: whole numbers, whose histogram bins are never narrower than 1.
    """

    codes: Codes
    counts: Ints
    points: Floats
    integral: bool

    @property
    def distinct(self) -> int:
        """Different values."""
        return len(self.counts)

    @property
    def size(self) -> int:
        """Rows with a usable value."""
        return int(self.counts.sum())

    @property
    def norm(self) -> float:
        """The population's standard deviation, not below Evidently's floor; unit of the column."""
        mean = (self.points * self.counts).sum() / self.size
        return max(float(np.sqrt((np.square(self.points - mean) * self.counts).sum() / self.size)), STD_FLOOR)


def coded_numbers(series: pl.Series) -> CodedColumn:
    """A conformed numerical column."""
    values = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
    usable = np.isfinite(values)
    points, codes, counts = np.unique(values[usable], return_inverse=True, return_counts=True)
    return CodedColumn(_spread(codes, usable, len(points)), counts, points, series.dtype == pl.Int64)


def coded_categories(series: pl.Series) -> CodedColumn:
    """A conformed categorical column."""
    counts = category_counts(series)
    position = {category: code for code, category in enumerate(sorted(counts))}
    codes = np.array([position.get(value, len(position)) for value in series.to_list()], dtype=np.int32)
    return CodedColumn(codes, np.array([counts[c] for c in position], dtype=np.int64), np.empty(0), False)


def _spread(codes: Ints, usable: npt.NDArray[np.bool_], none: int) -> Codes:
    spread = np.full(len(usable), none, dtype=np.int32)
    spread[usable] = codes
    return spread
