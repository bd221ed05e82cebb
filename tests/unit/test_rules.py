"""Rules and configuration as Prometheus's and Alertmanager's own tools judge them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from compose.native import monitoring
from config.errors import TidemarkError
from config.settings import ROOT
from monitor.alerting import relocate_alertmanager
from monitor.metrics import Metrics
from tests.support.alerting import fetch_programs

CONFIG = ROOT / "config"
RULE_TESTS = sorted((Path(__file__).parent / "rules").glob("*.test.yml"))
RULE_FILES = sorted((CONFIG / "prometheus" / "rules").glob("*.yml"))


@pytest.fixture(scope="module")
def tools() -> dict[str, str]:
    """promtool and amtool of the packages that the native stack uses."""
    shared = fetch_programs()
    return {
        tool: str(monitoring.programs(shared, monitoring.PACKAGES[p]) / tool)
        for p, tool in (("prometheus", "promtool"), ("alertmanager", "amtool"))
    }


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A tool's run in a folder."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def rules() -> list[dict[str, Any]]:
    """Every rule of every file."""
    return [rule for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda p: p.name)
def test_alerts_fire_and_resolve(tools: dict[str, str], path: Path) -> None:
    """promtool's tests of this file hold: firing, not firing, resolving, and the texts to the letter."""
    done = run(tools["promtool"], "test", "rules", path.name, folder=path.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_threshold_is_caught(tools: dict[str, str], tmp_path: Path) -> None:
    """The drift tests fail when the rule compares with > where >= is meant: they can fail."""
    for source in (CONFIG / "prometheus" / "rules", Path(__file__).parent / "rules"):
        shutil.copytree(source, tmp_path / source.relative_to(ROOT))
    alerts = tmp_path / "config" / "prometheus" / "rules" / "alerts.yml"
    text = alerts.read_text()
    assert ">= on (model, run_kind) max" in text
    alerts.write_text(text.replace(">= on (model, run_kind) max", "> on (model, run_kind) max").replace("[30s]", "[15s]"))
    folder = tmp_path / "tests" / "unit" / "rules"
    assert run(tools["promtool"], "test", "rules", "drift.test.yml", folder=folder).returncode != 0


def test_every_alert_has_rule_tests_and_texts() -> None:
    """Each alert is named by a rule test that expects it to fire, has severity, summary and description, and a line in docs/alerts.md."""
    tested = "\n".join(path.read_text() for path in RULE_TESTS)
    documented = (ROOT / "docs" / "alerts.md").read_text()
    for rule in rules():
        if "alert" in rule:
            assert f"alertname: {rule['alert']}\n" in tested
            assert {"summary", "description"} <= set(rule["annotations"])
            assert rule["labels"]["severity"] in ("critical", "warning", "none")
            assert f"## {rule['alert']}" in documented


def test_rules_name_metrics_that_exist() -> None:
    """Each tidemark_ name in a rule is a series of Metrics: a renamed metric cannot silence an alert."""
    registry = CollectorRegistry()
    Metrics(registry)
    known = {f"{f.name}_total" if f.type == "counter" else f.name for f in registry.collect()}
    named = set(re.findall(r"(?<![:\w])tidemark_[a-z_]+", "\n".join(p.read_text() for p in RULE_FILES)))
    assert named - {"tidemark_public_url"} <= known


def test_prometheus_accepts_its_configuration(tools: dict[str, str], tmp_path: Path) -> None:
    """promtool finds nothing wrong with prometheus.yml and its rules."""
    shutil.copytree(CONFIG / "prometheus", tmp_path / "prometheus")
    done = run(tools["promtool"], "check", "config", "prometheus/prometheus.yml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SUCCESS") == 2 + len(RULE_FILES)  # two lines for the file itself


def test_alertmanager_accepts_its_configuration(tools: dict[str, str]) -> None:
    """amtool finds nothing wrong with alertmanager.yml and its template."""
    done = run(tools["amtool"], "check-config", "alertmanager.yml", folder=CONFIG / "alertmanager")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=TidemarkDatasetDrift", "model=flights", "run_kind=live"), "slack"),
        (("alertname=TidemarkDatasetDrift", "model=flights", "run_kind=replay"), "slack"),
        (("alertname=TidemarkWorkerDown",), "slack"),
        (("alertname=Watchdog", "severity=none"), "watchdog"),
    ],
)
def test_routing(tools: dict[str, str], labels: tuple[str, ...], receiver: str) -> None:
    """Alerts go to Slack; the dead man's switch does not."""
    folder = CONFIG / "alertmanager"
    done = run(
        tools["amtool"],
        "config",
        "routes",
        "test",
        "--config.file=alertmanager.yml",
        f"--verify.receivers={receiver}",
        *labels,
        folder=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def render(tools: dict[str, str], template: str, **data: Any) -> str:
    """A Slack template's text for a notification, by Alertmanager's own code."""
    folder = CONFIG / "alertmanager"
    command = [tools["amtool"], "template", "render", "--template.glob=slack.tmpl", f'--template.text={{{{ template "{template}" . }}}}']
    path = Path(data.pop("_path"))
    path.write_text(json.dumps({"receiver": "slack", "groupLabels": {}, "externalURL": "http://a", **data}))
    done = run(*command, f"--template.data={path}", folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


def test_slack_texts(tools: dict[str, str], tmp_path: Path) -> None:
    """Title, colour and text by status and run kind, Slack's control characters escaped, more than one alert counted."""
    alert = {
        "status": "firing", "labels": {}, "generatorURL": "", "fingerprint": "f",
        "startsAt": "2013-06-24T04:00:00Z", "endsAt": "2013-06-24T05:00:00Z",
        "annotations": {"summary": "Data drift in m", "description": "• <!channel> & `x`: 1", "report_url": "http://t/r"},
    }  # fmt: skip
    path = str(tmp_path / "data.json")
    firing = {
        "status": "firing",
        "commonLabels": {"run_kind": "replay", "severity": "critical"},
        "commonAnnotations": {},
        "alerts": [alert, alert],
    }
    assert render(tools, "tidemark.title", _path=path, **firing) == "[FIRING] [REPLAY] Data drift in m and 1 more"
    assert render(tools, "tidemark.color", _path=path, **firing) == "#f9a825"
    text = "• &lt;!channel&gt; &amp; `x`: 1\n<http://t/r|Report of this window>"
    assert render(tools, "tidemark.text", _path=path, **firing).strip() == f"{text}\n\n{text}"
    live = {
        "status": "resolved",
        "commonLabels": {"run_kind": "live"},
        "commonAnnotations": {},
        "alerts": [{**alert, "status": "resolved"}],
    }
    assert render(tools, "tidemark.title", _path=path, **live) == "[RESOLVED] Data drift in m"
    assert render(tools, "tidemark.color", _path=path, **live) == "#2e7d32"
    assert render(tools, "tidemark.text", _path=path, **live) == f"{text}\nResolved at 05:00:00 UTC."


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
