"""The verdict on a window: each judged column against the reference, then the dataset rule. Deterministic; reads no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from config.spec import ModelSpec
from monitor import domain
from monitor.calibration.verdict import Thresholds
from monitor.changes import BROKEN_NULLS, null_change
from monitor.columns import DATA_ERRORS, MISSING, ReadColumn, read_columns
from monitor.judging import judge_column
from monitor.outcome import window_result
from monitor.performance.judge import judge_performance
from monitor.reference import ColumnProfile, ReferenceProfile
from monitor.segments.judge import judge_segments
from monitor.suites import judge_quality
from monitor.text import excess
from monitor.values import ValueMisfit
from monitor.verdict import Verdict
from monitor.window import WindowData
from schemas.result import ColumnResult, Role, Status, WindowResult


def evaluate(
    window: WindowData, spec: ModelSpec, profile: ReferenceProfile, given_up: str = "", read: Mapping[str, ReadColumn] | None = None
) -> WindowResult:
    """Judge a window. A column that cannot be judged gets status ``error`` with the reason; the others are judged all the same.

    Below ``spec.min_rows`` the status is ``insufficient_data``, for the window and its columns, and nothing has drifted.
    ``given_up``, unless empty, is the reason why columns with a slow method are not judged. ``read`` are the window's columns where they
    have been read already.
    """
    enough = window.rows >= spec.min_rows
    read = read or read_columns(window.frame, spec.columns)
    columns = tuple(judge_one(window, spec, name, role, read[name], profile, given_up) for name, role, _ in spec.judged())
    status, reason = status_of(window, spec, columns)
    quality, tests = judge_quality(window, spec, read, profile.quality, columns)
    dataset = (_dataset(window, spec, profile, read, enough, given_up),) if spec.drift.domain_classifier else ()
    verdict = {
        **dataset_verdict(spec, profile, columns),
        "columns": (*columns, *dataset),
        "quality": quality,
        "tests": tests,
        "performance": judge_performance(window, spec, profile.performance),
        "segments": judge_segments(window, spec, read, profile),
    }
    return window_result(window, spec, status, reason, reference_fingerprint=profile.fingerprint, **verdict)


def dataset_verdict(spec: ModelSpec, profile: ReferenceProfile, columns: Sequence[ColumnResult]) -> dict[str, Any]:
    """The columns' results, and the fields of a window's result that follow from them."""
    features = [c for c in columns if c.role == "feature" and c.status == "ok"]
    drifted = sum(c.drifted for c in features)
    share = drifted / len(features) if features else 0.0
    rule = _dataset_rule(spec, profile, columns, share if features else None)
    return {"columns": tuple(columns), "drifted_columns": drifted, "drift_share": share, **rule}


def _dataset_rule(spec: ModelSpec, profile: ReferenceProfile, columns: Sequence[ColumnResult], share: float | None) -> dict[str, Any]:
    """The verdict on the window; ``share`` is None where no feature was judged.

    With calibrated thresholds one calibrated column suffices, since their levels are set together; the share still counts, for columns that
    cannot be calibrated.
    """
    by_share = share is not None and share >= spec.drift.share
    if profile.calibration is None:
        return {"drifted": by_share}
    features = [c for c in columns if c.role == "feature" and c.status == "ok"]
    stock = sum(c.drifted if c.evidently_drifted is None else c.evidently_drifted for c in features)
    return {
        "drifted": by_share or any(c.drifted and c.name in profile.calibration.columns for c in columns),
        "thresholds": "calibrated",
        "false_alarm_rate": profile.calibration.rate,
        "evidently_drifted": bool(features) and stock / len(features) >= spec.drift.share,
    }


def status_of(window: WindowData, spec: ModelSpec, columns: Sequence[ColumnResult]) -> tuple[Status, str]:
    """The status that a window's result has, and why."""
    if window.rows < spec.min_rows:
        return "insufficient_data", f"{window.rows} rows, the spec wants at least {spec.min_rows}"
    needed = [c for c in columns if c.role == "feature"] or list(columns)
    if needed and all(c.status == "error" for c in needed):
        return "error", f"no column could be judged; {needed[0].name}: {needed[0].reason}"
    return "ok", ""


def judge_one(
    window: WindowData, spec: ModelSpec, name: str, role: Role, read: ReadColumn, reference: ReferenceProfile, given_up: str = ""
) -> ColumnResult:
    """One column's result; what keeps it from being judged is in its status."""
    profile = reference.columns[name]
    missing = read.raw is None
    nulls = window.nulls.get(name, window.rows if missing else 0)
    rows = 0 if read.raw is None else window.frame.height - read.raw.null_count()

    def result(status: Status, reason: str = "") -> ColumnResult:
        return ColumnResult(name, role, profile.kind, status, reason, rows=rows, nulls=nulls)

    if window.rows < spec.min_rows:
        return result("insufficient_data")
    if missing:
        return result("error", MISSING)
    if given_up and profile.slow:
        return result("error", f"{profile.method.display_name if profile.method else name}: {given_up}")
    thresholds = _thresholds(window, spec, name, reference)
    # A target comes late or never: its nulls say nothing.
    empty = thresholds is not None and role != "target" and thresholds.nulls_alarm(nulls)
    try:
        found = judge_column(read, profile, thresholds)
    except ValueMisfit as error:
        return result("error", f"the column {error}")
    except DATA_ERRORS as error:
        return _no_value(result("ok"), profile, window.rows) if empty and not rows else result("error", str(error) or type(error).__name__)
    return _judged(result("ok"), found, profile, window.rows, empty)


def _thresholds(window: WindowData, spec: ModelSpec, name: str, reference: ReferenceProfile) -> Thresholds | None:
    """The column's calibrated thresholds, where the spec has such and the column can have."""
    column = reference.calibration.columns.get(name) if reference.calibration else None
    if reference.calibration is None or column is None:
        return None
    return Thresholds(reference.calibration, column, window.rows, spec.drift.floor)


def _judged(result: ColumnResult, found: Verdict, profile: ColumnProfile, rows: int, nulls_drifted: bool) -> ColumnResult:
    drifted = found.score.drifted or nulls_drifted
    broken = nulls_drifted or abs(result.nulls / rows - profile.nulls / profile.rows) >= BROKEN_NULLS
    return replace(
        result,
        reason=found.left_out,
        method=found.score.method.display_name,
        score=_finite(found.score.score),
        threshold=found.score.threshold,
        drifted=drifted,
        rows=found.values,
        changes=(*found.changes, *null_change(profile.nulls / profile.rows, result.nulls, rows)) if drifted else (),
        excess=_finite(excess(found.score)[1]) if found.score.drifted else None,
        hint=("data break" if broken else found.hint) if drifted else "",
        evidently_threshold=found.evidently.threshold if found.evidently else None,
        evidently_drifted=found.evidently.drifted if found.evidently else None,
        nulls_drifted=nulls_drifted,
    )


def _no_value(result: ColumnResult, profile: ColumnProfile, rows: int) -> ColumnResult:
    """A column that has lost all its values: no statistic can be had of it, its nulls alone say that it drifted."""
    before = profile.nulls / profile.rows
    changes = null_change(before, result.nulls, rows)
    return replace(
        result, method="share of nulls", score=1.0, threshold=before, drifted=True, changes=changes, hint="data break", nulls_drifted=True
    )


def _finite(score: float) -> float | None:
    """None for infinity, which JSON does not have; the verdict says it all."""
    return score if math.isfinite(score) else None


def _dataset(
    window: WindowData, spec: ModelSpec, profile: ReferenceProfile, read: Mapping[str, ReadColumn], enough: bool, given_up: str
) -> ColumnResult:
    """All features together, by the domain classifier."""

    def result(status: Status, reason: str = "") -> ColumnResult:
        return ColumnResult(domain.NAME, "dataset", "dataset", status, reason, method=domain.METHOD, rows=window.frame.height)

    if not enough:
        return result("insufficient_data")
    if given_up:
        return result("error", given_up)
    assert profile.classified is not None  # kept for each spec that asks for it
    assert spec.drift.domain_classifier is not None
    try:
        told = domain.tell_apart(profile.classified, spec.classified, read, spec.drift.domain_classifier.threshold)
    except DATA_ERRORS as error:
        return result("error", str(error) or type(error).__name__)
    found = result("ok", told.left_out)
    return replace(found, score=told.auc, threshold=told.threshold, drifted=told.drifted, rows=told.rows, changes=told.changes)
