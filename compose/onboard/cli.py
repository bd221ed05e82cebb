"""The commands ``tidemark init`` and ``tidemark check``. What they need is imported when they run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from config.errors import UsageError
from config.settings import load_settings


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, word = text.rpartition("=")
        if not equals:
            raise UsageError(f"--type {text!r} names no type", "write COLUMN=TYPE, such as --type zip=string")
        found[name] = word
    return found


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="CSV, Parquet, or a file tracked by DVC.")
@click.option("--time", multiple=True, help="Column of the event time; given twice: a date and a time of day.")
@click.option("--time-format", help="Form of the times, as '%d.%m.%Y %H:%M', epoch_s or epoch_ms; else it is found out.")
@click.option("--time-zone", default="UTC", show_default=True, help="Zone of times that name none.")
@click.option("--prediction", help="Column of the model's prediction; else guessed by its name.")
@click.option("--target", help="Column of the true value.")
@click.option("--probabilities", multiple=True, help="Column of a class's probability, or CLASS=COLUMN; once a class.")
@click.option("--segment", "segments", multiple=True, help="A feature whose values are groups, whatever they look like.")
@click.option(
    "--type",
    "types",
    multiple=True,
    help="COLUMN=double, long, boolean, timestamp, categorical, text or embedding, where the guess is wrong.",
)
@click.option("--drop", multiple=True, help="Column to leave out.")
@click.option("--null", "nulls", multiple=True, help="A text that stands for a missing value, such as ?.")
@click.option("--encoding", help="Of a CSV file; else found out.")
@click.option("--delimiter", help="Of a CSV file; else found out.")
@click.option("--model", help="Name of the model; else that of the file.")
@click.option("--artefact", type=click.Path(path_type=Path), help="The model itself (skops), where the file has no predictions.")
@click.option("--reference-until", help="Rows before this event time are the reference; else the first 30 %.")
@click.option("--window", help="Length of a window, as 1h or 7d; else such that it holds some hundred rows.")
@click.option("--force", is_flag=True, help="Replace the model's spec and reference.")
def init(
    data: Path,
    time: tuple[str, ...],
    time_format: str | None,
    time_zone: str,
    prediction: str | None,
    target: str | None,
    probabilities: tuple[str, ...],
    segments: tuple[str, ...],
    types: tuple[str, ...],
    drop: tuple[str, ...],
    nulls: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    model: str | None,
    artefact: Path | None,
    reference_until: str | None,
    window: str | None,
    force: bool,
) -> None:
    """Attach a model: read its history, guess what each column is, write reference, spec and schema."""
    from compose.onboard.init import run_init  # noqa: PLC0415
    from producers.onboard import InitOptions  # noqa: PLC0415

    if delimiter == "\\t":
        delimiter = "\t"
    options = InitOptions(
        data, time, time_format, time_zone, prediction, target, probabilities, segments, drop, _pairs(types), nulls, encoding, delimiter,
        model, artefact.resolve() if artefact else None, reference_until, window,
    )  # fmt: skip
    run_init(load_settings(), options, force)


@click.command()
@click.argument("model", required=False)
def check(model: str | None) -> None:
    """Look at everything a MODEL needs (or all models): what is right, and what to do about the rest."""
    from compose.onboard.check import run_check  # noqa: PLC0415

    if not run_check(load_settings(), model):
        sys.exit(1)


commands = [init, check]
