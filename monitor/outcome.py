"""The result of a window, made of what its judge found. Needs no statistics, so a process that never judges can say that judging failed."""

from __future__ import annotations

from typing import Any

from config.persistence import parse_windows
from config.spec import ModelSpec
from monitor.window import Baseline, WindowData
from schemas.result import REFERENCE, Status, WindowResult


def window_result(window: WindowData, spec: ModelSpec, status: Status, reason: str, **found: Any) -> WindowResult:
    """The result of a window; ``found`` are the fields that judging gave, the others say that there is nothing."""
    nothing: dict[str, Any] = {
        "kind": REFERENCE,
        "columns": (),
        "drifted_columns": 0,
        "drift_share": 0.0,
        "drifted": False,
        "reference_fingerprint": "",
        "tests": (),
    }
    return WindowResult(
        model=window.model,
        run=window.run,
        run_kind=window.run_kind,
        run_offset=window.run_offset,
        start_ms=window.start_ms,
        end_ms=window.end_ms,
        spec_digest=window.spec_digest,
        status=status,
        reason=reason,
        model_versions=window.model_versions,
        rows=window.rows,
        sampled_rows=window.frame.height,
        duplicates=window.duplicates,
        exact=window.exact,
        share_threshold=spec.drift.share,
        alert_windows=parse_windows(spec.drift.alert_when),
        source_partition=window.source_partition,
        **{**nothing, **found},
    )


def failed(window: WindowData, spec: ModelSpec, reason: str) -> WindowResult:
    """The result of a window that could not be judged at all: status ``error``, its counts and why."""
    return window_result(window, spec, "error", reason)


def compared_result(window: WindowData, spec: ModelSpec, baseline: Baseline, status: Status, reason: str, **found: Any) -> WindowResult:
    """The result of a window against an earlier one; ``found`` as for ``window_result``."""
    about = {"kind": baseline.kind, "baseline_start_ms": baseline.start_ms, "baseline_end_ms": baseline.end_ms}
    return window_result(window, spec, status, reason, **about, **found)
