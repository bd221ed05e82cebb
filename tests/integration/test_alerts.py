"""From a drifted window to a person and back, with the real Prometheus, Alertmanager, page server and report process."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
import requests
from playwright.sync_api import sync_playwright

from tests.support.alerting import AlertPath, until
from tests.support.judging_worker import NAME, Worker
from tests.support.waiting import REPORT_S

pytestmark = pytest.mark.integration

DELIVERY_S = 5 + 5 + 5 + 10  # scrape, evaluation, group wait, and 10 s


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertPath]:
    """The path, running."""
    with AlertPath(tmp_path_factory.mktemp("alerts")) as running:
        yield running


@pytest.fixture(scope="module")
def worker(path: AlertPath) -> Iterator[Worker]:
    """A worker that has closed a quiet window, scraped by Prometheus."""
    running = Worker(path.settings)
    assert not running.close_window(0.0).drifted
    until(lambda: path.query("tidemark_window_drift_share") == [0.0], "Prometheus scrapes the worker", 30)
    yield running
    if running.server.thread.is_alive():
        running.close()


def test_a_drifted_window_reaches_a_person_and_recovery_too(path: AlertPath, worker: Worker) -> None:
    """One message per model and run kind, in time, with the columns as they are named and a link that opens the report; then resolved."""
    result = worker.close_window(2.0)
    assert result.drifted_names() == [NAME]
    (text,) = until(lambda: path.messages("Data drift"), "the message arrives", DELIVERY_S)
    assert text.startswith("[FIRING] [REPLAY] Data drift in m (replay)")
    assert "50% of the features drifted" in text
    assert "delay &lt;!channel&gt; &lt;/script&gt;" in text
    assert "quiet" not in text
    (address,) = re.findall(r"<(http[^|>]*)\|Report of this window>", text)
    assert address == f"{path.settings.public_url}/reports/m/replay/window/{result.start_ms // 1000}"
    (runbook,) = re.findall(r"<(http[^|>]*)\|What to do>", text)
    assert "<h1>TidemarkDatasetDrift</h1>" in requests.get(runbook, timeout=5).text
    (dashboard,) = re.findall(r"<(http[^|>]*)\|Dashboard>", text)
    onward = requests.get(unescape(dashboard), timeout=5, allow_redirects=False)
    assert onward.headers["location"] == f"http://127.0.0.1:{path.settings.console_port}/?var-model=m&var-run_kind=replay"
    until(lambda: "window.drawDashboard" in requests.get(address, timeout=5).text, "the full report is there", REPORT_S)
    report = requests.get(address, timeout=5).text
    assert "<img src=x" not in report
    assert NAME in unescape(report)
    worker.close_window(2.0)  # drifts on: no second message
    worker.close_window(0.0)
    resolved = until(lambda: path.messages("[RESOLVED]"), "the resolved message arrives", 30 + 15 + DELIVERY_S)
    assert resolved[0].startswith("[RESOLVED] [REPLAY] Data drift in m (replay)")
    assert len(path.messages("[FIRING] [REPLAY] Data drift")) == 1
    assert not path.messages("Watchdog")


def test_windows_between_two_scrapes_are_one_message(path: AlertPath, worker: Worker) -> None:
    """Twenty drifted windows at once, a quiet one before the next scrape: the counter has all, one message comes, naming the last."""
    before = path.query("tidemark_drifted_windows_total")[0]
    *_, last, _ = worker.close_windows([2.0] * 20 + [0.0])
    until(lambda: path.query("tidemark_drifted_windows_total") == [before + 20], "Prometheus has the counter", 15)
    text = until(lambda: path.messages("[FIRING] [REPLAY] Data drift")[1:], "the message arrives", 15 + DELIVERY_S)
    assert len(text) == 1
    assert f"/window/{last.start_ms // 1000}|" in text[0]
    address = f"{path.settings.public_url}/reports/m/replay/window/{last.start_ms // 1000}"
    until(lambda: "window.drawDashboard" in requests.get(address, timeout=5).text, "its full report is there", REPORT_S)


def test_a_worker_that_is_gone_is_told(path: AlertPath, worker: Worker) -> None:
    """A worker stopped for good is a message within a minute or so; drift that stood is not told to be over."""
    worker.close_window(2.0, report=False)
    until(lambda: path.query("tidemark_window_drifted") == [1.0], "Prometheus sees the drift", 15)
    until(lambda: path.query('ALERTS{alertname="TidemarkDatasetDrift", alertstate="firing"}'), "the alert fires", 15)
    before = len(path.messages("[RESOLVED]"))
    worker.close()
    text = until(lambda: path.messages("is down"), "the message arrives", 30 + DELIVERY_S)
    assert text[0].startswith(f"[FIRING] Tidemark worker 127.0.0.1:{path.settings.worker_metrics_port} is down")
    assert path.query("tidemark_window_drifted") == []
    assert path.query('ALERTS{alertname="TidemarkDatasetDrift", alertstate="firing"}') == [1.0]
    assert len(path.messages("[RESOLVED]")) == before


def test_the_inbox_shows_it_in_a_browser(path: AlertPath, worker: Worker, tmp_path: Path) -> None:
    """In Chromium, inbox, list and report run without console errors and ask nothing of any other address; names are text."""
    chromium = Path(shutil.which("chromium") or "/usr/bin/chromium")
    assert chromium.exists(), "no Chromium for this test: apt-get install chromium"
    problems: list[str] = []
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=str(chromium), args=[*flags, "--disable-sync", "--no-first-run"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
        page.on("request", lambda r: None if r.url.startswith((path.settings.public_url, "data:", "blob:")) else problems.append(r.url))
        page.goto(path.settings.public_url)
        assert NAME in page.inner_text("main")
        page.screenshot(path=tmp_path / "inbox.png")
        page.click("text=Report of this window >> nth=0")
        page.wait_for_selector("text=Dataset Drift", timeout=REPORT_S * 1000)
        assert NAME in page.inner_text(".tm")
        page.screenshot(path=tmp_path / "report.png")
        page.goto(f"{path.settings.public_url}/reports/")
        assert NAME in page.inner_text("main")
        page.screenshot(path=tmp_path / "reports.png")
        browser.close()
    assert problems == []
