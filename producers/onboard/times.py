"""Which form a file's event times have: each known form is tried on every value, and what fits all of them is taken."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import polars as pl

from config.errors import UsageError
from config.spec_data import EPOCH_MS, DataFile, TimeColumn
from producers.files.read import raw_batches

_DAY_FIRST = ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y")
_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", *_DAY_FIRST, *_MONTH_FIRST,
    "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y",
)  # fmt: skip
_CLOCKS = ("", *(f"{gap}{clock}" for gap in "T " for clock in ("%H:%M:%S%.f", "%H:%M", "%H:%M:%S%.f%#z", "%H:%M%#z")))
_MORE_CLOCKS = (" %I:%M:%S %p", " %I:%M %p", " %H:%M:%S%.f UTC", " %H:%M:%S%.f %#z", "T%H:%M:%S%.fZ[UTC]")
FORMATS = tuple(date + clock for date, clock in product(_DATES, (*_CLOCKS, *_MORE_CLOCKS)))
_EPOCHS = {"epoch_s": (1e8, 1e10), "epoch_ms": (1e11, 1e13), "epoch_us": (1e14, 1e16), "epoch_ns": (1e17, 9.3e18)}
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
_SAMPLE = 200


def fits(texts: pl.Series, form: str) -> pl.Series:
    """Which of the texts are times of this form, with a year that can be meant."""
    moments = texts.str.to_datetime(form, strict=False, time_unit="ms", time_zone="UTC" if form.endswith("z") else None)
    return moments.dt.year().is_between(_FIRST_YEAR, _LAST_YEAR).fill_null(False)


def epoch_unit(numbers: pl.Series) -> str | None:
    """The unit in which these numbers are recent times, if there is one for all."""
    known = numbers.drop_nulls()
    for unit, (low, high) in _EPOCHS.items():
        if len(known) and bool(known.is_between(low, high).all()):
            return unit
    return None


def guess_format(path: Path, data: DataFile, columns: tuple[str, ...], zone: str) -> tuple[TimeColumn, str]:
    """The form of the event times in these columns, and how it was found.

    Raises:
        UsageError: they are no times of a known form, or day and month cannot be told apart.
    """
    batches = raw_batches(path, data, list(columns))
    first = next(batches, None)
    if first is None:
        raise UsageError(f"{path} has no rows", "name a file with a header and rows")
    if len(columns) == 1 and not isinstance(first[columns[0]].dtype, pl.String):
        return _native(path, first[columns[0]], columns, zone)
    values = _texts(first, columns)
    if values.drop_nulls().is_empty():
        raise UsageError(
            f"{path}: the first {len(values):,} rows have no event time in {_told(columns)}", "name another column with --time"
        )
    if len(columns) == 1 and (unit := epoch_unit(values.drop_nulls().cast(pl.Float64, strict=False))):
        return TimeColumn(columns=columns, format=unit, zone=zone), unit
    return _by_trial(path, columns, zone, values, (_texts(b, columns) for b in batches))


def _native(path: Path, series: pl.Series, columns: tuple[str, ...], zone: str) -> tuple[TimeColumn, str]:
    if isinstance(series.dtype, pl.Datetime | pl.Date):
        return TimeColumn(columns=columns, zone=zone), f"{series.dtype}"
    if series.dtype.is_numeric() and (unit := epoch_unit(series.cast(pl.Float64))):
        return TimeColumn(columns=columns, format=unit, zone=zone), unit
    raise UsageError(f"{path}: column {columns[0]!r} is {series.dtype}, no time", "name another column with --time, or give --time-format")


def _texts(frame: pl.DataFrame, columns: tuple[str, ...]) -> pl.Series:
    parts = [frame[c].cast(pl.String).str.strip_chars() for c in columns]
    return parts[0] if len(parts) == 1 else parts[0] + " " + parts[1]


def _told(columns: tuple[str, ...]) -> str:
    return " and ".join(repr(c) for c in columns)


def _by_trial(path: Path, columns: tuple[str, ...], zone: str, values: pl.Series, more: Iterator[pl.Series]) -> tuple[TimeColumn, str]:
    sample = values.drop_nulls().head(_SAMPLE)
    shares = {form: fits(sample, form).mean() for form in FORMATS}
    best = max(shares, key=lambda form: float(str(shares[form] or 0)))
    top = float(str(shares[best] or 0))
    if top < 0.5:
        raise UsageError(
            f"{path}: {_told(columns)} holds no times of a known form, such as {sample[0]!r}",
            "name another column with --time, or the form with --time-format, such as '%d.%m.%Y %H:%M'",
        )
    left = [form for form, share in shares.items() if float(str(share or 0)) == top]
    ascending = dict.fromkeys(left, True)
    for texts in (values, *([] if len(left) == 1 else more)):
        known = texts.drop_nulls().unique(maintain_order=True)
        fitting = [form for form in left if bool(fits(known, form).all())]
        left = fitting or left  # where none fits, reading names the line
        for form in left:
            ascending[form] &= known.str.to_datetime(form, strict=False, time_zone="UTC" if form.endswith("z") else None).is_sorted()
    return _chosen(path, columns, zone, left, ascending, sample[0])


def _chosen(
    path: Path, columns: tuple[str, ...], zone: str, left: list[str], ascending: dict[str, bool], example: str
) -> tuple[TimeColumn, str]:
    days = [form for form in left if form.startswith(_DAY_FIRST)]
    months = [form for form in left if form.startswith(_MONTH_FIRST)]
    how = ""
    if days and months:
        if ascending[days[0]] == ascending[months[0]]:
            raise UsageError(
                f"{path}: times in {_told(columns)}, such as {example!r}, could have the day or the month first",
                f"give --time-format '{days[0]}' or --time-format '{months[0]}'",
            )
        left = days if ascending[days[0]] else months
        how = ", in whose order the rows ascend"
    first = "day first" if days and left[0] in days else "month first" if left[0] in months else ""
    return TimeColumn(columns=columns, format=left[0], zone=zone), f"{left[0]}{', ' + first if first else ''}{how}"


def given_format(columns: tuple[str, ...], form: str, zone: str) -> TimeColumn:
    """The form that the user names: a pattern or an epoch unit.

    Raises:
        UsageError: it is neither.
    """
    if form not in EPOCH_MS and "%" not in form:
        raise UsageError(f"--time-format {form!r} is no pattern", f"write a pattern as '%d.%m.%Y %H:%M', or one of {', '.join(EPOCH_MS)}")
    if form.endswith("%z"):
        form = f"{form[:-2]}%#z"  # takes Z and +01 too
    return TimeColumn(columns=columns, format=form, zone=zone)
