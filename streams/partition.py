"""One assigned partition as the worker sees it: its token, its state, and the results that wait for a cut."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from schemas.result import WindowResult
from streams.early import Early
from streams.windows.state import PartitionState, WindowId


@dataclass(slots=True, eq=False)
class Partition:
    """The object itself is the token: a revoked or reset partition gets a new one, and whatever still refers to the old is discarded.

    ``state`` is None while the partition is being restored. ``reading`` is true once its first position is set; no record is taken before
    that, since the consumer may still hold some of an earlier position. ``queued_position`` is behind the last record handed on,
    ``committed_position`` that of the last cut, ``read_to_ms`` the broker's timestamp of the last record in the state (0: none yet),
    ``end`` the offset behind the partition's last record, as the consumer last heard (-1: not yet), ``closes_s`` when its next window is
    expected to close (monotonic clock).
    """

    number: int
    valid: bool = True
    state: PartitionState | None = None
    reading: bool = False
    queued_position: int = 0
    committed_position: int = 0
    read_to_ms: int = 0
    end: int = -1
    closes_s: float = math.inf
    results: dict[WindowId, WindowResult] = field(default_factory=dict)
    compared: dict[WindowId, list[WindowResult]] = field(default_factory=dict)  # with earlier windows, beside the result
    evaluation_s: dict[WindowId, float] = field(default_factory=dict)
    early: dict[WindowId, Early | None] = field(default_factory=dict)  # judged before they close, or left alone (None)
    closed_s: dict[WindowId, float] = field(default_factory=dict)  # closed and not yet committed; monotonic clock, for metrics

    @property
    def ready(self) -> bool:
        """True when it is ours and restored."""
        return self.valid and self.state is not None

    @property
    def unpublished(self) -> set[WindowId]:
        """The closed windows whose results are not committed: they may be judged anew. On the thread that alone touches the state."""
        return {*list(self.closed_s), *(self.state.pending if self.state is not None else ())}
