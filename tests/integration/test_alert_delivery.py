"""Alerts through a Slack that fails, and the line in a message that silences it; with the real Prometheus and Alertmanager, hurried."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from compose.native import monitoring
from tests.support.alerting import AlertPath, until
from tests.support.fake_slack import FakeSlack
from tests.support.judging_worker import Worker

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def slack() -> Iterator[FakeSlack]:
    """A Slack."""
    running = FakeSlack()
    yield running
    running.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, slack: FakeSlack) -> Iterator[AlertPath]:
    """The path to it, running."""
    with AlertPath(tmp_path_factory.mktemp("alerts"), slack.url, hurried=True) as running:
        yield running


@pytest.fixture(scope="module")
def worker(path: AlertPath) -> Iterator[Worker]:
    """A worker with two quiet models, scraped by Prometheus."""
    running = Worker(path.settings)
    running.close_window(0.0, models=("m", "n"))
    until(lambda: path.query("tidemark_window_drift_share") == [0.0, 0.0], "Prometheus scrapes the worker", 30)
    until(lambda: path.query('alertmanager_notifications_failed_total{integration="slack"}') == [0.0], "and Alertmanager", 30)
    yield running
    running.close()


def alerts(path: AlertPath, **parameters: Any) -> list[str]:
    """Names and models of the alerts that Alertmanager has."""
    answer = requests.get(f"http://127.0.0.1:{path.settings.alertmanager_port}/api/v2/alerts", params=parameters, timeout=5)
    return sorted(f"{a['labels']['alertname']} {a['labels'].get('model', '')}" for a in answer.json())


def test_a_slack_that_fails_loses_nothing(path: AlertPath, worker: Worker, slack: FakeSlack) -> None:
    """Messages that Slack answered with 500 and then 429 come when it works again, each once; the inbox tells meanwhile that it fails."""
    slack.status = 500
    worker.close_window(2.0, report=False, models=("m", "n"))
    until(lambda: slack.answers.count(500) >= 3, "Alertmanager tries again after 500", 40)
    slack.status = 429
    until(lambda: slack.answers.count(429) >= 2, "Alertmanager tries again after 429", 60)
    (told,) = until(lambda: path.messages("cannot deliver"), "the inbox tells", 60)
    assert told.startswith("[FIRING] Alertmanager cannot deliver messages by slack")
    assert slack.titles() == []
    slack.status = 200
    until(lambda: len(slack.titles()) >= 2, "what was refused arrives", 60)
    until(lambda: slack.answers.count(200) >= 2, "both are answered", 10)
    assert sorted(slack.titles()) == [f"[FIRING] [REPLAY] Data drift in {model} (replay)" for model in ("m", "n")]
    assert slack.refused == []


def test_the_line_in_the_message_silences_it(path: AlertPath, worker: Worker, slack: FakeSlack) -> None:
    """Run in a shell as it stands, the line silences that alert of that model and no other."""
    (line,) = re.findall(r"Silence for 2 h: (amtool .*)", slack.text("Data drift in m"))
    tools = monitoring.programs(path.settings, monitoring.PACKAGES["alertmanager"])
    environment = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "USER": "me", "HOME": str(path.settings.home)}
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stderr
    drift = "TidemarkDatasetDrift"
    until(lambda: f"{drift} m" not in alerts(path, silenced="false"), "the alert is silenced", 10)
    assert [a for a in alerts(path, silenced="false") if drift in a] == [f"{drift} n"]
    assert [a for a in alerts(path) if drift in a] == [f"{drift} m", f"{drift} n"]


def test_the_webhook_stays_secret(path: AlertPath, slack: FakeSlack) -> None:
    """The address of Slack is in no file that others may read, and in no log."""
    run: Path = path.settings.under_home("run", "alertmanager")
    assert (run / "slack_webhook").stat().st_mode & 0o077 == 0
    secret = slack.url.rpartition("/services")[2]
    readable = [f for f in (*run.glob("*.yml"), *path.settings.home.glob("*.log")) if secret in f.read_text(errors="replace")]
    assert readable == []
