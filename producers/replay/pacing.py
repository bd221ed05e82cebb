"""When each row is due: event time runs at a factor of a monotonic clock."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from producers.replay.source import Millis


class Pacer:
    """Says how many rows are due. The schedule is absolute, so a slow send is caught up with and nothing drifts."""

    def __init__(self, times_ms: Millis, speed: float, clock: Callable[[], float]) -> None:
        """``times_ms``: ascending event times, shape ``(rows,)``. ``clock`` gives monotonic seconds; the first row is due now."""
        self._times = times_ms
        self._speed = speed
        self._clock = clock
        self._started = clock()

    def due(self) -> int:
        """How many rows, from the first on, are due by now."""
        if math.isinf(self._speed):
            return len(self._times)
        now_ms = int(self._times[0]) + (self._clock() - self._started) * 1000 * self._speed
        return int(np.searchsorted(self._times, now_ms, side="right"))

    def wait_s(self, sent: int) -> float:
        """Seconds until row ``sent`` (counted from 0) is due; 0 when it is due, or when there is none."""
        if math.isinf(self._speed) or sent >= len(self._times):
            return 0.0
        due_s = float(self._times[sent] - self._times[0]) / 1000 / self._speed
        return max(0.0, self._started + due_s - self._clock())


def rebase(times_ms: Millis, now_ms: int, speed: float) -> Millis:
    """Event times that follow the wall clock: the first is ``now_ms``, and the spacing is divided by ``speed``."""
    rebased: Millis = now_ms + ((times_ms - times_ms[0]) / speed).astype(np.int64)
    return rebased
