"""Thresholds with a known false-alarm rate: fitted once to a reference dataset, used in every window. See docs/thresholds.md."""

from monitor.calibration.calibration import Calibration, ColumnCalibration
from monitor.calibration.fit import fit

__all__ = ["Calibration", "ColumnCalibration", "fit"]
