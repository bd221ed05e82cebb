"""The tests: what each measures, and what it expects where the spec sets no bounds. The defaults are those of Evidently's own suites
(``evidently.legacy.tests``); docs/quality.md says where ours differ and why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from monitor.changes import number, percent, quoted
from monitor.quality.describe import ReferenceQuality
from monitor.suites.condition import TOLERANCE, Condition, at_most, below
from schemas.result import ColumnQuality, DataQuality

SIGMAS = 2.0  # evidently.legacy TestNumColumnsMeanInNSigmas
SHOWN = 5  # columns named in one text


class Unmeasured(Exception):
    """A test has nothing to measure; the message says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What tests look at: a window described, its reference described, and the drift of its features.

    ``window_rows`` are all rows of the window, ``rows`` those that were judged and described.
    """

    window_rows: int
    rows: int
    data: DataQuality
    reference: ReferenceQuality
    judged_features: int
    drifted_features: int
    drift_share: float
    share_threshold: float
    present: frozenset[str]


@dataclass(frozen=True, slots=True)
class Measured:
    """A value, in words, and what is expected of it by default; None where only the user can say."""

    value: float
    text: str
    default: Condition | None


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(quoted(name) for name in names[:SHOWN])
    return f": {shown}{f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''}" if names else ""


def _known(data: DataQuality) -> list[ColumnQuality]:
    return [c for c in data.columns if c.role != "target"]


def _columns(word: str, ours: Callable[[DataQuality], tuple[str, ...]]) -> Callable[[Subject], Measured]:
    def measure(of: Subject) -> Measured:
        found, before = ours(of.data), len(ours(of.reference.data))
        text = f"{len(found)} of {len(_known(of.data))} columns {word}{_names(found)}"
        return Measured(len(found), text, at_most(before, f"the reference has {before}"))

    return measure


def _rows(word: str, ours: Callable[[DataQuality], int], *, share: bool = False) -> Callable[[Subject], Measured]:
    def measure(of: Subject) -> Measured:
        if not of.rows:
            raise Unmeasured("the window has no rows")
        found, before, before_of = ours(of.data), ours(of.reference.data), of.reference.rows
        unit = 1.0 if share else of.rows
        source = f"the reference has {before:,} of {before_of:,} rows"
        text = f"{found:,} of {of.rows:,} rows {word}, {percent(found / of.rows)}"
        return Measured(found / of.rows * unit, text, at_most(before / before_of * unit, source, TOLERANCE))

    return measure


def _row_count(of: Subject) -> Measured:
    return Measured(of.window_rows, f"the window has {of.window_rows:,} rows", None)


def _column_count(of: Subject) -> Measured:
    names = tuple(c.name for c in _known(of.reference.data))
    missing = tuple(name for name in names if name not in of.present)
    text = f"{len(names) - len(missing)} of the reference's {len(names)} columns came{'; missing' if missing else ''}{_names(missing)}"
    return Measured(len(names) - len(missing), text, Condition((("eq", len(names)),), "as the reference"))


def _column_types(of: Subject) -> Measured:
    wrong = [c for c in _known(of.data) if c.status == "error"]
    reasons = "; ".join(f"{quoted(c.name)}: {c.reason}" for c in wrong[:SHOWN])
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    text = f"{len(wrong)} columns are not of the spec's type{': ' if wrong else ''}{reasons}{more}"
    return Measured(len(wrong), text, Condition((("eq", 0),)))


def _drifted(of: Subject, value: float, default: Condition) -> Measured:
    if not of.judged_features:
        raise Unmeasured("no feature could be judged for drift")
    text = f"{of.drifted_features} of {of.judged_features} features drifted, {percent(of.drift_share)}"
    return Measured(value, text, default)


def _drifted_columns(of: Subject) -> Measured:
    third = max(1, of.judged_features // 3)
    return _drifted(of, of.drifted_features, below(third, "a third of the features"))


def _drifted_share(of: Subject) -> Measured:
    return _drifted(of, of.drift_share, below(of.share_threshold, "the spec's drift.share"))


WINDOW_TESTS: dict[str, Callable[[Subject], Measured]] = {
    "row_count": _row_count,
    "column_count": _column_count,
    "column_types": _column_types,
    "drifted_columns": _drifted_columns,
    "drifted_columns_share": _drifted_share,
    "columns_with_nulls": _columns("have nulls", lambda d: d.columns_with_nulls),
    "rows_with_nulls": _rows("have nulls", lambda d: d.rows_with_nulls),
    "rows_with_nulls_share": _rows("have nulls", lambda d: d.rows_with_nulls, share=True),
    "constant_columns": _columns("are constant", lambda d: d.constant_columns),
    "duplicated_rows": _rows("repeat an earlier row", lambda d: d.duplicated_rows),
    "duplicated_rows_share": _rows("repeat an earlier row", lambda d: d.duplicated_rows, share=True),
    "duplicated_columns": _columns("repeat an earlier column", lambda d: d.duplicated_columns),
}


def null_share(now: ColumnQuality, before: ColumnQuality) -> Measured:
    """The share of rows without a value."""
    source = f"the reference has {percent(before.null_share)}"
    return Measured(now.null_share, f"{percent(now.null_share)} of rows have no value", at_most(before.null_share, source, TOLERANCE))


def out_of_range_share(now: ColumnQuality, before: ColumnQuality) -> Measured:
    """The share of values beyond the reference's smallest and largest."""
    share = _usable(now, now.out_of_range_share)
    low, high = _usable(now, before.minimum), _usable(now, before.maximum)
    reach = f"; its numbers are {number(now.minimum)} to {number(now.maximum)}" if None not in (now.minimum, now.maximum) else ""  # type: ignore[arg-type]
    text = f"{percent(share)} of {now.rows:,} values are outside the reference's {number(low)} to {number(high)}{reach}"
    return Measured(share, text, Condition((("eq", 0.0),)))


def new_category_share(now: ColumnQuality, before: ColumnQuality) -> Measured:
    """The share of values that the reference never had."""
    share = _usable(now, now.new_category_share)
    text = f"{percent(share)} of {now.rows:,} values are categories that the reference never had{_names(now.new_categories)}"
    return Measured(share, text, Condition((("eq", 0.0),)))


def mean_stability(now: ColumnQuality, before: ColumnQuality) -> Measured:
    """How far the mean moved, in standard deviations of the reference."""
    ours, theirs = _usable(now, now.mean), _usable(now, before.mean)
    spread = before.deviation or 0.0
    moved = abs(ours - theirs)
    value = moved / spread if spread else 0.0 if moved == 0 else float("inf")
    text = f"the mean is {number(ours)}, {number(value)} standard deviations from the reference's {number(theirs)} (± {number(spread)})"
    return Measured(value, text, Condition((("lte", SIGMAS),)))


def _usable(now: ColumnQuality, value: float | None) -> float:
    if now.status == "error":
        raise Unmeasured(now.reason)
    if value is None:
        raise Unmeasured("the column has no usable value" if not now.rows else "there is nothing to hold the column against")
    return value


OF_COLUMN: dict[str, Callable[[ColumnQuality, ColumnQuality], Measured]] = {
    "null_share": null_share,
    "out_of_range_share": out_of_range_share,
    "new_category_share": new_category_share,
    "mean_stability": mean_stability,
}
