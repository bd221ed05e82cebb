"""``tidemark wrap MODULE:SERVICE``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from config.settings import load_settings
from producers.wrap.load import load_service
from producers.wrap.options import WrapOptions, open_emitter


@click.command()
@click.argument("service", metavar="MODULE:SERVICE")
@click.option("--model", required=True, help="The model's id: its spec is MODEL.yaml in the folder of specs.")
@click.option("--model-version", default="unknown", show_default=True, help="Any text that names the version that is served.")
@click.option("--path", "paths", multiple=True, help="A route that predicts; again for more. Without it every POST with JSON in and out.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--sample-rate", default=1.0, show_default=True, type=float, help="Share of the predictions that is emitted.")
@click.option("--redact", multiple=True, help="A column whose values never leave the service; again for more.")
@click.option("--spill", default=None, type=click.Path(file_okay=False), help="A folder that keeps events until Kafka has them.")
@click.option("--trust-headers", is_flag=True, help="Callers may give run, times, ids and targets in X-Tidemark- headers: for replays.")
def wrap(
    service: str,
    model: str,
    model_version: str,
    paths: tuple[str, ...],
    host: str,
    port: int,
    sample_rate: float,
    redact: tuple[str, ...],
    spill: str | None,
    trust_headers: bool,
) -> None:
    """Serve a BentoML service that emits its predictions, without a change to its code.

    It is `bentoml serve` with a middleware around the service; what goes in and out is passed on as it is.
    """
    folder = str(Path(spill).resolve()) if spill else None
    options = WrapOptions(service, model, model_version, paths, sample_rate, redact, folder, trust_headers)
    load_service(service)  # what cannot work is said here, in one line, not by each worker
    open_emitter(options, load_settings()).close(0)
    command = [sys.executable, "-m", "bentoml", "serve", "producers.wrap.target:service", "--host", host, "--port", str(port)]
    environment = {"BENTOML_DO_NOT_TRACK": "True", **os.environ, **options.to_environment()}
    os.execve(sys.executable, command, environment)


commands = [wrap]
