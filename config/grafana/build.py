"""Builds the dashboards' JSON: ``python -m config.grafana.build``. The files are committed; a test fails when they are out of date."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType, VariableOption, VariableRefresh, VariableSort

from config.grafana import drift, model, pipeline, segments, service
from config.grafana.panels import SOURCE, Panel

DASHBOARDS = Path(__file__).parent / "dashboards"
Parts = Sequence[tuple[str, Sequence[Panel]]]

# Annotations, which the SDK knows in part only: name, colour, expression, whether its value is the time (ms since the epoch), text.
_JUDGED = f"tidemark_last_window_judged_timestamp_seconds{{{drift.STREAM}}}"
_DRIFTED = f"tidemark_window_drifted{{{drift.STREAM}}} == 1"
_VERSION = f"tidemark_model_version_info{{{drift.STREAM}}}"
_ANNOTATIONS = (
    ("Drifted windows", "red", f"1000 * {_JUDGED} and on (model, run_kind, instance) {_DRIFTED}", True, "{{model}} {{run_kind}}: drifted"),
    (
        "Model versions",
        "blue",
        f"{_VERSION} unless on (model, run_kind, model_version) {_VERSION} offset 1m",
        False,
        "{{model}} {{run_kind}}: version {{model_version}}",
    ),
)


def _variable(name: str, label: str, series: str, description: str, one: bool = False) -> dashboard.QueryVariable:
    """Choices are the label's values in ``series``; all of them at first, or with ``one`` the first alone."""
    variable = dashboard.QueryVariable(name).label(label).description(description).datasource(SOURCE)
    variable.query(f"label_values({series}, {name})").multi(not one).include_all(not one)
    if not one:
        variable.current(VariableOption(selected=True, text=["All"], value=["$__all"])).all_value(".*")
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)


def _model(one: bool = False) -> dashboard.QueryVariable:
    return _variable("model", "Model", "tidemark_records_total", "Models that send events", one)


def _run_kind() -> dashboard.QueryVariable:
    return _variable("run_kind", "Run", 'tidemark_records_total{model=~"$model"}', "live traffic or replayed history")


def _column() -> dashboard.QueryVariable:
    return _variable("column", "Column", f"tidemark_column_drifted{{{drift.STREAM}}}", "Columns that are judged")


def _segment() -> dashboard.QueryVariable:
    return _variable("segment", "Segment", f"tidemark_segment_rows{{{drift.STREAM}}}", "Columns whose values are groups of rows")


def _public_url() -> dashboard.TextBoxVariable:
    reports = dashboard.TextBoxVariable("public_url").label("Reports at").default_value("http://127.0.0.1:8502")
    return reports.description("Where links to reports lead: TIDEMARK_PUBLIC_URL, without a slash at its end")


def _board(name: str, description: str, parts: Parts) -> dashboard.Dashboard:
    board = dashboard.Dashboard(f"Tidemark: {name}").uid(f"tidemark-{name}").tags(["tidemark"]).refresh("5s").time("now-30m", "now")
    board.description(f"{description} Built by config/grafana/build.py.").tooltip(DashboardCursorSync.CROSSHAIR).timezone(
        "browser"
    ).readonly()
    others = dashboard.DashboardLink("Tidemark").type(DashboardLinkType.DASHBOARDS).tags(["tidemark"]).include_vars(True).keep_time(True)
    board.link(others.tooltip("The other dashboards, with the same choices and time"))
    ids = iter(range(1, 1000))
    for title, panels in parts:
        board.with_row(dashboard.Row(title).id(next(ids)))
        for panel in panels:
            board.with_panel(panel.id(next(ids)))
    return board


def overview() -> dashboard.Dashboard:
    """All models at one sight: drift first, then the stream in brief."""
    shown = [drift.share(), drift.reports(), drift.timeline(), drift.flow(), drift.often()]
    parts: Parts = (("Now", drift.summary()), ("Drift", shown), ("Stream", pipeline.brief()))
    board = _board("overview", "Drift of every model, live and replayed, and the state of the stream.", parts)
    return board.with_variable(_model()).with_variable(_run_kind()).with_variable(_column()).with_variable(_public_url())


def one_model() -> dashboard.Dashboard:
    """Everything about one model."""
    found = [
        drift.share(),
        drift.reports(),
        drift.heat(),
        *drift.scores(),
        drift.earlier(),
        drift.often(),
        drift.window_rows(),
        model.versions(),
    ]
    parts: Parts = (
        ("Now", model.summary()),
        ("Drift", found),
        ("Predictions", model.predictions()),
        ("Data quality", model.quality()),
        ("Performance, where targets are known", model.performance()),
        ("Segments", segments.panels()),
    )
    board = _board("model", "One model: drift by column and by segment, predictions, data quality, performance.", parts)
    board.with_variable(_model(one=True)).with_variable(_run_kind()).with_variable(_column()).with_variable(_segment())
    return board.with_variable(_public_url())


def stream() -> dashboard.Dashboard:
    """The stream from the topic to the result."""
    parts: Parts = (
        ("Now", pipeline.summary()),
        ("Flow", pipeline.flow()),
        ("Losses", pipeline.losses()),
        ("Durations", pipeline.durations()),
        ("Worker", pipeline.memory()),
    )
    board = _board("pipeline", "Whether what comes in is read, used, judged and committed in time.", parts)
    return board.with_variable(_model()).with_variable(_run_kind())


def prediction_service() -> dashboard.Dashboard:
    """The BentoML service that makes the predictions."""
    parts: Parts = (("Now", service.summary()), ("Requests", service.requests()), ("Process and events", service.process()))
    board = _board("service", "The prediction service: requests, latency, errors, CPU and memory, events to Kafka.", parts)
    named = dashboard.QueryVariable("service").label("Service").description("BentoML services").datasource(SOURCE)
    named.query("label_values(bentoml_service_request_total, service_name)").multi(True).include_all(True).all_value(".*")
    named.current(VariableOption(selected=True, text=["All"], value=["$__all"])).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return board.with_variable(named)


def _annotated(board: str) -> str:
    """With the annotations, which need the variables model and run_kind."""
    content = json.loads(board)
    names = {v["name"] for v in content["templating"]["list"]}
    if {"model", "run_kind"} <= names:
        source = {"type": SOURCE.type_val, "uid": SOURCE.uid}
        content["annotations"] = {
            "list": [
                {"name": name, "iconColor": color, "expr": expression, "useValueForTime": timed, "textFormat": text, "titleFormat": name,
                 "datasource": source, "enable": True, "hide": False, "step": "5s", "tagKeys": "model,run_kind"}
                for name, color, expression, timed, text in _ANNOTATIONS
            ]
        }  # fmt: skip
    return json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def dashboards() -> dict[str, str]:
    """JSON text of each dashboard by file name."""
    built = [overview(), one_model(), stream(), prediction_service()]
    boards = [board.build() for board in built]
    return {f"{b.uid}.json": _annotated(JSONEncoder(sort_keys=True).encode(b)) for b in boards}


def write(folder: Path = DASHBOARDS) -> None:
    """Write every dashboard into a folder."""
    for name, text in dashboards().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
