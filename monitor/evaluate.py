"""The verdict on a window: each judged column against the reference, then the dataset rule. Deterministic; reads no clock."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from config.spec import ModelSpec
from monitor.changes import category_changes, null_change, number_changes
from monitor.columns import DATA_ERRORS, MISSING, ReadColumn, read_columns
from monitor.outcome import window_result
from monitor.performance.judge import judge_performance
from monitor.reference import ColumnProfile, ReferenceProfile
from monitor.statistics.profiles import CategoryProfile, NumericProfile
from monitor.statistics.score import Score, category_score, choose_for_categories, choose_for_numbers, number_score, verdict
from monitor.suites import judge_quality
from monitor.values import ValueMisfit
from monitor.window import WindowData
from schemas.result import ColumnResult, Role, Status, WindowResult

Judged = tuple[Score, int, tuple[str, ...]]  # the score, the values it is of, what changed


def evaluate(window: WindowData, spec: ModelSpec, profile: ReferenceProfile, given_up: str = "") -> WindowResult:
    """Judge a window. A column that cannot be judged gets status ``error`` with the reason; the others are judged all the same.

    Below ``spec.min_rows`` the status is ``insufficient_data``, for the window and its columns, and nothing has drifted.
    ``given_up``, unless empty, is the reason why columns with a slow method are not judged.
    """
    enough = window.rows >= spec.min_rows
    read = read_columns(window.frame, spec.columns)
    columns = tuple(_column(window, name, role, read[name], profile.columns[name], enough, given_up) for name, role, _ in spec.judged())
    features = [c for c in columns if c.role == "feature" and c.status == "ok"]
    drifted = sum(c.drifted for c in features)
    share = drifted / len(features) if features else 0.0
    status, reason = _status(window, spec, columns)
    quality, tests = judge_quality(window, spec, read, profile.quality, columns)
    verdict = {
        "columns": columns,
        "drifted_columns": drifted,
        "drift_share": share,
        "drifted": bool(features) and share >= spec.drift.share,
        "quality": quality,
        "tests": tests,
        "performance": judge_performance(window, spec, profile.performance),
    }
    return window_result(window, spec, status, reason, reference_fingerprint=profile.fingerprint, **verdict)


def _status(window: WindowData, spec: ModelSpec, columns: Sequence[ColumnResult]) -> tuple[Status, str]:
    if window.rows < spec.min_rows:
        return "insufficient_data", f"{window.rows} rows, the spec wants at least {spec.min_rows}"
    needed = [c for c in columns if c.role == "feature"] or list(columns)
    if needed and all(c.status == "error" for c in needed):
        return "error", f"no column could be judged; {needed[0].name}: {needed[0].reason}"
    return "ok", ""


def _column(
    window: WindowData, name: str, role: Role, read: ReadColumn, profile: ColumnProfile, enough: bool, given_up: str
) -> ColumnResult:
    missing = read.raw is None
    nulls = window.nulls.get(name, window.rows if missing else 0)
    rows = 0 if read.raw is None else window.frame.height - read.raw.null_count()

    def result(status: Status, reason: str = "") -> ColumnResult:
        return ColumnResult(name, role, profile.kind, status, reason, rows=rows, nulls=nulls)

    if not enough:
        return result("insufficient_data")
    if missing:
        return result("error", MISSING)
    if given_up and profile.method is not None and not profile.method.fast:
        return result("error", f"{profile.method.display_name}: {given_up}")
    try:
        score, values, changes = _judge(read, profile)
    except ValueMisfit as error:
        return result("error", f"the column {error}")
    except DATA_ERRORS as error:
        return result("error", str(error) or type(error).__name__)
    return _judged(result("ok"), score, values, (*changes, *null_change(profile, nulls, window.rows)))


def _judged(plain: ColumnResult, score: Score, values: int, changes: tuple[str, ...]) -> ColumnResult:
    return ColumnResult(
        name=plain.name,
        role=plain.role,
        kind=plain.kind,
        status="ok",
        method=score.method.display_name,
        score=score.score if math.isfinite(score.score) else None,  # JSON has no infinity; the verdict says it all
        threshold=score.threshold,
        drifted=score.drifted,
        rows=values,
        nulls=plain.nulls,
        changes=changes if score.drifted else (),
    )


def _judge(read: ReadColumn, profile: ColumnProfile) -> Judged:
    if isinstance(profile.fitted, NumericProfile):
        return _judge_numbers(read, profile, profile.fitted)
    return _judge_categories(read, profile, profile.fitted)


def _judge_numbers(read: ReadColumn, profile: ColumnProfile, fitted: NumericProfile) -> Judged:
    found = read.sample
    method = profile.method or choose_for_numbers(fitted, found)
    score = number_score(fitted, found, method) if method.fast else _stock(read.series, profile)
    judged = verdict(method, score, profile.threshold)
    return judged, found.size, number_changes(fitted.sample, found) if judged.drifted else ()


def _judge_categories(read: ReadColumn, profile: ColumnProfile, fitted: CategoryProfile) -> Judged:
    found = read.counts
    size = sum(found.values())
    if not size:
        raise ValueError(f"no usable value: all {len(read.series)} rows are null or not finite")
    method = profile.method or choose_for_categories(fitted, found)
    score = category_score(fitted, found, method) if method.fast else _stock(read.series, profile)
    judged = verdict(method, score, profile.threshold)
    return judged, size, category_changes(fitted, found) if judged.drifted else ()


def _stock(series: pl.Series, profile: ColumnProfile) -> float:
    from monitor.drift import stock_score  # noqa: PLC0415  # evidently takes seconds to import: only where a spec needs it

    assert profile.method is not None
    assert profile.raw is not None
    return stock_score(profile.method, profile.raw, series, profile.kind)
