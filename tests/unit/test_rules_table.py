"""When every alert fires, when it does not, how long it waits, and when it resolves: by Prometheus's own rule engine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from compose.native import monitoring
from config.settings import ROOT
from tests.support.alerting import fetch_programs
from tests.support.rule_cases import Case, write_tests

RULES = ROOT / "config" / "prometheus" / "rules"
M = 'model="m", run_kind="live"'
LIVE = {"model": "m", "run_kind": "live"}
UP = 'up{job="tidemark-worker", instance="w1"}'


def _column(alert: str, role: str) -> list[Case]:
    """Drift of one kind of column: the gauge, the counter, and a worker that is away."""
    labels = f'{{{M}, column="a", role="{role}"}}'
    fires = [LIVE | {"column": "a"}]
    other = "target" if role == "feature" else "feature"
    return [
        Case(
            alert, "a drifted column fires after a minute and resolves with the next quiet window",
            {f"tidemark_column_drifted{labels}": "0x3 1x20 0x20", f"tidemark_column_drifted{{{M}, column=\"b\", role=\"{role}\"}}": "0x50"},
            {"80s": fires, "115s": fires}, ("0s", "75s", "125s"),
        ),
        Case(
            alert, "drift between any two scrapes counts, and 30 s of quiet end it",
            {f"tidemark_column_drifted{labels}": "0x60", f"tidemark_column_drifted_windows_total{labels}": "0x3 1+1x19 20x40"},
            {"85s": fires, "140s": fires}, ("15s", "75s", "150s"),
        ),
        Case(
            alert, "of another role it says nothing",
            {f'tidemark_column_drifted{{{M}, column="a", role="{other}"}}': "1x40"}, {}, ("200s",),
        ),
        Case(
            alert, "it stands while the worker is away and until its last result is shown again",
            {
                f"tidemark_column_drifted{labels}": "1x15 stale _x30 0x10",
                f"tidemark_window_rows{{{M}}}": "9x15 stale _x30 9x10",
                UP: "1x15 0x20 1x20",
            },
            {"75s": fires, "80s": fires, "180s": fires, "225s": fires}, ("235s",),
        ),
    ]  # fmt: skip


def _stands(alert: str, series: dict[str, str], labels: dict[str, str], shown: str = f"tidemark_window_rows{{{M}}}") -> Case:
    """An alert that fires at 80 s goes on while the worker is away, and ends when its model is removed from a worker that runs."""
    return Case(
        alert, "it stands while the worker is away", {k: f"{v} stale" for k, v in series.items()} | {shown: "9x40 stale", UP: "1x40 0x300"},
        {"200s": [labels], "210s": [labels], "900s": [labels]},
    )  # fmt: skip


CLOSED = f"tidemark_last_window_closed_timestamp_seconds{{{M}}}"
JUDGED = f"tidemark_last_window_judged_timestamp_seconds{{{M}}}"
EVENT = f"tidemark_last_event_received_timestamp_seconds{{{M}}}"
ERRORS = f'tidemark_windows_total{{{M}, status="error"}}'
SHARE, LIMIT = f"tidemark_window_drift_share{{{M}}}", f"tidemark_window_drift_share_threshold{{{M}}}"

DRIFT = [
    Case(
        "TidemarkDatasetDrift", "it stands while the worker is away, and ends when the restarted worker shows a quiet window",
        {SHARE: "0.6x15 stale _x30 0.1x20", LIMIT: "0.5x15 stale _x30 0.5x20", UP: "1x15 0x20 1x40"},
        {"75s": [LIVE], "80s": [LIVE], "180s": [LIVE], "225s": [LIVE]}, ("240s",),
    ),
    Case(
        "TidemarkDatasetDrift", "it stands in the seconds in which a restarted worker restores, though it answers already",
        {SHARE: "0.6x5 stale _x14 0.6x20", LIMIT: "0.5x5 stale _x14 0.5x20", UP: "1x5 0x5 1x40"},
        {"50s": [LIVE], "60s": [LIVE], "80s": [LIVE], "110s": [LIVE]},
    ),
    Case(
        "TidemarkDatasetDrift", "it ends when the model's series are removed by a worker that runs",
        {SHARE: "0.1x3 0.6x12 stale", LIMIT: "0.5x15 stale", UP: "1x60"}, {"20s": [LIVE], "75s": [LIVE]}, ("15s", "85s", "200s"),
    ),
    Case(
        "TidemarkDatasetDrift", "another model's worker that is away keeps nothing alive that never fired",
        {SHARE: "0.1x15 stale", LIMIT: "0.5x15 stale", UP: "1x15 0x60"}, {}, ("70s", "90s", "200s"),
    ),
    *_column("TidemarkColumnDrift", "feature"),
    *_column("TidemarkPredictionDrift", "prediction"),
    *_column("TidemarkTargetDrift", "target"),
]  # fmt: skip

STATUS = f'tidemark_test_status{{{M}, test="null_share", column="a"}}'
FAILED = f'tidemark_tests_failed_total{{{M}, test="null_share"}}'
NULLS = f'tidemark_column_null_share{{{M}, column="a", role="feature"}}'
TARGET_NULLS = f'tidemark_column_null_share{{{M}, column="y", role="target"}}'
MAE, MAE_BEFORE = (f'tidemark_performance{n}{{{M}, kind="regression", measure="mae", label=""}}' for n in ("", "_reference"))
AUC, AUC_BEFORE = (f'tidemark_performance{n}{{{M}, kind="prob", measure="roc_auc", label=""}}' for n in ("", "_reference"))
TEST = LIVE | {"test": "null_share"}

DATA = [
    Case(
        "TidemarkTestsFailing", "a failed test fires at once, a warning does not, the next good window resolves",
        {STATUS: "0x3 1x3 2x3 0x5"}, {"40s": [TEST], "50s": [TEST]}, ("15s", "35s", "60s"),
    ),
    Case("TidemarkTestsFailing", "a test that finds nothing to test fires", {STATUS: "0 3 3"}, {"10s": [TEST]}, ("0s",)),
    Case(
        "TidemarkTestsFailing", "a failure between two scrapes counts for 30 s",
        {STATUS: "0x30", FAILED: "0x3 1x26"}, {"20s": [TEST], "40s": [TEST]}, ("15s", "60s"),
    ),
    _stands("TidemarkTestsFailing", {STATUS: "2x40"}, TEST),
    Case(
        "TidemarkNullShare", "20 points above the best of the week fire after a minute, and resolve",
        {NULLS: "0.1x40 0.35x20 0.1x20"}, {"45m": [LIVE | {"column": "a"}]}, ("39m", "41m", "63m"), "1m",
    ),
    Case("TidemarkNullShare", "a column that always lacks a third is as it should be", {NULLS: "0.33x60"}, {}, ("50m",), "1m"),
    Case(
        "TidemarkNullShare", "a column that is empty from the beginning fires after a minute; a target that comes later does not",
        {NULLS: "1x30", TARGET_NULLS: "1x30"}, {"65s": [LIVE | {"column": "a"}]}, ("55s",),
    ),
    _stands("TidemarkNullShare", {NULLS: "1x40"}, LIVE | {"column": "a"}),
    Case(
        "TidemarkPerformanceWorse", "an error a quarter larger fires after a minute, and resolves",
        {MAE: "10x3 13x20 12x10", MAE_BEFORE: "10x40"}, {"85s": [LIVE | {"measure": "mae"}]}, ("15s", "75s", "130s"),
    ),
    Case(
        "TidemarkPerformanceWorse", "a share five points lower fires; four points do not",
        {AUC: "0.86x20 0.84x30 0.9x10", AUC_BEFORE: "0.9x60"}, {"170s": [LIVE | {"measure": "roc_auc"}]}, ("100s", "260s"),
    ),
    Case("TidemarkPerformanceWorse", "without a reference's targets nothing is compared", {MAE: "99x30"}, {}, ("140s",)),
    _stands("TidemarkPerformanceWorse", {MAE: "13x40", MAE_BEFORE: "10x40"}, LIVE | {"measure": "mae"}),
    Case(
        "TidemarkEvaluationErrors", "an error fires at once and goes on past 5 minutes, until a window is judged",
        {ERRORS: "0x3 1x200", CLOSED: "10x3 30x200", JUDGED: "10x150 30x50"}, {"20s": [LIVE], "600s": [LIVE]}, ("15s", "765s"),
    ),
    Case("TidemarkEvaluationErrors", "too few rows are no error", {ERRORS: "0x60", CLOSED: "30x60", JUDGED: "10x60"}, {}, ("200s",)),
    _stands("TidemarkEvaluationErrors", {ERRORS: "0 1x39", CLOSED: "30x40", JUDGED: "10x40"}, LIVE),
    Case(
        "TidemarkInsufficientData", "two hours without a judged window fire, and the next one resolves",
        {CLOSED: "10x3 30x150", JUDGED: "10x140 30x10"}, {"125m": [LIVE], "140m": [LIVE]}, ("2m", "120m", "142m"), "1m",
    ),
    Case("TidemarkInsufficientData", "a model that never had a verdict fires too", {CLOSED: "30x150"}, {"121m": [LIVE]}, ("119m",), "1m"),
    Case(
        "TidemarkInsufficientData", "errors have an alert of their own",
        {CLOSED: "30x150", ERRORS: "0+1x150"}, {}, ("121m", "140m"), "1m",
    ),
    Case(
        "TidemarkInsufficientData", "it stands while the worker is away",
        {CLOSED: "30x130 stale", f"tidemark_window_rows{{{M}}}": "9x130 stale", UP: "1x130 0x60"},
        {"130m": [LIVE], "160m": [LIVE]}, (), "1m",
    ),
]  # fmt: skip

LATE, RECORDS = f"tidemark_late_records_total{{{M}}}", f"tidemark_records_total{{{M}}}"
DEAD = 'tidemark_dead_letters_total{reason="bad_id", instance="w1"}'
LAG = 'tidemark_consumer_lag_seconds{partition="0", instance="w1"}'
LOST = 'tidemark_lost_offsets_total{partition="0", instance="w1"}'
OVERFLOW = 'tidemark_label_overflow_total{label="column", instance="w1"}'
FAILURES = 'alertmanager_notifications_failed_total{integration="slack", instance="a"}'

PIPELINE = [
    Case(
        "TidemarkModelSilent", "15 minutes without an event fire after one more, and the next event resolves",
        {EVENT: "0x68 4080x40", CLOSED: "0x110"}, {"17m": [LIVE], "67m": [LIVE]}, ("15m", "16m", "70m"), "1m",
    ),
    Case(
        "TidemarkModelSilent", "a worker that has just begun knows the last window's close",
        {CLOSED: "0x40"}, {"17m": [LIVE]}, ("14m",), "1m",
    ),
    Case(
        "TidemarkModelSilent", "a replay that has ended is no silence",
        {EVENT.replace("live", "replay"): "0x60", CLOSED.replace("live", "replay"): "0x60"}, {}, ("40m",), "1m",
    ),
    Case(
        "TidemarkModelSilent", "a removed model is silent no more; one whose worker is away still is",
        {EVENT: "0x20 stale", CLOSED: "0x20 stale", EVENT.replace('"m"', '"n"'): "0x20 _x3 stale", UP: "1x30"},
        {"20m": [LIVE, LIVE | {"model": "n"}]}, ("40m",), "1m",
    ),
    _stands("TidemarkModelSilent", {EVENT: "-9000x40", CLOSED: "-9000x40"}, LIVE),
    Case(
        "TidemarkLateShare", "more than 5 % of 100 records for two minutes fire, and resolve 10 minutes after the last",
        {LATE: "0x12 1+1x60 60x300", RECORDS: "0+10x372"}, {"6m": [LIVE]}, ("1m", "2m", "25m"),
    ),
    Case("TidemarkLateShare", "few records are no share", {LATE: "0+1x40", RECORDS: "0+1x40"}, {}, ("190s",)),
    Case(
        "TidemarkDeadLetterShare", "a burst fires though its series begins with it, and resolves 10 minutes later",
        {DEAD: "_x24 30x300", RECORDS: "0+10x330"}, {"185s": [{}], "10m": [{}]}, ("115s", "175s", "13m"),
    ),
    Case("TidemarkDeadLetterShare", "nine dead letters are none, whatever their share", {DEAD: "_ 9x60", RECORDS: "0x60"}, {}, ("200s",)),
    Case("TidemarkDeadLetterShare", "one in a thousand is none", {DEAD: "0+1x100", RECORDS: "0+1000x100"}, {}, ("400s",)),
    Case(
        "TidemarkDeadLetterShare", "a restarted worker counts from 0 and is not behind its past",
        {DEAD: "500x150 20x60", RECORDS: "9000x150 100x60"}, {"820s": [{}]}, ("750s",),
    ),
    Case(
        "TidemarkConsumerLag", "a minute behind for five minutes fires, and resolves",
        {LAG: "0x3 61x70 10x5"}, {"325s": [{"partition": "0"}]}, ("315s", "380s"),
    ),
    Case("TidemarkConsumerLag", "less than a minute does not", {LAG: "59x100"}, {}, ("480s",)),
    Case(
        "TidemarkDataLoss", "the first gap fires at once, for an hour",
        {LOST: "_x5 40x100"}, {"5m": [{"partition": "0"}], "60m": [{"partition": "0"}]}, ("4m", "67m"), "1m",
    ),
    Case("TidemarkDataLoss", "an old gap does not fire again", {LOST: "40x200"}, {}, ("70m", "100m"), "1m"),
    Case(
        "TidemarkLabelOverflow", "a refused name fires at once, for 15 minutes",
        {OVERFLOW: "0x5 7x60"}, {"7m": [{"label": "column"}]}, ("5m", "22m"), "1m",
    ),
    Case(
        "TidemarkNotificationsFailing", "a failure fires at once, for 5 minutes",
        {FAILURES: "0x5 1x200"}, {"35s": [{"integration": "slack"}], "300s": [{"integration": "slack"}]}, ("25s", "340s"),
    ),
]  # fmt: skip

CASES = [*DRIFT, *DATA, *PIPELINE]


def _severities() -> dict[str, str]:
    groups = [g for f in RULES.glob("*.yml") for g in yaml.safe_load(f.read_text(encoding="utf-8"))["groups"]]
    return {r["alert"]: r["labels"]["severity"] for g in groups for r in g["rules"] if "alert" in r}


@pytest.fixture(scope="module")
def promtool() -> str:
    """promtool of the package that the native stack uses."""
    return str(monitoring.programs(fetch_programs(), monitoring.PACKAGES["prometheus"]) / "promtool")


def judged(promtool: str, files: list[Path]) -> subprocess.CompletedProcess[str]:
    """promtool's run over test files."""
    return subprocess.run([promtool, "test", "rules", *map(str, files)], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("cases", [DRIFT, DATA, PIPELINE], ids=["drift", "data", "pipeline"])
def test_alerts_fire_and_do_not(promtool: str, tmp_path: Path, cases: list[Case]) -> None:
    """Each case holds in Prometheus's own engine: `for` to the evaluation, firing, not firing, resolving."""
    done = judged(promtool, write_tests(cases, RULES, tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len({(c.alert, c.step) for c in cases})


def test_every_alert_has_cases_of_all_kinds() -> None:
    """Every alert has a case in which it fires, with a time before at which it does not (`for`) and one after (it resolves)."""
    for alert in set(_severities()) - {"Watchdog", "TidemarkWorkerDown"}:  # these two in tests/unit/rules/worker.test.yml
        mine = [c for c in CASES if c.alert == alert and c.firing and c.quiet]
        assert any(_seconds(min(c.quiet, key=_seconds)) < _first(c) for c in mine), alert
        assert any(_seconds(max(c.quiet, key=_seconds)) > _first(c) for c in mine), alert


def test_a_wrong_rule_is_caught(promtool: str, tmp_path: Path) -> None:
    """The table can fail: with a `for` of three hours every case that has to fire breaks, and no other."""
    done = judged(promtool, write_tests(CASES, RULES, tmp_path, **{"for": "3h"}))
    broken = {(c.alert, c.fact) for c in CASES if f"name: {c.alert}: {c.fact}," in done.stdout + done.stderr}
    assert broken == {(c.alert, c.fact) for c in CASES if c.firing}


def _seconds(time: str) -> float:
    minutes, _, seconds = time.rpartition("m")
    return float(minutes or 0) * 60 + float(seconds.rstrip("s") or 0)


def _first(case: Case) -> float:
    return min(_seconds(t) for t in case.firing)
