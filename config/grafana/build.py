"""Builds the dashboards' JSON: ``python -m config.grafana.build``. The files are committed; a test fails when they are out of date."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, VariableOption, VariableRefresh, VariableSort

from config.grafana import drift, pipeline
from config.grafana.panels import SOURCE

DASHBOARDS = Path(__file__).parent / "dashboards"


def _variable(name: str, label: str, series: str, description: str) -> dashboard.QueryVariable:
    every = VariableOption(selected=True, text=["All"], value=["$__all"])
    variable = dashboard.QueryVariable(name).label(label).description(description).datasource(SOURCE).current(every)
    variable.query(f"label_values({series}, {name})").multi(True).include_all(True).all_value(".*")
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)


def overview() -> dashboard.Dashboard:
    """All models at one sight: drift first, then the pipeline."""
    board = dashboard.Dashboard("Tidemark: overview").uid("tidemark-overview").tags(["tidemark"]).refresh("5s").time("now-30m", "now")
    board.description("Drift of every model, live and replayed, and the state of the stream. Built by config/grafana/build.py.")
    board.tooltip(DashboardCursorSync.CROSSHAIR).timezone("browser").readonly()
    board.with_variable(_variable("model", "Model", "tidemark_records_total", "Models that send events"))
    board.with_variable(_variable("run_kind", "Run", 'tidemark_records_total{model=~"$model"}', "live traffic or replayed history"))
    board.with_variable(_variable("column", "Column", f"tidemark_column_drifted{{{drift.STREAM}}}", "Columns that are judged"))
    reports = dashboard.TextBoxVariable("public_url").label("Reports at").default_value("http://127.0.0.1:8502")
    board.with_variable(reports.description("Where links to reports lead: TIDEMARK_PUBLIC_URL, without a slash at its end"))
    parts = (("Now", drift.summary()), ("Drift", drift.panels()), ("Pipeline", pipeline.panels()))
    ids = iter(range(1, 1000))
    for title, panels in parts:
        board.with_row(dashboard.Row(title).id(next(ids)))
        for panel in panels:
            board.with_panel(panel.id(next(ids)))
    return board


def dashboards() -> dict[str, str]:
    """JSON text of each dashboard by file name."""
    built = {"tidemark-overview.json": overview()}
    return {name: JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(board.build()) + "\n" for name, board in built.items()}


def write(folder: Path = DASHBOARDS) -> None:
    """Write every dashboard into a folder."""
    for name, text in dashboards().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
