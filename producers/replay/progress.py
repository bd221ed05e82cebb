"""How far a replay is, for a person: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import click
import rich.progress as bars
from rich.console import Console

from producers.replay.windows import show_time

LINE_EVERY_S = 5.0


class LineProgress:
    """A line at the start and then every few seconds."""

    def __init__(self, zone: str | None, echo: Callable[[str], None] = click.echo, clock: Callable[[], float] = time.monotonic) -> None:
        self._zone, self._echo, self._clock = zone, echo, clock
        self._total = 0
        self._began = self._told = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def read(self, count: int) -> None:
        """Say how many rows are read, if it is time for a line."""
        if self._clock() - self._told >= LINE_EVERY_S:
            self._told = self._clock()
            self._echo(f"{count:,} rows read")

    def opened(self, run: str, total: int) -> None:
        """Say which run it is."""
        self._total = total
        self._began = self._told = self._clock()
        self._echo(f"run {run}: {total:,} events to send")

    def sent(self, count: int, event_time_ms: int) -> None:
        """Say how far it is, if it is time for a line."""
        now = self._clock()
        if now - self._told >= LINE_EVERY_S:
            self._told = now
            rate = count / (now - self._began)
            left_s = (self._total - count) / rate
            at = show_time(event_time_ms, self._zone)
            self._echo(f"{count:,} of {self._total:,} events, {rate:,.0f}/s, event time {at}, about {left_s:.0f} s left")


class BarProgress:
    """A bar with the rate, the event time and the time left."""

    def __init__(self, zone: str | None, console: Console) -> None:
        self._zone = zone
        self._bar = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.TaskProgressColumn(),
            bars.TextColumn("{task.fields[rate]:>10,.0f}/s  {task.fields[at]}"),
            bars.TimeRemainingColumn(),
            console=console,
        )
        self._task: bars.TaskID | None = None
        self._reading: bars.TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def read(self, count: int) -> None:
        """Show how many rows are read; how many there are is not known yet."""
        if self._reading is None:
            self._reading = self._bar.add_task("reading", total=None, rate=0.0, at="")
        task = next(t for t in self._bar.tasks if t.id == self._reading)
        self._bar.update(self._reading, completed=count, rate=count / task.elapsed if task.elapsed else 0.0)

    def opened(self, run: str, total: int) -> None:
        """Show the bar."""
        if self._reading is not None:
            self._bar.remove_task(self._reading)
            self._reading = None
        self._task = self._bar.add_task(run, total=total, rate=0.0, at="")

    def sent(self, count: int, event_time_ms: int) -> None:
        """Move the bar."""
        if self._task is not None:
            task = next(t for t in self._bar.tasks if t.id == self._task)
            at = show_time(event_time_ms, self._zone)
            self._bar.update(self._task, completed=count, rate=count / task.elapsed if task.elapsed else 0.0, at=at)


def for_terminal(zone: str | None) -> BarProgress | LineProgress:
    """A bar when standard error is a terminal."""
    console = Console(stderr=True)
    return BarProgress(zone, console) if console.is_terminal else LineProgress(zone)
