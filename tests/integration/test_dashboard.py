"""The dashboards and `tidemark watch` against a real Prometheus that scrapes the real metrics."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from monitor.watch.prometheus import PrometheusReader
from monitor.watch.values import View
from tests.support.alerting import until
from tests.support.dashboards import OF_WORKER, annotations, expressions, filled
from tests.support.scraped import Scraped

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("path", OF_WORKER, ids=lambda p: p.stem)
def test_every_expression_has_data(scraped: Scraped, path: Path) -> None:
    """With its variables filled in, each panel's expression is right PromQL and gives finite values: for all models and for one."""
    for where, expression in [*expressions(path), *annotations(path)]:
        assert until(lambda e=expression: scraped.values(filled(e)), f"{where}: data", 20)
        assert scraped.values(filled(expression, model="m|other", run_kind="live", column="p|dep_delay|arr_delay|carrier")), where


def test_another_model_gives_no_data(scraped: Scraped) -> None:
    """The variables do select: for a model that isn't there the panels that depend on it are empty."""
    dependent = [e for path in OF_WORKER for _, e in expressions(path) if "$model" in e]
    assert len(dependent) > 15
    assert not [e for e in dependent if scraped.values(filled(e, model="nobody"))]


def _drift_fires(view: View) -> bool:
    return any(a.name == "TidemarkDatasetDrift" for a in view.alerts or ())


def test_watch_reads_prometheus(scraped: Scraped) -> None:
    """The reader gets state, rate, one bar for each window, lag and the firing drift alert from the real API, without Watchdog."""
    reader = PrometheusReader(scraped.address, history_s=60.0)
    view = until(lambda: v if _drift_fires(v := reader.read(time.time())) else None, "the alert fires", 30)
    (state,) = view.streams
    assert (state.stream, state.rows, state.share, state.judged) == (("m", "live"), 500.0, 0.5, True)
    assert (view.lag_records, view.partitions, view.down) == (7.0, 1, ())
    assert [(c.name, c.role, c.score) for c in state.drifted] == [
        ("dep_delay", "feature", 0.4),
        ("arr_delay", "target", 0.3),
        ("p", "prediction", 0.2),
    ]
    assert state.events_per_s is not None
    assert state.events_per_s > 0
    assert set(state.shares) == {0.5}
    assert 1 <= len(state.shares) <= 3
    assert ("TidemarkDatasetDrift", "m", "live") in [(a.name, a.model, a.run_kind) for a in view.alerts or ()]
    assert "Watchdog" not in {a.name.removeprefix("Tidemark") for a in view.alerts or ()}
