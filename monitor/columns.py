"""A column of a window or of a reference as the monitors see it: read once, whatever many of them ask for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from config.spec import Column
from monitor.statistics.profiles import Sample, sample
from monitor.values import Counts, Numbers, category_counts, conform, judged_kind, numbers

DATA_ERRORS = (ValueError, TypeError, ArithmeticError, LookupError, pl.exceptions.PolarsError)
MISSING = "no event of this window carried the column"


class ReadColumn:
    """One column: its values as the spec's type, sorted or counted when somebody first asks for that.

    Every property may raise one of ``DATA_ERRORS``, or ``ValueMisfit`` where the values are not of the spec's type.
    """

    def __init__(self, raw: pl.Series | None, column: Column) -> None:
        self.raw = raw
        self.column = column
        self.kind = judged_kind(column)

    @cached_property
    def series(self) -> pl.Series:
        """The column as the spec's type, nulls kept.

        Raises:
            LookupError: the window lacks the column.
            ValueMisfit: its values are of another type.
        """
        if self.raw is None:
            raise LookupError(MISSING)
        return conform(self.raw, self.column)

    @cached_property
    def missing(self) -> npt.NDArray[np.bool_] | None:
        """True for each row without a value (null or NaN), shape (rows,); None where every row has one.

        Raises:
            LookupError: the window lacks the column.
        """
        if self.raw is None:
            raise LookupError(MISSING)
        if self.raw.dtype.is_float():
            mask = np.isnan(self.raw.to_numpy())  # a null becomes NaN
            return mask if mask.any() else None
        return self.raw.is_null().to_numpy() if self.raw.null_count() else None

    @cached_property
    def nulls(self) -> int:
        """Rows without a value: nulls and NaN.

        Raises:
            LookupError: the window lacks the column.
        """
        return 0 if self.missing is None else int(np.count_nonzero(self.missing))

    @cached_property
    def numbers(self) -> Numbers:
        """The finite values of a numerical column, in row order."""
        return numbers(self.series)

    @cached_property
    def sample(self) -> Sample:
        """The finite values of a numerical column, sorted.

        Raises:
            ValueError: there is none.
        """
        if not len(self.numbers):
            raise ValueError(f"no usable value: all {len(self.series)} rows are null or not finite")
        return sample(self.numbers)

    @cached_property
    def counts(self) -> Counts:
        """How often each value of a categorical column occurs, nulls and infinities left out; may be empty."""
        return category_counts(self.series)


def read_columns(frame: pl.DataFrame, columns: Mapping[str, Column]) -> dict[str, ReadColumn]:
    """The spec's columns of a frame by name; one that the frame lacks is there, too, and says so when it is asked."""
    present = set(frame.columns)
    return {name: ReadColumn(frame[name] if name in present else None, column) for name, column in columns.items()}
