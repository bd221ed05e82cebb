"""Rules as promtool judges them; when alerts fire and what they say: test_rules_table.py, test_rules_texts.py."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from compose.native import monitoring
from config.settings import ROOT, Settings
from monitor.metrics import Metrics
from tests.support.alerting import fetch_programs

CONFIG = ROOT / "config"
RULE_TESTS = sorted((Path(__file__).parent / "rules").glob("*.test.yml"))
RULE_FILES = sorted((CONFIG / "prometheus" / "rules").glob("*.yml"))
OPTIONAL = CONFIG / "prometheus" / "rules" / "evidently.yml.example"


@pytest.fixture(scope="module")
def promtool() -> str:
    """promtool of the package that the native stack uses."""
    return str(monitoring.programs(fetch_programs(), monitoring.PACKAGES["prometheus"]) / "promtool")


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A tool's run in a folder."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda p: p.name)
def test_alerts_fire_and_resolve(promtool: str, path: Path) -> None:
    """promtool's tests of this file hold: firing, not firing, resolving, and the texts to the letter."""
    done = run(promtool, "test", "rules", path.name, folder=path.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_threshold_is_caught(promtool: str, tmp_path: Path) -> None:
    """The drift tests fail when the rule compares with > where >= is meant: they can fail."""
    for source in (CONFIG / "prometheus" / "rules", Path(__file__).parent / "rules"):
        shutil.copytree(source, tmp_path / source.relative_to(ROOT))
    alerts = tmp_path / "config" / "prometheus" / "rules" / "alerts.yml"
    text = alerts.read_text()
    assert ">= on (model, run_kind) max" in text
    alerts.write_text(text.replace(">= on (model, run_kind) max", "> on (model, run_kind) max").replace("[30s]", "[15s]"))
    folder = tmp_path / "tests" / "unit" / "rules"
    assert run(promtool, "test", "rules", "drift.test.yml", folder=folder).returncode != 0


def test_rules_name_metrics_that_exist() -> None:
    """Each tidemark_ name in a rule is a series of Metrics: a renamed metric cannot silence an alert."""
    registry = CollectorRegistry()
    Metrics(registry)
    known = {f"{f.name}_total" if f.type == "counter" else f.name for f in registry.collect()}
    text = "\n".join(p.read_text(encoding="utf-8") for p in (*RULE_FILES, OPTIONAL))
    recorded = set(re.findall(r"record: (\S+)", text))
    named = set(re.findall(r"(?<![:\w])tidemark_[a-z_]+(?![\w:])", text))
    assert named - {"tidemark_public_url"} <= known
    assert {
        n for n in re.findall(r"\b[a-z]\w*(?::\w+)+", re.sub(r'"[^"]*"|#.*', "", text)) if "tidemark" in n or "evidently" in n
    } <= recorded


def test_prometheus_accepts_its_configuration(promtool: str, tmp_path: Path) -> None:
    """promtool finds nothing wrong with prometheus.yml and its rules; the rule that ships disabled is not among them."""
    shutil.copytree(CONFIG / "prometheus", tmp_path / "prometheus")
    done = run(promtool, "check", "config", "prometheus/prometheus.yml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SUCCESS") == 2 + len(RULE_FILES)  # two lines for the file itself
    assert "evidently.yml" not in done.stdout


def test_the_rule_of_evidentlys_users_works_once_enabled(promtool: str, tmp_path: Path) -> None:
    """Copied as its head says, it is loaded; one drifted feature fires after a minute, and none resolves it."""
    shutil.copytree(CONFIG / "prometheus", tmp_path / "prometheus")
    shutil.copyfile(OPTIONAL, tmp_path / "prometheus" / "rules" / "evidently.yml")
    done = run(promtool, "check", "config", "prometheus/prometheus.yml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SUCCESS") == 3 + len(RULE_FILES)
    text = re.sub(r"(?ms)^        annotations:.*", "", OPTIONAL.read_text(encoding="utf-8"))
    assert (
        "expr: |\n          evidently:data_drift:n_drifted_features > 0\n        for: 1m\n        labels:\n          severity: critical\n"
        in text
    )
    (tmp_path / "only.yml").write_text(text)
    shutil.copyfile(CONFIG / "prometheus" / "rules" / "recording.yml", tmp_path / "recording.yml")
    fires = "[{exp_labels: {severity: critical, model: m, run_kind: live}}]"
    (tmp_path / "case.yml").write_text(f"""
rule_files: [only.yml, recording.yml]
evaluation_interval: 5s
tests:
  - interval: 5s
    input_series: [{{series: 'tidemark_window_drifted_columns{{model="m", run_kind="live"}}', values: 0x3 1x20 0x10}}]
    alert_rule_test:
      - {{alertname: EvidentlyDataDrift, eval_time: 75s, exp_alerts: []}}
      - {{alertname: EvidentlyDataDrift, eval_time: 90s, exp_alerts: {fires}}}
      - {{alertname: EvidentlyDataDrift, eval_time: 135s, exp_alerts: []}}
""")
    done = run(promtool, "test", "rules", "case.yml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_file_that_is_gone_alerts_no_more(tmp_path: Path) -> None:
    """Writing the configuration anew leaves no rule file of before: one that was enabled and removed is off."""
    settings = Settings(_env_file=None, home=tmp_path)
    written = tmp_path / "run" / "prometheus" / "rules"
    written.mkdir(parents=True)
    (written / "evidently.yml").write_text("groups: []")
    monitoring.write(settings, {}, "127.0.0.1:9093")
    assert {p.name for p in written.glob("*.yml")} == {p.name for p in RULE_FILES}
