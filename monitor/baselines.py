"""A window against earlier windows of the same run: by Evidently's thresholds, drift only. And the hint that a drift is seasonal."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from config.baselines import is_lag
from config.durations import utc_text
from config.spec import Drift, ModelSpec
from monitor.columns import ReadColumn
from monitor.evaluate import dataset_verdict, judge_one, status_of
from monitor.outcome import compared_result
from monitor.reference import fit_rows
from monitor.statistics.methods import METHODS
from monitor.values import judged_kind
from monitor.window import Baseline, WindowData
from schemas.result import ColumnResult, WindowResult

log = logging.getLogger(__name__)


def compare(window: WindowData, spec: ModelSpec, read: Mapping[str, ReadColumn], baseline: Baseline) -> WindowResult:
    """Judge a window against an earlier one; ``read`` are its columns.

    The status is ``insufficient_data`` where either has fewer rows than ``min_rows``, with the reason that names the window; ``error``
    where it cannot be judged for another reason. Nothing is raised: the verdict against the reference does not depend on this one.
    """
    spec = drift_only(spec)
    if window.rows < spec.min_rows:
        reason = f"{window.rows} rows, the spec wants at least {spec.min_rows}"
        return compared_result(window, spec, baseline, "insufficient_data", reason)
    try:
        frame = pl.read_parquet(baseline.path, glob=False)
    except FileNotFoundError:
        reason = f"no rows are kept of {named(baseline)}: it had fewer than {spec.min_rows}, or came before the spec asked for baselines"
        return compared_result(window, spec, baseline, "insufficient_data", reason)
    except (OSError, pl.exceptions.PolarsError) as error:
        log.error("%s cannot be read: %s", baseline.path, error)
        return compared_result(window, spec, baseline, "error", f"the rows kept of {named(baseline)} cannot be read; the log says why")
    try:
        return _judged(window, spec, read, baseline, frame)
    except Exception as error:
        log.exception(
            "the window of %s from %d to %d could not be judged against %s", window.model, window.start_ms, window.end_ms, baseline
        )
        return compared_result(window, spec, baseline, "error", f"{type(error).__name__}: {error}")


def _judged(window: WindowData, spec: ModelSpec, read: Mapping[str, ReadColumn], baseline: Baseline, frame: pl.DataFrame) -> WindowResult:
    profile, unusable = fit_rows(spec, Path(baseline.path.name), frame)  # messages are in results, which hold no address
    columns = tuple(
        ColumnResult(name, role, judged_kind(column), "error", f"in {named(baseline)}: {unusable[name]}")
        if name in unusable
        else judge_one(window, spec, name, role, read[name], profile)
        for name, role, column in spec.judged()
    )
    status, reason = status_of(window, spec, columns)
    verdict = dataset_verdict(spec, profile, columns)
    return compared_result(window, spec, baseline, status, reason, **verdict)


def drift_only(spec: ModelSpec) -> ModelSpec:
    """The spec as earlier windows are judged by: its columns, methods and thresholds for drift, Evidently's where it names none.

    A method that takes seconds gives way to the default: it would cost them again for each baseline.
    """
    chosen = {name: c for name, c in spec.drift.columns.items() if c.method is None or (c.method in METHODS and METHODS[c.method].fast)}
    drift = Drift(share=spec.drift.share, alert_when=spec.drift.alert_when, columns=chosen)
    monitors = tuple(m for m in spec.monitors if m.endswith("_drift"))
    return spec.model_copy(update={"monitors": monitors, "drift": drift, "segments": (), "tests": (), "baselines": ()})


def with_season(result: WindowResult, compared: Sequence[WindowResult]) -> WindowResult:
    """The result against the reference, drifted columns with the hint ``seasonal`` where they are as in a ``lag:`` baseline.

    A column that looks broken keeps that hint: what broke before the earlier window is no season.
    """
    earlier = [c for c in compared if is_lag(c.kind) and c.status == "ok"]
    columns = tuple(_with_season(column, earlier) for column in result.columns) if earlier else result.columns
    return result if columns == result.columns else replace(result, columns=columns)


def _with_season(column: ColumnResult, earlier: Sequence[WindowResult]) -> ColumnResult:
    if not column.drifted or column.hint == "data break":
        return column
    for result in earlier:
        same = next((c for c in result.columns if c.name == column.name), None)
        if same is not None and same.status == "ok" and not same.drifted:
            return replace(column, hint="seasonal", like_start_ms=result.baseline_start_ms)
    return column


def named(baseline: Baseline) -> str:
    """``the window from 2013-06-10 04:00 to 2013-06-17 04:00 UTC``."""
    return f"the window from {utc_text(baseline.start_ms)} to {utc_text(baseline.end_ms)} UTC"
