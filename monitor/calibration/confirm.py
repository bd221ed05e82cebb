"""Confirms an alarm of a column whose score few rows decide: a value that the reference has twice may as well have come five times, which
null windows drawn from that reference never show. A permutation test of reference and window together needs no such law: under
exchangeability each choice of n of all rows is as likely as the window (Pitman 1937). Only alarms take it: quiet windows cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from monitor.calibration.batched import OF_COUNTS, scores
from monitor.calibration.coded import CodedColumn
from monitor.calibration.law import fit_law, transformed
from monitor.statistics.profiles import CategoryProfile, Floats, NumericProfile, Sample
from monitor.values import Counts

LEAST_DRAWS = 199
MOST_WORK = 200_000  # categories times draws
MOST_ROWS = 20_000_000  # rows of reference and window times draws
CLEARLY = 0.01  # of the level: a tail this small after the first draws needs no more of them
CLEARLY_NOT = 10  # of the first draws score as high
ALIKE = 1 - 1e-9
Draw = Callable[[int], Floats]


def confirmed(
    method: str, score: float, fitted: NumericProfile | CategoryProfile, window: Sample | Counts, level: float, seed: int
) -> bool:
    """True where a choice of as many rows of both scores as high with a probability up to ``level``. The same input, the same answer.

    Clear cases are decided by the first 199 draws, others by 2 / level more.
    """
    random = np.random.default_rng(seed)
    counts = window.as_counts() if isinstance(window, Sample) and method in OF_COUNTS else window
    draw = _of_numbers(method, fitted, counts, random) if isinstance(counts, Sample) else _of_counts(method, fitted, counts, random)
    found = float(transformed(method, np.array([score]))[0])
    first = transformed(method, draw(LEAST_DRAWS))
    beyond = int(np.count_nonzero(first >= found * ALIKE))
    if beyond >= max(CLEARLY_NOT, 3 * level * LEAST_DRAWS) or (beyond == 0 and _tail(first, found) <= level * CLEARLY):
        return beyond == 0
    return _rarely(np.concatenate([first, transformed(method, draw(math.ceil(2 / level)))]), found, level)


def _rarely(permuted: Floats, found: float, level: float) -> bool:
    """Counted where the draws suffice for the level, else by the gamma law of the draws beyond all of them."""
    beyond = int(np.count_nonzero(permuted >= found * ALIKE))
    return (beyond + 1) / (len(permuted) + 1) <= level or (beyond == 0 and _tail(permuted, found) <= level)


def _tail(permuted: Floats, found: float) -> float:
    return float(fit_law(permuted).p_values(np.array([found]))[0])


def _of_counts(method: str, fitted: NumericProfile | CategoryProfile, window: Counts, random: np.random.Generator) -> Draw:
    ours = fitted.sample.as_counts() if isinstance(fitted, NumericProfile) else dict(zip(fitted.position, fitted.counts, strict=True))
    names = sorted({*ours, *window}, key=lambda c: (str(type(c)), c))
    both = np.array([int(ours.get(c, 0)) + window.get(c, 0) for c in names], dtype=np.int64)
    size = sum(window.values())

    def draw(count: int) -> Floats:
        draws = max(min(count, MOST_WORK // len(names)), LEAST_DRAWS)
        theirs = random.multivariate_hypergeometric(both, size, size=draws, method="marginals").astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return OF_COUNTS[method](both - theirs, theirs)

    return draw


def _of_numbers(method: str, fitted: NumericProfile | CategoryProfile, window: Sample, random: np.random.Generator) -> Draw:
    assert isinstance(fitted, NumericProfile)
    points, codes = np.unique(np.concatenate([fitted.sample.points, window.points]), return_inverse=True)
    counts = np.bincount(codes, np.concatenate([fitted.sample.counts, window.counts]), len(points)).astype(np.int64)
    column = CodedColumn(np.repeat(np.arange(len(points), dtype=np.int32), counts), counts, points, fitted.sample.integral)
    total, norm = fitted.size + window.size, fitted.norm

    def draw(count: int) -> Floats:
        draws = max(min(count, MOST_ROWS // total), LEAST_DRAWS)
        rows = np.stack([random.choice(total, window.size, replace=False, shuffle=False) for _ in range(draws)]).astype(np.int32)
        found = scores(method, column, rows)
        return found * (column.norm / norm) if method == "wasserstein" else found

    return draw
