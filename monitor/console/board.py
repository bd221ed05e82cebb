"""Grafana's dashboard JSON as values: what the Live page draws. Only what our own dashboards use is read; no Streamlit here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from config.errors import TidemarkError
from config.settings import ROOT

FOLDER = ROOT / "config" / "grafana"
FIRST = "tidemark-overview"


@dataclass(frozen=True, slots=True)
class Grid:
    """Place on Grafana's grid of 24 columns: left, top, width, height."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel; ``instant`` asks for the newest values only."""

    ref: str
    expression: str
    legend: str
    instant: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A threshold: from ``value`` on (None: from minus infinity) the colour is ``color``, a name of Grafana's."""

    value: float | None
    color: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. ``words`` are texts and colours in place of values; ``fields`` the overrides of a table's fields, by property;
    ``dashed`` the refIds whose series are limits; ``scale`` the smallest and largest value of a heat map's colours."""

    title: str
    description: str
    kind: str
    grid: Grid
    unit: str
    targets: tuple[Target, ...]
    steps: tuple[Step, ...]
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    no_value: str = "no data"
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dashed: frozenset[str] = frozenset()
    bars: bool = False
    draws_steps: bool = False
    scale: tuple[float, float] = (0.0, 1.0)
    max_points: int = 0


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice above the panels. ``query`` is empty for a text, whose value is ``default``."""

    name: str
    label: str
    description: str
    query: str
    many: bool
    default: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """Marks on the time axis; with ``timed`` the expression's value is the time, ms since the epoch."""

    name: str
    expression: str
    color: str
    timed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A row heading and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard. ``span_s`` is how far back it looks at first, ``refresh_s`` how often it looks anew."""

    uid: str
    title: str
    description: str
    span_s: int
    refresh_s: int
    sections: tuple[Section, ...]
    variables: tuple[Variable, ...]
    annotations: tuple[Annotation, ...]


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    """Grafana's ``30m`` or ``now-30m`` in s."""
    text = text.removeprefix("now-")
    return int(text[:-1]) * _SECONDS[text[-1]]


def read_boards(folder: Path = FOLDER) -> dict[str, Board]:
    """The committed dashboards by uid, the overview first.

    Raises:
        TidemarkError: there are none, or one cannot be read; names the file.
    """
    found = {}
    for path in sorted((folder / "dashboards").glob("*.json")):
        try:
            board = read_board(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TidemarkError(
                f"the dashboard {path} cannot be read: {error!r}", "build it again: python -m config.grafana.build"
            ) from error
        found[board.uid] = board
    if not found:
        raise TidemarkError(f"no dashboards in {folder / 'dashboards'}", "build them: python -m config.grafana.build")
    return dict(sorted(found.items(), key=lambda item: (item[0] != FIRST, item[0])))


def scrape_interval_s(folder: Path = FOLDER) -> int:
    """What the provisioned data source says: rate intervals follow from it."""
    source = yaml.safe_load((folder / "provisioning" / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))
    return seconds(source["datasources"][0]["jsonData"]["timeInterval"])


def read_board(content: Mapping[str, Any]) -> Board:
    """One dashboard from its JSON."""
    return Board(
        uid=content["uid"],
        title=content["title"].removeprefix("Tidemark: "),
        description=content["description"],
        span_s=seconds(content["time"]["from"]),
        refresh_s=seconds(content["refresh"]),
        sections=tuple(_sections(content["panels"])),
        variables=tuple(_variable(v) for v in content["templating"]["list"]),
        annotations=tuple(_annotation(a) for a in content.get("annotations", {}).get("list", ()) if "expr" in a),
    )


def _sections(panels: Sequence[Mapping[str, Any]]) -> list[Section]:
    found: list[tuple[str, list[Panel]]] = []
    for panel in panels:
        if panel["type"] == "row":
            found.append((panel["title"], []))
        else:
            if not found:
                found.append(("", []))
            found[-1][1].append(_panel(panel))
    return [Section(title, tuple(inside)) for title, inside in found]


KINDS = {"stat", "bargauge", "table", "heatmap", "state-timeline", "timeseries"}


def _panel(panel: Mapping[str, Any]) -> Panel:
    if panel["type"] not in KINDS:
        raise ValueError(f"panels of type {panel['type']!r} cannot be drawn")
    defaults, options = panel["fieldConfig"]["defaults"], panel.get("options", {})
    custom, color = defaults.get("custom", {}), options.get("color", {})
    overrides = [(o["matcher"], {p["id"]: p["value"] for p in o["properties"]}) for o in panel["fieldConfig"].get("overrides", ())]
    return Panel(
        title=panel["title"],
        description=panel["description"],
        kind=panel["type"],
        grid=Grid(**panel["gridPos"]),
        unit=defaults["unit"],
        targets=tuple(Target(t["refId"], t["expr"], t.get("legendFormat", ""), bool(t.get("instant"))) for t in panel["targets"]),
        steps=tuple(Step(s["value"], s["color"]) for s in defaults["thresholds"]["steps"]),
        decimals=None if defaults.get("decimals") is None else int(defaults["decimals"]),
        minimum=defaults.get("min"),
        maximum=defaults.get("max"),
        no_value=defaults.get("noValue") or "no data",
        words={value: (w["text"], w["color"]) for m in defaults.get("mappings", ()) for value, w in m["options"].items()},
        fields={m["options"]: properties for m, properties in overrides if m["id"] == "byName"},
        dashed=frozenset(m["options"] for m, properties in overrides if m["id"] == "byFrameRefID" and "custom.lineStyle" in properties),
        bars=custom.get("drawStyle") == "bars",
        draws_steps=custom.get("thresholdsStyle", {}).get("mode", "off") != "off",
        scale=(float(color.get("min", 0)), float(color.get("max", 1))),
        max_points=int(panel.get("maxDataPoints", 0)),
    )


def _variable(variable: Mapping[str, Any]) -> Variable:
    text = variable["type"] == "textbox"
    return Variable(
        name=variable["name"],
        label=variable["label"],
        description=variable.get("description", ""),
        query="" if text else variable["query"],
        many=bool(variable.get("multi")),
        default=variable["query"] if text else "",
    )


def _annotation(annotation: Mapping[str, Any]) -> Annotation:
    return Annotation(
        annotation["name"], annotation["expr"], annotation["iconColor"], bool(annotation.get("useValueForTime")), annotation["textFormat"]
    )
