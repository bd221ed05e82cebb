"""The dashboard of a project in Evidently's pages: drift over time at first sight, then each column's score."""

from __future__ import annotations

import uuid
from typing import Any

from evidently.sdk.models import DashboardModel, DashboardPanelPlot, DashboardTabModel, PanelMetric
from evidently.sdk.panels import bar_plot_panel, counter_panel, line_plot_panel

from monitor.workspace.widgets import shortened
from schemas.result import ColumnResult, WindowResult

COUNT = "DriftedColumnsCount"
VALUE = "ValueDrift"
SHOWN = 60  # panels of single columns; Evidently's pages get slow beyond


def dashboard_of(project: uuid.UUID, result: WindowResult) -> DashboardModel:
    """The dashboard for the columns of a result; ids are derived from the project's, so the same dashboard is always the same."""
    overview = [*_counters(), *_over_time(), *(_score(c, "full") for c in result.columns if c.role != "feature")]
    columns = [_score(c, "half") for c in result.columns if c.role == "feature"][:SHOWN]
    tabs = []
    for title, panels in (("Drift", overview), ("Columns", columns)):
        for i, panel in enumerate(panels):
            panel.id = uuid.uuid5(project, f"{title}|{i}|{panel.title}")
        tabs.append(DashboardTabModel(id=uuid.uuid5(project, title), title=title, panels=[p.id for p in panels]))
    return DashboardModel(tabs=tabs, panels=[*overview, *columns])


def _counted(value: str, legend: str) -> list[PanelMetric]:
    return [PanelMetric(metric=COUNT, metric_labels={"value_type": value}, legend=legend)]


def _counters() -> list[DashboardPanelPlot]:
    return [
        counter_panel("Drifted features, last window", _counted("count", "features"), size="half"),
        counter_panel("Share of drifted features, last window", _counted("share", "share"), size="half"),
    ]


def _over_time() -> list[DashboardPanelPlot]:
    share = "Drifted features over the features that could be judged, window by window (at the window's end, UTC)"
    return [
        line_plot_panel("Share of drifted features", _counted("share", "share"), share),
        bar_plot_panel("Drifted features", _counted("count", "features"), "How many, window by window"),
    ]


def _score(column: ColumnResult, size: str) -> DashboardPanelPlot:
    labels: dict[str, Any] = {"column": column.name}
    about = f"Drift score of the {column.role}" + (f": {column.method}, threshold {column.threshold:.4g}" if column.threshold else "")
    name = shortened(column.name)
    return line_plot_panel(name, [PanelMetric(metric=VALUE, metric_labels=labels, legend=name)], about, size)
