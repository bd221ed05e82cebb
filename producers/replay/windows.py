"""How many windows the worker will close for a replay."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from config.durations import UNIT_MS
from config.spec_window import WEEKDAYS, Window
from producers.replay.pacing import Millis

_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday


def window_numbers(window: Window, times_ms: Millis) -> Millis:
    """The numbers of the distinct windows that hold these event times (ms since the epoch, UTC)."""
    if window.time_zone is None:
        return np.unique((times_ms - window.offset) // window.size)
    times = pl.Series(times_ms).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(window.time_zone)
    local_ms = times.dt.replace_time_zone(None).to_physical().to_numpy() - window.offset
    first = WEEKDAYS.index(window.week_start or "monday") - _EPOCH_WEEKDAY if window.size % UNIT_MS["w"] == 0 else 0
    days = local_ms // UNIT_MS["d"] - first
    numbers: Millis = np.unique(days // (window.size // UNIT_MS["d"]))
    return numbers


def show_time(time_ms: int, zone: str | None) -> str:
    """An event time for a person, in the zone of the model's windows."""
    return f"{dt.datetime.fromtimestamp(time_ms / 1000, ZoneInfo(zone or 'UTC')):%a %d %b %Y %H:%M}"
