"""Statistics of shares and counts: per category, or per bin of a histogram over reference and window. As Evidently computes them."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from monitor.statistics.profiles import Floats, NumericProfile, Sample
from monitor.values import Category, Counts

FEW_FOR_BINS = 20  # Evidently bins numbers only when the reference has more distinct values


def jensenshannon(ours: Floats, theirs: Floats) -> float:
    """Jensen-Shannon distance, natural logarithm (``scipy.spatial.distance.jensenshannon``) of two vectors of shares."""
    ours, theirs = ours / ours.sum(), theirs / theirs.sum()
    middle = (ours + theirs) / 2.0
    return float(np.sqrt((special.rel_entr(ours, middle).sum() + special.rel_entr(theirs, middle).sum()) / 2.0))


def _without_zeros(shares: Floats) -> Floats:
    """Evidently's fill: 0 becomes 0.0001, or a millionth of the smallest share where that is 0.0001 or less."""
    smallest = shares[shares != 0].min()
    return np.where(shares == 0, smallest / 10**6 if smallest <= 0.0001 else 0.0001, shares)


def psi(ours: Floats, theirs: Floats) -> float:
    """Population stability index of two vectors of shares."""
    ours, theirs = _without_zeros(ours), _without_zeros(theirs)
    return float(np.sum((ours - theirs) * np.log(ours / theirs)))


def kl_div(ours: Floats, theirs: Floats) -> float:
    """Kullback-Leibler divergence of the reference's shares from the window's (``scipy.stats.entropy``), natural logarithm."""
    ours, theirs = _without_zeros(ours), _without_zeros(theirs)
    return float(special.rel_entr(ours / ours.sum(), theirs / theirs.sum()).sum())


def hellinger(ours: Floats, theirs: Floats, width: float = 1.0) -> float:
    """Hellinger distance of two vectors of shares (``width`` 1) or densities (``width`` of the bins).

    Summed in order, since the root of a difference near 0 makes a last digit visible.
    """
    overlap = 0.0
    for root in np.sqrt(ours * theirs).tolist():
        overlap += root * width
    return math.sqrt(1 - min(max(overlap, 0.0), 1.0))


def chisquare(ours: Floats, theirs: Floats) -> float:
    """P-value of the chi-square test of the window's counts against the reference's, scaled to the window's size."""
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = ours * (theirs.sum() / ours.sum())
        return float(special.chdtrc(len(ours) - 1, np.sum((theirs - expected) ** 2 / expected)))


def g_test(ours: Floats, theirs: Floats) -> float:
    """P-value of the G test of counts.

    Raises:
        ValueError: the totals differ; Evidently refuses these too.
    """
    if abs(theirs.sum() - ours.sum()) / min(ours.sum(), theirs.sum()) > np.finfo(np.float64).eps ** 0.5:
        raise ValueError(f"g_test needs as many values in the window ({theirs.sum():.0f}) as in the reference ({ours.sum():.0f})")
    with np.errstate(divide="ignore"):
        return float(special.chdtrc(len(ours) - 1, np.sum(2.0 * special.xlogy(theirs, theirs / ours))))


def fisher_exact(ours: Floats, theirs: Floats) -> float:
    """Two-sided p-value of Fisher's exact test of a 2 x 2 table.

    Raises:
        ValueError: more than two categories (Evidently refuses these within one side; over both, its table depends on the order of a set),
            or totals that differ, which Evidently refuses too.
    """
    from scipy import stats  # noqa: PLC0415  # takes seconds to import: only where a spec asks for an exact test

    if len(ours) > 2:
        raise ValueError(f"fisher_exact needs a binary column, reference and window have {len(ours)} categories")
    if ours.sum() != theirs.sum():
        raise ValueError(f"fisher_exact needs as many values in the window ({theirs.sum():.0f}) as in the reference ({ours.sum():.0f})")
    if len(ours) == 1:
        return 1.0
    return float(stats.fisher_exact(np.array([theirs, ours], dtype=np.int64)).pvalue)


def z_test(ours: Counts, theirs: Counts, size: int, window_size: int) -> float:
    """Two-sided p-value of the difference between the shares of all categories but the first in sorted order."""
    categories: set[Category] = set(ours) | set(theirs)
    if len(categories) == 1:
        return 1.0
    first = min(categories)
    rest, window_rest = size - ours.get(first, 0), window_size - theirs.get(first, 0)
    share, window_share = rest / size, window_rest / window_size
    pooled = float(share * size + window_share * window_size) / (size + window_size)
    z = (share - window_share) / np.sqrt(pooled * (1 - pooled) * (1.0 / size + 1.0 / window_size))
    return float(2 * (1 - special.ndtr(abs(z))))


def sturges_edges(reference: Sample, window: Sample, total: int) -> Floats:
    """``numpy.histogram_bin_edges(bins="sturges")`` over both samples, from their ends and the ``total`` of values alone."""
    low, high = min(reference.values[0], window.values[0]), max(reference.values[-1], window.values[-1])
    if low == high:
        low, high = low - 0.5, high + 0.5
    width = (high - low) / (np.log2(total) + 1.0)
    if width and reference.integral and window.integral:
        width = max(width, 1)
    bins = int(np.ceil((high - low) / width)) if width else 1
    return np.linspace(low, high, bins + 1, endpoint=True, dtype=np.float64)


def histograms(reference: NumericProfile, window: Sample) -> tuple[Floats, Floats]:
    """Shares per bin of reference and window."""
    edges = sturges_edges(reference.sample, window, reference.size + window.size)
    return reference.sample.below(edges) / reference.size, window.below(edges) / window.size


def hellinger_of_numbers(reference: NumericProfile, window: Sample) -> float:
    """Hellinger distance of numbers: densities in bins over the distinct values of reference and window together."""
    ours = reference.sample
    distinct = len(ours.values) + new_values(reference, window)
    edges = sturges_edges(ours, window, distinct)
    widths = np.diff(edges)
    first, second = ours.below(edges), window.below(edges)
    width = float(max(edges) - min(edges)) / (len(edges) - 1)
    return hellinger(first / widths / first.sum(), second / widths / second.sum(), width)


def new_values(reference: NumericProfile, window: Sample) -> int:
    """How many distinct values of the window are not in the reference."""
    ours = reference.sample.values
    at = np.minimum(ours.searchsorted(window.values), len(ours) - 1)
    return int(np.count_nonzero(ours[at] != window.values))
