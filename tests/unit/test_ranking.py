"""The ranking of columns: by how far each lies beyond its own threshold, whatever its method."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from monitor.ranking import excess, ranked
from monitor.reports.page import header
from schemas.result import ColumnResult
from tests.support.results import judged_column, window_result

DISTANCE = judged_column("distance", 0.3, method="Wasserstein distance (normed)")  # three times its threshold
P_VALUE = judged_column("p", 0.05**4, method="K-S p_value", threshold=0.05, drifted=True)  # four times, on the scale of logarithms
INFINITE = judged_column("infinite", 1.0, score=None)
QUIET = judged_column("quiet", 0.09)
BROKEN = judged_column("broken", 0.0, status="error", score=None, threshold=None, drifted=False)


@pytest.mark.parametrize(
    ("column", "far"),
    [(DISTANCE, 3.0), (P_VALUE, 4.0), (INFINITE, math.inf), (QUIET, 0.9), (BROKEN, 0.0), (replace(P_VALUE, score=0.0), math.inf)],
)
def test_how_far_beyond_the_threshold(column: ColumnResult, far: float) -> None:
    """A distance by its ratio, a p-value by that of the logarithms; infinite scores are infinitely far; no verdict is nowhere."""
    assert excess(column) == pytest.approx(far)


def test_the_farthest_come_first() -> None:
    """Drifted ones by distance from their thresholds, then what could not be judged, then the quiet ones."""
    assert [c.name for c in ranked([QUIET, BROKEN, DISTANCE, P_VALUE, INFINITE])] == ["infinite", "p", "distance", "broken", "quiet"]


def test_the_report_lists_what_changed_in_that_order() -> None:
    """In the report's own part the drifted columns stand by rank, with the prediction's shift in the same terms."""
    prediction = judged_column("yhat", 0.5, role="prediction", changes=("mean 1 → 2",))
    columns = (replace(DISTANCE, changes=("mean 3 → 4",)), prediction, QUIET)
    html = header(window_result(*columns))
    assert html.index("(prediction): mean 1 → 2") < html.index("mean 3 → 4")
    assert html.index("<td>prediction</td>") < html.index("distance</td>") < html.index("quiet</td>")
