"""Whether an alert of drift stands: so many of the last judged windows of a run have drifted (``alert_when: 2 of 3 windows``).

It follows from published results alone, which are written exactly once: so it is the same after a restart, when they are read back, as it
would have been without one. Rules of Prometheus could not do that: a gauge shows the last window only, and a replay closes many between two
scrapes; a counter begins anew with its process, and does not know the order of windows.
"""

from __future__ import annotations

from schemas.result import WindowResult

Run = tuple[str, int]


class History:
    """The last judged windows of one model and kind of run. Results may come in any order, and more than once."""

    def __init__(self) -> None:
        self._run: Run = ("", -1)
        self._drifted: dict[int, bool] = {}  # by the window's end

    def add(self, result: WindowResult) -> bool:
        """Take a judged window's result; True where the alert stands after it. Another run begins anew."""
        needed, of = result.alert_windows
        run = (result.run, result.run_offset)
        if run != self._run:
            self._run, self._drifted = run, {}
        self._drifted[result.end_ms] = result.drifted
        for end in sorted(self._drifted)[:-of]:
            del self._drifted[end]
        return sum(self._drifted.values()) >= needed
