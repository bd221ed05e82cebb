"""What the one-shot containers run: ``tidemark prepare example`` and ``tidemark prepare monitoring``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from compose.native.monitoring import write
from compose.services import services
from config.errors import UsageError
from config.settings import ROOT, load_settings

GROUP_MAY_WRITE = 0o002  # the next run may be another user's: all have the group in common


@click.group()
def prepare() -> None:
    """Make what services need before they start (the native `up` does this by itself)."""


@prepare.command()
def example() -> None:
    """Train the flights model; write its reference dataset and history."""
    from examples.flights.prepare import prepare as prepare_flights  # noqa: PLC0415 - pandas and polars take a second to import

    prepare_flights(load_settings(), click.echo)


@prepare.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=ROOT / "config",
    show_default="config/",
    help="Folder with prometheus/ and alertmanager/.",
)
def monitoring(config: Path) -> None:
    """Write what Prometheus and Alertmanager read, each service under its name in the containers' network."""
    settings = load_settings()
    if settings.slack_webhook_file is None:
        raise UsageError("TIDEMARK_SLACK_WEBHOOK_FILE is not set", "name a file with the address that alerts are posted to")
    os.umask(GROUP_MAY_WRITE)
    table = {s.name: s for s in services(settings)}
    targets = {s.name: (f"{s.name}:{s.port(settings)}", s.job) for s in table.values() if s.job}
    write(settings, targets, targets["alertmanager"][0], config, secret_mode=0o640, pages_host="pages")
    click.echo(f"written below {settings.under_home('run')}: " + ", ".join(f"{job} at {host}" for host, job in targets.values()))


commands: list[click.Command] = [prepare]
