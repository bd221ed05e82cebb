"""One column's score: the method, its statistic, its threshold, its verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from monitor.statistics import continuous, discrete, ranks
from monitor.statistics.methods import FEW_VALUES, Method, default_method
from monitor.statistics.profiles import CategoryProfile, Floats, NumericProfile, Sample, fit_counts
from monitor.values import Counts

CONTINUOUS: dict[str, Callable[[NumericProfile, Sample], float]] = {
    "wasserstein": continuous.wasserstein,
    "ks": continuous.ks,
    "ed": continuous.energy,
    "t_test": continuous.t_test,
    "mannw": ranks.mann_whitney,
    "cramer_von_mises": ranks.cramer_von_mises,
    "anderson": ranks.anderson_darling,
}
OF_SHARES: dict[str, Callable[[Floats, Floats], float]] = {
    "jensenshannon": discrete.jensenshannon,
    "psi": discrete.psi,
    "kl_div": discrete.kl_div,
    "hellinger": discrete.hellinger,
}
OF_COUNTS: dict[str, Callable[[Floats, Floats], float]] = {
    "chisquare": discrete.chisquare,
    "g_test": discrete.g_test,
    "fisher_exact": discrete.fisher_exact,
}


@dataclass(frozen=True, slots=True)
class Score:
    """What a method says of one column. ``score`` may be infinite; ``threshold`` and ``score`` are in the method's unit."""

    method: Method
    score: float
    threshold: float
    drifted: bool


def verdict(method: Method, score: float, threshold: float | None) -> Score:
    """The score against the threshold (the method's own where None).

    Raises:
        ValueError: the score is not a number, so nothing can be said.
    """
    if math.isnan(score):
        raise ValueError(f"{method.display_name} gives no number on this window")
    limit = method.threshold if threshold is None else threshold
    return Score(method, score, limit, bool(method.hit(score, limit)))


def choose_for_numbers(profile: NumericProfile, window: Sample) -> Method:
    """Evidently's default method for a numerical column."""
    distinct = len(profile.sample.values)
    if distinct <= FEW_VALUES:
        distinct += discrete.new_values(profile, window)
    return default_method("numerical", profile.size, distinct)


def choose_for_categories(profile: CategoryProfile, window: Counts) -> Method:
    """Evidently's default method for a categorical column."""
    distinct = len(profile.position) + sum(category not in profile.position for category in window)
    return default_method("categorical", profile.size, distinct)


def number_score(profile: NumericProfile, window: Sample, method: Method) -> float:
    """A fast method's statistic on a numerical column."""
    if method.name in CONTINUOUS:
        return CONTINUOUS[method.name](profile, window)
    if method.name == "hellinger":
        return discrete.hellinger_of_numbers(profile, window)
    if method.name in OF_SHARES and len(profile.sample.values) > discrete.FEW_FOR_BINS:
        return OF_SHARES[method.name](*discrete.histograms(profile, window))
    return category_score(fit_counts(profile.sample.as_counts()), window.as_counts(), method)


def category_score(profile: CategoryProfile, window: Counts, method: Method) -> float:
    """A fast method's statistic on a categorical column."""
    size = sum(window.values())
    if method.name == "z":
        ours = dict(zip(profile.position, profile.counts.astype(int).tolist(), strict=True))
        return discrete.z_test(ours, window, profile.size, size)
    ours_counts, theirs = profile.aligned(window)
    if method.name in OF_COUNTS:
        return OF_COUNTS[method.name](ours_counts, theirs)
    return OF_SHARES[method.name](ours_counts / profile.size, theirs / size)
