"""Which drift methods there are, their names, default thresholds and decisions, and which one is the default: as Evidently 0.7.23.

Source: ``evidently.legacy.calculations.stattests``; ``tests/unit/test_statistics_methods.py`` fails when an installed Evidently differs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from config.errors import SpecError
from config.spec import Kind

BOTH: tuple[Kind, ...] = ("numerical", "categorical")
NUMERICAL: tuple[Kind, ...] = ("numerical",)
CATEGORICAL: tuple[Kind, ...] = ("categorical",)
SMALL_REFERENCE_ROWS = 1000  # up to here Evidently uses tests, above it distances
FEW_VALUES = 5  # numbers with no more distinct values than this are judged as categories


@dataclass(frozen=True, slots=True)
class Method:
    """A drift method. ``hit(score, threshold)`` is its decision; ``fast`` says whether it has a form with a precomputed reference here."""

    name: str
    display_name: str
    kinds: tuple[Kind, ...]
    threshold: float
    hit: Callable[[float, float], bool]
    fast: bool = True


_ALL = (
    Method("wasserstein", "Wasserstein distance (normed)", NUMERICAL, 0.1, operator.ge),
    Method("ks", "K-S p_value", NUMERICAL, 0.05, operator.le),
    Method("ed", "Energy-distance", NUMERICAL, 0.1, operator.gt),
    Method("jensenshannon", "Jensen-Shannon distance", BOTH, 0.1, operator.ge),
    Method("psi", "PSI", BOTH, 0.1, operator.ge),
    Method("kl_div", "Kullback-Leibler divergence", BOTH, 0.1, operator.ge),
    Method("hellinger", "Hellinger distance", BOTH, 0.1, operator.ge),
    Method("chisquare", "chi-square p_value", CATEGORICAL, 0.05, operator.lt),
    Method("z", "Z-test p_value", CATEGORICAL, 0.05, operator.lt),
    Method("g_test", "g_test", CATEGORICAL, 0.1, operator.lt),
    Method("anderson", "Anderson-Darling", NUMERICAL, 0.1, operator.lt),
    Method("cramer_von_mises", "Cramer-von Mises", NUMERICAL, 0.1, operator.le),
    Method("es", "Epps-Singleton", NUMERICAL, 0.05, operator.lt, fast=False),
    Method("mannw", "Mann-Whitney U-rank test", NUMERICAL, 0.05, operator.lt),
    Method("t_test", "t_test", NUMERICAL, 0.05, operator.lt),
    Method("empirical_mmd", "empirical_mmd", NUMERICAL, 0.1, operator.lt, fast=False),
    Method("fisher_exact", "Fisher's Exact test", CATEGORICAL, 0.1, operator.lt),
    Method("TVD", "Total-Variation-Distance", CATEGORICAL, 0.1, operator.lt, fast=False),
)
METHODS: dict[str, Method] = {method.name: method for method in _ALL}


def default_method(kind: Kind, reference_rows: int, distinct: int) -> Method:
    """Evidently's choice (``stattests.registry._get_default_stattest``).

    Args:
        kind: how the column is judged.
        reference_rows: the reference's values without nulls and infinities.
        distinct: distinct values in reference and window together.
    """
    small = reference_rows <= SMALL_REFERENCE_ROWS
    if kind == "numerical" and distinct > FEW_VALUES:
        return METHODS["ks" if small else "wasserstein"]
    if not small:
        return METHODS["jensenshannon"]
    return METHODS["chisquare" if distinct > 2 else "z"]


def chosen_method(column: str, name: str, kind: Kind) -> Method:
    """The method that a spec names for a column.

    Raises:
        SpecError: no such method, or it is not for this kind of column; names those that are.
    """
    method = METHODS.get(name)
    suitable = ", ".join(m.name for m in METHODS.values() if kind in m.kinds)
    remedy = f"use one of: {suitable}; or leave method out for Evidently's default"
    if method is None:
        raise SpecError(f"drift.columns.{column}.method is {name!r}, which is no drift method", remedy)
    if kind not in method.kinds:
        raise SpecError(f"drift.columns.{column}.method is {name!r}, which is not for {kind} columns", remedy)
    return method
