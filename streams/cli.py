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
    from monitor.reports.process import process_reports  # noqa: PLC0415 - heavy imports only when a worker starts
    from streams.judge import process_judge  # noqa: PLC0415

    judge = process_judge()  # its evaluation process imports while this one does
    process_reports()  # and Evidently, which takes seconds of CPU, is not imported beside the first windows
    import faust  # noqa: PLC0415

    from streams.app import app  # noqa: PLC0415
    from streams.topics import ensure_topics  # noqa: PLC0415

    # Before Faust starts, so that what a user has to mend is one message and not a traceback.
    judge.load()
    ensure_topics(settings)
    faust.Worker(app, loglevel=loglevel, redirect_stdouts=False).execute_from_commandline()


@click.command()
@click.option("--repair", is_flag=True, help="Set what does not fit on topics that exist; partitions are never touched.")
@click.option("--plan", is_flag=True, help="Only print what each topic needs; asks no broker.")
def topics(repair: bool, plan: bool) -> None:
    """Make the topics that are missing and check the others."""
    settings = load_settings()
    from streams.topics import ensure_topics, examine_topics, plans, repair_topics  # noqa: PLC0415

    if plan:
        for topic in plans(settings):
            config = " ".join(f"{k}={v}" for k, v in topic.config.items())
            click.echo(f"{topic.name}  partitions={topic.partitions} replication-factor={settings.replication_factor} {config}")
        return
    for misfit in repair_topics(settings) if repair else []:
        click.echo(f"set    {misfit.topic}  {misfit.setting}={misfit.value} (was {misfit.found})")
    new = ensure_topics(settings)
    notes = examine_topics(settings)[1]
    for topic in plans(settings):
        click.echo(f"{'made' if topic.name in new else 'right'}  {topic.name}  {topic.partitions} partitions")
    for misfit in notes:
        click.echo(f"note: {misfit}\n  remedy: {misfit.remedy}")


commands = [worker, topics]
