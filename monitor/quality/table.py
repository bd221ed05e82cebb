"""A window's rows and columns held against each other: rows with nulls, rows that repeat, columns that are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from monitor.columns import ReadColumn
from monitor.quality.column import known_nulls
from schemas.result import ColumnQuality


def rows_with_nulls(read: Mapping[str, ReadColumn], described: Sequence[ColumnQuality], height: int) -> int:
    """Rows without a value in one of the described columns or more; all of them where a column is not there at all."""
    gaps = [read[c.name].raw for c in described if c.rows < height]
    masks = [known_nulls(raw) for raw in gaps if raw is not None]
    if len(masks) < len(gaps):
        return height
    if not masks:
        return 0
    return int(pl.DataFrame({str(i): mask for i, mask in enumerate(masks)}).select(pl.any_horizontal(pl.all()).sum()).item())


def duplicated_rows(read: Mapping[str, ReadColumn], described: Sequence[ColumnQuality], height: int) -> int:
    """Rows equal to an earlier one in all described columns; nulls and NaN are equal to each other, as in pandas.

    A column whose values are all different rules them out, and so do columns that can hold no values which can be compared.
    """
    if not height or any(c.distinct == height for c in described):
        return 0
    columns = [raw for c in described if (raw := read[c.name].raw) is not None and not raw.dtype.is_nested()]
    if not columns:
        return height - 1 if described else 0
    alike = [raw.fill_nan(None) if raw.dtype.is_float() else raw for raw in columns]
    return height - pl.DataFrame({str(i): raw for i, raw in enumerate(alike)}).n_unique()


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
    return _values(first.series).equals(_values(second.series), check_names=False)


def _values(series: pl.Series) -> pl.Series:
    return series.fill_nan(None) if series.dtype == pl.Float64 else series
