"""The real path from metrics to a person, on free ports: Prometheus, Alertmanager and the page server, configured as ``make up`` does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

from compose.native import monitoring
from config.settings import ROOT, Settings
from tests.support.broker import _die_with_parent
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

T = TypeVar("T")


def until(probe: Callable[[], T], what: str, timeout_s: float) -> T:
    """The first true value of a probe; a server that is not there yet counts as false."""

    def answer() -> T | None:
        try:
            return probe()
        except requests.ConnectionError:
            return None

    found = wait_for(answer, what, timeout_s)
    assert found is not None
    return found


def fetch_programs() -> Settings:
    """The programs of the packages, unpacked once for all tests; the settings whose home they lie under."""
    shared = Settings(home=ROOT / "var")
    monitoring.fetch(shared)
    return shared


def _hurry(file: Path, pattern: str, to: str) -> None:
    text, changes = re.subn(pattern, to, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert changes, f"{file.name} has no {pattern}"
    file.write_text(text, encoding="utf-8")


class AlertPath:
    """Prometheus, Alertmanager and pages under ``home``, scraping a worker on ``settings.worker_metrics_port``.

    Start it from the main thread: the kernel ends the processes together with the thread that started them.

    Args:
        home: an empty folder.
        slack: a webhook's address; without one the local inbox stands in for Slack.
        hurried: scrape and evaluate every second, wait 1 s and 3 s for groups. The rules are those that ship.
    """

    def __init__(self, home: Path, slack: str = "", hurried: bool = False) -> None:
        prometheus, alertmanager, pages, worker = free_ports(4)
        self.settings = Settings(
            home=home, prometheus_port=prometheus, alertmanager_port=alertmanager, pages_port=pages, worker_metrics_port=worker,
            public_url=f"http://127.0.0.1:{pages}", slack_webhook_file=home / "webhook" if slack else None,
        )  # fmt: skip
        if slack:
            home.mkdir(parents=True, exist_ok=True)
            (home / "webhook").write_text(slack)
        self._hurried = hurried
        self.prometheus = f"http://127.0.0.1:{prometheus}"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> AlertPath:
        shared = fetch_programs()
        self.settings.home.mkdir(parents=True, exist_ok=True)
        monitoring.packages(self.settings).symlink_to(monitoring.packages(shared))
        alertmanager = f"127.0.0.1:{self.settings.alertmanager_port}"
        targets = {
            "worker": (f"127.0.0.1:{self.settings.worker_metrics_port}", "tidemark-worker"),
            "alertmanager": (alertmanager, "alertmanager"),
        }
        monitoring.configure(self.settings, targets, alertmanager)
        run = self.settings.under_home("run")
        if self._hurried:
            _hurry(run / "prometheus" / "prometheus.yml", r"^(  \w+_(?:interval|timeout)): \ds", r"\1: 1s")
            _hurry(run / "alertmanager" / "alertmanager.yml", r"^( *group_wait): \w+", r"\1: 1s")
            _hurry(run / "alertmanager" / "alertmanager.yml", r"^( *group_interval): \w+", r"\1: 3s")
        self._start("prometheus", monitoring.prometheus_command(self.settings), run / "prometheus")
        self._start("alertmanager", monitoring.alertmanager_command(self.settings), run / "alertmanager")
        self._start("pages", [sys.executable, str(ROOT / "tidemark.py"), "pages"], ROOT)
        until(lambda: requests.get(f"{self.settings.public_url}/healthz", timeout=2).ok, "pages answer", 60)
        until(lambda: self.ask("/api/v1/alertmanagers")["activeAlertmanagers"], "Prometheus finds Alertmanager", 60)
        return self

    def _start(self, name: str, command: list[str], folder: Path) -> None:
        environment = {"TIDEMARK_HOME": str(self.settings.home), "TIDEMARK_PAGES_PORT": str(self.settings.pages_port)}
        environment |= {"TIDEMARK_PUBLIC_URL": self.settings.public_url}
        with (self.settings.home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdout=log,
                stderr=log,
                env=os.environ | environment,
                preexec_fn=_die_with_parent,  # noqa: PLW1509
            )
        self._processes.append(process)

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)

    def ask(self, path: str, **parameters: str) -> Any:
        """Data of a question to Prometheus's API."""
        answer = requests.get(self.prometheus + path, params=parameters, timeout=5)
        answer.raise_for_status()
        return answer.json()["data"]

    def query(self, expression: str) -> list[float]:
        """Values of an instant query."""
        return [float(sample["value"][1]) for sample in self.ask("/api/v1/query", query=expression)["result"]]

    def messages(self, word: str) -> list[str]:
        """Titles of the inbox's messages that hold a word, oldest first, with their texts."""
        from monitor.pages.inbox import Inbox

        messages = Inbox(self.settings.under_home("inbox", "messages.jsonl")).latest()
        texts = [f"{a['title']}\n{a['text']}" for m in reversed(messages) for a in m.payload["attachments"]]
        return [t for t in texts if word in t]
