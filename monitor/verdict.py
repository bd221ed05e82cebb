"""What judging one column comes to."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.statistics.score import Score
from schemas.result import Hint


@dataclass(frozen=True, slots=True)
class Verdict:
    """A score, of how many values it is, what changed where it drifted, and what was left out besides nulls.

    ``evidently`` is the score with Evidently's own verdict where ``score`` has a calibrated one. ``hint`` is the kind of drift.
    """

    score: Score
    values: int
    changes: tuple[str, ...] = ()
    left_out: str = ""
    evidently: Score | None = None
    hint: Hint = ""
