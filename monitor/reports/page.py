"""Our own part of a report: what changed, and the verdicts as a table. Needs no Evidently, so it is there at once and whatever fails."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from monitor.ranking import ranked
from schemas.result import WindowResult


def utc(ms: int) -> str:
    """Ms since the epoch as ``2013-06-24 04:00``, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


@lru_cache(maxsize=8)
def _template(name: str) -> Template:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["utc"] = utc
    return environment.get_template(name)


def header(result: WindowResult, notes: tuple[str, ...] = (), compared: tuple[WindowResult, ...] = ()) -> str:
    """The HTML of our part, for the top of a page; every name is escaped.

    ``notes`` say what the rest of the page leaves out, ``compared`` are the window's results against earlier windows.
    """
    columns = ranked(result.columns)
    drifted = [c for c in columns if c.drifted]
    return _template("header.html").render(r=result, columns=columns, drifted=drifted, notes=notes, compared=compared)


def short_page(result: WindowResult, notes: tuple[str, ...], reload_s: int = 0, compared: tuple[WindowResult, ...] = ()) -> str:
    """A page of our part alone: while the full report is being made (it then reloads itself), or in its place."""
    title = f"{result.model} {utc(result.start_ms)}"
    return _template("short.html").render(header=header(result, notes, compared), title=title, reload_s=reload_s)
