"""The command ``tidemark watch``. What it needs is imported when it runs."""

from __future__ import annotations

import threading

import click

from config.durations import parse_ms
from config.settings import load_settings


def _duration_s(_: click.Context, __: click.Parameter, text: str) -> float:
    try:
        seconds = parse_ms(text) / 1000
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if seconds <= 0:
        raise click.BadParameter(f"{text!r} must be more than 0")
    return seconds


@click.command()
@click.option("--once", is_flag=True, help="Print the table once and end.")
@click.option("--every", "every_s", default="2s", show_default=True, callback=_duration_s, help="Time between two looks.")
@click.option("--history", "history_s", default="1h", show_default=True, callback=_duration_s, help="How far back the sparklines reach.")
def watch(once: bool, every_s: float, history_s: float) -> None:
    """Watch streams, windows, drift and alerts live in the terminal; Ctrl-C ends."""
    from rich.console import Console  # noqa: PLC0415

    from monitor.watch.run import follow, show_once  # noqa: PLC0415
    from monitor.watch.source import open_source  # noqa: PLC0415

    source, console = open_source(load_settings(), history_s), Console()
    if once:
        show_once(source, console)
        return
    try:
        follow(source, console, every_s, threading.Event())
    except KeyboardInterrupt:
        console.print("stopped")
