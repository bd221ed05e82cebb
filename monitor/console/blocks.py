"""Panels that are text: numbers, bars, tables. As HTML in which every name is escaped; no Streamlit here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from monitor.console.board import Panel
from monitor.console.prometheus import Series
from monitor.console.units import COLORS, show, step_color

STYLE = """<style>
.stMainBlockContainer{padding:1.2rem 2rem 3rem}
.stElementContainer[data-stale=true],.stVerticalBlock[data-stale=true]{opacity:1!important}
[data-testid=stHeader]{height:1.6rem}
.td-tiles{display:flex;flex-wrap:wrap;gap:.4rem;align-items:stretch}
.td-tile{flex:1 1 6rem;min-width:0;border-radius:.4rem;padding:.3rem .6rem;background:rgba(128,128,128,.08);border-left:4px solid}
.td-tile b{display:block;font-size:1.45rem;line-height:1.5;font-weight:600;white-space:nowrap}
.td-tile span,.td-bars span{font-size:.8rem;opacity:.75;overflow-wrap:anywhere}
.td-bars{display:grid;grid-template-columns:minmax(6rem,2fr) 5fr auto;gap:.3rem .6rem;align-items:center}
.td-bars div{height:.9rem;border-radius:.2rem;min-width:2px}
.td-table{width:100%;border-collapse:collapse;font-size:.85rem}
.td-table th{text-align:left;font-weight:600;opacity:.75;padding:.25rem .5rem;border-bottom:1px solid rgba(128,128,128,.4)}
.td-table td{padding:.25rem .5rem;border-bottom:1px solid rgba(128,128,128,.15);overflow-wrap:anywhere}
.td-table .n{text-align:right;font-variant-numeric:tabular-nums}
.td-none{opacity:.6;font-size:.9rem}
</style>"""
NO_NAME = "\u00a0"  # as high as a name
_FIELD = re.compile(r"\$\{__data\.fields(?:\.(\w+)|\['([^']+)'\]\.numeric)\}")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def nothing(panel: Panel) -> str:
    """What stands where there is no value."""
    return f'<div class="td-none">{escape(panel.no_value)}</div>'


def tiles(panel: Panel, series: Sequence[Series]) -> str:
    """The newest value of each series, large; its colour is that of the threshold it has reached."""
    if not series:
        return f'<div class="td-tiles">{_tile(panel.no_value, NO_NAME, "#9e9e9e")}</div>'
    return f'<div class="td-tiles">{"".join(_series_tile(panel, s) for s in sorted(series, key=lambda s: s.name))}</div>'


def _series_tile(panel: Panel, series: Series) -> str:
    if word := panel.words.get(f"{series.last:g}"):
        return _tile(word[0], series.name, COLORS.get(word[1], word[1]))
    if math.isnan(series.last):
        return _tile(panel.no_value, series.name, "#9e9e9e")
    return _tile(show(series.last, panel.unit, panel.decimals), series.name, step_color(series.last, panel.steps))


def _tile(value: str, name: str, color: str) -> str:
    return f'<div class="td-tile" style="border-color:{color}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'


def ranking(panel: Panel, series: Sequence[Series]) -> str:
    """Bars, the longest first."""
    found = sorted((s for s in series if math.isfinite(s.last)), key=lambda s: (-s.last, s.name))
    if not found:
        return nothing(panel)
    longest = max(s.last for s in found) or 1
    rows = "".join(_bar(panel, s, 100 * max(0.0, s.last) / longest) for s in found)
    return f'<div class="td-bars">{rows}</div>'


def _bar(panel: Panel, series: Series, percent: float) -> str:
    bar = f'<div style="width:{percent:.1f}%;background:{step_color(series.last, panel.steps)}"></div>'
    return f"<span>{escape(series.name)}</span>{bar}<b>{escape(show(series.last, panel.unit, panel.decimals))}</b>"


def table(panel: Panel, series: Sequence[Series], variables: Mapping[str, str]) -> str:
    """One row for each set of labels, a column for each label that has a value and for each query; links as Grafana makes them."""
    rows: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for s in series:
        rows.setdefault(tuple(sorted((k, v) for k, v in s.labels.items() if k != "__name__")), {})[f"Value #{s.ref}"] = s.last
    if not rows:
        return nothing(panel)
    labels = [name for name in dict.fromkeys(n for row in rows for n, _ in row) if any(dict(row).get(name) for row in rows)]
    fields = [f"Value #{t.ref}" for t in panel.targets if not panel.fields.get(f"Value #{t.ref}", {}).get("custom.hidden")]
    head = "".join(f"<th>{escape(n)}</th>" for n in labels)
    head += "".join(f'<th class="n">{escape(str(panel.fields.get(f, {}).get("displayName", f)))}</th>' for f in fields)
    body = "".join(_row(panel, dict(row), values, labels, fields, variables) for row, values in sorted(rows.items()))
    return f'<table class="td-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _row(
    panel: Panel,
    row: Mapping[str, str],
    values: Mapping[str, float],
    labels: Sequence[str],
    fields: Sequence[str],
    variables: Mapping[str, str],
) -> str:
    cells = "".join(f"<td>{escape(row.get(name, ''))}</td>" for name in labels)
    for field in fields:
        settings = panel.fields.get(field, {})
        text = escape(show(values[field], str(settings.get("unit", panel.unit)), panel.decimals)) if field in values else ""
        if text and (links := settings.get("links")):
            address = link(links[0]["url"], row, values, variables)
            title = escape(links[0]["title"])
            text = f'<a href="{escape(address)}" target="_blank" rel="noopener" title="{title}">{text}</a>' if address else text
        cells += f'<td class="n">{text}</td>'
    return f"<tr>{cells}</tr>"


def link(template: str, row: Mapping[str, str], values: Mapping[str, float], variables: Mapping[str, str]) -> str:
    """Grafana's data link filled in: ``${__data.fields.NAME}`` is a label, ``${__data.fields['Value #A'].numeric}`` a value.

    Empty where it does not lead to http or https, or a value is missing.
    """
    try:
        filled = _FIELD.sub(lambda m: quote(row[m[1]], safe="") if m[1] else f"{values[m[2]]:.15g}", template)
        address = _VARIABLE.sub(lambda m: variables[m[1]].rstrip("/"), filled)
    except KeyError:
        return ""
    return address if address.startswith(("http://", "https://")) else ""
