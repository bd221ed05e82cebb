"""Statistics of ranks in the pooled sample: Mann-Whitney, Cramér-von Mises, Anderson-Darling. As SciPy and Evidently compute them.

All three depend on counts alone: for each distinct value, how many of either sample are equal to it and how many lie below. With the
reference sorted beforehand that takes one look-up per value of the window. No dot products: BLAS would spread them over threads that spin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.statistics.profiles import Floats, Ints, NumericProfile, Sample

EXACT_MANN_WHITNEY_ROWS = 8  # SciPy: exact when one sample has no more rows and nothing is tied
EXACT_CRAMER_ROWS = 20  # exact when neither sample has more rows: SciPy's own, since Evidently's copy of it fails with NumPy 2
TERM_FLOOR = 1e-7  # where Evidently ends the series of the Cramér-von Mises distribution


@dataclass(frozen=True, slots=True)
class _Pooled:
    """Reference and window in one order. "Upto" is how many rows lie below a value plus half of those equal to it.

    Attributes:
        tied: which distinct values of the window the reference has too; shape (distinct of window,).
        ours: counts of the reference at the window's values (0 where not tied); shape (distinct of window,).
        ours_upto: the reference's rows up to each value of the window; shape (distinct of window,).
        theirs: counts of the window at the reference's values; shape (distinct of reference,).
        theirs_upto: the window's rows up to each value of the reference; shape (distinct of reference,).
    """

    tied: npt.NDArray[np.bool_]
    ours: Floats
    ours_upto: Floats
    theirs: Floats
    theirs_upto: Floats


def _pooled(reference: Sample, window: Sample) -> _Pooled:
    distinct = len(reference.points)
    left = reference.points.searchsorted(window.points, "left")
    right = reference.points.searchsorted(window.points, "right")
    below, upto = reference.cumulative[left], reference.cumulative[right]
    tied = right > left
    theirs = np.bincount(left[tied], window.counts[tied], distinct).astype(np.float64)
    above = np.bincount(right, window.counts, distinct + 1)[:distinct]  # a value is below all of the reference from here on
    return _Pooled(tied, (upto - below).astype(np.float64), (below + upto) / 2, theirs, above.cumsum() + theirs / 2)


def _cubes(counts: Ints | Floats) -> float:
    """The sum of t³ - t."""
    floats = counts.astype(np.float64, copy=False)
    return float((floats * (floats * floats - 1)).sum())


def _rows(values: Sample) -> Floats:
    return np.repeat(values.points, values.counts)


def mann_whitney(reference: NumericProfile, window: Sample) -> float:
    """P-value that the reference is stochastically less than the window (``scipy.stats.mannwhitneyu``, alternative less, method auto)."""
    pooled = _pooled(reference.sample, window)
    n, m = reference.size, window.size
    distinct = len(reference.sample.points) + len(window.points) - np.count_nonzero(pooled.tied)
    if min(n, m) <= EXACT_MANN_WHITNEY_ROWS and distinct == n + m:
        from scipy import stats  # noqa: PLC0415  # takes seconds to import: only where so few rows are judged

        return float(stats.mannwhitneyu(_rows(reference.sample), _rows(window), alternative="less").pvalue)
    statistic = float((window.counts * pooled.ours_upto).sum())  # pairs in which the reference's value is the lower, ties by halves
    a, b = pooled.ours[pooled.tied], window.counts[pooled.tied]
    ties = _cubes(reference.sample.counts) + _cubes(window.counts) + float((3 * a * b * (a + b)).sum())  # (a + b)³ - a³ - b³
    total = n + m
    deviation = np.sqrt(n * m / 12 * ((total + 1) - ties / (total * (total - 1))))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(special.ndtr(-((statistic - n * m / 2 - 0.5) / deviation)))


def cramer_von_mises(reference: NumericProfile, window: Sample) -> float:
    """P-value of the two-sample Cramér-von Mises test (Evidently's, which is SciPy's), ties at their midranks.

    Raises:
        ValueError: a sample has fewer than two values; Evidently refuses these too.
    """
    n, m = reference.size, window.size
    if min(n, m) < 2:
        raise ValueError(f"Cramer-von Mises needs two values or more: the reference has {n}, the window {m}")
    if max(n, m) <= EXACT_CRAMER_ROWS:
        from scipy import stats  # noqa: PLC0415  # as above

        return float(stats.cramervonmises_2samp(_rows(reference.sample), _rows(window)).pvalue)
    pooled = _pooled(reference.sample, window)
    # Over the t rows tied at one value the squares of (midrank - own rank) sum up to t * (the other's rows up to it)² + (t³ - t) / 12.
    spread = float((reference.sample.counts * np.square(pooled.theirs_upto)).sum()) + _cubes(reference.sample.counts) / 12
    window_spread = float((window.counts * np.square(pooled.ours_upto)).sum()) + _cubes(window.counts) / 12
    return _cramer_p_value(n * spread + m * window_spread, n, m)


def _cramer_p_value(spread: float, n: int, m: int) -> float:
    """Equations 9, 11, 14 and 15 of Anderson (1962), "On the Distribution of the Two-Sample Cramer-von Mises Criterion"."""
    product, total = n * m, n + m
    statistic = spread / (product * total) - (4 * product - 1) / (6 * total)
    variance = (total + 1.0) * (4 * product * total - 3 * (n**2 + m**2) - 2 * product) / (45 * total**2 * 4 * product)
    normed = 1 / 6 + (statistic - (1 + 1 / total) / 6) / math.sqrt(45 * variance)
    return 1.0 if normed < 0.003 else max(0.0, 1.0 - _cramer_limit(normed))


def _cramer_limit(x: float) -> float:
    """The limiting distribution (Csörgő and Faraway 1996, equation 1.2), its series ended where Evidently ends it."""
    total, k, term = 0.0, 0, 1.0
    while abs(term) >= TERM_FLOOR:
        y = 4 * k + 1
        q = y**2 / (16 * x)
        u = math.exp(math.lgamma(k + 0.5) - math.lgamma(k + 1)) / (math.pi**1.5 * math.sqrt(x))
        term = u * math.sqrt(y) * math.exp(-q) * float(special.kv(0.25, q))
        total += term
        k += 1
    return total


# Scholz and Stephens (1987), table 2, for two samples: the statistic at these levels. SciPy interpolates with a parabola of log(level).
_LEVELS = np.array([0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001])
_CRITICAL = (
    np.array([0.675, 1.281, 1.645, 1.96, 2.326, 2.573, 3.085])
    + np.array([-0.245, 0.25, 0.678, 1.149, 1.822, 2.364, 3.615])
    + np.array([-0.105, -0.305, -0.362, -0.391, -0.396, -0.345, -0.154])
)
_LEVEL_OF = np.polyfit(_CRITICAL, np.log(_LEVELS), 2)


def anderson_darling(reference: NumericProfile, window: Sample) -> float:
    """P-value of the two-sample Anderson-Darling test with midranks (``scipy.stats.anderson_ksamp``), between 0.001 and 0.25.

    Raises:
        ValueError: reference and window hold one and the same value; SciPy refuses these too.
    """
    ours, pooled = reference.sample, _pooled(reference.sample, window)
    new = ~pooled.tied
    if len(ours.points) + np.count_nonzero(new) < 2:
        raise ValueError("Anderson-Darling needs more than one distinct value in reference and window together")
    n, m = reference.size, window.size
    statistic = _anderson_sum(n, m, ours.counts + pooled.theirs, ours.cumulative[:-1] + ours.counts / 2, pooled.theirs_upto)
    theirs = window.counts[new].astype(np.float64)
    statistic += _anderson_sum(n, m, theirs, pooled.ours_upto[new], window.cumulative[:-1][new] + theirs / 2)
    total = n + m
    normed = (statistic * (total - 1.0) / total - 1) / _anderson_deviation(n, m)
    if normed < _CRITICAL[0]:
        return float(_LEVELS[0])
    return float(_LEVELS[-1]) if normed > _CRITICAL[-1] else math.exp(float(np.polyval(_LEVEL_OF, normed)))


def _anderson_sum(n: int, m: int, tied: Floats, ours_upto: Floats, theirs_upto: Floats) -> float:
    """Scholz and Stephens 1987, equation 7, without its first factor: the terms of some distinct values, ``tied`` rows each."""
    total, rank = n + m, ours_upto + theirs_upto
    weight = tied / total / (rank * (total - rank) - total * tied / 4.0)
    squares = np.square(total * ours_upto - rank * n) / n + np.square(total * theirs_upto - rank * m) / m
    return float((weight * squares).sum())


def _anderson_deviation(n: int, m: int) -> float:
    """The statistic's standard deviation (Scholz and Stephens 1987, equation 4) for two samples."""
    k, total, inverse = 2, n + m, 1.0 / n + 1.0 / m
    h, g = _harmonic(total)
    a = (4 * g - 6) * (k - 1) + (10 - 6 * g) * inverse
    b = (2 * g - 4) * k**2 + 8 * h * k + (2 * g - 14 * h - 4) * inverse - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * k**2 + (4 * h - 4 * g + 6) * k + (2 * h - 6) * inverse + 4 * h
    d = (2 * h + 6) * k**2 - 4 * h * k
    variance = (a * total**3 + b * total**2 + c * total + d) / ((total - 1.0) * (total - 2.0) * (total - 3.0))
    return math.sqrt(variance)


@lru_cache(maxsize=64)
def _harmonic(total: int) -> tuple[float, float]:
    sums = (1.0 / np.arange(total - 1, 1, -1)).cumsum()
    return float(sums[-1] + 1), float((sums / np.arange(2, total)).sum())
