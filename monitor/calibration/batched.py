"""Drift statistics of thousands of windows at once, each drawn from the reference and held against the rest of it.

Equal to ``monitor.statistics`` within 1e-9, but for Kolmogorov-Smirnov's p-values of many windows, within 1 %
(``tests/unit/test_calibration_batched.py``). The rest of the reference has the distribution function F' = (N F - m C) / (N - m), where C
is that of the window, so F' - C = (F - C) N / (N - m): areas and distances between distribution functions need no second reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.calibration.coded import CodedColumn
from monitor.statistics.continuous import _ks_p_value
from monitor.statistics.profiles import Floats, Ints

AT_ONCE = 400_000  # numbers in work: they stay in the processor's cache
FEW_WINDOWS = 64  # whose p-values are computed one by one
KS_POINTS = 64
SMALLEST = 1e-300
Rows = npt.NDArray[np.int32]


def slices(windows: int, width: int) -> Iterator[slice]:
    """Cuts of the windows into parts of about ``AT_ONCE`` numbers, ``width`` numbers a window."""
    step = max(1, AT_ONCE // max(width, 1))
    return (slice(start, min(start + step, windows)) for start in range(0, windows, step))


def counted(column: CodedColumn, rows: Rows) -> Ints:
    """How often each code occurs in each window, shape (windows, distinct); ``rows`` are row numbers, shape (windows, rows a window)."""
    width = column.distinct + 1
    codes = column.codes[rows] + np.arange(len(rows), dtype=np.int64)[:, None] * width
    return np.bincount(codes.ravel(), minlength=len(rows) * width).reshape(len(rows), width)[:, :-1]


def by_counts(column: CodedColumn, rows: Rows, statistic: Callable[[Floats, Floats], Floats]) -> Floats:
    """A statistic of the counts of the rest of the reference and of the window, both of shape (windows, distinct)."""
    scores = np.empty(len(rows))
    for part in slices(len(rows), column.distinct + rows.shape[1]):
        theirs = counted(column, rows[part]).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            scores[part] = statistic(column.counts - theirs, theirs)
    return scores


def _shares(counts: Floats) -> Floats:
    shares: Floats = counts / counts.sum(axis=1, keepdims=True)
    return shares


def jensenshannon(ours: Floats, theirs: Floats) -> Floats:
    """Jensen-Shannon distance of each row of counts, shape (windows,)."""
    p, q = _shares(ours), _shares(theirs)
    middle = (p + q) / 2
    both = special.rel_entr(p, middle).sum(axis=1) + special.rel_entr(q, middle).sum(axis=1)
    distances: Floats = np.sqrt(np.maximum(both, 0.0) / 2)
    return distances


def _without_zeros(shares: Floats) -> Floats:
    smallest = np.where(shares == 0, np.inf, shares).min(axis=1, keepdims=True)
    return np.where(shares == 0, np.where(smallest <= 0.0001, smallest / 10**6, 0.0001), shares)


def psi(ours: Floats, theirs: Floats) -> Floats:
    """Population stability index of each row of counts, zeros filled as Evidently fills them."""
    p, q = _without_zeros(_shares(ours)), _without_zeros(_shares(theirs))
    scores: Floats = ((p - q) * np.log(p / q)).sum(axis=1)
    return scores


def kl_div(ours: Floats, theirs: Floats) -> Floats:
    """Kullback-Leibler divergence of each row of counts, zeros filled as Evidently fills them."""
    p, q = _shares(_without_zeros(_shares(ours))), _shares(_without_zeros(_shares(theirs)))
    scores: Floats = special.rel_entr(p, q).sum(axis=1)
    return scores


def hellinger(ours: Floats, theirs: Floats) -> Floats:
    """Hellinger distance of each row of counts."""
    distances: Floats = np.sqrt(1 - np.clip(np.sqrt(_shares(ours) * _shares(theirs)).sum(axis=1), 0.0, 1.0))
    return distances


def chisquare(ours: Floats, theirs: Floats) -> Floats:
    """P-values of the chi-square test of the window's counts against the reference's, scaled."""
    expected = ours * (theirs.sum(axis=1, keepdims=True) / ours.sum(axis=1, keepdims=True))
    known = (ours > 0) | (theirs > 0)
    terms = np.where(known, np.square(theirs - expected) / np.where(known, expected, 1.0), 0.0)
    p_values: Floats = special.chdtrc(known.sum(axis=1) - 1, terms.sum(axis=1))
    return p_values


def z_test(ours: Floats, theirs: Floats) -> Floats:
    """Two-sided p-values of the difference between the shares of the first category in sorted order."""
    n, m = ours.sum(axis=1), theirs.sum(axis=1)
    share, window_share = 1 - ours[:, 0] / n, 1 - theirs[:, 0] / m
    pooled = (share * n + window_share * m) / (n + m)
    z = (share - window_share) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    p_values: Floats = 2 * special.ndtr(-np.abs(z))
    return np.where(np.isnan(p_values), 1.0, p_values)


def wasserstein(column: CodedColumn, rows: Rows) -> Floats:
    """Normed Wasserstein distance of each window from the rest of the reference, over the whole reference's norm; shape (windows,)."""
    areas = _areas_by_counts(column, rows) if column.distinct <= 2 * rows.shape[1] else _areas_by_ranks(column, rows)
    return areas / column.norm


def _rest(column: CodedColumn, values: Ints) -> Floats:
    """N / (N - m), shape (windows,)."""
    rest: Floats = column.size / (column.size - values)
    return rest


def _gaps(column: CodedColumn, rows: Rows) -> tuple[Floats, Ints]:
    """F - C after each code but the last, shape (windows, distinct - 1); and each window's values."""
    counts = counted(column, rows)
    upto = counts.cumsum(axis=1)
    values = upto[:, -1]
    gap = column.counts.cumsum()[:-1] / column.size - upto[:, :-1] / values[:, None]
    return gap, values


def _areas_by_counts(column: CodedColumn, rows: Rows) -> Floats:
    areas = np.empty(len(rows))
    steps = np.diff(column.points)
    for part in slices(len(rows), column.distinct + rows.shape[1]):
        gap, values = _gaps(column, rows[part])
        areas[part] = (np.abs(gap) * steps).sum(axis=1) * _rest(column, values)
    return areas


def energy(column: CodedColumn, rows: Rows) -> Floats:
    """Energy distance of each window from the rest of the reference."""
    scores = np.empty(len(rows))
    steps = np.diff(column.points)
    for part in slices(len(rows), column.distinct + rows.shape[1]):
        gap, values = _gaps(column, rows[part])
        scores[part] = np.sqrt(2 * (np.square(gap) * steps).sum(axis=1)) * _rest(column, values)
    return scores


def _areas_by_ranks(column: CodedColumn, rows: Rows) -> Floats:
    """The same where windows are small: as ``monitor.statistics.continuous._area_by_windows_values``, with codes in place of look-ups."""
    order = np.repeat(np.arange(column.distinct, dtype=np.int32), column.counts)  # the code of each rank
    shares = column.counts.cumsum() / column.size
    points = np.append(column.points, column.points[-1])  # a row without a value stands at the end, and spans nothing
    area = np.concatenate([[0.0], np.cumsum(shares[:-1] * np.diff(column.points))])
    area = np.append(area, area[-1])
    areas = np.empty(len(rows))
    rank = np.arange(1, rows.shape[1] + 1, dtype=np.int64)
    for part in slices(len(rows), rows.shape[1]):
        starts = np.sort(column.codes[rows[part]], axis=1)
        values = (starts < column.distinct).sum(axis=1)
        share = np.minimum(rank / values[:, None], 1.0)
        crossing = order[np.minimum(-(-rank * column.size // values[:, None]), column.size) - 1]
        ends = np.concatenate([starts[:, 1:], np.full((len(starts), 1), column.distinct, dtype=np.int32)], axis=1)
        crossing = np.clip(crossing, starts, ends)
        below = area[starts] + area[ends] - 2 * area[crossing]
        beside = share * (2 * points[crossing] - points[starts] - points[ends])
        areas[part] = (area[starts[:, 0]] + (below + beside).sum(axis=1)) * _rest(column, values)
    return areas


def ks(column: CodedColumn, rows: Rows) -> Floats:
    """P-values of the two-sided Kolmogorov-Smirnov test, as SciPy's; shape (windows,). Of many windows they are interpolated: see below."""
    distances, sizes = np.empty(len(rows)), np.empty(len(rows), dtype=np.int64)
    for part in slices(len(rows), column.distinct + rows.shape[1]):
        gap, sizes[part] = _gaps(column, rows[part])
        distances[part] = np.abs(gap).max(axis=1, initial=0.0) * _rest(column, sizes[part])
    if len(rows) <= FEW_WINDOWS:
        return np.array([_p_value(column.size - m, m, d) for m, d in zip(sizes.tolist(), distances.tolist(), strict=True)])
    return _interpolated(column.size, sizes, distances)


@lru_cache(maxsize=10_000)
def _p_value(rest: int, values: int, distance: float) -> float:
    return _ks_p_value(rest, values, distance)


def _interpolated(size: int, sizes: Ints, distances: Floats) -> Floats:
    """Exact p-values take a millisecond each. Their logarithm is smooth in the distance times the root of the effective size, and hardly
    changes with the size then: it is computed at some points of both, and is within 1 % between them.
    """
    ends = np.unique(np.quantile(sizes, [0, 0.5, 1]).astype(np.int64))
    scaled = distances * np.sqrt(sizes * (size - sizes) / size)
    points = np.linspace(0, max(float(scaled.max()), 1e-9), KS_POINTS)
    logs = []
    for m in ends.tolist():
        root = math.sqrt(m * (size - m) / size)
        exact = [_p_value(size - m, m, min(point / root, 1.0)) for point in points.tolist()]
        logs.append(np.interp(scaled, points, np.log(np.maximum(exact, SMALLEST))))
    if len(ends) == 1:
        return np.exp(logs[0])
    left = np.clip(np.searchsorted(ends, sizes, "right") - 1, 0, len(ends) - 2)
    part = (sizes - ends[left]) / (ends[left + 1] - ends[left])
    table, at = np.array(logs), np.arange(len(sizes))
    p_values: Floats = np.exp(table[left, at] * (1 - part) + table[left + 1, at] * part)
    return p_values


def t_test(column: CodedColumn, rows: Rows) -> Floats:
    """Two-sided p-values of Student's t-test with pooled variance."""
    centred = np.append(column.points - (column.points * column.counts).sum() / column.size, 0.0)
    total, squares = float((centred[:-1] * column.counts).sum()), float((np.square(centred[:-1]) * column.counts).sum())
    p_values = np.empty(len(rows))
    for part in slices(len(rows), rows.shape[1]):
        codes = column.codes[rows[part]]
        m = (codes < column.distinct).sum(axis=1)
        n = column.size - m
        ours = centred[codes]
        first, second = ours.sum(axis=1), np.square(ours).sum(axis=1)
        spread = second - first**2 / m + (squares - second) - (total - first) ** 2 / n
        with np.errstate(divide="ignore", invalid="ignore"):
            t = ((total - first) / n - first / m) / np.sqrt(spread / (column.size - 2) * (1 / n + 1 / m))
        p_values[part] = 2 * special.stdtr(column.size - 2, -np.abs(t))
    return p_values


OF_COUNTS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "jensenshannon": jensenshannon,
    "psi": psi,
    "kl_div": kl_div,
    "hellinger": hellinger,
    "chisquare": chisquare,
    "z": z_test,
}
OF_NUMBERS: dict[str, Callable[[CodedColumn, Rows], Floats]] = {
    "wasserstein": wasserstein,
    "ks": ks,
    "ed": energy,
    "t_test": t_test,
}


def scores(method: str, column: CodedColumn, rows: Rows) -> Floats:
    """The method's score of each window; ``column`` is binned already where the method bins. Shape (windows,).

    Raises:
        KeyError: the method has no form for many windows.
    """
    if method in OF_NUMBERS and len(column.points):
        return OF_NUMBERS[method](column, rows)
    return by_counts(column, rows, OF_COUNTS[method])


def effective(size: int, n: int) -> int:
    """Rows m of a null window that stands for one of n rows against all N: 1/m + 1/(N - m) = 1/n + 1/N, up to N/2 at n = N/3."""
    if 3 * n >= size:
        return size // 2
    inverse = 1 / n + 1 / size
    return round((size - math.sqrt(size * size - 4 * size / inverse)) / 2)
