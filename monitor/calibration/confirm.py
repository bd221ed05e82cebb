"""Confirms an alarm of a column whose score few rows decide: a value that the reference has twice may as well have come five times, which
null windows drawn from that reference never show. A permutation test of reference and window together needs no such law: under
exchangeability each choice of n of all rows is as likely as the window (Pitman 1937). Only alarms take it: quiet windows cost nothing.
"""

from __future__ import annotations

import math

import numpy as np

from monitor.calibration.batched import OF_COUNTS, scores
from monitor.calibration.coded import CodedColumn
from monitor.calibration.law import fit_law, transformed
from monitor.statistics.profiles import CategoryProfile, Floats, NumericProfile, Sample
from monitor.values import Counts

LEAST_DRAWS = 199
MOST_WORK = 200_000  # categories times draws
MOST_ROWS = 20_000_000  # rows of reference and window times draws


def confirmed(
    method: str, score: float, fitted: NumericProfile | CategoryProfile, window: Sample | Counts, level: float, seed: int
) -> bool:
    """True where a choice of as many rows of both scores as high with a probability up to ``level``. The same input, the same answer."""
    random = np.random.default_rng(seed)
    counts = window.as_counts() if isinstance(window, Sample) and method in OF_COUNTS else window
    if isinstance(counts, Sample):
        assert isinstance(fitted, NumericProfile)
        permuted = _of_numbers(method, fitted, counts, level, random)
    else:
        permuted = _of_counts(method, fitted, counts, level, random)
    return _rarely(transformed(method, permuted), float(transformed(method, np.array([score]))[0]), level)


def _rarely(permuted: Floats, found: float, level: float) -> bool:
    """Counted where the draws suffice for the level, else by the gamma law of the draws beyond all of them."""
    beyond = int(np.count_nonzero(permuted >= found * (1 - 1e-9)))
    if (beyond + 1) / (len(permuted) + 1) <= level:
        return True
    return beyond == 0 and float(fit_law(permuted).p_values(np.array([found]))[0]) <= level


def _draws(level: float, most: int) -> int:
    return max(min(math.ceil(2 / level), most), LEAST_DRAWS)


def _of_counts(method: str, fitted: NumericProfile | CategoryProfile, window: Counts, level: float, random: np.random.Generator) -> Floats:
    ours = fitted.sample.as_counts() if isinstance(fitted, NumericProfile) else dict(zip(fitted.position, fitted.counts, strict=True))
    names = sorted({*ours, *window}, key=lambda c: (str(type(c)), c))
    both = np.array([int(ours.get(c, 0)) + window.get(c, 0) for c in names], dtype=np.int64)
    size = sum(window.values())
    draws = random.multivariate_hypergeometric(both, size, size=_draws(level, MOST_WORK // len(names)), method="marginals")
    theirs = draws.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return OF_COUNTS[method](both - theirs, theirs)


def _of_numbers(method: str, fitted: NumericProfile, window: Sample, level: float, random: np.random.Generator) -> Floats:
    points, codes = np.unique(np.concatenate([fitted.sample.points, window.points]), return_inverse=True)
    counts = np.bincount(codes, np.concatenate([fitted.sample.counts, window.counts]), len(points)).astype(np.int64)
    column = CodedColumn(np.repeat(np.arange(len(points), dtype=np.int32), counts), counts, points, fitted.sample.integral)
    total = fitted.size + window.size
    draws = _draws(level, MOST_ROWS // total)
    rows = np.stack([random.choice(total, window.size, replace=False, shuffle=False) for _ in range(draws)]).astype(np.int32)
    found = scores(method, column, rows)
    return found * (column.norm / fitted.norm) if method == "wasserstein" else found
