"""Fits a calibration: null windows drawn from the reference, their scores against the rest of it, one level over all columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import polars as pl

from config.errors import ReferenceDataError
from config.spec import ModelSpec
from monitor.calibration import batched
from monitor.calibration.calibration import Calibration, ColumnCalibration, effective_size
from monitor.calibration.judged import JudgedColumn, judged_columns
from monitor.calibration.law import Law, fit_law, score_of, transformed
from monitor.calibration.null_share import NULL_PART, null_alarms
from monitor.statistics.profiles import Floats

DRAWS = 2000
GRID = 8
SMALLEST, LARGEST = 50, 10_000
LEAST_ROWS = 60
Progress = Callable[[int, int], None]


def fit(
    spec: ModelSpec, frame: pl.DataFrame, rate: float | None = None, seed: int = 0, progress: Progress | None = None, draws: int = DRAWS
) -> Calibration:
    """Calibrate a spec's thresholds on its reference. The same input gives the same calibration.

    Args:
        frame: the reference's rows: the columns that the spec judges, of the spec's types.
        rate: false alarms per window over all columns together, 0 to 1; None for the spec's ``drift.rate``.
        progress: told how many of how many steps are done.
        draws: null windows at each size.

    Raises:
        ReferenceDataError: the reference has fewer than 60 rows.
        SpecError: the spec names an unknown drift method.
    """
    if frame.height < LEAST_ROWS:
        raise ReferenceDataError(
            f"the reference of {spec.model} has {frame.height} rows: calibrated thresholds need {LEAST_ROWS}",
            "write it with more held-out rows, or set drift.thresholds: evidently",
        )
    wanted = spec.drift.rate if rate is None else rate
    columns, left_out = judged_columns(spec, frame)
    sizes = grid(frame.height)
    null_level = wanted * NULL_PART / max(len(columns), 1)
    critical, laws = np.empty(len(sizes)), []
    steps, done = len(sizes) * max(len(columns), 1), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, steps)

    for at, n in enumerate(sizes.tolist()):
        rows = drawn(frame.height, batched.effective(frame.height, round(n)), draws, np.random.default_rng([seed, at]))
        values = {name: null_values(column, rows, round(n), step) for name, column in columns.items()}
        laws.append({name: fit_law(v) for name, v in values.items()})
        flagged = null_alarms(columns, rows, null_level)
        critical[at] = critical_level(values, laws[-1], flagged, wanted)
    fitted = {name: _column(column, sizes, frame.height, critical, [law[name] for law in laws]) for name, column in columns.items()}
    return Calibration(
        wanted, seed, frame.height, draws, sizes, critical, null_level, MappingProxyType(fitted), MappingProxyType(left_out), 0
    )


def grid(rows: int) -> Floats:
    """Window sizes that null windows are drawn for, in rows: log-spaced from 50 to a third of the reference, at most to 10,000."""
    top = min(LARGEST, rows // 3)
    bottom = min(SMALLEST, max(top // 4, 5))
    return np.unique(np.round(np.geomspace(bottom, top, GRID)))


def drawn(rows: int, m: int, draws: int, random: np.random.Generator) -> batched.Rows:
    """Row numbers of null windows, drawn without replacement, shape (draws, m)."""
    return np.stack([random.choice(rows, m, replace=False, shuffle=False) for _ in range(draws)]).astype(np.int32)


def null_values(column: JudgedColumn, rows: batched.Rows, n: int, step: Callable[[], None]) -> Floats:
    """Transformed scores of the null windows that stand for windows of n rows, shape (draws,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = transformed(column.method, batched.scores(column.method, column.binned(n), rows))
    step()
    return values


def critical_level(values: Mapping[str, Floats], laws: Mapping[str, Law], flagged: np.ndarray, rate: float) -> float:
    """The p-value that the smallest of all columns' falls short of in such a share of null windows that all alarms together make ``rate``.

    ``flagged`` are the windows that the null shares alarm at, shape (draws,).
    """
    if not values:
        return rate
    smallest = np.min([laws[name].p_values(v) for name, v in values.items()], axis=0)
    rest = np.sort(smallest[~flagged])
    wanted = rate * (len(flagged) + 1) - np.count_nonzero(flagged)
    return max(float(np.interp(wanted, np.arange(1, len(rest) + 1), rest)), 1e-12)


def _column(column: JudgedColumn, sizes: Floats, rows: int, critical: Floats, laws: list[Law]) -> ColumnCalibration:
    share = column.coded.size / rows
    effective = np.array([effective_size(n * share, column.coded.size) for n in sizes])
    thresholds = np.array([score_of(column.method, law.value(p)) for law, p in zip(laws, critical, strict=True)])
    floor = np.where(thresholds > 0, thresholds, 1e-12)
    return ColumnCalibration(column.method, tuple(laws), effective, floor, column.coded.size, column.nulls, column.rare)
