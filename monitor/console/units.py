"""Values as texts in Grafana's units, and its colours. No Streamlit here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from monitor.console.board import Step

COLORS = {"green": "#2b9348", "yellow": "#e0a800", "red": "#d62828", "blue": "#1f77b4", "purple": "#7b2cbf"}
_THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_TIMES = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_PER_SECOND = {"eps": "events/s", "reqps": "req/s"}


def show(value: float, unit: str, decimals: int | None = None) -> str:
    """A value as a person reads it: ``show(0.25, "percentunit")`` is ``25 %``. Unknown units are shown behind the number."""
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if unit.startswith("dateTime"):
        return _date(value)
    if unit == "percentunit":
        return f"{_number(value * 100, 1 if decimals is None else decimals)} %"
    scale, least = {"s": (_TIMES, ""), "bytes": (_BINARY, "B")}.get(unit, (_THOUSANDS, ""))
    suffix = "" if unit in {"s", "bytes", "none", "short", ""} else f" {_PER_SECOND.get(unit, unit)}"
    return _scaled(value, scale, decimals, least) + suffix


def _date(value_ms: float) -> str:
    try:
        return datetime.fromtimestamp(value_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return _number(value_ms, 0)


def _scaled(value: float, scale: Sequence[tuple[float, str]], decimals: int | None, least: str = "") -> str:
    for factor, suffix in scale:
        if abs(value) >= factor:
            return f"{_number(value / factor, decimals)} {suffix}"
    if value and scale is _TIMES:
        return f"{_number(value / 1e-6, decimals)} µs"
    return f"{_number(value, decimals)} {least}".strip() if value or least else "0"


def _number(value: float, decimals: int | None) -> str:
    """With so many decimals, or with three or four figures, without zeros at its end."""
    if decimals is None:
        size = math.floor(math.log10(abs(value))) if value else 0
        decimals = min(max(2 - size, 0), 6)
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def axis_expression(unit: str) -> str:
    """Vega's expression for the labels of an axis in this unit; reads ``datum.value``."""
    v = "datum.value"
    if unit.startswith("dateTime"):
        return f"utcFormat({v}, '%d %b %Y')"
    if unit == "percentunit":
        return f"format({v}, '.2~%')"
    if unit == "s":
        big = f"abs({v}) >= 86400 ? format({v}/86400, '~r') + ' d' : abs({v}) >= 3600 ? format({v}/3600, '.3~r') + ' h' : "
        mid = f"abs({v}) >= 60 ? format({v}/60, '.3~r') + ' min' : abs({v}) >= 1 ? format({v}, '.3~r') + ' s' : "
        return f"{v} == 0 ? '0' : {big}{mid}abs({v}) >= 0.001 ? format({v}*1000, '.3~r') + ' ms' : format({v}*1e6, '.3~r') + ' µs'"
    if unit == "bytes":
        tiers = " : ".join(f"abs({v}) >= {factor:.0f} ? format({v}/{factor:.0f}, '.3~r') + ' {name}'" for factor, name in _BINARY)
        return f"{v} == 0 ? '0' : {tiers} : format({v}, '.3~r') + ' B'"
    suffix = f" + ' {_PER_SECOND[unit]}'" if unit in _PER_SECOND else ""
    return f"(abs({v}) >= 1000 ? format({v}, '.3~s') : format({v}, '.4~r')){suffix}"


def step_color(value: float, steps: Sequence[Step]) -> str:
    """The colour (``#rrggbb``) of the last threshold that the value has reached."""
    name = "green"
    for step in steps:
        if step.value is None or value >= step.value:
            name = step.color
    return COLORS.get(name, name)
