"""Statistics of the whole distribution function: normed Wasserstein, Kolmogorov-Smirnov, energy distance; and of the mean: Student's t.
As SciPy computes them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import special

from monitor.statistics.profiles import Floats, Ints, NumericProfile, Sample, moments

MERGE_FROM = 3  # times the window's distinct values are more than the reference's: merging both is faster then (measured)
RANKED_UP_TO = 200_000  # values of both; above, what is kept for two sizes would take megabytes
EXACT_ROWS = 10_000  # up to here SciPy's ks_2samp computes the exact p-value


def wasserstein(reference: NumericProfile, window: Sample) -> float:
    """Integral of ``|F - C|`` over the reference's standard deviation, F and C the distribution functions of reference and window
    (``scipy.stats.wasserstein_distance``, divided).
    """
    points, ours = window.points, reference.sample.points
    if MERGE_FROM * len(points) <= len(ours):
        area = _area_by_windows_values(reference, window)
    elif len(points) == window.size and len(ours) == reference.sample.size and window.size + len(ours) <= RANKED_UP_TO:
        area = _area_by_ranks(ours, points)
    else:
        area = _area_by_all_values(reference, window)
    return area / reference.norm


def _area_by_ranks(ours: Floats, points: Floats) -> float:
    """The same integral along the other axis, of the distance between the quantile functions, where no value repeats: which values meet
    depends on the two sizes only. O(n + m), a fifth of the time of merging.
    """
    left, right, shares = _meeting(len(ours), len(points))
    return float((np.abs(ours[left] - points[right]) * shares).sum())


@lru_cache(maxsize=8)  # a window's columns mostly have the same two sizes
def _meeting(n: int, m: int) -> tuple[Ints, Ints, Floats]:
    """For two rising lists of n and m values: which of the first stands beside which of the second as quantiles, and for what share."""
    ends = np.sort(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]), kind="stable")  # in units of 1 / (n * m), exact
    return (ends - 1) // m, (ends - 1) // n, np.diff(ends, prepend=0) / (n * m)


def _area_by_all_values(reference: NumericProfile, window: Sample) -> float:
    """The integral over the merged values of both: O(n + m), since a stable sort of two rising runs merges them."""
    both = np.concatenate([reference.sample.points, window.points])
    order = both.argsort(kind="stable")
    ours = np.cumsum(order < len(reference.sample.points))[:-1]  # the reference's distinct values up to each of the merged ones
    theirs = np.arange(1, len(both)) - ours
    gap = np.abs(reference.shares[ours] - window.cumulative[theirs] / window.size)
    return float((gap * np.diff(both[order])).sum())  # no dot product: BLAS would spread it over threads that spin


def _area_by_windows_values(reference: NumericProfile, window: Sample) -> float:
    """The same where the window is small. Between two neighbouring values of the window C is constant, F rises, and crosses C at most
    once, at a quantile of F: so each piece follows from the integral of F at three points. O(m log n) for m distinct values in the
    window and n in the reference.
    """
    points, ours = window.points, reference.sample
    starts, ends = points, np.append(points[1:], max(points[-1], ours.points[-1]))
    share = window.cumulative[1:] / window.size
    rank = -(-window.cumulative[1:] * ours.size // window.size)  # smallest count of reference rows that reaches the share
    crossing = ours.points[np.searchsorted(ours.cumulative[1:], rank, "left")].clip(starts, ends)
    area = reference.area(np.concatenate([starts, crossing, ends[-1:]]))
    at_start, at_crossing = area[: len(starts)], area[len(starts) : -1]
    at_end = np.append(at_start[1:], area[-1])
    below = share * (crossing - starts) - (at_crossing - at_start)
    above = (at_end - at_crossing) - share * (ends - crossing)
    total = at_start[0] + np.sum(below + above)
    return max(float(total), 0.0)


def ks(reference: NumericProfile, window: Sample) -> float:
    """Two-sided p-value of the two-sample Kolmogorov-Smirnov test (``scipy.stats.ks_2samp``, method auto)."""
    ours = reference.sample
    upto = ours.cumulative[ours.values.searchsorted(window.values, "right")] / ours.size
    before = ours.cumulative[ours.values.searchsorted(window.values, "left")] / ours.size
    shares = window.cumulative / window.size
    distance = max(float(np.max(before - shares[:-1])), float(np.max(shares[1:] - upto)), 0.0)
    return _ks_p_value(ours.size, window.size, distance)


def _ks_p_value(first: int, second: int, distance: float) -> float:
    # Here: scipy.stats takes 2 s of CPU to import, and only references of up to 1,000 rows are judged by p-values.
    from scipy.stats import distributions  # noqa: PLC0415
    from scipy.stats._stats_py import _attempt_exact_2kssamp  # type: ignore[attr-defined]  # noqa: PLC0415  # no public name for it

    if max(first, second) <= EXACT_ROWS:
        exact, distance, p_value = _attempt_exact_2kssamp(first, second, math.gcd(first, second), distance, "two-sided")
        if exact:
            return float(np.clip(p_value, 0, 1))
    larger, smaller = float(max(first, second)), float(min(first, second))
    return float(np.clip(distributions.kstwo.sf(distance, np.round(larger * smaller / (larger + smaller))), 0, 1))


def energy(reference: NumericProfile, window: Sample) -> float:
    """Energy distance ``sqrt(2 ∫ (F - C)²)`` (``scipy.stats.energy_distance``). O(n + m): an integral of F² would lose half the digits."""
    ours = reference.sample
    points = np.concatenate([ours.points, window.points])
    points.sort(kind="stable")  # two rising runs: merged in one pass
    left = points[:-1]
    gap = ours.cumulative[ours.points.searchsorted(left, "right")] / ours.size
    gap = gap - window.cumulative[window.points.searchsorted(left, "right")] / window.size
    return math.sqrt(2) * math.sqrt(float((np.square(gap) * np.diff(points)).sum()))


def t_test(reference: NumericProfile, window: Sample) -> float:
    """Two-sided p-value of Student's t-test with pooled variance (``scipy.stats.ttest_ind``); not a number where nothing varies."""
    assert window.rows is not None  # only a profile's sample has no rows
    mean, variance = moments(window.rows)
    n, m = reference.size, window.size
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = ((n - 1) * reference.variance + (m - 1) * variance) / (n + m - 2)
        t = np.float64(reference.mean - mean) / np.sqrt(pooled * (1 / n + 1 / m))
        return float(2 * special.stdtr(n + m - 2, -np.abs(t)))
