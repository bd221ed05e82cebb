"""Grafana's grid as bands of columns, which is what Streamlit can lay out. No Streamlit here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.console.board import Panel

COLUMNS = 24
ROW_PX = 38  # height of a grid row with its gap, as in Grafana
HEAD_PX = 40  # a panel's title


@dataclass(frozen=True, slots=True)
class Column:
    """Panels above each other, ``width`` of 24 wide; without panels it is a gap."""

    width: int
    panels: tuple[Panel, ...]


def bands(panels: Sequence[Panel]) -> list[tuple[Column, ...]]:
    """Panels that stand beside each other, band below band; what is left free of the 24 columns are gaps."""
    found: list[list[Panel]] = []
    bottom = -1
    for panel in sorted(panels, key=lambda p: (p.grid.y, p.grid.x)):
        if panel.grid.y >= bottom:
            found.append([])
        found[-1].append(panel)
        bottom = max(bottom, panel.grid.y + panel.grid.h)
    return [_columns(band) for band in found]


def _columns(band: Sequence[Panel]) -> tuple[Column, ...]:
    columns: list[Column] = []
    at = 0
    for x in sorted({p.grid.x for p in band}):
        stacked = tuple(p for p in band if p.grid.x == x)
        if x > at:
            columns.append(Column(x - at, ()))
        width = max(p.grid.w for p in stacked)
        columns.append(Column(width, stacked))
        at = x + width
    if at < COLUMNS:
        columns.append(Column(COLUMNS - at, ()))
    return tuple(columns)


def height_px(panel: Panel) -> int:
    """Height of a panel's content."""
    return panel.grid.h * ROW_PX - HEAD_PX
