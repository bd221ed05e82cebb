"""Alertmanager's configuration and Slack's texts, as amtool and amlint judge and render them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compose.native import monitoring
from config.errors import TidemarkError
from config.settings import ROOT
from monitor.alerting import relocate_alertmanager
from tests.support.alerting import fetch_programs

FOLDER = ROOT / "config" / "alertmanager"
FILES = ["alertmanager.yml", "alertmanager.yml.example"]
ROUTES = Path(__file__).parent / "alertmanager" / "routes.yml"
AMLINT = str(Path(sys.executable).with_name("amlint"))


@pytest.fixture(scope="module")
def amtool() -> str:
    """amtool of the package that the native stack uses."""
    return str(monitoring.programs(fetch_programs(), monitoring.PACKAGES["alertmanager"]) / "amtool")


def run(*command: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    """A tool's run in a folder."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("file", FILES)
def test_amtool_accepts_the_configuration(amtool: str, file: str) -> None:
    """amtool finds nothing wrong with what ships, with the example of other receivers, and with the template."""
    done = run(amtool, "check-config", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 templates" in done.stdout


@pytest.mark.parametrize("file", FILES)
def test_amlint_finds_no_fault(file: str) -> None:
    """No route that is never reached, no alert that reaches nobody, no inhibition that matches too much, for the rules that ship."""
    done = run(AMLINT, "check", "--strict", "--rules", str(ROOT / "config" / "prometheus" / "rules" / "*.yml"), file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_routes_and_inhibition() -> None:
    """Every case of routes.yml holds, and every route is reached by one."""
    done = run(AMLINT, "test", "alertmanager.yml", str(ROUTES), "--fail-under", "100")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_route_is_caught(tmp_path: Path) -> None:
    """Without the inhibition of columns the cases fail: they can fail."""
    text = (FOLDER / "alertmanager.yml").read_text(encoding="utf-8")
    assert "target_matchers: [alertname = TidemarkColumnDrift]" in text
    broken = tmp_path / "alertmanager.yml"
    broken.write_text(text.replace("target_matchers: [alertname = TidemarkColumnDrift]", "target_matchers: [alertname = Nothing]"))
    assert run(AMLINT, "test", str(broken), str(ROUTES)).returncode == 1


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=TidemarkDatasetDrift", "model=flights", "run_kind=live"), "slack"),
        (("alertname=TidemarkDatasetDrift", "model=flights", "run_kind=replay"), "slack"),
        (("alertname=TidemarkWorkerDown",), "slack"),
        (("alertname=TidemarkNotificationsFailing", "severity=critical"), "inbox"),
        (("alertname=Watchdog", "severity=none"), "null"),
    ],
)
def test_routing(amtool: str, labels: tuple[str, ...], receiver: str) -> None:
    """Alertmanager's own tool sends alerts where amlint says."""
    done = run(amtool, "config", "routes", "test", "--config.file=alertmanager.yml", f"--verify.receivers={receiver}", *labels)
    assert done.returncode == 0, done.stdout + done.stderr


def alert(status: str = "firing", **annotations: str) -> dict[str, Any]:
    """An alert as a template sees it."""
    return {
        "status": status,
        "labels": {},
        "generatorURL": "",
        "fingerprint": "f",
        "startsAt": "2013-06-24T04:00:00Z",
        "endsAt": "2013-06-24T05:00:00Z",
        "annotations": {"summary": "Data drift in m", "description": "• <!channel> & `x`: 1"} | annotations,
    }


class Renderer:
    """Slack's texts for a notification, by Alertmanager's own code."""

    def __init__(self, amtool: str, path: Path) -> None:
        self._amtool, self._path = amtool, path

    def __call__(self, name: str, *alerts: dict[str, Any], **data: Any) -> str:
        group = {"alertname": "TidemarkDatasetDrift", "model": "m", "run_kind": "replay"}
        base = {"receiver": "slack", "status": "firing", "groupLabels": group, "commonAnnotations": {}, "externalURL": "http://a:9093"}
        self._path.write_text(
            json.dumps({**base, "commonLabels": {"run_kind": "replay", "severity": "critical"}, "alerts": alerts, **data})
        )
        text = f'--template.text={{{{ template "{name}" . }}}}'
        done = run(self._amtool, "template", "render", "--template.glob=slack.tmpl", text, f"--template.data={self._path}")
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")


@pytest.fixture
def render(amtool: str, tmp_path: Path) -> Renderer:
    """A renderer."""
    return Renderer(amtool, tmp_path / "data.json")


LINKS = {"report_url": "http://t/r", "dashboard_url": "http://t/dashboard?model=m&run_kind=live", "runbook_url": "http://t/runbooks/X"}
SILENCE = (
    "amtool --alertmanager.url=http://a:9093 silence add alertname=TidemarkDatasetDrift model=m run_kind=replay"
    " --duration=2h --author=$USER --comment=known"
)


def test_a_message_that_fires(render: Renderer) -> None:
    """Title, colour, escaped text, links and the line that silences it; more than one alert is counted."""
    both = (alert(**LINKS), alert(**LINKS))
    assert render("tidemark.title", *both) == "[FIRING] [REPLAY] Data drift in m and 1 more"
    assert render("tidemark.color", *both) == "#f9a825"
    assert render("tidemark.link", *both) == "http://t/r"
    text = "• &lt;!channel&gt; &amp; `x`: 1\n<http://t/r|Report of this window>\n"
    links = "<http://t/dashboard?model=m&amp;run_kind=live|Dashboard> <http://t/runbooks/X|What to do>"
    assert render("tidemark.text", *both).strip() == f"{text}\n{text}{links}\nSilence for 2 h: {SILENCE}"


def test_a_message_that_resolves(render: Renderer) -> None:
    """It is green, says when, and offers no silence."""
    live = {"status": "resolved", "commonLabels": {"run_kind": "live"}}
    assert render("tidemark.title", alert("resolved"), **live) == "[RESOLVED] Data drift in m"
    assert render("tidemark.color", alert("resolved"), **live) == "#2e7d32"
    assert render("tidemark.text", alert("resolved"), **live).strip() == "• &lt;!channel&gt; &amp; `x`: 1\nResolved at 05:00:00 UTC."


def test_colours_and_links_without_a_report(render: Renderer) -> None:
    """Critical is red, a warning yellow; without a report the title leads to the dashboard, without either nowhere."""
    assert render("tidemark.color", alert(), commonLabels={"severity": "critical", "run_kind": "live"}) == "#c62828"
    assert render("tidemark.color", alert(), commonLabels={"severity": "warning"}) == "#f9a825"
    assert render("tidemark.link", alert(dashboard_url="http://t/dashboard")) == "http://t/dashboard"
    assert render("tidemark.link", alert()) == ""


def test_twenty_alerts_are_five_and_a_number(render: Renderer) -> None:
    """A message of many columns stays readable and within Slack's limits, whatever their names."""
    text = render("tidemark.text", *[alert(description=f"c{i} " + "&" * 200) for i in range(20)])
    assert [f"c{i} " in text for i in range(6)] == [True] * 5 + [False]
    assert "… and 15 more" in text
    assert len(text) < 8_000


def test_alertmanager_runs_from_where_it_was_unpacked(tmp_path: Path) -> None:
    """The relocated program is as long as the original and holds no fixed template path; a missing package is one clear error."""
    shared = fetch_programs()
    unpacked = monitoring.packages(shared) / monitoring.PACKAGES["alertmanager"]
    program = relocate_alertmanager(unpacked, tmp_path)
    assert program.stat().st_size == (unpacked / "usr" / "bin" / "prometheus-alertmanager").stat().st_size
    assert b"/usr/share/prometheus/alertmanager" not in program.read_bytes()
    assert (tmp_path / "default.tmpl").is_file()
    assert run(str(program), "--version", folder=tmp_path).returncode == 0
    with pytest.raises(TidemarkError, match="no unpacked prometheus-alertmanager below"):
        relocate_alertmanager(tmp_path / "nowhere", tmp_path / "x")
