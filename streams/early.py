"""Windows judged ahead of their closing, when half of their grace is over or less: most get no row after that, and their results are there
when they close. One that does get another row is judged anew, so what is published never depends on any of this.

It is for live models; a replay's windows follow each other too fast to gain by it. No cut holds anything of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from streams.judge import ClosedWindow
from streams.windows.catalogue import Catalogue
from streams.windows.state import PartitionState, StreamId, WindowId, WindowState

LEAD_MS = 250  # of event time before the closing, where grace lasts so long: a few windows that close together are judged in that time
MOST_MISSES = 6  # in a row that count: a stream whose rows come late costs one verdict too many in 64 windows


@dataclass(slots=True, eq=False)
class Early:
    """A window as it will close when no further row comes; ``arrived`` are the rows so far.

    ``verdict`` is set on the event loop, and ``answered`` once its results wait for a cut.
    """

    closed: ClosedWindow
    arrived: int
    verdict: asyncio.Future[Any] | None = None
    answered: bool = False


class EarlyWindows:
    """Which windows are judged early, and whether that was right. On the thread that alone touches partitions' states.

    After a window that was judged in vain its stream's next one is left alone, after two in a row the next three, and so on.

    Args:
        catalogue: the bindings of windows.
        slow: whether judging a window takes slow methods, whose process must not work in vain.
        on_outcome: called with ``used`` or ``again`` when a window closes that was judged early.
    """

    def __init__(self, catalogue: Catalogue, slow: Callable[[WindowId], bool], on_outcome: Callable[[str], None]) -> None:
        self._on_outcome = on_outcome
        self._catalogue = catalogue
        self._slow = slow
        self._missed: Counter[StreamId] = Counter()  # in a row
        self._pass: Counter[StreamId] = Counter()  # windows that are still to be left alone

    def due(self, state: PartitionState, early: dict[WindowId, Early | None]) -> list[Early]:
        """Windows to be judged now, which are noted in ``early``; None there stands for one that is left alone.

        A stream's first open window only: all that came before it has closed, so the baselines are what they will be.
        """
        found = []
        for stream in state.streams.values():
            if not stream.windows or stream.time_ms is None or stream.id.run_kind != "live":
                continue
            window = stream.windows[min(stream.windows)]
            closes_ms = self._catalogue.closes_ms(window.id)
            due_ms = max(window.id.end_ms, min((window.id.end_ms + closes_ms) // 2, closes_ms - LEAD_MS))
            if window.id not in early and due_ms <= stream.time_ms and not self._slow(window.id):
                early[window.id] = self._early(window)
                found.append(early[window.id])
        return [e for e in found if e is not None]

    def _early(self, window: WindowState) -> Early | None:
        stream = window.id.stream
        if self._pass[stream]:
            self._pass[stream] -= 1
            return None
        return Early(ClosedWindow.of(window), window.rows.arrived)

    def closed(self, window: WindowState, early: Mapping[WindowId, Early | None]) -> ClosedWindow:
        """A window that has closed: the very one that was judged early when no row has come since."""
        judged, stream = early.get(window.id), window.id.stream
        if judged is None:
            return ClosedWindow.of(window)
        if judged.arrived == window.rows.arrived:
            self._missed[stream] = 0
            self._on_outcome("used")
            return judged.closed
        self._on_outcome("again")
        self._missed[stream] = min(self._missed[stream] + 1, MOST_MISSES)
        self._pass[stream] = 2 ** self._missed[stream] - 1
        return ClosedWindow.of(window)
