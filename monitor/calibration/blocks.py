"""Quiet windows of real time differ more than random rows do. Where the reference has the time of its rows, blocks of one window's duration
show by how much, and null windows get that much added.

Between blocks a column's distribution itself varies. A squared distance between two samples is then the sum of what their sizes bring and
of the squared distance of their distributions (the variance components of a one-way layout), so the excess of a block's squared distance
over that of random rows is one draw of the latter. It is known from k blocks only: each draw is scaled by (k - 1) / chi²(k - 1), as the
predictive law of a variance estimated with k - 1 degrees of freedom is (Gelman et al., "Bayesian Data Analysis", section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from config.durations import UNIT_MS
from config.spec_window import WEEKDAYS, Window
from monitor.calibration import batched
from monitor.calibration.calibration import effective_size, line
from monitor.calibration.judged import JudgedColumn
from monitor.calibration.law import P_VALUES, Law, transformed
from monitor.statistics.profiles import Floats, Ints

LEAST_ROWS = 30  # of a block
LEAST_BLOCKS = 3
PARTIAL = 0.05  # of a window's duration
ENOUGH_BLOCKS = 20  # below, nothing can be promised over time
EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday


def blocks_of(times: pl.Series, window: Window) -> list[Ints]:
    """The row numbers of each block: rows of one window's duration, aligned as windows are. The first and the last are left out where the
    reference holds a part of them only, and so is a block of few rows.
    """
    stamps = epoch_ms(times)
    if window.time_zone:  # days as the clock on the wall has them
        local = stamps.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC").dt.convert_time_zone(window.time_zone)
        stamps = local.dt.replace_time_zone(None).dt.epoch("ms")
    since = stamps - window.offset - _week_offset(window)
    ids, within = since // window.size, since % window.size
    known = ids.drop_nulls().unique().sort().to_list()
    found = [ids.eq(block).fill_null(False).arg_true().to_numpy().astype(np.int64) for block in known]
    usual = float(np.median([len(b) for b in found])) if found else 0.0
    return [b for b in _whole(found, within.to_numpy(), PARTIAL * window.size) if len(b) >= max(LEAST_ROWS, usual / 2)]


def _whole(blocks: list[Ints], within: npt.NDArray[np.float64] | Ints, tolerance: float) -> list[Ints]:
    """Without a first block that begins later, or a last one that ends earlier, than blocks usually do; ``within`` in ms of each row."""
    if len(blocks) < LEAST_BLOCKS:
        return blocks
    begins, ends = [within[b].min() for b in blocks], [within[b].max() for b in blocks]
    first = 1 if begins[0] > np.median(begins) + tolerance else 0
    last = len(blocks) - (1 if ends[-1] < np.median(ends) - tolerance else 0)
    return blocks[first:last]


def epoch_ms(times: pl.Series) -> pl.Series:
    """Times as ms since the epoch; those without a zone are UTC, whole numbers are ms already.

    Raises:
        TypeError: they are no times.
    """
    if times.dtype in (pl.Datetime, pl.Date):
        return times.dt.epoch("ms")
    if not times.dtype.is_integer():
        raise TypeError(f"{times.dtype} are no times")
    return times.cast(pl.Int64)


def _week_offset(window: Window) -> int:
    return (WEEKDAYS.index(window.week_start) - EPOCH_WEEKDAY) * UNIT_MS["d"] if window.week_start else 0


def excesses(columns: Mapping[str, JudgedColumn], blocks: list[Ints], laws: Mapping[str, list[Law]], sizes: Floats) -> dict[str, Floats]:
    """By column, how far each block's transformed score lies above the mean of random rows, shape (blocks,), not below 0.

    Of a p-value's logarithm, which grows with the window, it is the excess per effective row.
    """
    found = {}
    for name, column in columns.items():
        share, values = column.coded.size / len(column.missing), column.coded.size
        grid = np.log([effective_size(n * share, values) for n in sizes])
        means = np.log([law.shape * law.scale for law in laws[name]])
        excess = []
        for rows in blocks:
            block = batched.scores(column.method, column.binned(len(rows)), rows[None, :].astype(np.int32))
            size = _block_size(column, rows)
            mean = float(np.exp(line(grid, means, np.log(size))))
            excess.append(max(float(transformed(column.method, block)[0]) - mean, 0.0) / (size if column.method in P_VALUES else 1.0))
        found[name] = np.array(excess)
    return found


def _block_size(column: JudgedColumn, rows: Ints) -> float:
    inside = int((column.coded.codes[rows] < column.coded.distinct).sum())
    return effective_size(inside, max(column.coded.size - inside, 1))


def add_excess(
    values: dict[str, Floats], columns: Mapping[str, JudgedColumn], excess: Mapping[str, Floats], n: float, random: np.random.Generator
) -> dict[str, Floats]:
    """Null values with a random block's excess, one block for all columns of a null window."""
    draws, count = len(next(iter(values.values()))), len(next(iter(excess.values())))
    block = random.integers(count, size=draws)
    unsure = (count - 1) / random.chisquare(count - 1, size=draws)
    added = {}
    for name, value in values.items():
        column = columns[name]
        size = effective_size(n * column.coded.size / len(column.missing), column.coded.size) if column.method in P_VALUES else 1.0
        added[name] = value + excess[name][block] * unsure * size
    return added


def null_spread(missing: npt.NDArray[np.bool_], blocks: list[Ints]) -> float:
    """The standard deviation between blocks of a column's share of nulls, beyond what chance brings."""
    if len(blocks) < LEAST_BLOCKS:
        return 0.0
    shares = np.array([missing[b].mean() for b in blocks])
    overall = float(missing.mean())
    chance = float(np.mean([overall * (1 - overall) / len(b) for b in blocks]))
    return float(np.sqrt(max(float(shares.var(ddof=1)) - chance, 0.0)))
