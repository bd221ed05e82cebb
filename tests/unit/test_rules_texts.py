"""What every alert says: summary, description and links, as Prometheus writes them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click import Context

from compose.native import monitoring
from config.settings import ROOT
from monitor.pages.runbooks import Runbooks
from tests.support.alerting import fetch_programs
from tidemark import cli

PROMETHEUS = ROOT / "config" / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks"
PUBLIC = "http://tide.example"
M = 'model="m", run_kind="live"'
LIVE = {"model": "m", "run_kind": "live"}
NAME = "fare <!channel> {{ 1 }}"


@dataclass(frozen=True, slots=True)
class Text:
    """An alert's text ``at`` a time, for ``series`` of one sample a minute; ``file`` holds its rule."""

    alert: str
    severity: str
    labels: dict[str, str]
    series: dict[str, str]
    summary: str
    description: str
    at: str = "5m"
    file: str = "data.yml"

    def as_test(self) -> dict[str, Any]:
        """As promtool reads it."""
        where = "?model=m&run_kind=live" if "model" in self.labels else ""
        annotations = {"summary": self.summary, "description": self.description, "dashboard_url": f"{PUBLIC}/dashboard{where}"}
        runbook = "TidemarkColumnDrift" if self.alert == "EvidentlyDataDrift" else self.alert
        annotations["runbook_url"] = f"{PUBLIC}/runbooks/{runbook}"
        expected = {"exp_labels": {"severity": self.severity} | self.labels, "exp_annotations": annotations}
        return {
            "name": self.alert,
            "interval": "1m",
            "external_labels": {"tidemark_public_url": PUBLIC},
            "input_series": [{"series": s, "values": v} for s, v in self.series.items()],
            "alert_rule_test": [{"alertname": self.alert, "eval_time": self.at, "exp_alerts": [expected]}],
        }


def _drift(alert: str, role: str, summary: str) -> Text:
    of = f'{{{M}, column="{NAME}", role="{role}"'
    series = {
        f"tidemark_column_drifted{of}}}": "1x9",
        f'tidemark_column_drift_score{of}, method="Jensen-Shannon distance"}}': "0.31234x9",
        f'tidemark_column_drift_threshold{of}, method="Jensen-Shannon distance"}}': "0.1x9",
    }
    text = f"{NAME}: 0.312 (Jensen-Shannon distance), threshold 0.1"
    return Text(alert, "warning", LIVE | {"column": NAME}, series, summary, text, file="alerts.yml")


_CLOSED = f"tidemark_last_window_closed_timestamp_seconds{{{M}}}"
TEXTS = [
    _drift("TidemarkColumnDrift", "feature", f"Column drift in m (live): {NAME}"),
    _drift("TidemarkPredictionDrift", "prediction", "Prediction drift in m (live)"),
    _drift("TidemarkTargetDrift", "target", "Target drift in m (live)"),
    Text(
        "TidemarkTestsFailing",
        "warning",
        LIVE | {"test": "mean_stability"},
        {f'tidemark_test_status{{{M}, test="mean_stability", column="{c}"}}': f"{v}x9" for c, v in (("a", 2), ("b", 0), ("c", 3))},
        "Test mean_stability fails in m (live)",
        "mean_stability\n• c: nothing to test\n• a",
    ),
    Text(
        "TidemarkNullShare",
        "warning",
        LIVE | {"column": NAME},
        {f'tidemark_column_null_share{{{M}, column="{NAME}", role="feature"}}': "0.1x20 0.45x9"},
        f"Values missing in m (live): {NAME}",
        f"{NAME}: 45% of the rows have no value, at best 10% in the last 7 days",
        at="25m",
    ),
    Text(
        "TidemarkPerformanceWorse",
        "warning",
        LIVE | {"measure": "mae"},
        {
            f'tidemark_performance{{{M}, kind="regression", measure="mae", label=""}}': "19.04x9",
            f'tidemark_performance_reference{{{M}, kind="regression", measure="mae", label=""}}': "12.5x9",
            f'tidemark_performance_rows{{{M}, kind="regression"}}': "6210x9",
        },
        "m (live) does worse than on its reference: mae",
        "mae 19, on the reference 12.5. Rows with a known target: 6210",
    ),
    Text(
        "TidemarkEvaluationErrors",
        "critical",
        LIVE,
        {f'tidemark_windows_total{{{M}, status="error"}}': "0 1x8"},
        "Windows of m (live) cannot be judged",
        "Judging ended with an error, so nothing is known about drift in these windows. The reason is in the "
        "result and in the worker's log.",
    ),
    Text(
        "TidemarkInsufficientData",
        "warning",
        LIVE,
        {
            _CLOSED: "9000x130",
            f"tidemark_last_window_judged_timestamp_seconds{{{M}}}": "3600x130",
            f"tidemark_window_rows{{{M}}}": "12x130",
        },
        "No window of m (live) has had enough rows for 2 h",
        "The last closed window had 12 rows: too few to judge. The last verdict is of 1970-01-01 01:00 UTC.",
        at="125m",
    ),
    Text(
        "TidemarkModelSilent",
        "critical",
        LIVE,
        {f"tidemark_last_event_received_timestamp_seconds{{{M}}}": "0x30", _CLOSED: "60x30"},
        "No events of m (live)",
        "Nothing has come since 1970-01-01 00:00 UTC, so nothing is known about drift. The service may be down, or its emitter cannot "
        "reach Kafka. After TIDEMARK_FORGET_AFTER the model is forgotten, which ends this alert.",
        at="20m",
        file="pipeline.yml",
    ),
    Text(
        "TidemarkLateShare",
        "warning",
        LIVE,
        {f"tidemark_late_records_total{{{M}}}": "0+10x20", f"tidemark_records_total{{{M}}}": "0+80x20"},
        "Late records of m (live)",
        "12.5% of the records of the last 10 minutes came after their window had closed. They are in the topic of late records and in no "
        "verdict.",
        at="15m",
        file="pipeline.yml",
    ),
    Text(
        "TidemarkDeadLetterShare",
        "warning",
        {},
        {
            'tidemark_dead_letters_total{reason="bad_id"}': "0x2 15x9",
            'tidemark_dead_letters_total{reason="too_large"}': "0x2 5x9",
            f"tidemark_records_total{{{M}}}": "0x2 60x9",
        },
        "Records cannot be used",
        "25% of the records of the last 10 minutes are dead letters:\n• bad_id: 15\n• too_large: 5",
        file="pipeline.yml",
    ),
    Text(
        "TidemarkConsumerLag",
        "warning",
        {"partition": "3"},
        {'tidemark_consumer_lag_seconds{partition="3"}': "90x9"},
        "The worker is behind on partition 3",
        "The last record read is 1m 30s old and others wait behind it. Windows close late; nothing is lost as long as "
        "Kafka keeps the records.",
        at="6m",
        file="pipeline.yml",
    ),
    Text(
        "TidemarkDataLoss",
        "critical",
        {"partition": "3"},
        {'tidemark_lost_offsets_total{partition="3"}': "_ 1200x8"},
        "Records of partition 3 were lost",
        "Kafka deleted 1200 records of the partition before they were read. The windows they belonged to lack them.",
        file="pipeline.yml",
    ),
    Text(
        "TidemarkLabelOverflow",
        "warning",
        {"label": "column"},
        {'tidemark_label_overflow_total{label="column"}': "0+15x20"},
        "More column names than there are series for",
        "225 updates in 15 minutes got no series: what they say is in the results and in no alert or dashboard.",
        at="16m",
        file="pipeline.yml",
    ),
    Text(
        "TidemarkNotificationsFailing",
        "critical",
        {"integration": "slack"},
        {'alertmanager_notifications_failed_total{integration="slack"}': "0+1x9"},
        "Alertmanager cannot deliver messages by slack",
        "Messages were refused or did not get through in the last 5 minutes. Alertmanager tries again; what is undelivered is in its list "
        "of alerts. This message takes another way: the inbox.",
        file="pipeline.yml",
    ),
    Text(
        "EvidentlyDataDrift",
        "critical",
        LIVE,
        {f"tidemark_window_drifted_columns{{{M}}}": "2x9"},
        "2 drifted features in m (live)",
        "The number of drifted features of the last judged window is above 0.",
        file="evidently.yml.example",
    ),
]


def rules() -> list[dict[str, Any]]:
    """Every alert that ships, and the one that ships disabled."""
    files = [*(PROMETHEUS / "rules").glob("*.yml"), PROMETHEUS / "rules" / "evidently.yml.example"]
    groups = [g for f in files for g in yaml.safe_load(f.read_text(encoding="utf-8"))["groups"]]
    return [r for g in groups for r in g["rules"] if "alert" in r]


@pytest.mark.parametrize("file", sorted({t.file for t in TEXTS}))
def test_texts(tmp_path: Path, file: str) -> None:
    """Summary, description and links of each alert, to the letter; names from outside are text, whatever they hold."""
    promtool = monitoring.programs(fetch_programs(), monitoring.PACKAGES["prometheus"]) / "promtool"
    rule_files = [str(PROMETHEUS / "rules" / f) for f in {file, "recording.yml"}]
    content = {"rule_files": rule_files, "evaluation_interval": "1m", "tests": [t.as_test() for t in TEXTS if t.file == file]}
    (tmp_path / "texts.yml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    command = [str(promtool), "test", "rules", str(tmp_path / "texts.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_text_tested() -> None:
    """Those that are not in the table are in tests/unit/rules."""
    elsewhere = {"TidemarkDatasetDrift", "TidemarkWorkerDown", "Watchdog"}
    assert {t.alert for t in TEXTS} | elsewhere == {r["alert"] for r in rules()}


@pytest.mark.parametrize("rule", rules(), ids=lambda r: r["alert"])
def test_every_alert_is_whole(rule: dict[str, Any]) -> None:
    """Severity, `for`, summary, description, links to dashboard and runbook; drift links its report; a model's alert keeps run_kind."""
    assert rule["labels"]["severity"] in ("critical", "warning", "none")
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert set(rule["annotations"]) - {"report_url"} == {"summary", "description", "dashboard_url", "runbook_url"}
    assert ("report_url" in rule["annotations"]) == (rule["alert"] == "TidemarkDatasetDrift")
    assert "by (model" not in rule["expr"] or all(
        by.startswith("by (model, run_kind") for by in re.findall(r"by \(model[^)]*\)", rule["expr"])
    )
    assert rule["annotations"]["runbook_url"].startswith("{{ $externalLabels.tidemark_public_url }}/runbooks/")


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    """The page that the link names exists, says what it means, what to look at, what to do; and none is left of an alert that is gone."""
    runbooks = Runbooks(RUNBOOKS)
    linked = {r["annotations"]["runbook_url"].rpartition("/")[2] for r in rules()}
    assert set(runbooks.names()) == linked
    for name in linked:
        html = runbooks.html(name)
        assert html is not None
        assert [f"<h1>{name}</h1>" in html, *(f"<h2>{h}</h2>" in html for h in ("What it means", "What to look at", "What to do"))] == [
            True
        ] * 4
        assert all(runbooks.html(other) for other in re.findall(r'href="/runbooks/(\w+)"', html))
        assert ".md" not in html


def test_the_docs_list_every_alert_with_its_severity() -> None:
    """docs/alerts.md has a row for each alert that ships, with a link that resolves."""
    rows = re.findall(
        r"^\| \[(\w+)\]\((runbooks/\w+\.md)\) \| (\w+) \|", (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    shipped = {(r["alert"], f"runbooks/{r['alert']}.md", r["labels"]["severity"]) for r in rules()} - {
        ("EvidentlyDataDrift", "runbooks/EvidentlyDataDrift.md", "critical")
    }
    assert set(rows) == shipped
    assert all((ROOT / "docs" / path).is_file() for _, path, _ in rows)


def test_the_commands_of_runbooks_exist() -> None:
    """Each `tidemark …` in a runbook is a command of ours."""
    known = set(cli.list_commands(Context(cli)))
    for path in RUNBOOKS.glob("*.md"):
        named = set(re.findall(r"(?:`|^    +)tidemark ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= known, path.name
