"""The share of rows without a value is a test of its own: statistics drop nulls, so a column that loses half of its values shows no drift.

Exact hypergeometric test: of the nulls of reference and window together, as many fall into the window as into any choice of n of all rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.calibration.batched import Rows
from monitor.calibration.judged import JudgedColumn
from monitor.statistics.profiles import Floats

NULL_PART = 0.1  # of the rate, shared by the null shares of all columns; most are exact only in steps and use less


@lru_cache(maxsize=256)
def null_p_values(rows: int, nulls: int, n: int) -> Floats:
    """Two-sided p-values of k nulls among n of ``rows`` rows that hold ``nulls``, shape (most k + 1,), at k = 0, 1, ..."""
    k = np.arange(min(nulls, n) + 1)
    possible = k >= nulls - (rows - n)
    log = np.where(possible, _choose(nulls, k) + _choose(rows - nulls, np.where(possible, n - k, 0)) - _choose(rows, n), -np.inf)
    mass = np.exp(log)
    atleast, atmost = mass[::-1].cumsum()[::-1], mass.cumsum()
    p_values: Floats = np.minimum(2 * np.minimum(atleast, atmost), 1.0)
    return p_values


def _choose(n: int, k: npt.NDArray[np.int64] | int) -> Floats:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(np.asarray(k) + 1) - special.gammaln(n - np.asarray(k) + 1))


def null_p_value(reference_rows: int, reference_nulls: int, rows: int, nulls: int) -> float:
    """Of a window's nulls against the reference's."""
    return float(null_p_values(reference_rows + rows, reference_nulls + nulls, rows)[nulls])


def null_p_value_over_time(reference_rows: int, reference_nulls: int, rows: int, nulls: int, spread: float, blocks: int) -> float:
    """Where the share of nulls varies between blocks of the reference: Student's t with ``blocks`` - 1 degrees of freedom, the variance
    between blocks added to that of chance.

    Args:
        spread: standard deviation between blocks.
    """
    share = (reference_nulls + nulls) / (reference_rows + rows)
    chance = share * (1 - share) * (1 / rows + 1 / reference_rows)
    deviation = math.sqrt(chance + spread**2 * (1 + 1 / blocks))
    return float(2 * special.stdtr(blocks - 1, -abs(nulls / rows - reference_nulls / reference_rows) / deviation)) if deviation else 1.0


def null_shares(column: JudgedColumn, rows: Rows) -> Floats:
    """P-values of the null shares of windows drawn from the reference against the rest of it, shape (windows,)."""
    found = column.missing[rows].sum(axis=1)
    p_values: Floats = null_p_values(len(column.missing), column.nulls, rows.shape[1])[found]
    return p_values


def null_alarms(p_values: Mapping[str, Floats], level: float, windows: int) -> npt.NDArray[np.bool_]:
    """Windows in which any column's null share has a p-value up to the level, shape (windows,)."""
    flagged = np.zeros(windows, dtype=np.bool_)
    for values in p_values.values():
        flagged |= values <= level
    return flagged
