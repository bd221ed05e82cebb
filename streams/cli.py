"""Commands of the streaming side: ``tidemark worker``, ``tidemark topics``."""

from __future__ import annotations

import click

from config.settings import load_settings
from streams.allocator import limit_arenas


@click.command()
@click.option("--loglevel", default="info", show_default=True, type=click.Choice(["debug", "info", "warn", "error"]))
def worker(loglevel: str) -> None:
    """Run the worker: predictions topic → windows → drift → metrics and results (the same as ``faust -A streams.app worker``)."""
    settings = load_settings()
    limit_arenas()
    from streams.judge import process_judge  # noqa: PLC0415 - heavy imports only when a worker starts

    judge = process_judge()  # its evaluation process imports while this one does
    import faust  # noqa: PLC0415

    from streams.app import app  # noqa: PLC0415
    from streams.topics import ensure_topics  # noqa: PLC0415

    # Before Faust starts, so that what a user has to mend is one message and not a traceback.
    judge.load()
    ensure_topics(settings)
    faust.Worker(app, loglevel=loglevel, redirect_stdouts=False).execute_from_commandline()


@click.command()
def topics() -> None:
    """Make the topics that are missing and check the others."""
    settings = load_settings()
    from streams.topics import ensure_topics, plans  # noqa: PLC0415

    new = ensure_topics(settings)
    for plan in plans(settings):
        click.echo(f"{'made' if plan.name in new else 'right'}  {plan.name}  {plan.partitions} partitions")


commands = [worker, topics]
