"""The main job on real data, every part the real one: `tidemark up`, a replay of 2013, verdicts, series, alert, Slack message, report."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from config.settings import ROOT, Settings
from schemas.result import WindowResult
from tests.support.dashboards import DASHBOARDS, expressions, filled
from tests.support.ports import free_ports
from tests.support.waiting import REPORT_S, wait_for, wait_until_equal
from tests.support.worker import Reader

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
PORTS = (
    "kafka",
    "kafka_controller",
    "prometheus",
    "alertmanager",
    "service",
    "console",
    "pages",
    "worker_metrics",
    "grafana",
    "schema_registry",
)
LACKING = {  # flights is a regression, and its spec names no baselines
    *(f"tidemark-model: Scores of the classification/{n}" for n in "AB"),
    *(f"tidemark-model: Share of drifted features against earlier windows/{n}" for n in "AB"),
}


@dataclass
class Stack:
    """A native stack under a home of its own."""

    settings: Settings

    def tidemark(self, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line in this installation."""
        given = {k: v for k, v in self.settings.model_dump().items() if k in {"home", "public_url"} or k.endswith("_port")}
        environment = {**os.environ, **{f"TIDEMARK_{k.upper()}": str(v) for k, v in given.items()}}
        command = [sys.executable, "-m", "tidemark", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Prometheus' answer to an instant query."""
        url = f"http://127.0.0.1:{self.settings.prometheus_port}/api/v1/query"
        answer = requests.get(url, params={"query": expression}, timeout=5).json()
        return list(answer["data"]["result"])

    def inbox(self) -> str:
        """The inbox page."""
        return requests.get(f"http://127.0.0.1:{self.settings.pages_port}/", timeout=5).text

    def processes(self) -> list[psutil.Process]:
        """Processes whose command line or environment names this installation's home."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("TIDEMARK_HOME") == str(self.settings.home):
                    found.append(process)
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return found


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("stack")
    shared = ROOT / "var"
    for name in ("kafka/libs", "packages"):  # downloads are shared; everything else is this installation's own
        (shared / name).mkdir(parents=True, exist_ok=True)
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(shared / name)
    ports = dict(zip((f"{p}_port" for p in PORTS), free_ports(len(PORTS)), strict=True))
    made = Stack(Settings.model_validate({"home": home, "bootstrap_servers": "", **ports}))
    try:
        up = made.tidemark("up", "--stack", "native", "--no-replay")
        assert up.returncode == 0, up.stdout + up.stderr
        yield made
    finally:
        down = made.tidemark("down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert made.processes() == []


def weeks(results: list[WindowResult]) -> dict[str, WindowResult]:
    """Results by the date (UTC) on which their New York week begins."""
    return {dt.datetime.fromtimestamp(r.start_ms / 1000, dt.UTC).date().isoformat(): r for r in results}


def test_every_service_is_well(stack: Stack) -> None:
    """After `up`, `status` finds every service healthy, and a second `up` changes nothing."""
    status = stack.tidemark("status")
    assert status.returncode == 0, status.stdout
    again = stack.tidemark("up", "--stack", "native", "--no-replay")
    assert again.returncode == 0
    assert "already up" in again.stdout


def test_drift_reaches_slack_with_a_report(stack: Stack) -> None:
    """A replay that ends in July: Prometheus has the series, the alert fires, Slack's message names the columns and links the report."""
    replay = stack.tidemark("replay", "flights", "--from", "2013-05-20", "--to", "2013-07-08", "--speed", "max")
    assert replay.returncode == 0, replay.stdout + replay.stderr
    share = 'tidemark_window_drift_share{model="flights",run_kind="replay"}'
    wait_for(lambda: [s for s in stack.query(share) if float(s["value"][1]) >= 0.25], "the series in Prometheus", 60)
    wait_for(lambda: stack.query('ALERTS{alertname="TidemarkDatasetDrift",alertstate="firing"}'), "the alert", 90)
    page = wait_for(lambda: "Data drift in flights" in (text := stack.inbox()) and text, "the message in the inbox", 90)
    assert "dest" in page
    assert "dep_delay" in page
    link = re.search(rf"{re.escape(stack.settings.public_url)}/reports/flights/replay/window/\d+", page)
    assert link is not None
    report = wait_for(lambda: (r := requests.get(link[0], timeout=10)).ok and r, "the report", REPORT_S)
    assert "dest" in report.text
    assert "dep_delay" in report.text


def test_the_year_is_judged_as_it_was(stack: Stack) -> None:
    """A replay of all 2013: quiet until May, flagged in every week from 10 June to 5 August, nothing late, nothing dead."""
    reader = Reader(stack.settings, stack.settings.results_topic)
    try:
        replay = stack.tidemark("replay", "flights", "--speed", "max")
        assert replay.returncode == 0, replay.stdout + replay.stderr
        run = wait_for(
            lambda: next((r for r, n in Counter(r.run for r in reader.results()).items() if n >= 53), ""), "53 windows of a run", 90
        )
        found = weeks([r for r in reader.results() if r.run == run])
    finally:
        reader.close()
    assert sum(r.rows for r in found.values()) == 327_346
    assert [w for w, r in found.items() if r.drifted and w < "2013-05-01"] == []
    summer = {w: r.drifted for w, r in found.items() if "2013-06-10" <= w <= "2013-08-05"}
    assert len(summer) == 9
    assert all(summer.values())
    assert {r.run_kind for r in found.values()} == {"replay"}
    assert stack.query("sum(tidemark_late_records_total)")[0]["value"][1] == "0"


def test_a_prediction_by_http_becomes_an_event(stack: Stack) -> None:
    """A request to the BentoML service is answered, and its event lies on the topic."""
    row = {"dep_delay": 5, "sched_hour": 9, "distance": 500, "carrier": "UA", "origin": "EWR", "dest": "IAH", "weekday": "Mon"}
    address = f"http://127.0.0.1:{stack.settings.service_port}"
    reader = Reader(stack.settings, stack.settings.predictions_topic)
    try:
        answer = requests.post(f"{address}/predict", json={"rows": [row]}, headers={"X-Tidemark-Event-Ids": "by-http-1"}, timeout=30)
        assert answer.ok, answer.text
        assert len(answer.json()) == 1
        wait_for(lambda: any(b"by-http-1" in (m.value() or b"") for m in reader.poll()), "the event on the topic", 60)
    finally:
        reader.close()


def test_every_panel_has_data_after_a_replay(stack: Stack) -> None:
    """Each panel of each dashboard, its variables filled in, gives data from this stack's Prometheus; but for what this model lacks."""

    def empty() -> set[str]:
        return {
            f"{path.stem}: {where}"
            for path in DASHBOARDS
            for where, expression in expressions(path)
            if not stack.query(filled(expression, model="flights", run_kind="replay", __rate_interval="10m"))
        }

    wait_until_equal(empty, LACKING, 60, every_s=1.0)


def test_a_taken_port_is_named(stack: Stack, tmp_path: Path) -> None:
    """`up` of another installation on the same ports ends with 2, naming port, setting and process."""
    other = Stack(stack.settings.model_copy(update={"home": tmp_path}))
    up = other.tidemark("up", "--stack", "native", "--only", "prometheus")
    assert up.returncode == 2, up.stdout + up.stderr
    assert str(stack.settings.prometheus_port) in up.stderr
    assert "TIDEMARK_PROMETHEUS_PORT" in up.stderr
    assert "prometheus" in up.stderr
