"""Drifts of graded size, put into a window that has none. Each is a change of one column; its size is in the reference's units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drift:
    """One cell of the benchmark: ``apply(window, random)`` gives the drifted window, of as many rows."""

    kind: str
    grade: str
    column: str
    apply: Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]


def _chosen(rows: int, share: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A random choice of that share of the rows: as many as it comes to on average, so that one row of a hundred may be none of fifty."""
    return random.random(rows) < share


def _whole(values: Floats, like: Floats, random: np.random.Generator) -> Floats:
    """Rounded up or down at random where the column's values are whole numbers, so that means stay and no odd values arise."""
    known = like[np.isfinite(like)]
    if not np.array_equal(known, np.round(known)):
        return values
    low = np.floor(values)
    return np.asarray(low + (random.random(len(values)) < values - low), dtype=np.float64)


def _with(frame: pl.DataFrame, column: str, values: Floats) -> pl.DataFrame:
    return frame.with_columns(pl.Series(column, values, dtype=pl.Float64).fill_nan(None))


def mean_shift(population: pl.DataFrame, column: str, deviations: float) -> Drift:
    """All values move by so many standard deviations."""
    by = float(np.nanstd(population[column].to_numpy())) * deviations

    def apply(frame: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
        values = frame[column].to_numpy()
        return _with(frame, column, _whole(values + by, values, random))

    return Drift("mean shift", f"{deviations:g} sd", column, apply)


def scale(population: pl.DataFrame, column: str, factor: float) -> Drift:
    """The spread around the mean grows by a factor."""
    mean = float(np.nanmean(population[column].to_numpy()))

    def apply(frame: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
        values = frame[column].to_numpy()
        return _with(frame, column, _whole(mean + (values - mean) * factor, values, random))

    return Drift("scale", f"× {factor:g}", column, apply)


def unit(column: str, factor: float, share: float) -> Drift:
    """That share of the rows comes in another unit."""

    def apply(frame: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
        values = frame[column].to_numpy()
        return _with(frame, column, np.where(_chosen(len(values), share, random), values * factor, values))

    return Drift("unit change", f"× {factor:g} in {share:.0%} of rows", column, apply)


def mix(population: pl.DataFrame, column: str, share: float) -> Drift:
    """That share of the rows takes the second most frequent category."""
    counts = population[column].drop_nulls().value_counts(sort=True)
    other = counts[column][min(1, counts.height - 1)]

    def apply(frame: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
        taken = pl.Series(_chosen(frame.height, share, random))
        return frame.with_columns(pl.when(taken).then(pl.lit(other)).otherwise(pl.col(column)).alias(column))

    return Drift("category mix", f"{share:.0%} of rows", column, apply)


def nulls(column: str, share: float) -> Drift:
    """That share of the rows loses its value."""

    def apply(frame: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
        taken = pl.Series(_chosen(frame.height, share, random))
        return frame.with_columns(pl.when(taken).then(None).otherwise(pl.col(column)).alias(column))

    return Drift("nulls", f"{share:.0%} of rows", column, apply)


def correlation(column: str, share: float) -> Drift:
    """That share of the rows swaps its values among each other: the column keeps its distribution and loses what it goes with."""

    def apply(frame: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
        at = np.flatnonzero(_chosen(frame.height, share, random))
        values = frame[column].to_numpy().copy()
        values[at] = values[random.permutation(at)]
        return _with(frame, column, values)

    return Drift("correlation only", f"{share:.0%} of rows", column, apply)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a data set drift: one of numbers, one of categories, and the factor to another unit of the first."""

    number: str
    category: str
    factor: float


COLUMNS = {
    "flights": Columns("dep_delay", "carrier", 60.0),  # minutes to seconds
    "people": Columns("AGEP", "MAR", 12.0),  # years to months
    "cars": Columns("km_driven", "fuel", 0.621371),  # kilometres to miles
}


def drifts(name: str, population: pl.DataFrame) -> list[Drift]:
    """Three grades of six kinds for a data set."""
    at = COLUMNS[name]
    return [
        *(mean_shift(population, at.number, d) for d in (0.1, 0.25, 0.5)),
        *(scale(population, at.number, f) for f in (1.1, 1.25, 1.5)),
        *(mix(population, at.category, s) for s in (0.05, 0.1, 0.2)),
        *(nulls(at.number, s) for s in (0.01, 0.05, 0.2)),
        *(unit(at.number, at.factor, s) for s in (0.02, 0.1, 1.0)),
        *(correlation(at.number, s) for s in (0.25, 0.5, 1.0)),
    ]
