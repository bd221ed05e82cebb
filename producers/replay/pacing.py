"""When each row is due: event time runs at a factor of a monotonic clock, or so many rows a second."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Millis = npt.NDArray[np.int64]
Offsets = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pace:
    """``speed`` is event time over wall time, ``inf`` unthrottled; ``rate`` are rows a second, whatever their times, and goes first."""

    speed: float = math.inf
    rate: float | None = None

    @property
    def unthrottled(self) -> bool:
        """Whether everything is due at once."""
        return self.rate is None and math.isinf(self.speed)

    def offsets_ms(self, times_ms: Millis, first_ms: int, sent: int) -> Offsets:
        """When rows are due, ms after the first row of all: ``first_ms`` is that row's time, ``sent`` rows come before these."""
        if self.rate is not None:
            return np.arange(sent, sent + len(times_ms), dtype=np.float64) * (1000.0 / self.rate)
        offsets: Offsets = (times_ms - first_ms).astype(np.float64) / self.speed
        return offsets


class Pacer:
    """Says how many rows are due. The schedule is absolute, so a slow send is caught up with and nothing drifts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` gives monotonic seconds; the first row of all is due now."""
        self._clock = clock
        self._started = clock()

    def due(self, offsets_ms: Offsets) -> int:
        """How many rows, from the first of these on, are due by now."""
        return int(np.searchsorted(offsets_ms, (self._clock() - self._started) * 1000, side="right"))

    def wait_s(self, offset_ms: float) -> float:
        """Seconds until a row is due; 0 when it is."""
        return max(0.0, self._started + offset_ms / 1000 - self._clock())
