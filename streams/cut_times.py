"""When every partition is cut, and when only those with a result."""

from __future__ import annotations


class CutTimes:
    """All partitions every ``interval_s`` seconds; between that those whose results wait, which need not wait for the others. Clock-free.

    Results that come one after another put the others' turn off by one interval at most.

    Args:
        interval_s: seconds, above 0.
        now_s: when it begins, on a clock that never goes back.
    """

    def __init__(self, interval_s: float, now_s: float) -> None:
        self.interval_s = interval_s
        self._due_s = now_s + interval_s

    def wait_s(self, now_s: float) -> float:
        """Seconds until all partitions are due."""
        return max(0.0, self._due_s - now_s)

    def all_now(self, now_s: float, result_waits: bool) -> bool:
        """True when the cut that is made now is one of all partitions; their next turn is an interval later."""
        if result_waits and now_s < self._due_s + self.interval_s:
            return False
        self._due_s = now_s + self.interval_s
        return True
