"""How often something costly may happen: a few times at once, and at a steady rate over time (a token bucket)."""

from __future__ import annotations


class Pace:
    """``at_once`` times in a row, then once every ``every_s`` seconds; what is not used comes back at that rate. Clock-free.

    Args:
        at_once: how many may follow each other without a wait, at least 1.
        every_s: seconds, above 0.
    """

    def __init__(self, at_once: int, every_s: float) -> None:
        self.at_once = at_once
        self.every_s = every_s
        self._free_s = float("-inf")  # when all of them are free again

    def wait_s(self, now_s: float) -> float:
        """Seconds to wait for the next one, which counts as used; ``now_s`` never goes back."""
        self._free_s = max(self._free_s, now_s) + self.every_s
        return max(0.0, self._free_s - self.at_once * self.every_s - now_s)
