"""Columns of a file as the types of the wire. What does not fit is told by row, never made null."""

from __future__ import annotations

import polars as pl

from config.spec import AvroType
from config.spec_data import EPOCH_MS, TimeColumn
from schemas.dtypes import DTYPES

TRUE = ("true", "t", "yes", "y", "1", "1.0")
FALSE = ("false", "f", "no", "n", "0", "0.0")
_UTC_MS = pl.Datetime("ms", "UTC")
_ISO = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")


class Unfit(Exception):
    """A value that does not fit: the row's number in the series, and what is wrong with it."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


def to_type(series: pl.Series, wanted: AvroType, decimal: str = ".") -> pl.Series:
    """The series as the type of the wire.

    Raises:
        Unfit: at the first value that is none of that type.
    """
    if series.dtype == pl.Null:
        return series.cast(DTYPES[wanted])
    if wanted == "doubles":
        return _vectors(series)
    if wanted == "string":
        return _texts(series)
    plain = series.cast(pl.String) if isinstance(series.dtype, pl.Categorical | pl.Enum) else series
    made = _parsed(plain, wanted, decimal) if plain.dtype == pl.String else _cast(plain, wanted)
    return _whole(series, made, {"double": "number", "long": "whole number", "boolean": "truth value", "timestamp": "ISO time"}[wanted])


def _whole(series: pl.Series, made: pl.Series, what: str) -> pl.Series:
    lost = made.is_null() & series.is_not_null()
    if series.dtype.is_float():
        lost &= series.is_not_nan()
    if (row := lost.arg_max()) is not None and lost[row]:
        raise Unfit(row, f"{series[row]!r} is no {what}")
    return made


def _parsed(texts: pl.Series, wanted: AvroType, decimal: str) -> pl.Series:
    texts = texts.str.strip_chars()
    if wanted == "boolean":
        low = texts.str.to_lowercase()
        return pl.select(pl.when(low.is_in(TRUE)).then(True).when(low.is_in(FALSE)).then(False)).to_series().alias(texts.name)
    if wanted == "timestamp":
        return _iso_ms(texts)
    if decimal == ",":
        texts = texts.str.replace(",", ".", literal=True)
    floats = texts.cast(pl.Float64, strict=False)
    if wanted == "double":
        return floats
    return texts.cast(pl.Int64, strict=False).fill_null(_integral(floats))


def _iso_ms(texts: pl.Series) -> pl.Series:
    """Of ISO dates and times; without a zone they are UTC."""
    made = texts.str.to_date("%Y-%m-%d", strict=False).cast(_UTC_MS)
    for form in _ISO:
        if made.null_count() == texts.null_count():
            break
        zone = "UTC" if form.endswith("z") else None
        found = texts.str.to_datetime(form, strict=False, time_unit="ms", time_zone=zone)
        made = made.fill_null(found if zone else found.dt.replace_time_zone("UTC"))
    return made.to_physical()


def _integral(floats: pl.Series) -> pl.Series:
    kept = floats.is_finite() & (floats.round() == floats) & (floats.abs() < 2.0**63)
    return floats.set(~kept.fill_null(False), None).cast(pl.Int64, strict=False)


def _cast(series: pl.Series, wanted: AvroType) -> pl.Series:
    if series.dtype.is_temporal():  # ms since the epoch, or since midnight; a duration's ms
        series = series.dt.cast_time_unit("ms") if isinstance(series.dtype, pl.Datetime | pl.Duration) else _days_or_time(series)
        return series.to_physical().cast(DTYPES[wanted], strict=False)
    if wanted in ("long", "timestamp") and (series.dtype.is_float() or isinstance(series.dtype, pl.Decimal)):
        return _integral(series.cast(pl.Float64))
    if wanted == "boolean" and series.dtype != pl.Boolean:
        numbers = series.cast(pl.Float64, strict=False)
        return (numbers == 1).set(~((numbers == 1) | (numbers == 0)).fill_null(False), None)
    return series.cast(DTYPES[wanted], strict=False)


def _days_or_time(series: pl.Series) -> pl.Series:
    if series.dtype == pl.Date:
        return series.cast(pl.Datetime("ms"))
    return (series.to_physical() // 1_000_000).cast(pl.Int64)  # a time of day is kept in ns


def _texts(series: pl.Series) -> pl.Series:
    if series.dtype == pl.Binary:
        made = series.cast(pl.String, strict=False)
        return _whole(series, made, "text")
    if isinstance(series.dtype, pl.List | pl.Array | pl.Struct | pl.Object):
        raise Unfit(0, f"{series.dtype} is no text")
    return series.cast(pl.String)


def _vectors(series: pl.Series) -> pl.Series:
    if series.dtype == pl.String:
        return _written_vectors(series)
    dtype = series.dtype
    if not isinstance(dtype, pl.List | pl.Array) or not (dtype.inner.is_numeric() or dtype.inner == pl.Null):
        raise Unfit(0, f"{dtype} is no vector of numbers")
    made = series.cast(pl.List(pl.Float64))
    holes = made.list.eval(pl.element().is_null()).list.any().fill_null(False)
    if (row := holes.arg_max()) is not None and holes[row]:
        raise Unfit(row, "has a null within its vector")
    return made


def _written_vectors(texts: pl.Series) -> pl.Series:
    """``[0.1, 0.2]`` or ``0.1 0.2``: numbers between brackets, parted by commas, semicolons or spaces."""
    inner = texts.str.strip_chars().str.strip_chars("[]()").str.strip_chars()
    made = inner.str.replace_all(r"\s*[,;\s]\s*", " ").str.split(" ")
    made = made.list.eval(pl.element().filter(pl.element() != "").cast(pl.Float64, strict=False))
    holes = made.list.eval(pl.element().is_null()).list.any().fill_null(False)
    if (row := holes.arg_max()) is not None and holes[row]:
        raise Unfit(row, f"{texts[row]!r} is no vector of numbers")
    return made


def to_times(columns: list[pl.Series], time: TimeColumn) -> pl.Series:
    """Event times as ms since the epoch, UTC (Int64).

    Raises:
        Unfit: at the first row without a time, or with one of another form.
    """
    for series in columns:
        if (row := series.is_null().arg_max()) is not None and series.is_null()[row]:
            raise Unfit(row, "has no event time")
    joined = columns[0] if len(columns) == 1 else _joined(columns)
    made = _instants(joined, time)
    lost = made.is_null()
    if (row := lost.arg_max()) is not None and lost[row]:
        raise Unfit(row, _why(joined, row, time))
    return made


def _joined(columns: list[pl.Series]) -> pl.Series:
    first, second = (series.cast(pl.String).str.strip_chars() for series in columns)
    return (first + " " + second).alias(columns[0].name)


def _instants(series: pl.Series, time: TimeColumn) -> pl.Series:
    if time.format in EPOCH_MS:
        if series.dtype.is_integer() and time.format == "epoch_ms":
            return series.cast(pl.Int64)
        exact = series.cast(pl.Float64, strict=False) * EPOCH_MS[time.format]
        return exact.set(~exact.is_finite(), None).floor().cast(pl.Int64, strict=False)
    if time.format == "native":
        if not isinstance(series.dtype, pl.Datetime | pl.Date):
            raise Unfit(0, f"{series.dtype} is no timestamp")
        moments = series.cast(pl.Datetime("ms")) if series.dtype == pl.Date else series.dt.cast_time_unit("ms")
    else:
        texts = series.cast(pl.String).str.strip_chars()
        zone = "UTC" if time.zoned else None
        moments = texts.str.to_datetime(time.format, time_unit="ms", time_zone=zone, strict=False, ambiguous="earliest")
    if not isinstance(moments.dtype, pl.Datetime) or moments.dtype.time_zone is None:
        moments = moments.dt.replace_time_zone(time.zone, ambiguous="earliest", non_existent="null")
    return moments.cast(_UTC_MS).to_physical()


def _why(series: pl.Series, row: int, time: TimeColumn) -> str:
    found = repr(series[row]) if series.dtype == pl.String else str(series[row])
    if time.format in EPOCH_MS:
        return f"{found} is no {time.format}"
    if time.format == "native":
        return f"{found} does not exist in {time.zone}: the clocks were put forward"
    stripped = series.slice(row, 1).cast(pl.String).str.strip_chars()
    if time.zoned:
        bare = stripped.str.to_datetime(time.format.removesuffix("%#z").rstrip(), strict=False).is_not_null()[0]
        if bare:
            return f"{found} names no time zone, others do: mixed time zones"
    elif stripped.str.to_datetime(time.format + "%#z", time_zone="UTC", strict=False).is_not_null()[0]:
        return f"{found} names a time zone, others do not: mixed time zones"
    elif stripped.str.to_datetime(time.format, strict=False).is_not_null()[0]:
        return f"{found} does not exist in {time.zone}: the clocks were put forward"
    return f"{found} is no time of the form {time.format}"
