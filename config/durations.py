"""Durations as people write them: ``90s``, ``15m``, ``1h``, ``7d``."""

from __future__ import annotations

import re
from datetime import UTC, datetime

UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def parse_ms(text: str | int | float) -> int:
    """Milliseconds of a duration text; a bare number is seconds.

    Raises:
        ValueError: naming the text, when it is not a duration.
    """
    if isinstance(text, int | float):
        return int(text * 1000)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*", text)
    if not match:
        raise ValueError(f"{text!r} is not a duration: write a number and a unit of ms, s, m, h, d, w, such as 15m or 7d")
    return int(float(match[1]) * UNIT_MS[match[2]])


def show_ms(ms: int) -> str:
    """The shortest exact text of a duration: ``604800000`` is ``7d``."""
    for unit in ("d", "h", "m", "s"):
        if ms and ms % UNIT_MS[unit] == 0:
            return f"{ms // UNIT_MS[unit]}{unit}"
    return f"{ms}ms"


def utc_text(time_ms: int) -> str:
    """A time (ms since the epoch) as ``2013-06-10 04:00`` of UTC, with seconds where there are any."""
    time = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{time:%Y-%m-%d %H:%M:%S}" if time.second else f"{time:%Y-%m-%d %H:%M}"
