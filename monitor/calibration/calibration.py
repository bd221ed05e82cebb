"""A fitted calibration: the threshold of each column at each window size, such that any of them is exceeded at the wanted rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from config.errors import UsageError
from monitor.calibration.law import P_VALUES, Law
from monitor.statistics.profiles import Floats


def effective_size(n: float, reference: float) -> float:
    """Of a window of n values against a reference: 1 / (1/n + 1/N). Scores of equal effective size have the same law."""
    return 1 / (1 / max(n, 1) + 1 / reference)


@dataclass(frozen=True, slots=True)
class ColumnCalibration:
    """One column's law of scores where nothing has drifted, at each size of the grid.

    Attributes:
        method: the method's name; a window that is judged by another one (a column of few values got new ones) has no threshold.
        laws: of the transformed score, one for each size of the grid.
        effective: effective sizes of the grid in values of this column, rising, shape (grid,).
        thresholds: in the method's unit, shape (grid,); a column alone exceeds its own more rarely than the rate.
        values: the reference's usable values.
        nulls: the reference's rows without a value.
        null_spread: standard deviation between blocks of their share; 0 without blocks.
        rare: values seen so rarely in the reference decide its score that an alarm is confirmed by a permutation test.
    """

    method: str
    laws: tuple[Law, ...]
    effective: Floats
    thresholds: Floats
    values: int
    nulls: int
    rare: bool
    null_spread: float = 0.0

    def threshold(self, n: float) -> float:
        """In the method's unit, for a window with n usable values: log-log interpolation over the effective size.

        Beyond the grid it goes on as before, but never away from what larger windows can tell; p-values mean the same at any size.
        """
        size, last = effective_size(n, self.values), float(self.thresholds[-1])
        found = float(np.exp(line(np.log(self.effective), np.log(self.thresholds), np.log(size))))
        if size <= self.effective[-1]:
            return found
        return last if self.method in P_VALUES else min(found, last)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds for one spec and one reference.

    Attributes:
        rate: false alarms per window: the share of windows like the reference in which any column exceeds its threshold.
        seed: of the null windows.
        rows: the reference's.
        draws: null windows at each size.
        sizes: the grid in rows of a window, shape (grid,).
        critical: the p-value of a column's law that its threshold stands for, shape (grid,).
        null_level: the p-value at which one column's null share alarms.
        columns: by name.
        left_out: columns that keep Evidently's own verdict and take no part in the alarm, with the reason.
        blocks: independent blocks of the window's duration that the reference holds; 0 where it has no time.
    """

    rate: float
    seed: int
    rows: int
    draws: int
    sizes: Floats
    critical: Floats
    null_level: float
    columns: Mapping[str, ColumnCalibration]
    left_out: Mapping[str, str]
    blocks: int

    def threshold(self, column: str, n: float) -> float:
        """A column's threshold in its method's unit, for a window with n usable values of it.

        Raises:
            UsageError: the column has no calibrated threshold; says why.
        """
        if column not in self.columns:
            reason = self.left_out.get(column, "the spec does not judge it")
            raise UsageError(f"column {column!r} has no calibrated threshold: {reason}", f"use one of {', '.join(self.columns)}")
        return self.columns[column].threshold(n)

    def level(self, n: float) -> float:
        """The p-value that the thresholds of a window of n rows stand for."""
        return float(np.exp(line(np.log(self.sizes), np.log(self.critical), np.log(max(n, 1)))))


def line(x: Floats, y: Floats, at: float) -> float:
    """Piecewise linear interpolation; beyond the ends as the last piece goes on."""
    if len(x) == 1:
        return float(y[0])
    piece = int(np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2))
    return float(y[piece] + (y[piece + 1] - y[piece]) * (at - x[piece]) / (x[piece + 1] - x[piece]))
