"""A column of the reference, fitted once, and a column of a window: all that the fast statistics need of either."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.values import Category, Counts, Numbers

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
STD_FLOOR = 0.001  # Evidently's, in the norm of the Wasserstein distance


@dataclass(frozen=True, slots=True)
class Sample:
    """Numbers as their distinct values in rising order with counts; all arrays have shape (distinct,) but ``cumulative``.

    ``cumulative`` has shape (distinct + 1,): how many of the ``size`` numbers lie below each distinct value, then ``size``.
    ``rows`` are the numbers in row order, None in a profile.
    """

    values: Numbers
    points: Floats
    counts: Ints
    cumulative: Ints
    size: int
    rows: Numbers | None = None

    @property
    def integral(self) -> bool:
        """True for whole numbers, whose histogram bins are never narrower than 1 (numpy's rule)."""
        return self.values.dtype.kind == "i"

    def as_counts(self) -> Counts:
        """The same numbers as categories."""
        return dict(zip(self.values.tolist(), self.counts.tolist(), strict=True))

    def below(self, edges: Floats) -> Ints:
        """How many numbers fall into each bin ``[edge, next edge)``, the last bin with its right edge (as ``numpy.histogram``)."""
        at = np.concatenate([self.values.searchsorted(edges[:-1], "left"), self.values.searchsorted(edges[-1:], "right")])
        below: Ints = np.diff(self.cumulative[at])
        return below


def sample(numbers: Numbers) -> Sample:
    """Distinct values and counts of finite numbers, in any order; at least one."""
    ordered: Any = np.sort(numbers)
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    cumulative = np.append(starts, len(ordered))
    values: Numbers = ordered[starts]
    return Sample(values, values.astype(np.float64, copy=False), np.diff(cumulative), cumulative, len(ordered), numbers)


def moments(numbers: Numbers) -> tuple[float, float]:
    """Mean and sample variance, in row order: where values hardly vary, another order of summing shows in a t-test."""
    floats = numbers.astype(np.float64, copy=False)
    mean = np.mean(floats)
    variance = np.mean(np.square(floats - mean)) * len(floats) / (len(floats) - 1) if len(floats) > 1 else 0.0
    return float(mean), float(variance)


@dataclass(frozen=True, slots=True)
class NumericProfile:
    """A numerical column of the reference.

    Attributes:
        sample: its distinct values and counts.
        shares: its distribution function F, shape (distinct + 1,): the share of rows below each distinct value, then 1.
        areas: the integral of F from the smallest value up to each distinct value, shape (distinct,); unit of the column.
        norm: its standard deviation (population), not below 0.001; unit of the column.
        mean: its arithmetic mean, summed in row order as NumPy does; unit of the column.
        variance: of the sample (divided by its size less 1); unit of the column squared, 0 for one value.
    """

    sample: Sample
    shares: Floats
    areas: Floats
    norm: float
    mean: float
    variance: float

    @property
    def size(self) -> int:
        """Its finite values."""
        return self.sample.size

    def area(self, at: Floats) -> Floats:
        """The integral of F up to each point of ``at``; 0 left of the smallest value."""
        after = self.sample.points.searchsorted(at, "right")
        last = np.maximum(after - 1, 0)
        return np.where(after > 0, self.areas[last] + self.shares[after] * (at - self.sample.points[last]), 0.0)


def fit_numbers(numbers: Numbers) -> NumericProfile:
    """Fit a numerical column. Sums run in extended precision, so that equal distributions have a distance of 0 within 1e-15."""
    found = replace(sample(numbers), rows=None)
    shares = found.cumulative / found.size
    steps = (shares[1:-1] * np.diff(found.points)).astype(np.longdouble)
    areas = np.concatenate([[0.0], np.cumsum(steps).astype(np.float64)])
    profile = NumericProfile(found, shares, areas, max(float(np.std(numbers)), STD_FLOOR), *moments(numbers))
    for array in (found.values, found.points, found.counts, found.cumulative, shares, areas):
        array.setflags(write=False)  # shared between threads
    return profile


@dataclass(frozen=True, slots=True)
class CategoryProfile:
    """A categorical column of the reference: its categories, their positions and counts (float64, shape (categories,))."""

    position: dict[Category, int]
    counts: Floats
    size: int

    @property
    def categories(self) -> list[Category]:
        """The categories in the order of ``counts``."""
        return list(self.position)

    def aligned(self, window: Counts) -> tuple[Floats, Floats]:
        """Counts of reference and window over the same categories: the reference's own first, then the window's new ones."""
        theirs = np.zeros(len(self.position) + len(window))
        end = len(self.position)
        for category, count in window.items():
            at = self.position.get(category)
            if at is None:
                at, end = end, end + 1
            theirs[at] = count
        ours = np.zeros(end)
        ours[: len(self.position)] = self.counts
        return ours, theirs[:end]


def fit_counts(counts: Counts) -> CategoryProfile:
    """Fit a categorical column; categories in sorted order, so that a profile does not depend on the order of rows."""
    ordered = sorted(counts)
    array = np.array([counts[c] for c in ordered], dtype=np.float64)
    array.setflags(write=False)
    return CategoryProfile({c: i for i, c in enumerate(ordered)}, array, int(array.sum()))
