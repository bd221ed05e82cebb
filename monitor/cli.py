"""The commands ``tidemark console``, ``fit``, ``pages``, ``report``, ``ui`` and ``watch``. What they need is imported when they run."""

from __future__ import annotations

import click

from config.settings import settings
from monitor.watch.command import watch


@click.command()
def pages() -> None:
    """Serve the inbox that stands in for Slack, and the reports that alerts link to."""
    from monitor.pages.server import serve_pages  # noqa: PLC0415

    serve_pages(settings())


@click.command()
def console() -> None:
    """Serve the Live page: the dashboards of config/grafana, drawn from Prometheus without Grafana."""
    from monitor.console.serve import serve_console  # noqa: PLC0415

    serve_console(settings())


@click.command()
@click.argument("model")
@click.argument("window")
@click.option("--run", help="Id of the replay run; else the live window, or the run whose window was written last.")
def report(model: str, window: str, run: str | None) -> None:
    """Make the full report of a past WINDOW: its start as 2013-06-24T04:00 (UTC), as s since the epoch, or `last`."""
    from monitor.reports.on_demand import make_report  # noqa: PLC0415

    make_report(settings(), model, window, run)


@click.command()
@click.argument("spec")
@click.option(
    "--shift",
    type=click.FloatRange(0, min_open=True),
    default=0.25,
    show_default=True,
    help="To be found: of numbers, in standard deviations.",
)
@click.option(
    "--mix",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.1,
    show_default=True,
    help="To be found: share of rows that take another category.",
)
def fit(spec: str, shift: float, mix: float) -> None:
    """Calibrate the thresholds of SPEC (a model's name, or a spec's path) on its reference, and say what they come to."""
    from monitor.calibration.command import run  # noqa: PLC0415
    from monitor.calibration.power import Shift  # noqa: PLC0415

    run(settings(), spec, Shift(shift, mix))


@click.command()
def ui() -> None:
    """Open Evidently's own pages over the workspace: every judged window, over time."""
    from monitor.workspace.pages import open_pages  # noqa: PLC0415

    open_pages(settings())


commands: list[click.Command] = [console, fit, pages, report, ui, watch]
