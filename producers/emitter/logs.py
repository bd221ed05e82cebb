"""Log lines that a broken input cannot turn into a flood."""

from __future__ import annotations

import logging
import time

LOG = logging.getLogger("tidemark.emitter")
_MOST_KEYS = 200  # names of unknown columns come from outside: do not remember them without end


class RateLimitedLog:
    """One warning per key and ``every_s`` seconds; the next one says how many were held back. For one thread."""

    def __init__(self, every_s: float = 60.0) -> None:
        self._every_s = every_s
        self._last: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def warn(self, key: str, message: str) -> None:
        """Log ``message`` unless a line with this ``key`` was logged less than ``every_s`` ago."""
        if key not in self._last and len(self._last) >= _MOST_KEYS:
            key = "other"
        now = time.monotonic()
        if now - self._last.get(key, -self._every_s) < self._every_s:
            self._held[key] = self._held.get(key, 0) + 1
            return
        self._last[key] = now
        held = self._held.pop(key, 0)
        LOG.warning("%s%s", message, f" (and {held} more like it)" if held else "")
