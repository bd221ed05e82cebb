"""Charts over time with Altair: lines, heat maps, states. Vega comes with Streamlit's pages, nothing is fetched. No Streamlit here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import altair as alt

from monitor.console.board import Panel
from monitor.console.prometheus import Mark, Series
from monitor.console.query import Span
from monitor.console.units import COLORS, axis_expression, show

PALETTE = ["#1f77b4", "#e07b00", "#2b9348", "#8e5bb5", "#17a2b8", "#c2185b", "#7f6a4d", "#5c6bc0", "#9aa500", "#6c757d"]
LONGEST_LABEL_PX = 190
MOST_ENTRIES = 12  # of a legend: more would leave no room for the lines
Rows = list[dict[str, Any]]
Spec = dict[str, Any]


def drawable(series: Sequence[Series]) -> list[Series]:
    """The series that have a value to draw: a quantile of nothing is NaN all the time."""
    return [s for s in series if any(math.isfinite(value) for _, value in s.points)]


def _time_axis(span: Span) -> alt.X:
    """The axis of time. Its domain is left to ``_frame``: Vega-Lite merges no two temporal domains of a layered chart."""
    form = "%H:%M:%S" if span.length_s <= 600 else "%H:%M" if span.length_s <= 86400 else "%d %b %H:%M"
    return alt.X("t:T", title=None, scale=alt.Scale(nice=False), axis=alt.Axis(format=form, grid=False, tickCount=6, labelOverlap=True))


@dataclass(frozen=True, slots=True)
class _Layer:
    """A chart without its rows: Altair copies whatever lies in a chart again and again, which took seconds."""

    chart: alt.Chart
    rows: Rows


def _chart() -> alt.Chart:
    return alt.Chart(alt.NamedData(name=""))


def _spec(layers: Sequence[_Layer], height_px: int) -> Spec:
    """The Vega-Lite specification of layers; each names its rows by its place."""
    named = [layer.chart.properties(data=alt.NamedData(name=f"rows{i}")) for i, layer in enumerate(layers)]
    chart = alt.layer(*named).properties(height=height_px).resolve_scale(stroke="independent")
    spec: Spec = chart.to_dict(validate=False)
    return {**spec, "datasets": {f"rows{i}": layer.rows for i, layer in enumerate(layers)}}


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("name:N", title=" "),
        alt.Tooltip("shown:N", title="value"),
        alt.Tooltip("t:T", title="at", format="%d %b %H:%M:%S"),
    ]


def _bare(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no other numbers; a gap is drawn


def time_chart(panel: Panel, series: Sequence[Series], span: Span, marks: Sequence[Mark], height_px: int) -> Spec:
    """Lines (or stacked bars) over time, with dashed limits, thresholds within reach, and annotations as upright lines."""
    rows, keys = _line_rows(panel, series, span)
    highest = max((r["v"] for r in rows if r["v"] is not None), default=0.0)
    layers = [_frame(span, panel.max_points)]
    layers += [_bars(panel, rows, keys, span)] if panel.bars else _lines(panel, rows, keys, span, highest)
    layers += _steps(panel, highest) if panel.draws_steps else []
    layers += _marks(marks)
    return _spec(layers, height_px)


def _frame(span: Span, points: int = 0) -> _Layer:
    """Two invisible marks, at start and end: they make the time axis as long as the span."""
    return _Layer(_chart().mark_rule(opacity=0).encode(x=_time_axis(span)), [{"t": at * 1000} for at in span.bounds(points)])


def _key(series: Series) -> str:
    """What has one colour: a limit and its line have the same labels."""
    return "\x1f".join(f"{k}={v}" for k, v in sorted(series.labels.items()) if k != "__name__")


def _line_rows(panel: Panel, series: Sequence[Series], span: Span) -> tuple[Rows, list[str]]:
    """Rows of points, and the names in the legend in their order: a dashed series goes under the name of the line it belongs to."""
    named = {_key(s): s.name for s in reversed(series) if s.ref not in panel.dashed}
    rows: Rows = []
    for s in series:
        dashed = s.ref in panel.dashed
        # several lines with the same labels (a model's rows, and those judged) have names of their own
        entry = named.get(_key(s), s.name) if dashed else s.name
        before = math.inf
        for at, value in s.points:
            if at - before > 1500 * span.step_s(panel.max_points):
                rows.append({"t": at - 1, "v": None, "name": s.name, "entry": entry, "dashed": dashed, "shown": "", "alone": False})
            shown, alone = show(value, panel.unit, panel.decimals), len(s.points) == 1
            rows.append({"t": at, "v": _bare(value), "name": s.name, "entry": entry, "dashed": dashed, "shown": shown, "alone": alone})
            before = at
    return rows, list(dict.fromkeys(r["entry"] for r in rows))


def _y_axis(panel: Panel, highest: float, field: str = "v:Q") -> alt.Y:
    scale: dict[str, Any] = {"zero": False, "nice": True}
    if panel.minimum is not None:
        scale["domainMin"] = panel.minimum
    if panel.maximum is not None:
        scale["domainMax"] = panel.maximum
    elif panel.minimum is not None and highest <= panel.minimum:
        scale["domainMax"] = panel.minimum + 1  # nothing but zeros: still an axis
    axis = alt.Axis(labelExpr=axis_expression(panel.unit), tickCount=5, labelLimit=90, minExtent=52)
    return alt.Y(field, title=None, scale=alt.Scale(**scale), axis=axis)


def _color(entries: Sequence[str], symbol: str = "stroke") -> alt.Color:
    colors = [PALETTE[i % len(PALETTE)] for i in range(len(entries))]
    columns = 1 if len(entries) < 2 else max(1, min(4, 110 // max(len(e) for e in entries)))
    # Vega's own limit warns in the browser's console; what is not listed tells its name when pointed at.
    shown: dict[str, Any] = {"values": list(entries[:MOST_ENTRIES])} if len(entries) > MOST_ENTRIES else {}
    legend = alt.Legend(orient="bottom", title=None, columns=columns, labelLimit=340, symbolType=symbol, offset=4, **shown)
    return alt.Color("entry:N", scale=alt.Scale(domain=list(entries), range=colors), legend=legend)


def _lines(panel: Panel, rows: Rows, entries: Sequence[str], span: Span, highest: float) -> list[_Layer]:
    base = _chart().encode(color=_color(entries), detail="name:N")
    dash = alt.StrokeDash("dashed:N", scale=alt.Scale(domain=[False, True], range=[[1, 0], [6, 4]]), legend=None)
    lines = base.mark_line(strokeWidth=1.8).encode(x=_time_axis(span), y=_y_axis(panel, highest), strokeDash=dash)
    visible = alt.condition("datum.alone", alt.value(1), alt.value(0))
    points = base.mark_point(size=40, filled=True).encode(
        x=_time_axis(span), y=_y_axis(panel, highest), opacity=visible, tooltip=_tooltip()
    )
    return [_Layer(lines, rows), _Layer(points, rows)]


def _bars(panel: Panel, rows: Rows, entries: Sequence[str], span: Span) -> _Layer:
    shown = _stacked(rows, span.step_s(panel.max_points) * 1000)
    top = max((r["top"] for r in shown), default=0.0)
    y = _y_axis(panel, top, "top:Q")
    bars = _chart().mark_rect(opacity=0.85)
    drawn = bars.encode(x=_time_axis(span), x2="until", y=y, y2="v", color=_color(entries, "square"), tooltip=_tooltip())
    return _Layer(drawn, shown)


def _stacked(rows: Rows, step_ms: float) -> Rows:
    """Each value as a block from ``v`` to ``top``, on those of the same time; where nothing happened, blocks without height."""
    heights: dict[float, float] = {}
    found: Rows = []
    for row in rows:
        if row["v"] is not None:
            base = heights.get(row["t"], 0.0)
            heights[row["t"]] = base + row["v"]
            found.append({**row, "until": row["t"] + step_ms, "v": base, "top": base + row["v"]})
    return found


def _steps(panel: Panel, highest: float) -> list[_Layer]:
    """Thresholds as dashed lines; one far above all values would squeeze them, so it is left out."""
    near = [s for s in panel.steps if s.value is not None and s.value <= highest * 1.3]
    rows = [
        {"v": s.value, "name": "threshold", "shown": show(float(s.value or 0), panel.unit), "color": COLORS.get(s.color, s.color)}
        for s in near
    ]
    if not rows:
        return []
    tooltip = [alt.Tooltip("name:N", title=" "), alt.Tooltip("shown:N", title="value")]
    chart = _chart().mark_rule(strokeDash=[3, 3], opacity=0.9)
    return [_Layer(chart.encode(y="v:Q", stroke=alt.Stroke("color:N", scale=None, legend=None), tooltip=tooltip), rows)]


def _marks(marks: Sequence[Mark]) -> list[_Layer]:
    if not marks:
        return []
    rows = [{"t": m.at_ms, "name": m.text, "color": COLORS.get(m.color, m.color)} for m in marks]
    tooltip = [alt.Tooltip("name:N", title=" "), alt.Tooltip("t:T", title="at", format="%d %b %H:%M:%S")]
    chart = _chart().mark_rule(strokeWidth=1, opacity=0.3)
    return [_Layer(chart.encode(x="t:T", stroke=alt.Stroke("color:N", scale=None, legend=None), tooltip=tooltip), rows)]


def _rows_axis() -> alt.Y:
    return alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=LONGEST_LABEL_PX, labelOverlap=True, ticks=False, domain=False))


def heat_chart(panel: Panel, series: Sequence[Series], span: Span, height_px: int) -> Spec:
    """One row for each series, coloured by value from blue over yellow to red."""
    step_ms = span.step_s(panel.max_points) * 1000
    rows: Rows = [
        {"t": at, "until": at + step_ms, "v": value, "name": s.name, "shown": show(value, panel.unit, panel.decimals)}
        for s in sorted(series, key=lambda s: s.name)
        for at, value in s.points
        if math.isfinite(value)
    ]
    legend = alt.Legend(title=None, orient="right", gradientLength=max(60, height_px - 80), format=".1f")
    color = alt.Color("v:Q", scale=alt.Scale(scheme="redyellowblue", reverse=True, domain=list(panel.scale), clamp=True), legend=legend)
    chart = _chart().mark_rect(stroke=None)
    y = _rows_axis().scale(alt.Scale(paddingInner=0.08))
    cells = chart.encode(x=_time_axis(span), x2="until", y=y, color=color, tooltip=_tooltip())
    return _spec([_frame(span, panel.max_points), _Layer(cells, rows)], height_px)


def state_chart(panel: Panel, series: Sequence[Series], span: Span, height_px: int) -> Spec:
    """One row for each series; equal states that follow each other are one block."""
    step_ms = span.step_s(panel.max_points) * 1000
    rows: Rows = []
    for s in sorted(series, key=lambda s: s.name):
        for block in _blocks(s, step_ms):
            word = panel.words.get(f"{block[0][1]:g}", (show(block[0][1], panel.unit), ""))[0]
            rows.append({"t": block[0][0], "until": block[-1][0] + step_ms, "name": s.name, "shown": word})
    words = list(panel.words.values())
    scale = alt.Scale(domain=[w for w, _ in words], range=[COLORS.get(c, c) for _, c in words])
    color = alt.Color("shown:N", scale=scale, legend=alt.Legend(title=None, orient="bottom", symbolType="square", offset=4))
    y = _rows_axis().scale(alt.Scale(paddingInner=0.15))
    chart = _chart().mark_rect(opacity=0.9)
    cells = chart.encode(x=_time_axis(span), x2="until", y=y, color=color, tooltip=_tooltip())
    return _spec([_frame(span, panel.max_points), _Layer(cells, rows)], height_px)


def _blocks(series: Series, step_ms: float) -> list[list[tuple[float, float]]]:
    """Points cut where the value changes or one is missing."""
    number, before, numbered = 0, series.points[0], []
    for point in series.points:
        number += point[1] != before[1] or point[0] - before[0] > 1.5 * step_ms
        numbered.append((number, point))
        before = point
    return [[p for _, p in group] for _, group in groupby(numbered, key=lambda n: n[0])]
