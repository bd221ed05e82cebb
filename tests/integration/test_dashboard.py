"""The dashboards and `tidemark watch` against a real Prometheus that scrapes the real metrics."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client import CollectorRegistry

from compose.native import monitoring
from config.settings import ROOT
from monitor.metrics import Metrics, serve
from monitor.watch.prometheus import PrometheusReader
from monitor.watch.state import JUDGED_AT
from tests.support.alerting import fetch_programs, until
from tests.support.broker import _die_with_parent
from tests.support.dashboards import DASHBOARDS, expressions, feed, filled
from tests.support.ports import free_ports

pytestmark = pytest.mark.integration


@dataclass(frozen=True, slots=True)
class Scraped:
    """A running Prometheus, and the metrics that it scrapes every s."""

    address: str
    metrics: Metrics

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query; an error of Prometheus fails the test with its text."""
        answer = requests.get(f"{self.address}/api/v1/query", params={"query": expression}, timeout=5)
        assert answer.ok, f"{expression}: {answer.text}"
        samples: list[dict[str, Any]] = answer.json()["data"]["result"]
        return samples

    def values(self, expression: str) -> list[float]:
        """Its finite values."""
        return [v for sample in self.query(expression) if math.isfinite(v := float(sample["value"][1]))]


def configuration(worker_port: int) -> str:
    """A Prometheus that scrapes one worker every s and evaluates the rules of this repository."""
    worker = {"targets": [f"127.0.0.1:{worker_port}"]}
    return yaml.safe_dump({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "config/prometheus/rules/*.yml")],
        "scrape_configs": [{"job_name": "tidemark-worker", "static_configs": [worker]}],
    })  # fmt: skip


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Prometheus with metrics that have grown between two scrapes, and three windows, each scraped."""
    home: Path = tmp_path_factory.mktemp("prometheus")
    program = monitoring.programs(fetch_programs(), "prometheus") / "prometheus"
    registry = CollectorRegistry()
    (port,) = free_ports(1)
    server = serve(registry, "127.0.0.1", 0)
    (home / "prometheus.yml").write_text(configuration(server.port), encoding="utf-8")
    arguments = [f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home}", f"--web.listen-address=127.0.0.1:{port}"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([str(program), *arguments], stdout=log, stderr=log, preexec_fn=_die_with_parent)  # noqa: PLW1509
    try:
        prometheus = Scraped(f"http://127.0.0.1:{port}", Metrics(registry))
        until(lambda: prometheus.values("up == 1"), "Prometheus scrapes the worker", 60)
        for _ in range(3):
            feed(prometheus.metrics, now := time.time())
            until(lambda at=now: [v for v in prometheus.values(JUDGED_AT) if abs(v - at) < 0.01], "the window is scraped", 30)
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)
        server.close()


@pytest.mark.parametrize(("where", "expression"), [e for path in DASHBOARDS for e in expressions(path)], ids=lambda v: str(v)[:50])
def test_every_expression_has_data(scraped: Scraped, where: str, expression: str) -> None:
    """With its variables filled in, each panel's expression is right PromQL and gives finite values: for all models and for one."""
    assert until(lambda: scraped.values(filled(expression)), f"{where}: data", 20)
    assert scraped.values(filled(expression, model="m|other", run_kind="live", column="p|dep_delay|arr_delay")), where


def test_another_model_gives_no_data(scraped: Scraped) -> None:
    """The variables do select: for a model that isn't there the panels that depend on it are empty."""
    dependent = [e for path in DASHBOARDS for _, e in expressions(path) if "$model" in e]
    assert len(dependent) > 15
    assert not [e for e in dependent if scraped.values(filled(e, model="nobody"))]


def test_watch_reads_prometheus(scraped: Scraped) -> None:
    """The reader gets state, rate, one bar for each window, lag and the firing drift alert from the real API, without Watchdog."""
    reader = PrometheusReader(scraped.address, history_s=60.0)
    view = until(lambda: v if (v := reader.read(time.time())).alerts else None, "the alert fires", 30)
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
    assert [(a.name, a.model, a.run_kind) for a in view.alerts or ()] == [("TidemarkDatasetDrift", "m", "live")]
