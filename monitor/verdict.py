"""What judging one column comes to."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.statistics.score import Score


@dataclass(frozen=True, slots=True)
class Verdict:
    """A score, of how many values it is, what changed where it drifted, and what was left out besides nulls."""

    score: Score
    values: int
    changes: tuple[str, ...] = ()
    left_out: str = ""
