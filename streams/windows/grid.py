"""Where windows lie: tumbling, ``[start, end)``, aligned to the epoch or to local midnight."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from config.durations import UNIT_MS
from config.spec_window import WEEKDAYS, Window

Millis = npt.NDArray[np.int64]
_EPOCH = dt.date(1970, 1, 1)  # a Thursday
# What datetime can tell in every zone; an event time beyond is a dead letter.
MIN_EVENT_TIME_MS = -62_000_000_000_000  # year 5
MAX_EVENT_TIME_MS = 253_000_000_000_000  # year 9987


class Grid:
    """The windows of one spec. Windows of local days or weeks follow daylight saving: their length may differ by an hour."""

    def __init__(self, window: Window) -> None:
        self.window = window
        zone = window.time_zone or ("UTC" if window.week_start else None)  # a day that weeks start on needs days
        self._zone = ZoneInfo(zone) if zone else None
        self._days = window.size // UNIT_MS["d"]
        week_day = WEEKDAYS.index(window.week_start) if window.week_start else 0
        # Weeks are counted from a first day that is the wanted weekday: 1969-12-29 was a Monday.
        self._first = _EPOCH + dt.timedelta(days=week_day - 3) if window.size % UNIT_MS["w"] == 0 else _EPOCH
        self._bounds: dict[int, int] = {}

    def bounds(self, times_ms: Millis) -> tuple[Millis, Millis]:
        """Start and end (ms since the epoch, UTC) of the window that holds each event time; arrays of the shape of ``times_ms``."""
        if self._zone is None:
            size, offset = self.window.size, self.window.offset
            starts = (times_ms - offset) // size * size + offset
            return starts, starts + size
        if len(times_ms) == 0:
            return times_ms, times_ms
        edges = self._edges(int(times_ms.min()), int(times_ms.max()))
        at = np.searchsorted(edges, times_ms, side="right")
        return edges[at - 1], edges[at]

    def window_of(self, time_ms: int) -> tuple[int, int]:
        """Start and end of the window that holds one event time."""
        starts, ends = self.bounds(np.array([time_ms], dtype=np.int64))
        return int(starts[0]), int(ends[0])

    def next_boundary(self, time_ms: int) -> int:
        """The first window start at or after an event time."""
        start, end = self.window_of(time_ms)
        return start if start == time_ms else end

    def earlier(self, time_ms: int, windows: int) -> tuple[int, int]:
        """Start and end of the window so many windows before the one that holds an event time, by the calendar where windows follow it."""
        start = self.window_of(time_ms)[0]
        if self._zone is None:
            return start - windows * self.window.size, start - (windows - 1) * self.window.size
        index = next(i for i in self._indexes(start, start) if self._edge(i) == start) - windows
        return self._edge(index), self._edge(index + 1)

    def _edges(self, low_ms: int, high_ms: int) -> Millis:
        """Consecutive boundaries, the first at or before ``low_ms`` and the last after ``high_ms``."""
        return np.array([self._edge(i) for i in self._indexes(low_ms, high_ms)], dtype=np.int64)

    def _indexes(self, low_ms: int, high_ms: int) -> range:
        """Numbers of these boundaries."""
        # Local midnight is within a day of the UTC one, so one window more on each side is enough.
        low_day, high_day = ((time - self.window.offset) // UNIT_MS["d"] for time in (low_ms, high_ms))
        first = (low_day - (self._first - _EPOCH).days) // self._days - 1
        last = (high_day - (self._first - _EPOCH).days) // self._days + 2
        return range(first, last + 1)

    def _edge(self, index: int) -> int:
        """UTC ms at which the window ``index`` begins: local midnight, plus the offset, of its first day."""
        known = self._bounds.get(index)
        if known is None:
            day = self._first + dt.timedelta(days=index * self._days)
            local = dt.datetime.combine(day, dt.time()) + dt.timedelta(milliseconds=self.window.offset)
            known = int(local.replace(tzinfo=self._zone).timestamp() * 1000)
            if len(self._bounds) > 100_000:
                self._bounds.clear()
            self._bounds[index] = known
        return known
