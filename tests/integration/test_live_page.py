"""The Live page in real Chromium: it draws every panel of every dashboard from a real Prometheus, and asks nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import ConsoleMessage, Page, Request, expect, sync_playwright

from config.settings import ROOT
from monitor.console.board import Board, Panel, read_boards
from tests.support.alerting import until
from tests.support.broker import _die_with_parent
from tests.support.ports import free_ports
from tests.support.scraped import Scraped

pytestmark = pytest.mark.integration
QUIET = "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
BOARDS = read_boards()
DRAWN_MS = 30_000  # on a busy machine


@contextmanager
def console(home: Path, prometheus: str) -> Iterator[str]:
    """A running console that asks the Prometheus at an address; its own address."""
    (port,) = free_ports(1)
    settings = {"TIDEMARK_HOME": str(home), "TIDEMARK_CONSOLE_PORT": str(port), "TIDEMARK_PROMETHEUS_URL": prometheus}
    command = [sys.executable, str(ROOT / "tidemark.py"), "console"]
    with (home / "console.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=home,
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509
        )
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: requests.get(f"{address}/_stcore/health", timeout=5).ok, "the console answers", 60)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class Browser:
    """A page of Chromium, and what went wrong on it."""

    page: Page
    address: str
    problems: list[str] = field(default_factory=list)

    def watch(self) -> Browser:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._request)
        return self

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.address, self.address.replace("http", "ws"), "data:", "blob:")):
            self.problems.append(f"asks {request.url}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", *QUIET.split()])
        try:
            yield browser
        finally:
            browser.close()


def opened(chromium: Chromium, address: str) -> Browser:
    return Browser(chromium.new_page(viewport={"width": 1500, "height": 1000}), address).watch()


@pytest.fixture(scope="module")
def browser(scraped: Scraped, chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with console(tmp_path_factory.mktemp("console"), scraped.address) as address:
        yield opened(chromium, address)


def charts_of(board: Board) -> list[Panel]:
    return [p for s in board.sections for p in s.panels if p.kind in {"timeseries", "heatmap", "state-timeline"}]


@pytest.mark.parametrize("uid", list(BOARDS))
def test_every_panel_is_drawn(browser: Browser, uid: str) -> None:
    """Each panel's title stands on the page, each panel about the worker has its chart or values, and nothing fails or goes out."""
    board, page = BOARDS[uid], browser.page
    page.goto(f"{browser.address}/?board={uid}")
    for panel in (p for s in board.sections for p in s.panels):
        expect(page.get_by_text(panel.title, exact=True).first).to_be_visible(timeout=DRAWN_MS)
    charts = page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")
    # of the service, whose metrics nobody makes here, there are titles only
    expect(charts).to_have_count(0 if uid == "tidemark-service" else len(charts_of(board)), timeout=DRAWN_MS)
    assert page.locator("[data-testid=stAlert]").count() == 0
    assert browser.problems == []


def test_numbers_and_links_are_those_of_prometheus(browser: Browser) -> None:
    """Values stand in their unit, and the last drifted window opens its report."""
    page = browser.page
    page.goto(f"{browser.address}/?board=tidemark-overview")
    expect(page.get_by_role("link", name="1970-01-01 00:16")).to_have_attribute(
        "href", "http://127.0.0.1:8502/reports/m/live/window/1000", timeout=DRAWN_MS
    )
    expect(page.locator(".td-tile", has_text="up").first).to_be_visible()
    expect(page.locator(".td-table td", has_text="50 %")).to_be_visible()


def test_a_missing_prometheus_is_said_with_its_remedy(chromium: Chromium, tmp_path: Path) -> None:
    """Without Prometheus the page stands, says where it asked and what to do, and shows no traceback."""
    (port,) = free_ports(1)
    with console(tmp_path, f"http://127.0.0.1:{port}") as address:
        found = opened(chromium, address)
        found.page.goto(address)
        said = found.page.locator("[data-testid=stAlert]")
        expect(said).to_contain_text(f"Prometheus at http://127.0.0.1:{port} does not answer", timeout=DRAWN_MS)
        expect(said).to_contain_text("make up")
        expect(found.page.get_by_text("Traceback")).to_have_count(0)
        assert found.problems == []
