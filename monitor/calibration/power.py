"""How many rows a window needs so that a drift of a chosen size is found: the suggested ``min_rows``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl

from monitor.calibration.calibration import Calibration
from monitor.calibration.verdict import calibrated
from monitor.reference import ReferenceProfile
from monitor.statistics.methods import METHODS
from monitor.statistics.profiles import CategoryProfile, NumericProfile, Sample, sample
from monitor.statistics.score import category_score, number_score, verdict
from monitor.values import Counts, Numbers, category_counts, numbers

WINDOWS = 100  # drawn at each size
WANTED = 0.8


@dataclass(frozen=True, slots=True)
class Shift:
    """The drift to be found: numbers move by ``deviations`` of the reference, ``mix`` of the rows take another category."""

    deviations: float = 0.25
    mix: float = 0.1


def least_rows(
    profile: ReferenceProfile, calibration: Calibration, frame: pl.DataFrame, shift: Shift, floor: bool
) -> dict[str, int | None]:
    """Rows of a window, by column, from which on a shift in that column is found four times of five; None where no size of the grid does.

    Windows are drawn from the reference, shifted, and judged as any other.
    """
    random = np.random.default_rng(calibration.seed)
    return {name: _least(profile, calibration, name, frame[name], shift, floor, random) for name in calibration.columns}


def _least(
    profile: ReferenceProfile,
    calibration: Calibration,
    name: str,
    series: pl.Series,
    shift: Shift,
    floor: bool,
    random: np.random.Generator,
) -> int | None:
    fitted = profile.columns[name].fitted
    assert isinstance(fitted, NumericProfile | CategoryProfile)
    column, before = calibration.columns[name], (0.0, 0.0)
    method = METHODS[column.method]
    for n in calibration.sizes.tolist():
        hits = 0
        for _ in range(WINDOWS):
            drawn = series[random.choice(len(series), min(round(n), len(series)), replace=False, shuffle=False)]
            window = _shifted(drawn, fitted, shift, random)
            if window is not None:
                plain = verdict(method, _score(fitted, window, column.method), None)
                size = window.size if isinstance(window, Sample) else sum(window.values())
                hits += calibrated(plain, column, size, floor).drifted
        power = hits / WINDOWS
        if power >= WANTED:
            return _between(before, (n, power))
        before = (n, power)
    return None


def _between(before: tuple[float, float], after: tuple[float, float]) -> int:
    """The size at which the power is reached between two of the grid, on a logarithmic scale."""
    if not before[0]:
        return round(after[0])
    part = (WANTED - before[1]) / (after[1] - before[1])
    return round(float(np.exp(np.log(before[0]) + part * (np.log(after[0]) - np.log(before[0])))))


def _score(fitted: NumericProfile | CategoryProfile, window: Sample | Counts, method: str) -> float:
    if isinstance(fitted, NumericProfile):
        assert isinstance(window, Sample)
        return number_score(fitted, window, METHODS[method])
    assert not isinstance(window, Sample)
    return category_score(fitted, window, METHODS[method])


def _shifted(
    series: pl.Series, fitted: NumericProfile | CategoryProfile, shift: Shift, random: np.random.Generator
) -> Sample | Counts | None:
    """The window with the drift in it; None where it has no value. Categories: rows drawn at random take the second most frequent one."""
    if isinstance(fitted, NumericProfile):
        found: Numbers = numbers(series)
        return sample(_moved(found, fitted.norm * shift.deviations, random)) if len(found) else None
    counts = Counter(category_counts(series))
    if not counts:
        return None
    names = list(counts)
    order = np.argsort(-fitted.counts)
    other = fitted.categories[int(order[min(1, len(order) - 1)])]
    for name, taken in zip(names, random.binomial([counts[n] for n in names], shift.mix).tolist(), strict=True):
        counts[name] -= taken
        counts[other] += taken
    return {name: count for name, count in counts.items() if count}


def _moved(values: Numbers, by: float, random: np.random.Generator) -> Numbers:
    """Whole numbers stay whole: each moves by the next one below or above, so that the mean moves as it should."""
    if values.dtype.kind != "i":
        return values.astype(np.float64) + by
    low = int(np.floor(by))
    return values + (low + (random.random(len(values)) < by - low)).astype(np.int64)
