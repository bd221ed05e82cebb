"""The commands ``tidemark pages`` and ``tidemark watch``. What they need is imported when they run."""

from __future__ import annotations

import click

from config.settings import settings
from monitor.watch.command import watch


@click.command()
def pages() -> None:
    """Serve the inbox that stands in for Slack, and the reports that alerts link to."""
    from monitor.pages.server import serve_pages  # noqa: PLC0415

    serve_pages(settings())


commands: list[click.Command] = [pages, watch]
