"""The committed dashboards: up to date, complete, and about metrics that exist."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from config.grafana.build import dashboards
from config.grafana.drift import P_VALUES
from config.settings import ROOT
from monitor.metrics import Metrics
from monitor.statistics.methods import METHODS
from tests.support.dashboards import (
    DASHBOARDS,
    FOLDER,
    OF_SERVICE,
    OF_WORKER,
    SERVICE,
    annotations,
    expressions,
    feed,
    filled,
    metric_names,
    panels,
)

every_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)


def exposed() -> set[str]:
    """Names of the samples that the real metrics expose once everything has happened, of the recording rules, and `up`."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)  # as in a worker, whose registry is the client's own
    feed(Metrics(registry), 1e9)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    rules = yaml.safe_load((ROOT / "config/prometheus/rules/recording.yml").read_text(encoding="utf-8"))
    recorded = {rule["record"] for group in rules["groups"] for rule in group["rules"]}
    return {s.name for f in families for s in f.samples} | recorded | {"up"}


def test_the_committed_dashboards_are_those_that_the_code_builds() -> None:
    """Every file is what `python -m config.grafana.build` writes, and there is no other."""
    assert {p.name: p.read_text(encoding="utf-8") for p in DASHBOARDS} == dashboards()


def test_dashboards_have_fixed_addresses() -> None:
    """Links in alerts name dashboards by uid; these don't change."""
    uids = [json.loads(p.read_text(encoding="utf-8"))["uid"] for p in DASHBOARDS]
    assert uids == ["tidemark-model", "tidemark-overview", "tidemark-pipeline", "tidemark-service"]


@every_dashboard
def test_dashboards_link_to_each_other(path: Path) -> None:
    """Each has the links to all dashboards of the tag that all of them have, with choices and time."""
    content = json.loads(path.read_text(encoding="utf-8"))
    (link,) = content["links"]
    assert (link["type"], link["includeVars"], link["keepTime"]) == ("dashboards", True, True)
    assert set(link["tags"]) <= set(content["tags"])


@every_dashboard
def test_ids_are_unique(path: Path) -> None:
    """No two panels or rows share an id, and no two targets of a panel a refId."""
    ids = [p["id"] for p in json.loads(path.read_text(encoding="utf-8"))["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels(path):
        refs = [t["refId"] for t in panel["targets"]]
        assert refs, panel["title"]
        assert len(refs) == len(set(refs)), panel["title"]


@every_dashboard
def test_every_panel_is_described(path: Path) -> None:
    """Each panel has a title of its own, a description, a unit and thresholds that begin at minus infinity and rise."""
    titles = [p["title"] for p in panels(path)]
    assert len(titles) == len(set(titles))
    for panel in panels(path):
        defaults = panel["fieldConfig"]["defaults"]
        assert len(panel["description"]) > 20, panel["title"]
        assert defaults["unit"], panel["title"]
        first, *others = [step["value"] for step in defaults["thresholds"]["steps"]]
        assert first is None, panel["title"]
        assert others == sorted(others), panel["title"]


@every_dashboard
def test_panels_do_not_overlap(path: Path) -> None:
    """Each cell of the 24 columns wide grid belongs to one panel at most."""
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@every_dashboard
def test_every_metric_exists(path: Path) -> None:
    """Expressions and variables name only metrics that the worker exposes, recording rules, or `up`; each expression names one."""
    known = OF_SERVICE if path == SERVICE else exposed()
    for where, expression in [*expressions(path), *annotations(path)]:
        names = metric_names(filled(expression))
        assert names, where
        assert names <= known, (where, names - known)
    for name, query in variable_queries(path).items():
        assert metric_names(query.removeprefix("label_values(").rpartition(",")[0]) <= known, name


def variable_queries(path: Path) -> dict[str, str]:
    """Queries of the dashboard's query variables by name."""
    variables: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["templating"]["list"]
    return {v["name"]: v["query"] for v in variables if v["type"] == "query"}


@pytest.mark.parametrize(("board", "names"), [
    ("overview", ["model", "run_kind", "column"]),
    ("model", ["model", "run_kind", "column", "segment"]),
    ("pipeline", ["model", "run_kind"]),
    ("service", ["service"]),
])  # fmt: skip
def test_every_variable_is_used(board: str, names: list[str]) -> None:
    """A dashboard's variables are those named here, and its expressions use each of them and no other (`filled` fails on others)."""
    path = FOLDER / "dashboards" / f"tidemark-{board}.json"
    assert list(variable_queries(path)) == names
    used = " ".join(e for _, e in expressions(path))
    assert {n for n in ("model", "run_kind", "column", "segment", "service") if f"${n}" in used} == set(names)


@pytest.mark.parametrize("path", OF_WORKER, ids=lambda p: p.stem)
def test_drifted_windows_and_versions_are_annotated(path: Path) -> None:
    """The dashboards about models mark both; the time of a drifted window is the value, in ms, of its expression."""
    found = {a["name"]: a for a in json.loads(path.read_text(encoding="utf-8"))["annotations"]["list"]}
    assert set(found) == {"Drifted windows", "Model versions"}
    assert found["Drifted windows"]["useValueForTime"]
    assert found["Drifted windows"]["expr"].startswith("1000 * tidemark_last_window_judged_timestamp_seconds")


def test_the_heat_map_knows_which_scores_are_p_values() -> None:
    """Its list is that of the methods whose score drifts below the threshold."""
    assert set(P_VALUES) == {m.display_name for m in METHODS.values() if m.hit(0.0, 0.05)}


def test_the_name_finder_finds_names() -> None:
    """A misspelt metric doesn't hide behind labels, functions or grouping."""
    text = 'histogram_quantile(0.5, sum by (le) (rate(a_bucket{x="b{c}"}[5m]))) / max by (m) (up) + 1e3 * d:e unless on (x) f offset 1m'
    assert metric_names(text) == {"a_bucket", "up", "d:e", "f"}


def test_the_report_link_is_the_one_of_the_alerts() -> None:
    """The table's link and the alert rule's link have the same shape, and the field it takes the window's start from is query B."""
    rule = (ROOT / "config/prometheus/rules/alerts.yml").read_text(encoding="utf-8")
    assert "/reports/{{ $labels.model }}/{{ $labels.run_kind }}/window/" in rule
    overview = FOLDER / "dashboards" / "tidemark-overview.json"
    (panel,) = [p for p in panels(overview) if p["type"] == "table"]
    (link,) = [v for o in panel["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "links" for v in p["value"]]
    start = "${__data.fields['Value #B'].numeric}"
    assert link["url"] == "${public_url}/reports/${__data.fields.model}/${__data.fields.run_kind}/window/" + start
    starts = {t["refId"]: t["expr"] for t in panel["targets"]}["B"]
    assert metric_names(filled(starts)) == {"tidemark_drifted_window_start_event_time_seconds"}


def test_panels_ask_the_provisioned_data_source() -> None:
    """Every panel and target names the uid that is provisioned, whose address comes from the environment."""
    (source,) = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    assert source["url"] == "${TIDEMARK_PROMETHEUS_URL}"
    for path in DASHBOARDS:
        for panel in panels(path):
            assert {panel["datasource"]["uid"], *(t["datasource"]["uid"] for t in panel["targets"])} == {source["uid"]}


def test_the_dashboards_need_nothing_of_ours() -> None:
    """The code that builds them imports the SDK, the standard library and itself only."""
    for path in FOLDER.glob("*.py"):
        names = {n.module or "" for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom)}
        ours = {n for n in names if n.split(".")[0] in {"monitor", "schemas", "streams", "producers", "compose", "config"}}
        assert all(n.startswith("config.grafana") for n in ours), (path, ours)
