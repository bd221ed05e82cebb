"""The law of a column's scores where nothing has drifted: a gamma law of the transformed score.

Squared distances between samples are sums of weighted chi-square variables, which gamma laws of the same mean and variance come close to
(Satterthwaite 1946, "An Approximate Distribution of Estimates of Variance Components"); minus the logarithm of a p-value is exponential,
which is a gamma law too. The law only puts columns on one scale: the joint level is taken from null windows themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from monitor.statistics.profiles import Floats

P_VALUES = frozenset({"ks", "chisquare", "z", "t_test", "mannw", "cramer_von_mises", "anderson", "g_test", "fisher_exact"})
SQUARED = frozenset({"wasserstein", "jensenshannon", "hellinger", "ed"})  # distances; psi and kl_div are squares as they are
SMALLEST_P = 1e-300


def transformed(method: str, scores: Floats) -> Floats:
    """Scores as numbers that are additive in evidence: squares of distances, minus logarithms of p-values. Not a number counts as 0."""
    if method in P_VALUES:
        values = -np.log(np.maximum(np.nan_to_num(scores, nan=1.0), SMALLEST_P))
    else:
        values = np.nan_to_num(np.square(scores) if method in SQUARED else scores, nan=0.0)
    return np.maximum(values, 0.0)


def score_of(method: str, value: float) -> float:
    """The score that a transformed one stands for."""
    if method in P_VALUES:
        return float(np.exp(-value))
    return float(np.sqrt(value)) if method in SQUARED else float(value)


@dataclass(frozen=True, slots=True)
class Law:
    """A gamma law, in the transformed score's unit."""

    shape: float
    scale: float

    def p_values(self, values: Floats) -> Floats:
        """How often the law exceeds each value."""
        return np.asarray(special.gammaincc(self.shape, values / self.scale), dtype=np.float64)

    def value(self, p: float) -> float:
        """What it exceeds with probability p."""
        return float(special.gammainccinv(self.shape, p) * self.scale)


def fit_law(values: Floats) -> Law:
    """By mean and variance. A column that never varies has a law near 0: any change exceeds it."""
    bounded = np.minimum(values, np.quantile(values, 0.999))  # one rare value must not stretch the law of all others
    mean, variance = float(bounded.mean()), float(bounded.var())
    if mean <= 0 or variance <= 0:
        return Law(1.0, max(mean, 1e-12))
    return Law(mean**2 / variance, variance / mean)
