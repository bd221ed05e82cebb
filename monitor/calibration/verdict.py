"""A column's score held against its calibrated threshold, and its nulls against the reference's."""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.calibration.batched import OF_COUNTS
from monitor.calibration.calibration import Calibration, ColumnCalibration
from monitor.calibration.confirm import confirmed
from monitor.calibration.judged import RARELY, bins_numbers
from monitor.calibration.law import P_VALUES
from monitor.calibration.null_share import null_p_value, null_p_value_over_time
from monitor.changes import VISIBLE_NULLS
from monitor.statistics.profiles import CategoryProfile, NumericProfile, Sample
from monitor.statistics.score import Score
from monitor.values import Counts


@dataclass(frozen=True, slots=True)
class Thresholds:
    """One column's calibrated thresholds in a window of ``rows`` rows, nulls included.

    Attributes:
        floor: a column drifts only where Evidently's own threshold says so, too; its nulls, only where they are visible.
    """

    calibration: Calibration
    column: ColumnCalibration
    rows: int
    floor: bool

    def verdict(self, score: Score, fitted: NumericProfile | CategoryProfile, window: Sample | Counts) -> Score:
        """The score against the threshold for so many usable values; ``score`` comes with Evidently's own verdict.

        A score by another method than the calibrated one keeps Evidently's verdict: Evidently chooses by the number of different values,
        which new ones change.
        """
        values = window.size if isinstance(window, Sample) else sum(window.values())
        found = calibrated(score, self.column, values, self.floor)
        if not found.drifted or score.method.name != self.column.method or not (self.column.rare or _rare_values(score, fitted, window)):
            return found
        # Over time rows are not exchangeable, and the threshold lies beyond chance already.
        level, seed = self.calibration.level(self.rows), self.calibration.seed
        return replace(found, drifted=confirmed(self.column.method, score.score, fitted, window, level, seed))

    def nulls_alarm(self, nulls: int) -> bool:
        """True where so many nulls (or so few) are no chance; with the floor also a hundredth of the rows away from the reference's."""
        return nulls_alarm(self.calibration, self.column, self.rows, nulls, self.floor)


def _rare_values(score: Score, fitted: NumericProfile | CategoryProfile, window: Sample | Counts) -> bool:
    """True where the window has a value that the reference hardly has, or never, and the method counts values."""
    numbers = len(fitted.sample.values) if isinstance(fitted, NumericProfile) else 0
    if score.method.name not in OF_COUNTS or bins_numbers(score.method.name, numbers):
        return False
    ours = fitted.sample.as_counts() if isinstance(fitted, NumericProfile) else dict(zip(fitted.position, fitted.counts, strict=True))
    return any(ours.get(value, 0) < RARELY for value in (window.as_counts() if isinstance(window, Sample) else window))


def calibrated(score: Score, column: ColumnCalibration, values: int, floor: bool) -> Score:
    """The score against the column's threshold for so many usable values, without confirmation.

    With ``floor`` the stricter one of both thresholds holds.
    """
    if score.method.name != column.method:
        return score
    threshold = column.threshold(values)
    hit = bool(score.method.hit(score.score, threshold))
    if not floor:
        return replace(score, threshold=threshold, drifted=hit)
    stricter = min if score.method.name in P_VALUES else max
    return replace(score, threshold=stricter(threshold, score.threshold), drifted=hit and score.drifted)


def nulls_alarm(calibration: Calibration, column: ColumnCalibration, rows: int, nulls: int, floor: bool) -> bool:
    """True where the exact test of the null share, and with blocks the one over time, falls short of the calibration's level."""
    if nulls == 0 and column.nulls == 0:
        return False
    if floor and abs(nulls / rows - column.nulls / calibration.rows) < VISIBLE_NULLS:
        return False
    p_value = null_p_value(calibration.rows, column.nulls, rows, nulls)
    if column.null_spread > 0:
        p_value = max(p_value, null_p_value_over_time(calibration.rows, column.nulls, rows, nulls, column.null_spread, calibration.blocks))
    return p_value <= calibration.null_level
