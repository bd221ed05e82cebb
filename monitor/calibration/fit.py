"""Fits a calibration: null windows drawn from the reference, their scores against the rest of it, one level over all columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from config.errors import ReferenceDataError, SpecError
from config.spec import ModelSpec
from monitor.calibration import batched
from monitor.calibration.blocks import LEAST_BLOCKS, add_excess, blocks_of, excesses, null_spread
from monitor.calibration.calibration import Calibration, ColumnCalibration, effective_size
from monitor.calibration.judged import JudgedColumn, judged_columns
from monitor.calibration.law import Law, fit_law, score_of, transformed
from monitor.calibration.null_share import NULL_PART, null_alarms, null_shares
from monitor.statistics.profiles import Floats, Ints

DRAWS = 2000
GRID = 8
SMALLEST, LARGEST = 50, 10_000
LEAST_ROWS = 60
LEAST_THRESHOLD = 1e-12  # a column that never varies
REMEDY = "name the reference's column with the time of each row, or take drift.reference_time out"
Progress = Callable[[int, int], None]


def fit(
    spec: ModelSpec, frame: pl.DataFrame, rate: float | None = None, seed: int = 0, progress: Progress | None = None, draws: int = DRAWS
) -> Calibration:
    """Calibrate a spec's thresholds on its reference. The same input gives the same calibration.

    Args:
        frame: the reference's rows: the columns that the spec judges, of the spec's types, and ``drift.reference_time`` as it is.
        rate: false alarms per window over all columns together, 0 to 1; None for the spec's ``drift.rate``.
        progress: told how many of how many steps are done.
        draws: null windows at each size.

    Raises:
        ReferenceDataError: the reference has fewer than 60 rows, or than two windows of ``min_rows``.
        SpecError: the spec names an unknown drift method or no time column, or no column can be calibrated.
    """
    return fits(spec, frame, [spec.drift.rate if rate is None else rate], seed, progress, draws)[0]


def fits(
    spec: ModelSpec, frame: pl.DataFrame, rates: Sequence[float], seed: int = 0, progress: Progress | None = None, draws: int = DRAWS
) -> list[Calibration]:
    """As ``fit``, a calibration for each rate, from the same null windows: equal to those that are fitted one by one."""
    _check_rows(spec, frame.height)
    columns, left_out = judged_columns(spec, frame)
    if not columns:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items()) or "the spec judges no column"
        raise SpecError(f"no column of {spec.model} can be calibrated: {reasons}", "set drift.thresholds: evidently")
    blocks = time_blocks(spec, frame)
    sizes = grid(frame.height)
    counter = _Steps(progress, len(sizes) * len(columns))
    nulls = [_null_windows(columns, frame.height, n, draws, [seed, at], counter) for at, n in enumerate(sizes.tolist())]
    laws = {name: [fit_law(window.values[name]) for window in nulls] for name in columns}
    if len(blocks) >= LEAST_BLOCKS:
        excess = excesses(columns, blocks, laws, sizes)
        blocked = [seed, len(sizes)]  # the same blocks at each size, so that thresholds of neighbouring sizes are comparable
        nulls = [
            replace(w, values=add_excess(w.values, columns, excess, n, np.random.default_rng(blocked)))
            for w, n in zip(nulls, sizes.tolist(), strict=True)
        ]
        laws = {name: [fit_law(window.values[name]) for window in nulls] for name in columns}
    found = []
    for rate in rates:
        null_level = rate * NULL_PART / len(columns)
        critical = _critical(nulls, laws, null_level, rate)
        fitted = {name: _column(column, sizes, critical, laws[name], blocks) for name, column in columns.items()}
        found.append(Calibration(rate, seed, frame.height, draws, sizes, critical, null_level, fitted, left_out, len(blocks)))
    return found


def _check_rows(spec: ModelSpec, rows: int) -> None:
    if rows < LEAST_ROWS:
        raise ReferenceDataError(
            f"the reference of {spec.model} has {rows} rows: calibrated thresholds need {LEAST_ROWS}",
            "write it with more held-out rows, or set drift.thresholds: evidently",
        )
    if spec.min_rows > rows // 2:
        raise ReferenceDataError(
            f"the reference of {spec.model} has {rows} rows: windows of min_rows, {spec.min_rows}, need twice as many",
            f"write it with {2 * spec.min_rows} rows or more (best are ten windows), or set min_rows to {rows // 2} or less",
        )


def _critical(nulls: Sequence[_NullWindows], laws: Mapping[str, list[Law]], null_level: float, rate: float) -> Floats:
    """The level at each size of the grid, shape (grid,)."""
    found = []
    for at, window in enumerate(nulls):
        draws = len(next(iter(window.values.values())))
        flagged = null_alarms(window.null_p_values, null_level, draws)
        found.append(critical_level(window.values, {name: laws[name][at] for name in laws}, flagged, rate))
    return smooth(np.array(found))


def time_blocks(spec: ModelSpec, frame: pl.DataFrame) -> list[Ints]:
    """The reference's blocks of one window's duration; none where it has no time.

    Raises:
        SpecError: the spec names a column that the frame lacks, or that holds no times.
    """
    name = spec.drift.reference_time
    if name is None:
        return []
    if name not in frame.columns:
        raise SpecError(f"drift.reference_time is {name!r}, which the reference has not: it has {', '.join(frame.columns)}", REMEDY)
    try:
        return blocks_of(frame[name], spec.window)
    except TypeError as error:
        raise SpecError(f"drift.reference_time is {name!r}: {error}", REMEDY) from error


@dataclass(frozen=True, slots=True)
class _NullWindows:
    """Null windows of one size: transformed scores by column, and p-values of their null shares where the reference has nulls."""

    values: dict[str, Floats]
    null_p_values: dict[str, Floats]


class _Steps:
    def __init__(self, progress: Progress | None, steps: int) -> None:
        self._progress, self._steps, self._done = progress, steps, 0

    def next(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(self._done, self._steps)


def _null_windows(
    columns: Mapping[str, JudgedColumn], size: int, n: float, draws: int, seed: Sequence[int], counter: _Steps
) -> _NullWindows:
    rows = drawn(size, batched.effective(size, round(n)), draws, np.random.default_rng(seed))
    values = {}
    for name, column in columns.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            values[name] = transformed(column.method, batched.scores(column.method, column.binned(round(n)), rows))
        counter.next()
    return _NullWindows(values, {name: null_shares(column, rows) for name, column in columns.items() if column.nulls})


def grid(rows: int) -> Floats:
    """Window sizes that null windows are drawn for, in rows: log-spaced from 50 to a third of the reference, at most to 10,000."""
    top = min(LARGEST, rows // 3)
    bottom = min(SMALLEST, max(top // 4, 5))
    return np.unique(np.round(np.geomspace(bottom, top, GRID)))


def drawn(rows: int, m: int, draws: int, random: np.random.Generator) -> batched.Rows:
    """Row numbers of null windows, drawn without replacement, shape (draws, m)."""
    return np.stack([random.choice(rows, m, replace=False, shuffle=False) for _ in range(draws)]).astype(np.int32)


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


def smooth(critical: Floats) -> Floats:
    """Levels of neighbouring sizes averaged (a quarter, a half, a quarter, of the logarithms): each is known by few null windows only."""
    logs = np.log(np.concatenate([critical[:1], critical, critical[-1:]]))
    smoothed: Floats = np.exp((logs[:-2] + 2 * logs[1:-1] + logs[2:]) / 4)
    return smoothed


def _column(column: JudgedColumn, sizes: Floats, critical: Floats, laws: list[Law], blocks: list[Ints]) -> ColumnCalibration:
    values = column.coded.size
    effective = np.array([effective_size(n * values / len(column.missing), values) for n in sizes])
    thresholds = np.array([score_of(column.method, law.value(p)) for law, p in zip(laws, critical, strict=True)])
    return ColumnCalibration(
        column.method,
        tuple(laws),
        effective,
        np.maximum(thresholds, LEAST_THRESHOLD),
        values,
        column.nulls,
        column.rare,
        null_spread(column.missing, blocks),
    )
