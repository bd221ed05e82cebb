"""Which columns moved most. Scores of different methods are in different units, so each is measured against its own threshold."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable

from monitor.statistics.methods import METHODS
from schemas.result import ColumnResult

_P_VALUES = frozenset(m.display_name for m in METHODS.values() if m.hit in (operator.lt, operator.le))


def excess(column: ColumnResult) -> float:
    """How far a score lies beyond its threshold: 1 is at it, 2 is twice as far. Of p-values it is log p / log threshold, so that p = 0.05²
    is twice as far as p = 0.05; an infinite score, and p = 0, are infinitely far. 0 where there is no verdict.
    """
    if column.status != "ok" or column.threshold is None:
        return 0.0
    if column.score is None:
        return math.inf if column.drifted else 0.0
    if column.method in _P_VALUES:
        return (
            math.inf if column.score <= 0 or not 0 < column.threshold < 1 else math.log(min(column.score, 1.0)) / math.log(column.threshold)
        )
    return column.score / column.threshold if column.threshold else math.inf


def ranked(columns: Iterable[ColumnResult]) -> list[ColumnResult]:
    """Drifted columns first, the one farthest beyond its threshold first of all; then those that could not be judged, then the rest."""
    return sorted(columns, key=lambda c: (not c.drifted, c.status != "error", -excess(c)))
