"""The committed dashboards and their expressions, and metrics of which every family has a value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from config.settings import ROOT
from monitor.metrics import Metrics
from tests.support.results import judged_column, window_result

FOLDER = ROOT / "config" / "grafana"
DASHBOARDS: list[Path] = sorted((FOLDER / "dashboards").glob("*.json"))


def panels(path: Path) -> list[dict[str, Any]]:
    """All panels of a dashboard except row headings."""
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["panels"]
    return [p for p in found if p["type"] != "row"]


def expressions(path: Path) -> list[tuple[str, str]]:
    """``(panel and refId, expression)`` of every target."""
    return [(f"{p['title']}/{t['refId']}", t["expr"]) for p in panels(path) for t in p["targets"]]


def filled(expression: str, **variables: str) -> str:
    """The expression as Grafana sends it: its variables filled in (all values when none is given)."""
    values = {"model": ".*", "run_kind": ".*", "column": ".*", "__rate_interval": "20s"} | variables
    text = re.sub(r"\$(\w+)", lambda m: values[m[1]], expression)
    assert "$" not in text, text
    return text


def metric_names(expression: str) -> set[str]:
    """The metrics that an expression names: what is left when strings, selectors, ranges, `by` lists and functions are taken out."""
    text = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\bby\s*\([^)]*\)', " ", re.sub(r'"[^"]*"', "", expression))
    return set(re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])", text))


def feed(metrics: Metrics, now_s: float) -> None:
    """Feed the metrics that dashboards show: a window with too few rows, a drifted one, records, losses, durations."""
    columns = [judged_column("dep_delay", 0.4), judged_column("carrier", 0.01), judged_column("p", 0.2, "prediction")]
    columns.append(judged_column("arr_delay", 0.3, "target"))
    metrics.observe_result(window_result(status="insufficient_data"), now_s - 0.5, 0.01)
    metrics.observe_result(window_result(*columns), now_s, 0.02)
    metrics.records("m", "live", 500)
    metrics.late("m", "live", 2)
    metrics.duplicates("m", "live", 3)
    metrics.dead_letters("undecodable", 1)
    metrics.batch(500, 0.02, 0.01)
    metrics.transaction(0.03)
    metrics.set_lag(0, 7, 9)
    metrics.event_received("m", "live", now_s)
    metrics.set_stream_time("m", "live", 1700.0)
    metrics.set_open_windows("m", "live", 2, 300, 40_000)
    metrics.data_loss(0, 5)
    metrics.report("made")
    metrics.report("failed")
