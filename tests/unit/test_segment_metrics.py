"""Segments as Prometheus sees them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitor.metrics import Metrics
from schemas.result import Measure, Performance, SegmentResult
from tests.support.dashboards import segments
from tests.support.results import HOSTILE, judged_column, window_result


def lines(registry: CollectorRegistry) -> list[str]:
    """The samples of segments."""
    return [line for line in generate_latest(registry).decode().splitlines() if line.startswith("tidemark_segment")]


@pytest.mark.parametrize("again", [False, True])
def test_a_segment_is_exposed_exactly(again: bool) -> None:
    """A judged segment gives these samples and no others, also when shown again after a restart; one with few rows its rows and shares."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    drifted = SegmentResult("carrier", "EV", "ok", "", 90, 0.25, 0.5, "KS", 0.3, 0.1, True, known=90, measure=Measure("mae", 16.0, 11.0))
    few = SegmentResult("carrier", "HA", "insufficient_data", "4 rows", 4, 0.01, 0.02, measure=Measure("mae", None, 9.0))
    broken = SegmentResult("origin", "", "error", "holds Int64")
    closed = window_result(performance=(), segments=(drifted, few, broken))
    if again:
        metrics.show_result(closed, 1.0)
    else:
        metrics.observe_result(closed, 1.0, 0.1)
    ev, ha = (f'model="m",run_kind="live",segment="carrier",value="{v}"' for v in ("EV", "HA"))
    method = 'method="KS",' + ev
    assert sorted(lines(registry)) == sorted([
        f"tidemark_segment_rows{{{ev}}} 90.0",
        f"tidemark_segment_rows{{{ha}}} 4.0",
        f"tidemark_segment_share{{{ev}}} 0.25",
        f"tidemark_segment_share{{{ha}}} 0.01",
        f"tidemark_segment_reference_share{{{ev}}} 0.5",
        f"tidemark_segment_reference_share{{{ha}}} 0.02",
        f"tidemark_segment_prediction_drift_score{{{method}}} 0.3",
        f"tidemark_segment_prediction_drift_threshold{{{method}}} 0.1",
        f"tidemark_segment_drifted{{{ev}}} 1.0",
    ])  # fmt: skip


def test_performance_is_that_of_the_last_window_with_targets() -> None:
    """Windows whose targets come later leave the measures and move the shares; a removed model has no sample, and may come back."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    known = window_result(segments=segments(), performance=whole_performance())
    metrics.observe_result(known, 1.0, 0.1)
    later = tuple(replace(s, share=0.2, known=0, measure=None) for s in segments())
    metrics.observe_result(window_result(segments=later), 2.0, 0.1)
    labels = {"model": "m", "run_kind": "live", "segment": "carrier", "value": "EV"}
    assert registry.get_sample_value("tidemark_segment_performance", {**labels, "measure": "mae"}) == 16.0
    assert registry.get_sample_value("tidemark_segment_performance_reference", {**labels, "measure": "mae"}) == 11.0
    assert registry.get_sample_value("tidemark_segment_share", labels) == 0.2
    metrics.remove_model("m", "live")
    assert lines(registry) == []
    metrics.observe_result(known, 3.0, 0.1)
    assert registry.get_sample_value("tidemark_segment_share", labels) == 0.44


def whole_performance() -> tuple[Performance, ...]:
    """A regression whose targets were known."""
    return (Performance("regression", 90, "ok", measures=(Measure("mae", 12.0, 11.0),)),)


def test_an_infinite_score_is_exposed() -> None:
    """A drifted segment whose score results cannot hold has an infinite one in Prometheus."""
    registry = CollectorRegistry()
    found = replace(segments()[1], score=None)
    Metrics(registry).observe_result(window_result(segments=(found,)), 1.0, 0.1)
    (line,) = [text for text in lines(registry) if "score" in text]
    assert line.endswith("} +Inf")


def test_invented_segments_are_capped() -> None:
    """Of 10,000 invented values a hundred have series, the others are counted, under 2,000 samples with as many columns and models;
    a removed model frees its places.
    """
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    many = tuple(replace(segments()[0], value=f"v{i}") for i in range(10_000))
    columns = tuple(judged_column(f"c{i}", 0.25) for i in range(10_000))
    metrics.observe_result(window_result(*columns, segments=many, performance=whole_performance()), 1.0, 0.1)
    for i in range(10_000):
        metrics.records(f"invented-{i}", "live", 1)
    assert len(lines(registry)) == 800
    assert len([text for text in generate_latest(registry).decode().splitlines() if text.startswith("tidemark_")]) < 2_000
    assert registry.get_sample_value("tidemark_label_overflow_total", {"label": "segment"}) == 9_900
    metrics.remove_model("m", "live")
    metrics.observe_result(window_result(segments=many[:3], model="n"), 2.0, 0.1)
    assert len([text for text in lines(registry) if "_rows" in text]) == 3


def test_any_value_survives_the_exposition() -> None:
    """A hostile value, and an empty one, are read back by Prometheus's parser as they are."""
    registry = CollectorRegistry()
    found = tuple(replace(segments()[0], value=value) for value in (HOSTILE, ""))
    Metrics(registry).observe_result(window_result(segments=found), 1.0, 0.1)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    assert [s.labels["value"] for s in next(f for f in families if f.name == "tidemark_segment_drifted").samples] == [HOSTILE, ""]
