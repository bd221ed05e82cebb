"""Fixtures that several integration tests share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from config.settings import Settings
from examples.flights.prepare import prepare
from monitor.metrics import Metrics
from monitor.metrics_server import serve
from monitor.watch.state import JUDGED_AT
from tests.support.alerting import until
from tests.support.dashboards import feed
from tests.support.scraped import Scraped, configuration, running_prometheus


@pytest.fixture(scope="session")
def flights_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the example's model, reference and history, made once. Tests may add files of their own names to it."""
    home = tmp_path_factory.mktemp("flights")
    prepare(Settings(home=home))
    return home


@pytest.fixture(scope="module")  # what a panel shows of the last minute is gone for a file that comes later
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Prometheus with metrics that have grown between two scrapes, and three windows, each scraped."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)  # as in a worker, whose registry is the client's own
    server = serve(registry, "127.0.0.1", 0)
    metrics = Metrics(registry)
    try:
        with running_prometheus(tmp_path_factory.mktemp("prometheus"), configuration("tidemark-worker", server.port)) as address:
            prometheus = Scraped(address, metrics)
            until(lambda: prometheus.values("up == 1"), "Prometheus scrapes the worker", 60)
            for _ in range(3):
                feed(metrics, now := time.time())
                until(lambda at=now: [v for v in prometheus.values(JUDGED_AT) if abs(v - at) < 0.01], "the window is scraped", 30)
            yield prometheus
    finally:
        server.close()
