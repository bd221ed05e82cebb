"""The kinds of panel that the dashboards are made of: each with a unit, a description and thresholds, on the one data source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="tidemark-prometheus")
GREEN, YELLOW, RED = "green", "yellow", "red"
Steps = Sequence[tuple[float, str]]
Panel = timeseries.Panel | stat.Panel | statetimeline.Panel | bargauge.Panel | table.Panel | heatmap.Panel
P = TypeVar("P", timeseries.Panel, stat.Panel, statetimeline.Panel, bargauge.Panel, table.Panel, heatmap.Panel)
POINTS_OF_HEAT = 120  # cells of a row: more of them could not be told apart


@dataclass(frozen=True, slots=True)
class About:
    """What every panel has: title, what it shows and how to read it, Grafana's id of the unit, and steps ``(from value, colour)``."""

    title: str
    description: str
    unit: str
    steps: Steps = ()
    width: int = 12
    height: int = 8
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and how its series are named."""

    expression: str
    legend: str = ""


def _prepare(panel: P, about: About) -> P:
    steps = [Threshold(value=None, color=GREEN), *(Threshold(value=value, color=color) for value, color in about.steps)]
    panel.title(about.title).description(about.description).datasource(SOURCE).unit(about.unit)
    panel.height(about.height).span(about.width).thresholds(dashboard.ThresholdsConfig().steps(steps))
    if about.decimals is not None:
        panel.decimals(about.decimals)
    return panel


def _target(query: Query, position: int, instant: bool = False) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expression).ref_id("ABCDEFGH"[position]).legend_format(query.legend).datasource(SOURCE)
    return target.instant() if instant else target.range()


def _legend() -> common.VizLegendOptions:
    return common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)


def lines(
    about: About, *queries: Query, limit: str = "", minimum: float | None = 0, maximum: float | None = None, bars: bool = False
) -> timeseries.Panel:
    """Lines over time (``bars``: stacked bars). The series of refId ``limit`` are drawn as dashed lines; steps as lines too."""
    panel = _prepare(timeseries.Panel(), about).legend(_legend()).line_width(2).fill_opacity(8)
    panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)).show_points(VisibilityMode.AUTO)
    style = GraphThresholdsStyleMode.DASHED if about.steps else GraphThresholdsStyleMode.OFF
    panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
    for position, query in enumerate(queries):
        panel.with_target(_target(query, position))
    if minimum is not None:
        panel.min(minimum)
    if maximum is not None:
        panel.max(maximum)
    if bars:
        panel.draw_style(GraphDrawStyle.BARS).fill_opacity(70).line_width(0).stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if limit:
        dashed = {"fill": "dash", "dash": [8, 6]}
        values = {"custom.lineStyle": dashed, "custom.fillOpacity": 0, "custom.lineWidth": 1, "custom.showPoints": "never"}
        panel.override_by_query(limit, [DynamicConfigValue(name, value) for name, value in values.items()])
    return panel


def number(about: About, *queries: Query, no_value: str = "0", words: dict[str, tuple[str, str]] | None = None) -> stat.Panel:
    """The newest value of each series, large. ``words``: text and colour in place of a value."""
    panel = _prepare(stat.Panel(), about).graph_mode(BigValueGraphMode.NONE).no_value(no_value)
    for position, query in enumerate(queries):
        panel.with_target(_target(query, position, instant=True))
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    return panel.mappings([mapping(words)]) if words else panel


def mapping(words: dict[str, tuple[str, str]]) -> ValueMap:
    """Text and colour in place of a value."""
    return ValueMap({value: ValueMappingResult(text=text, color=color, index=i) for i, (value, (text, color)) in enumerate(words.items())})


def states(about: About, query: Query, words: dict[str, tuple[str, str]]) -> statetimeline.Panel:
    """One row for each series, coloured by its state over time."""
    panel = _prepare(statetimeline.Panel(), about).with_target(_target(query, 0)).mappings([mapping(words)])
    return panel.show_value(VisibilityMode.NEVER).merge_values(True).row_height(0.85).fill_opacity(85).line_width(0).legend(_legend())


def ranking(about: About, query: Query) -> bargauge.Panel:
    """Bars of the newest values."""
    panel = _prepare(bargauge.Panel(), about).with_target(_target(query, 0, instant=True)).orientation(VizOrientation.HORIZONTAL).min(0)
    return panel.no_value("none").reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))


def heat_map(about: About, query: Query, low: float, high: float) -> heatmap.Panel:
    """One row for each series, coloured from blue (``low``) over yellow (midway) to red (``high`` and more)."""
    panel = _prepare(heatmap.Panel(), about).with_target(_target(query, 0)).calculate(False).max_data_points(POINTS_OF_HEAT)
    scheme = heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("RdYlBu").reverse(True).steps(64)
    panel.color(scheme.min(low).max(high)).cell_gap(1).show_value(VisibilityMode.NEVER).show_legend()
    panel.cell_values(heatmap.CellValues().unit(about.unit).decimals(2))
    return panel.y_axis(heatmap.YAxisConfig().unit("none")).mode(TooltipDisplayMode.SINGLE)


def rows(about: About, link: tuple[str, str] | None, columns: dict[str, tuple[str, str, bool]], *queries: Query) -> table.Panel:
    """A table of the newest values, one row for each set of labels.

    ``columns``: per field (``Value #A`` is query A's) its heading, unit, and whether it carries the ``link`` (title, address). An empty
    heading hides the field.
    """
    panel = _prepare(table.Panel(), about).no_value("none")
    for position, query in enumerate(queries):
        panel.with_target(_target(query, position, instant=True).format(PromQueryFormat.TABLE))
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}}))
    for field, (heading, unit, linked) in columns.items():
        values: list[tuple[str, object]] = [("displayName", heading), ("unit", unit)]
        if linked and link:
            values.append(("links", [{"title": link[0], "url": link[1], "targetBlank": True}]))
        if not heading:
            values = [("custom.hidden", True), ("unit", unit)]
        panel.override_by_name(field, [DynamicConfigValue(name, value) for name, value in values])
    return panel
