"""Reports and workspace in a real browser: the real `tidemark ui` shows the windows over time, and no name is anything but text."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Dialog, Page, Request, sync_playwright

from config.settings import ROOT, Settings
from monitor.reports.archive import write_sample
from monitor.reports.child import limits
from monitor.reports.on_demand import make_report
from monitor.reports.retention import retain
from monitor.workspace.store import SnapshotStore, project_id, snapshot_id
from tests.support.alerting import until
from tests.support.broker import _die_with_parent
from tests.support.judged import HOSTILE_NAMES, judged_spec, judged_window
from tests.support.ports import free_ports

pytestmark = pytest.mark.integration
QUALITY = {"monitors": ["data_drift", "prediction_drift", "data_quality"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


class Watched:
    """A page, and what it must not do: run a name as script, or ask for anything elsewhere."""

    def __init__(self, browser: Browser) -> None:
        self.wrong: list[str] = []
        self.page: Page = browser.new_page()
        self.page.on("dialog", self._dismiss)
        self.page.on("pageerror", lambda e: self.wrong.append(f"error {e}"))
        self.page.on("request", self._look)

    def _dismiss(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _look(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:", "file:")):
            self.wrong.append(f"request {request.url}")

    def marks_made_of_names(self) -> int:
        """Elements that only a name or value read as markup could have made."""
        return len(self.page.query_selector_all('a[href*="evil"], img[src="x"], tspan[style*="bold"]'))


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A page that is looked at while it lives."""
    watched = Watched(browser)
    yield watched
    watched.page.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The real `tidemark ui` over three windows; its address and the installation's home."""
    home = tmp_path_factory.mktemp("ui")
    fill(home, 0, 1, 2)
    (port,) = free_ports(1)
    environment = {**os.environ, "TIDEMARK_HOME": str(home), "TIDEMARK_EVIDENTLY_PORT": str(port)}
    with (home / "log").open("wb") as log:
        command = [sys.executable, "-m", "tidemark", "ui"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, preexec_fn=_die_with_parent)  # noqa: PLW1509
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/api/version"), "Evidently's pages answer", 120)
        yield f"http://127.0.0.1:{port}", home
    finally:
        process.terminate()
        process.wait(30)


def fill(home: Path, *hours: int) -> None:
    """Put windows into the workspace; each drifts more than the one before."""
    for hour in hours:
        _, spec, _, result = judged_window(home, hour, hour / 2)
        SnapshotStore(home / "workspace").add(result, spec)


def answers(url: str) -> bool:
    """True when the server takes requests."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def runs(address: str, home: Path) -> set[str]:
    """The ids of the windows that Evidently's pages list."""
    project = project_id(judged_window(home)[3])
    return {run["id"] for run in requests.get(f"{address}/api/projects/{project}/snapshots", timeout=10).json()}


def test_the_pages_of_evidently_list_the_windows_as_they_come_and_go(address: tuple[str, Path]) -> None:
    """Project and windows are listed; a window that closes while the pages are open appears, and one that retention removes goes."""
    url, home = address
    ids = [str(snapshot_id(judged_window(home, hour)[3])) for hour in range(4)]
    assert [p["name"] for p in requests.get(f"{url}/api/projects", timeout=10).json()] == ["m"]
    assert runs(url, home) == set(ids[:3])
    fill(home, 3)
    until(lambda: runs(url, home) == set(ids), "the fourth window appears", 20)
    (home / "workspace" / str(project_id(judged_window(home)[3])) / "snapshots" / f"{ids[0]}.json").unlink()
    until(lambda: runs(url, home) == set(ids[1:]), "the first window goes", 20)


def test_drift_is_seen_over_time_and_names_are_text(address: tuple[str, Path], watched: Watched) -> None:
    """The dashboard draws each panel, the window's page its verdicts; every name is there as it is written, nothing runs, nothing is
    asked of the outside.
    """
    url, home = address
    project = project_id(judged_window(home)[3])
    watched.page.goto(f"{url}/projects/{project}")
    for title in ("Share of drifted features", "Drifted features, last window", "plain", HOSTILE_NAMES[2]):
        watched.page.get_by_text(title, exact=True).first.wait_for(timeout=20_000)
    watched.page.goto(f"{url}/projects/{project}/reports/{snapshot_id(judged_window(home, 2)[3])}")
    for name in (*HOSTILE_NAMES[1:3], "What changed"):
        watched.page.get_by_text(name if len(name) <= 48 else f"{name[:47]}…", exact=True).first.wait_for(timeout=20_000)
    assert watched.marks_made_of_names() == 0
    assert watched.wrong == []


def test_a_full_report_shows_every_name_as_text(tmp_path: Path, watched: Watched) -> None:
    """A report with Evidently's drift and summary of hostile columns, categories and model versions: all is drawn, and all is text.
    A name of 500 letters does not push the table's other columns off the screen.
    """
    case = judged_window(tmp_path, 1, 1.0, spec=judged_spec(**QUALITY))
    write_sample(tmp_path, *case)
    path = make_report(Settings(home=tmp_path), "m", "last", None)
    watched.page.goto(path.as_uri())
    watched.page.get_by_text("Dataset Summary", exact=True).first.wait_for(timeout=30_000)
    until(lambda: watched.page.evaluate("document.querySelectorAll('.js-plotly-plot .main-svg').length") >= 5, "plots are drawn", 30)
    text = watched.page.evaluate("document.body.textContent").replace("\u2060", "").replace("\u200b", "")
    for name in (*HOSTILE_NAMES, "<v1> `{{ 1 }}`", "</script><script>alert(2)</script>"):
        assert name in text, name
    last_column = watched.page.get_by_text("Drift Score", exact=True).first.bounding_box()
    assert last_column is not None
    assert last_column["x"] + last_column["width"] < watched.page.evaluate("window.innerWidth")
    assert watched.marks_made_of_names() == 0
    assert watched.wrong == []


def test_retention_leaves_a_workspace_that_opens(address: tuple[str, Path]) -> None:
    """With every snapshot gone by age, the pages show the project without windows."""
    url, home = address
    retain(limits(Settings(home=home))[2], 10**19)
    until(lambda: runs(url, home) == set(), "all windows go", 20)
    assert answers(f"{url}/api/projects")
