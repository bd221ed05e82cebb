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
    """``speed`` is event time over wall time, ``inf`` unthrottled. ``start`` (inclusive) and ``end`` (exclusive) bound the event times.

    ``start`` and ``end`` without a zone are local to the model's windows. ``data`` and ``run`` default to the model's history and a new id.

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

    def __post_init__(self) -> None:
        if self.timing == "rebased" and math.isinf(self.speed):
            raise UsageError("timing rebased has no meaning at speed max: event times follow the wall clock", "give --speed, such as 7d/5s")
        if self.start and self.end and self.start.replace(tzinfo=None) >= self.end.replace(tzinfo=None):
            raise UsageError(
                f"--from {self.start.isoformat()} is not before --to {self.end.isoformat()}", "--to is exclusive: give a later one"
            )
        if self.run == LIVE_RUN:
            raise UsageError("a replay cannot be called live", "give --run another name, or leave it out")


def to_ms(moment: dt.datetime, zone: str | None) -> int:
    """Milliseconds since the epoch of a moment; without a zone of its own it is local to ``zone`` (UTC when None)."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone or "UTC"))
    return math.floor(aware.timestamp() * 1000)
