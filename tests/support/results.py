"""Window results for tests, built by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.result import ColumnResult, WindowResult

HOSTILE = '<!channel> "quoted" `{{ .x }}` *bold* </script><img src=x onerror=alert(1)>\nback\\slash & <https://evil|click>'


def judged_column(name: str, level: float, role: str = "feature", **changes: Any) -> ColumnResult:
    """A judged column, drifted when ``level`` (its score) reaches 0.1."""
    fields: dict[str, Any] = {"name": name, "role": role, "kind": "numerical", "status": "ok", "method": "wasserstein"}
    fields |= {"score": level, "threshold": 0.1, "drifted": level >= 0.1}
    return ColumnResult(**(fields | changes))


def window_result(*columns: ColumnResult, **changes: Any) -> WindowResult:
    """A judged window [1000 s, 1600 s) of model m, live; it has drifted when half of its features have."""
    features = [c for c in columns if c.role == "feature"]
    drifted = sum(c.drifted for c in features)
    share = drifted / max(1, len(features))
    result = WindowResult(
        model="m", run="live", run_kind="live", start_ms=1_000_000, end_ms=1_600_000, spec_digest="d" * 16, kind="reference",
        status="ok", reason="", model_versions=("v1",), rows=500, sampled_rows=400, duplicates=3, exact=True, columns=columns,
        drifted_columns=drifted, drift_share=share, share_threshold=0.5, drifted=share >= 0.5, tests=(), reference_fingerprint="f",
        source_partition=0,
    )  # fmt: skip
    return replace(result, **changes)
