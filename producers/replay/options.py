"""What a replay is asked to do."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from config.durations import parse_ms
from config.errors import UsageError
from schemas.event import LIVE_RUN

Via = Literal["kafka", "service"]
Timing = Literal["original", "rebased"]


def parse_speed(text: str) -> float:
    """The factor of event time over wall time that ``max``, a number, or a pair of durations such as ``7d/5s`` stands for.

    Raises:
        ValueError: the text is none of these, or not above zero.
    """
    if text.strip() == "max":
        return math.inf
    event, slash, wall = text.partition("/")
    try:
        speed = parse_ms(event) / parse_ms(wall) if slash else float(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{text!r} is not a speed: write a factor such as 120960, a pair such as 7d/5s, or max") from error
    if not speed > 0 or math.isnan(speed):
        raise ValueError(f"{text!r} is not a speed: it must be above 0")
    return speed


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """``speed`` is event time over wall time, ``inf`` unthrottled; ``rate``, events a second, goes before it.

    ``start`` (inclusive) and ``end`` (exclusive) bound the event times.

    ``start`` and ``end`` without a zone are local to the model's windows. ``data`` and ``run`` default to the model's history and a new id.
    ``loops`` is how often the history is sent, each time as a run of its own; 0 until stopped. ``inject`` are changes as
    ``producers.replay.inject`` reads them. ``memory_bytes`` bounds the rows in memory; a longer file is sorted with temporary files.

    Raises:
        UsageError: the options contradict one another.
    """

    via: Via = "kafka"
    data: Path | None = None
    speed: float = math.inf
    timing: Timing = "original"
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    run: str | None = None
    rate: float | None = None
    loops: int = 1
    inject: tuple[str, ...] = ()
    memory_bytes: int = 512 << 20

    def __post_init__(self) -> None:
        if self.timing == "rebased" and math.isinf(self.speed) and self.rate is None:
            raise UsageError(
                "timing rebased has no meaning at speed max: event times follow the wall clock", "give --speed, such as 7d/5s, or --rate"
            )
        if self.start and self.end and self.start.replace(tzinfo=None) >= self.end.replace(tzinfo=None):
            raise UsageError(
                f"--from {self.start.isoformat()} is not before --to {self.end.isoformat()}", "--to is exclusive: give a later one"
            )
        if self.loops < 0:
            raise UsageError(f"--loops {self.loops} is not 0 or more", "give a number of passes, or 0 for until it is stopped")
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise UsageError(f"--rate {self.rate:g} is not above 0", "give events a second, such as 500")
        if self.memory_bytes < 1 << 20:
            raise UsageError(f"{self.memory_bytes:,} bytes of memory are too few", "give at least 1 MB")
        if self.run == LIVE_RUN:
            raise UsageError("a replay cannot be called live", "give --run another name, or leave it out")


def to_ms(moment: dt.datetime, zone: str | None) -> int:
    """Milliseconds since the epoch of a moment; without a zone of its own it is local to ``zone`` (UTC when None)."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone or "UTC"))
    return math.floor(aware.timestamp() * 1000)
