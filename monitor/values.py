"""The values of a column as statistics see them: of the spec's type, without nulls, NaN and infinities, as Evidently drops them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from config.spec import AvroType, Column, Kind
from schemas.dtypes import DTYPES

Numbers = npt.NDArray[np.float64] | npt.NDArray[np.int64]
Category = str | bool | int | float
Counts = dict[Category, int]


class ValueMisfit(Exception):
    """A column's values are not of the type that its spec says; the message says what was found."""


def judged_kind(column: Column) -> Kind:
    """How a column is judged. Booleans are categories whatever the spec says: distances between true and false mean nothing."""
    return "categorical" if column.type == "boolean" else column.kind


def conform(series: pl.Series, column: Column) -> pl.Series:
    """The series as the spec's type, nulls kept. Only what loses nothing is converted (an integral float column becomes longs,
    since pandas stores integers with nulls as floats; text is never read as a number).

    Raises:
        ValueMisfit: the values are of another type.
    """
    wanted = DTYPES[column.type]
    found = series.dtype
    if found == wanted:
        return series
    if found == pl.Null:
        return series.cast(wanted)
    if column.type == "string":
        if isinstance(found, pl.Categorical | pl.Enum):
            return series.cast(wanted)
        raise ValueMisfit(f"holds {found}, the spec says string")
    if column.type == "timestamp" and isinstance(found, pl.Datetime | pl.Date):
        return series.cast(pl.Datetime("ms", getattr(found, "time_zone", None))).to_physical()  # a time without a zone is UTC
    if column.type == "doubles":
        if isinstance(found, pl.List | pl.Array) and (found.inner.is_numeric() or found.inner == pl.Null):
            return series.cast(wanted)
        raise ValueMisfit(f"holds {found}, the spec says doubles (arrays of numbers)")
    if not found.is_numeric():
        raise ValueMisfit(f"holds {found}, the spec says {column.type}")
    return _numeric(series, column.type)


def _numeric(series: pl.Series, wanted: AvroType) -> pl.Series:
    if wanted == "double":
        return series.cast(pl.Float64)
    floats = series.dtype.is_float()
    whole = series.fill_nan(None) if floats else series
    known = whole.drop_nulls()
    if wanted == "boolean" and not ((known == 0) | (known == 1)).all():
        raise ValueMisfit(f"holds {series.dtype} with other values than 0 and 1, the spec says boolean")
    if floats and not (known.is_finite() & (known.round() == known)).all():
        raise ValueMisfit(f"holds {series.dtype} with fractions or infinities, the spec says {wanted}")
    try:
        return whole.cast(DTYPES[wanted])
    except pl.exceptions.PolarsError as error:
        raise ValueMisfit(f"holds {series.dtype} beyond 64 bits, the spec says {wanted}") from error


def usable(series: pl.Series) -> pl.Series:
    """A conformed column without nulls, NaN and infinities, in row order."""
    return series.filter(series.is_finite()) if series.dtype == pl.Float64 else series.drop_nulls()


def numbers(series: pl.Series) -> Numbers:
    """The finite values of a conformed numerical column, in row order; shape (values,), float64 or int64."""
    if series.dtype == pl.Int64:
        return (series.drop_nulls() if series.null_count() else series).to_numpy()
    values = series.to_numpy()  # a null becomes NaN
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def category_counts(series: pl.Series) -> Counts:
    """How often each value of a conformed column occurs; nulls and infinities are left out, the order means nothing."""
    if series.dtype == pl.Float64:
        series = usable(series)
    frame = series.alias("value").value_counts()
    values: list[Any] = frame["value"].to_list()
    counts: list[int] = frame["count"].to_list()
    found = dict(zip(values, counts, strict=True))
    found.pop(None, None)
    return found
