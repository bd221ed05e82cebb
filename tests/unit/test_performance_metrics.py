"""Performance as Prometheus sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from monitor.metrics import Metrics
from schemas.result import Measure, Performance, WindowResult

MEASURES = (Measure("mae", 19.4, 11.2), Measure("r2", None, 0.9), Measure("f1", 0.5, None, "`a`"))


def result(*performance: Performance) -> WindowResult:
    """A window's result of which only the performance matters."""
    plain: dict[str, Any] = {"model": "m", "run": "live", "run_kind": "live", "start_ms": 0, "end_ms": 1, "spec_digest": "d"}
    plain |= {"kind": "reference", "status": "ok", "reason": "", "model_versions": ("1",), "rows": 9, "sampled_rows": 9, "duplicates": 0}
    plain |= {"exact": True, "columns": (), "drifted_columns": 0, "drift_share": 0.0, "share_threshold": 0.5, "drifted": False}
    return WindowResult(**plain, tests=(), reference_fingerprint="f", source_partition=0, performance=performance)


def sample(registry: CollectorRegistry, name: str, measure: str = "", label: str = "") -> float | None:
    """A sample of the model's regression."""
    more = {"measure": measure, "label": label} if measure else {}
    return registry.get_sample_value(name, {"model": "m", "run_kind": "live", "kind": "regression", **more})


@pytest.mark.parametrize("again", [False, True])
def test_measures_are_gauges_beside_the_reference_s(again: bool) -> None:
    """Value, reference and known rows have samples, also when shown again after a restart; what is not defined has none."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    closed = result(Performance("regression", 7, "ok", measures=MEASURES))
    if again:
        metrics.show_result(closed, 1.0)
    else:
        metrics.observe_result(closed, 1.0, 0.1)
    assert sample(registry, "tidemark_performance", "mae") == 19.4
    assert sample(registry, "tidemark_performance_reference", "mae") == 11.2
    assert sample(registry, "tidemark_performance", "r2") is None
    assert sample(registry, "tidemark_performance", "f1", "`a`") == 0.5
    assert sample(registry, "tidemark_performance_rows") == 7


def test_a_window_without_targets_leaves_the_measures() -> None:
    """Targets that come later: the measures stay those of the last window that had some, and the rows say 0; a removed model has none."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.observe_result(result(Performance("regression", 7, "ok", measures=MEASURES)), 1.0, 0.1)
    metrics.observe_result(result(Performance("regression", 0, "insufficient_data", "no target is known yet")), 2.0, 0.1)
    assert sample(registry, "tidemark_performance", "mae") == 19.4
    assert sample(registry, "tidemark_performance_rows") == 0
    metrics.remove_model("m", "live")
    assert sample(registry, "tidemark_performance", "mae") is None


def test_class_labels_are_bounded() -> None:
    """Three classes where two fit: the third has no series and is counted; a removed model frees its places."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, max_classes=2)
    measures = tuple(Measure("f1", 0.5, 0.6, c) for c in ("a", "b", "c"))
    closed = result(Performance("classification", 7, "ok", measures=measures))
    metrics.observe_result(closed, 1.0, 0.1)
    labels = {s.labels["label"] for f in registry.collect() if f.name == "tidemark_performance" for s in f.samples}
    assert labels == {"a", "b"}
    assert registry.get_sample_value("tidemark_label_overflow_total", {"label": "class"}) == 1
    metrics.remove_model("m", "live")
    metrics.observe_result(replace(closed, model="n"), 1.0, 0.1)
    assert len([s for f in registry.collect() if f.name == "tidemark_performance" for s in f.samples]) == 2
