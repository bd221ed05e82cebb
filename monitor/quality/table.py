"""A window's rows and columns held against each other: rows with nulls, rows that repeat, columns that are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from monitor.columns import ReadColumn
from schemas.result import ColumnQuality


def rows_with_nulls(read: Mapping[str, ReadColumn], described: Sequence[ColumnQuality], height: int) -> int:
    """Rows without a value in one of the described columns or more; all of them where a column is not there at all."""
    columns = [read[c.name] for c in described]
    if any(column.raw is None for column in columns):
        return height
    anywhere = np.zeros(height, dtype=np.bool_)
    for column in columns:
        if column.missing is not None:
            anywhere |= column.missing
    return int(np.count_nonzero(anywhere))


def duplicated_rows(read: Mapping[str, ReadColumn], described: Sequence[ColumnQuality], height: int) -> int:
    """Rows equal to an earlier one in all described columns; nulls and NaN are equal to each other, as in pandas.

    A column whose values are all different rules them out.
    """
    if not height or any(c.distinct == height for c in described):
        return 0
    alike = {c.name: _comparable(read[c.name], raw) for c in described if (raw := read[c.name].raw) is not None}
    return height - pl.DataFrame(alike).n_unique() if alike else height - 1


def duplicated_columns(read: Mapping[str, ReadColumn], described: Sequence[ColumnQuality]) -> tuple[str, ...]:
    """Columns equal to an earlier one of the same type, row by row, nulls at the same rows."""
    groups: dict[object, list[str]] = {}
    found: list[str] = []
    for column in described:
        if column.status != "ok":
            continue
        firsts = groups.setdefault(_marks(read[column.name], column), [])
        if any(_equal(read[first], read[column.name]) for first in firsts):
            found.append(column.name)
        else:
            firsts.append(column.name)
    return tuple(found)


def _marks(read: ReadColumn, column: ColumnQuality) -> object:
    """What equal columns have in common, known already: only columns alike in it are compared value by value."""
    most = max(read.counts.values(), default=0) if column.kind == "categorical" and read.raw is not None else 0
    return read.column.type, column.rows, column.distinct, column.minimum, column.maximum, column.mean, column.quantiles, most


def _equal(first: ReadColumn, second: ReadColumn) -> bool:
    if first.raw is None or second.raw is None:
        return True  # both are null in every row: their marks are equal
    return _comparable(first, first.series).equals(_comparable(second, second.series), check_names=False)


def _comparable(read: ReadColumn, series: pl.Series) -> pl.Series:
    """The series with NaN as null."""
    return series.fill_nan(None) if series.dtype.is_float() and read.nulls > series.null_count() else series
