"""The committed dashboards and their expressions, and metrics of which every family has a value."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.settings import ROOT
from monitor.metrics import Metrics
from schemas.result import ColumnQuality, DataQuality, Measure, Performance, SegmentResult, TestResult, WindowResult
from tests.support.results import judged_column, window_result

FOLDER = ROOT / "config" / "grafana"
DASHBOARDS: list[Path] = sorted((FOLDER / "dashboards").glob("*.json"))
SERVICE = FOLDER / "dashboards" / "tidemark-service.json"
OF_WORKER = [path for path in DASHBOARDS if path != SERVICE]
# What the real service exposes; tests/integration/test_bentoml_service.py asks it for every panel's expression.
OF_SERVICE = {
    "up",
    "bentoml_service_request_total",
    "bentoml_service_request_duration_seconds_bucket",
    "bentoml_service_request_in_progress",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "tidemark_emitter_emitted_total",
    "tidemark_emitter_delivered_total",
    "tidemark_emitter_dropped_total",
}


def panels(path: Path) -> list[dict[str, Any]]:
    """All panels of a dashboard except row headings."""
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["panels"]
    return [p for p in found if p["type"] != "row"]


def expressions(path: Path) -> list[tuple[str, str]]:
    """``(panel and refId, expression)`` of every target."""
    return [(f"{p['title']}/{t['refId']}", t["expr"]) for p in panels(path) for t in p["targets"]]


def filled(expression: str, **variables: str) -> str:
    """The expression as Grafana sends it: its variables filled in (all values when none is given)."""
    values = {"model": ".*", "run_kind": ".*", "column": ".*", "segment": ".*", "service": ".*", "__rate_interval": "20s"} | variables
    text = re.sub(r"\$(\w+)", lambda m: values[m[1]], expression)
    assert "$" not in text, text
    return text


def metric_names(expression: str) -> set[str]:
    """The metrics that an expression names: what is left when strings, selectors, ranges, `by` lists and functions are taken out."""
    bare = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on)\s*\([^)]*\)|\b(and|or|unless|offset)\b", " ", bare)
    return set(re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])", text))


def annotations(path: Path) -> list[tuple[str, str]]:
    """``(name, expression)`` of a dashboard's annotations."""
    found = json.loads(path.read_text(encoding="utf-8")).get("annotations", {}).get("list", [])
    return [(a["name"], a["expr"]) for a in found]


def segments() -> tuple[SegmentResult, ...]:
    """Values of two segment columns: a drifted and a quiet one by a distance, one by a p-value, and one with few rows."""

    def one(
        column: str, value: str, share: float, level: float, error: float, method: str = "Wasserstein distance (normed)"
    ) -> SegmentResult:
        found = SegmentResult(column, value, "ok", rows=round(400 * share), share=share, reference_share=share + 0.02, method=method)
        limit = 0.1 if method.startswith("W") else 0.05
        drifted = level >= limit if limit == 0.1 else level <= limit
        return replace(found, score=level, threshold=limit, drifted=drifted, known=90, measure=Measure("mae", error, 11.0))

    few = SegmentResult("carrier", "HA", "insufficient_data", "4 rows", rows=4, share=0.01, reference_share=0.01)
    carriers = (one("carrier", "UA", 0.55, 0.02, 11.5), one("carrier", "EV", 0.44, 0.31, 16.0), few)
    return (*carriers, one("origin", "EWR", 0.62, 0.01, 13.0, "K-S p_value"), one("origin", "JFK", 0.38, 0.06, 10.0))


def whole_result() -> WindowResult:
    """A drifted window with everything that a result can hold: described columns, tests of each outcome, both kinds of performance."""
    carrier = judged_column("carrier", 0.5, method="chi-square p_value", threshold=0.05, drifted=False)
    columns = [judged_column("dep_delay", 0.4), carrier, judged_column("p", 0.2, "prediction"), judged_column("arr_delay", 0.3, "target")]
    number = ColumnQuality(
        "dep_delay", "feature", "numerical", 390, 0.02, 80, False, (), None, 0.01, -5.0, 90.0, 12.0, 9.0, (1.0, 4.0, 9.0, 20.0, 60.0)
    )
    category = ColumnQuality("carrier", "feature", "categorical", 400, 0.0, 12, False, ("ZZ",), 0.03)
    prediction = ColumnQuality(
        "p", "prediction", "numerical", 400, 0.0, 400, False, (), None, 0.1, -9.0, 99.0, 7.0, 8.0, (0.0, 3.0, 6.0, 9.0, 40.0)
    )
    quality = DataQuality(8, 3, ("dep_delay",), (), (), (number, category, prediction))
    tests = (TestResult("null_share", "FAIL", "too many", "dep_delay"), TestResult("constant_columns", "SUCCESS", "none"))
    regression = Performance("regression", 350, "ok", measures=(Measure("mae", 12.5, 11.0), Measure("rmse", 20.0, 18.0)))
    classes = Performance("classification", 350, "ok", measures=(Measure("accuracy", 0.8, 0.9), Measure("f1", 0.7, 0.85)))
    return window_result(*columns, quality=quality, tests=tests, performance=(regression, classes), segments=segments())


def feed(metrics: Metrics, now_s: float) -> None:
    """Feed the metrics that dashboards show: a window with too few rows, a drifted one, records, losses, durations."""
    metrics.observe_result(window_result(status="insufficient_data"), now_s - 0.5, 0.01)
    metrics.observe_result(whole_result(), now_s, 0.02)
    earlier = [window_result(judged_column("dep_delay", level), kind=kind) for kind, level in (("previous", 0.02), ("lag:7d", 0.3))]
    metrics.observe_compared(whole_result(), earlier)
    metrics.records("m", "live", 500)
    metrics.late("m", "live", 2)
    metrics.duplicates("m", "live", 3)
    metrics.dead_letters("undecodable", 1)
    metrics.batch(500, 0.02, 0.01)
    metrics.transaction(0.03)
    metrics.published(0.4)
    metrics.set_lag(0, 7, 9, 1.5)
    metrics.event_received("m", "live", now_s)
    metrics.set_stream_time("m", "live", 1700.0)
    metrics.set_open_windows("m", "live", 2, 300, 40_000)
    metrics.data_loss(0, 5)
    metrics.report("made")
    metrics.report("failed")
    metrics.client_statistics({"type": "consumer", "brokers": {"b": {"rtt": {"avg": 900, "cnt": 3}}}})
