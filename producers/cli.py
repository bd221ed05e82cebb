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
from pydantic import ByteSize, TypeAdapter

from config.errors import UsageError
from config.settings import Settings, load_settings
from config.spec import ModelSpec, read_specs
from producers.replay import ReplayOptions, Summary, replays
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


class _Bytes(click.ParamType):
    name = "size"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(TypeAdapter(ByteSize).validate_python(value))
        except ValueError:
            self.fail(f"{value!r} is no size: write a number and a unit, such as 512MB or 2GiB", param, ctx)


@click.command()
@click.argument("model")
@click.option("--via", type=click.Choice(["kafka", "service"]), default="kafka", help="Straight to the topic, or through the service.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Another file: of the form that the spec's data has, or Parquet with event_time. Default: the model's history.",
)
@click.option("--speed", type=_Speed(), default="7d/5s", show_default=True, help="A factor, event time over wall time as 7d/5s, or max.")
@click.option(
    "--timing", type=click.Choice(["original", "rebased"]), default="original", help="rebased: event times follow the wall clock."
)
@click.option("--from", "start", type=click.DateTime(_DATES), help="First event time, in the zone of the model's windows.")
@click.option("--to", "end", type=click.DateTime(_DATES), help="Event times before this.")
@click.option("--run", help="Name of the run; default: a new one.")
@click.option("--rate", type=float, help="Events a second, whatever their times; goes before --speed.")
@click.option("--loops", type=int, default=1, show_default=True, help="How often, each time as a run of its own; 0: until stopped.")
@click.option("--inject", multiple=True, metavar="CHANGE", help="Drift for a drill, such as 'dep_delay*2 from 2013-06-01'. May come again.")
@click.option("--memory", type=_Bytes(), default="512MB", show_default=True, help="Rows in memory; more are sorted in temporary files.")
def replay(
    model: str,
    via: str,
    data: Path | None,
    speed: float,
    timing: str,
    start: dt.datetime | None,
    end: dt.datetime | None,
    run: str | None,
    rate: float | None,
    loops: int,
    inject: tuple[str, ...],
    memory: int,
) -> None:
    """Replay a MODEL's history in a run of its own."""
    settings = load_settings()
    spec = _spec(settings, model)
    options = ReplayOptions(cast(Via, via), data, speed, cast(Timing, timing), start, end, run, rate, loops, inject, memory)
    with _stop_on_signals() as stop, for_terminal(spec.window.time_zone) as progress:
        for summary in replays(settings, spec, options, progress, stop.is_set):
            click.echo(_tell(summary, options))
    if summary.interrupted:
        sys.exit(INTERRUPTED)


def _spec(settings: Settings, model: str) -> ModelSpec:
    specs = read_specs(settings)
    if model not in specs:
        raise UsageError(f"no model {model!r}; there is {', '.join(sorted(specs))}", f"write {settings.specs_dir / (model + '.yaml')}")
    return specs[model]


def _tell(done: Summary, options: ReplayOptions) -> str:
    how = "stopped: " if done.interrupted else ""
    paced = "" if math.isinf(options.speed) else f" (speed {options.speed:g})"
    paced = paced if options.rate is None else f" (rate {options.rate:g})"
    count = f"{done.events:,} of {done.total:,}" if done.interrupted else f"{done.events:,}"
    return (
        f"{how}run {done.run} ended: {count} events in {done.elapsed_s:.1f} s, {done.rate:,.0f}/s{paced}, "
        f"{done.windows} windows, model version {done.model_version}" + "".join(f"; {t}: {n:,} rows" for t, n in done.injected.items())
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
