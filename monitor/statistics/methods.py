"""Which drift methods there are, their names, default thresholds and decisions, and which one is the default: as Evidently 0.7.23.

Sources: ``evidently.legacy.calculations.stattests`` and, for embeddings, ``evidently.legacy.metrics.data_drift.embedding_drift_methods``;
``tests/unit/test_statistics_methods.py`` fails when an installed Evidently differs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from config.errors import SpecError
from config.spec import Kind

BOTH: tuple[Kind, ...] = ("numerical", "categorical")
NUMERICAL: tuple[Kind, ...] = ("numerical",)
TEXT: tuple[Kind, ...] = ("text",)
EMBEDDING: tuple[Kind, ...] = ("embedding",)
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
    Method("abs_text_content_drift", "Absolute text content drift", TEXT, 0.55, operator.gt, fast=False),
    # Its threshold is a percentile of what random scores reach, so only Evidently's own function can decide.
    Method("perc_text_content_drift", "Percentile text content drift", TEXT, 0.95, operator.gt, fast=False),
    Method("ratio", "ratio", EMBEDDING, 0.2, operator.gt),
    Method("distance", "distance", EMBEDDING, 0.2, operator.gt),
    Method("model", "model", EMBEDDING, 0.55, operator.gt, fast=False),
    Method("mmd", "mmd", EMBEDDING, 0.015, operator.gt, fast=False),
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
    suitable = [m for m in METHODS.values() if kind in m.kinds]
    if kind == "text":  # judged by numbers of its own, such as its length
        suitable += [m for m in METHODS.values() if "numerical" in m.kinds and m.fast]
    remedy = f"use one of: {', '.join(m.name for m in suitable)}; or leave method out for the default"
    if method is None:
        raise SpecError(f"drift.columns.{column}.method is {name!r}, which is no drift method", remedy)
    if method not in suitable:
        raise SpecError(f"drift.columns.{column}.method is {name!r}, which is not for {kind} columns", remedy)
    return method
