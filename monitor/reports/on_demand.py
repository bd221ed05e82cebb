"""The full report of a past window, made from the archive: the command ``tidemark report``."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

import click

from config.errors import TidemarkError
from config.settings import Settings
from monitor.reports.archive import read_sample
from monitor.reports.paths import Summary, path_of_result, write_report
from monitor.reports.window_choice import choose, parse_window


def make_report(installation: Settings, model: str, window: str, run: str | None) -> Path:
    """Make a window's full report from the archive and say where it is; returns its file.

    Raises:
        UsageError: ``window`` is no time.
        TidemarkError: the window is not in the archive, or its reference dataset is gone.
    """
    began_s = time.monotonic()
    chosen = choose(installation.home, model, parse_window(window), run)
    sample = read_sample(installation.home, chosen.path)
    if not sample.reference_path.is_file():
        remedy = "put the file back: without its reference dataset a window cannot be drawn"
        raise TidemarkError(f"the reference dataset {sample.reference_path} of window {chosen} is gone", remedy)
    click.echo(f"window {chosen} of {model}: {sample.window.frame.height:,} rows; loading Evidently", err=True)
    from monitor.reports.render import full_report  # noqa: PLC0415  # imports Evidently: seconds

    def show(section: str) -> None:
        click.echo(f"{time.monotonic() - began_s:5.1f} s  {section}", err=True)

    html = full_report(sample.window, sample.spec, sample.reference_path, sample.result, sample.compared, show)
    path = path_of_result(installation.under_home("reports"), sample.result)
    write_report(path, html, Summary.of(sample.result, "full"))
    parts = path.relative_to(installation.under_home("reports")).parts
    click.echo(f"{time.monotonic() - began_s:5.1f} s  done: {len(html) / 1e6:.1f} MB", err=True)
    click.echo(path)
    click.echo(f"{installation.public_url}/reports/{'/'.join(quote(p, safe='') for p in parts)}  (while `tidemark pages` runs)", err=True)
    return path
