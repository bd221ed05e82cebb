"""Class labels as text, so that a target of numbers or booleans meets the names that a spec gives its classes."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from config.spec import ModelSpec

_POSITIVE = frozenset({"1", "True"})  # Evidently's positive label where none is named is 1
SHOWN = 20  # classes with measures of their own; the others count in the means


def as_labels(series: pl.Series) -> pl.Series:
    """A conformed column as labels: ``True`` and ``False``, whole numbers without a fraction; nulls, NaN and infinities are null."""
    if series.dtype == pl.Boolean:
        words = pl.when(pl.col("v").is_not_null()).then(pl.when(pl.col("v")).then(pl.lit("True")).otherwise(pl.lit("False")))
        return series.to_frame("v").select(words.alias(series.name)).to_series()
    if series.dtype == pl.Float64:
        known = series.to_frame("v").select(pl.when(pl.col("v").is_finite()).then(pl.col("v"))).to_series()
        return pl.Series(series.name, [None if v is None else str(int(v) if v.is_integer() else v) for v in known.to_list()], pl.String)
    return series.cast(pl.String)


def positive_class(spec: ModelSpec, classes: Collection[str]) -> str | None:
    """The class that precision and recall are of: the spec's, else 1 or True where the model has two classes; None: all alike."""
    if spec.positive_class is not None:
        return spec.positive_class
    return next((c for c in classes if c in _POSITIVE), None) if len(classes) == 2 else None
