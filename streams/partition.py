"""One assigned partition as the worker sees it: its token, its state, and the results that wait for a cut."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.result import WindowResult
from streams.windows.state import PartitionState, WindowId


@dataclass(slots=True, eq=False)
class Partition:
    """The object itself is the token: a revoked or reset partition gets a new one, and whatever still refers to the old is discarded.

    ``state`` is None while the partition is being restored. ``queued_position`` is behind the last record handed on to the decoder.
    """

    number: int
    valid: bool = True
    state: PartitionState | None = None
    queued_position: int = 0
    results: dict[WindowId, WindowResult] = field(default_factory=dict)
    evaluation_s: dict[WindowId, float] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """True when it is ours and restored."""
        return self.valid and self.state is not None
