"""The loop of ``tidemark watch``: read, draw, wait."""

from __future__ import annotations

import threading
import time

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from config.errors import ServiceUnavailable
from monitor.watch.source import Reader
from monitor.watch.table import render


def show_once(source: Reader, console: Console) -> None:
    """Print one view.

    Raises:
        ServiceUnavailable: nothing answers.
    """
    console.print(render(source.read(time.time()), console.width))


def follow(source: Reader, console: Console, every_s: float, stop: threading.Event) -> None:
    """Draw a view every ``every_s`` s until ``stop`` is set. When the source falls silent later, the last view stays, and says so.

    Raises:
        ServiceUnavailable: nothing answers the first time.
    """
    view = source.read(time.time())
    with Live(render(view, console.width), console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while not stop.wait(every_s):
            try:
                view = source.read(time.time())
                live.update(render(view, console.width), refresh=True)
            except ServiceUnavailable as error:
                shown = Group(Text(f"old view: {error.message}", style="bold red"), render(view, console.width))
                live.update(shown, refresh=True)
