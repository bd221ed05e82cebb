"""Runbooks as pages: what an alert means and what to do, from the Markdown files of docs/runbooks."""

from __future__ import annotations

import re
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,80}\Z")
_LINK = re.compile(r'href="(?!https?://|#)([A-Za-z0-9]+)\.md"')


class Runbooks:
    """The files of a folder. Read anew each time: a runbook that is corrected at night helps that night."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    def names(self) -> list[str]:
        """Every runbook's name, sorted."""
        return sorted(p.stem for p in self._folder.glob("*.md") if _NAME.match(p.stem))

    def html(self, name: str) -> Markup | None:
        """A runbook's text as HTML, or None when there is no such runbook. HTML in it is shown as text; links to others lead there."""
        path = self._folder / f"{name}.md"
        if not _NAME.match(name) or not path.is_file():
            return None
        html = self._markdown.render(path.read_text(encoding="utf-8"))
        return Markup(_LINK.sub(r'href="/runbooks/\1"', html))  # escaped by the renderer
