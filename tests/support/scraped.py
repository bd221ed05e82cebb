"""A real Prometheus that scrapes the real metrics, once for all tests that draw or query dashboards."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from compose.native import monitoring
from config.settings import ROOT
from monitor.metrics import Metrics
from tests.support.alerting import fetch_programs, until
from tests.support.broker import _die_with_parent
from tests.support.ports import free_ports


@dataclass(frozen=True, slots=True)
class Scraped:
    """A running Prometheus, and the metrics of ours that it scrapes every s, where there are any."""

    address: str
    metrics: Metrics | None = None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query; an error of Prometheus fails the test with its text."""
        answer = requests.get(f"{self.address}/api/v1/query", params={"query": expression}, timeout=5)
        assert answer.ok, f"{expression}: {answer.text}"
        samples: list[dict[str, Any]] = answer.json()["data"]["result"]
        return samples

    def values(self, expression: str) -> list[float]:
        """Its finite values."""
        return [v for sample in self.query(expression) if math.isfinite(v := float(sample["value"][1]))]


def configuration(job: str, port: int) -> str:
    """A Prometheus that scrapes one server every s and evaluates the rules of this repository."""
    worker = {"targets": [f"127.0.0.1:{port}"]}
    return yaml.safe_dump({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "config/prometheus/rules/*.yml")],
        "scrape_configs": [{"job_name": job, "static_configs": [worker]}],
    })  # fmt: skip


@contextmanager
def running_prometheus(home: Path, configured: str) -> Iterator[str]:
    """A Prometheus of this configuration; its address."""
    program = monitoring.programs(fetch_programs(), "prometheus") / "prometheus"
    (port,) = free_ports(1)
    (home / "prometheus.yml").write_text(configured, encoding="utf-8")
    arguments = [f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home}", f"--web.listen-address=127.0.0.1:{port}"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([str(program), *arguments], stdout=log, stderr=log, preexec_fn=_die_with_parent)  # noqa: PLW1509
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: requests.get(f"{address}/-/ready", timeout=2).ok, "Prometheus is ready", 60)
        yield address
    finally:
        process.terminate()
        process.wait(30)
