"""When the next window of a live model is expected to close, and how long to wait for records until then.

Live events come as time goes by, so what stream time still lacks says how long it will take. A poll that ends then, and not up to a whole
poll later, has the record that closes the window decoded at once. It is a guess that nothing but the wait depends on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from streams.windows.catalogue import Catalogue
from streams.windows.state import PartitionState

POLL_S = 0.05  # half of it is what a record waits on average before it is decoded; small batches cost 2 ms each, whatever their size
SHORT_S = 0.015  # around the expected closing
AHEAD_S = 0.02  # that much before it the short polls begin: the last record was there before it was decoded
OVERDUE_S = 0.25  # then the model has stopped, or its clock is behind: no more short polls


def next_closing_s(state: PartitionState, catalogue: Catalogue, now_s: float) -> float:
    """When the first open window of a live stream is expected to close, on the clock of ``now_s`` and of the streams' ``seen_s``.

    Infinite when there is none. A stream that should have closed its window long ago has stopped, and hides no other one.
    On the thread that alone touches partitions' states.
    """
    closings_s = [math.inf]
    for stream in state.streams.values():
        if stream.windows and stream.time_ms is not None and stream.id.run_kind == "live":
            left_ms = min(catalogue.closes_ms(w) for w in stream.windows) - stream.time_ms
            closings_s.append(stream.seen_s + left_ms / 1000)
    return min(s for s in closings_s if _awaited(s, now_s))


def poll_s(now_s: float, closings_s: Iterable[float]) -> float:
    """Seconds that the next poll may wait for records, when windows are expected to close at some times on the clock of ``now_s``."""
    return max(SHORT_S, min([POLL_S, *(s - now_s - AHEAD_S for s in closings_s if _awaited(s, now_s))]))


def _awaited(closes_s: float, now_s: float) -> bool:
    return closes_s > now_s - OVERDUE_S
