"""Commands of the producers."""

from __future__ import annotations

import datetime as dt
import math
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import cast

import click

from config.errors import UsageError
from config.settings import Settings, load_settings
from config.spec import ModelSpec, read_specs
from producers.replay import ReplayOptions, Summary
from producers.replay import replay as run_replay
from producers.replay.options import Timing, Via, parse_speed
from producers.replay.progress import for_terminal

INTERRUPTED = 130
_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


class _Speed(click.ParamType):
    name = "speed"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_speed(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("model")
@click.option("--via", type=click.Choice(["kafka", "service"]), default="kafka", help="Straight to the topic, or through the service.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Parquet with event_time and the spec's columns; default: the model's history."
)
@click.option("--speed", type=_Speed(), default="7d/5s", show_default=True, help="A factor, event time over wall time as 7d/5s, or max.")
@click.option(
    "--timing", type=click.Choice(["original", "rebased"]), default="original", help="rebased: event times follow the wall clock."
)
@click.option("--from", "start", type=click.DateTime(_DATES), help="First event time, in the zone of the model's windows.")
@click.option("--to", "end", type=click.DateTime(_DATES), help="Event times before this.")
@click.option("--run", help="Name of the run; default: a new one.")
def replay(
    model: str, via: str, data: Path | None, speed: float, timing: str, start: dt.datetime | None, end: dt.datetime | None, run: str | None
) -> None:
    """Replay a MODEL's history in a run of its own."""
    settings = load_settings()
    spec = _spec(settings, model)
    options = ReplayOptions(cast(Via, via), data, speed, cast(Timing, timing), start, end, run)
    with _stop_on_signals() as stop, for_terminal(spec.window.time_zone) as progress:
        summary = run_replay(settings, spec, options, progress, stop.is_set)
    click.echo(_tell(summary, speed))
    if summary.interrupted:
        sys.exit(INTERRUPTED)


def _spec(settings: Settings, model: str) -> ModelSpec:
    specs = read_specs(settings)
    if model not in specs:
        raise UsageError(f"no model {model!r}; there is {', '.join(sorted(specs))}", f"write {settings.specs_dir / (model + '.yaml')}")
    return specs[model]


def _tell(done: Summary, speed: float) -> str:
    how = "stopped: " if done.interrupted else ""
    paced = "" if math.isinf(speed) else f" (speed {speed:g})"
    count = f"{done.events:,} of {done.total:,}" if done.interrupted else f"{done.events:,}"
    return (
        f"{how}run {done.run} ended: {count} events in {done.elapsed_s:.1f} s, {done.rate:,.0f}/s{paced}, "
        f"{done.windows} windows, model version {done.model_version}"
    )


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set. A second one ends the process as usual."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python takes signals in the main thread only
        return
    before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


commands = [replay]
