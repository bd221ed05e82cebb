"""One column described: what Evidently's column metrics say of it, computed from its sorted values or its counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitor.columns import DATA_ERRORS, ReadColumn
from monitor.statistics.profiles import Sample
from monitor.values import Category, ValueMisfit
from schemas.result import ColumnQuality, Role

QUANTILES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
MAX_NEW = 10  # new categories named in a result: one of 1,000 columns has to stay a record of a megabyte or so
MAX_NAME = 60  # characters of such a name


@dataclass(frozen=True, slots=True)
class Expected:
    """What the reference had in a column: its categories, or its smallest and largest number; None where it has no such thing."""

    categories: Collection[Category] | None = None
    minimum: float | None = None
    maximum: float | None = None


def describe_column(name: str, role: Role, read: ReadColumn, height: int, null_share: float, expected: Expected) -> ColumnQuality:
    """Describe one column of ``height`` rows. ``null_share`` is known already, of rows that may be more than these."""
    try:
        found = _DESCRIBED.get(read.kind, _categories)(read, expected)
    except ValueMisfit as error:
        return _undescribed(name, role, read, height, null_share, f"the column {error}")
    except DATA_ERRORS as error:
        if read.raw is None:  # null in every row
            return ColumnQuality(name, role, read.kind, 0, null_share, 0, constant=height > 0)
        return _undescribed(name, role, read, height, null_share, str(error) or type(error).__name__)
    constant = height > 0 and found["distinct"] is not None and found["distinct"] <= 1
    return ColumnQuality(name, role, read.kind, null_share=null_share, constant=constant, **found)


def _undescribed(name: str, role: Role, read: ReadColumn, height: int, null_share: float, reason: str) -> ColumnQuality:
    rows = height - read.nulls
    return ColumnQuality(name, role, read.kind, rows, null_share, None, constant=False, status="error", reason=reason)


def infinities(read: ReadColumn) -> dict[Category, int]:
    """How often each infinity occurs. Drift leaves them out; Evidently's own descriptions count them as values."""
    if read.column.type != "double":
        return {}
    values = read.series.to_numpy()
    return {value: n for value in (float("inf"), float("-inf")) if (n := int(np.count_nonzero(values == value)))}


def _numbers(read: ReadColumn, expected: Expected) -> dict[str, Any]:
    rows = len(read.series) - read.nulls
    infinite = infinities(read) if rows > len(read.numbers) else {}
    if not len(read.numbers):
        outside = 1.0 if infinite and expected.minimum is not None else None
        return {"rows": rows, "distinct": len(infinite), "out_of_range_share": outside}
    return {"rows": rows, **_of_sample(read.sample, infinite, expected)}


def _of_sample(found: Sample, infinite: dict[Category, int], expected: Expected) -> dict[str, Any]:
    low, high = float(found.points[0]), float(found.points[-1])
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest one: what overflows is left out
        mean = min(max(float((found.points * found.counts).sum()) / found.size, low), high)  # rounding takes no mean out of its range
        spread = float((np.square(found.points - mean) * found.counts).sum())
        quantiles = interpolated(found)
    described: dict[str, Any] = {"distinct": len(found.points) + len(infinite), "minimum": low, "maximum": high}
    if np.isfinite(mean) and np.isfinite(spread):
        described |= {"mean": mean, "deviation": (spread / (found.size - 1)) ** 0.5 if found.size > 1 else None}
    if np.isfinite(quantiles).all():
        described["quantiles"] = tuple(quantiles.tolist())
    if expected.minimum is not None and expected.maximum is not None:
        first, last = found.points.searchsorted(expected.minimum, "left"), found.points.searchsorted(expected.maximum, "right")
        inside = int(found.cumulative[last] - found.cumulative[first])
        rows = found.size + sum(infinite.values())
        described["out_of_range_share"] = (rows - inside) / rows
    return described


def interpolated(found: Sample) -> Any:
    """The quantiles of ``QUANTILES``, between two values as pandas and NumPy take them by default (linear); shape (5,)."""
    at = QUANTILES * (found.size - 1)
    low = np.floor(at).astype(np.int64)
    ends = found.cumulative[1:]
    below = found.points[ends.searchsorted(low, "right")]
    above = found.points[ends.searchsorted(np.minimum(low + 1, found.size - 1), "right")]
    part, gap = at - low, above - below
    return np.where(part < 0.5, below + part * gap, above - (1 - part) * gap)


def _categories(read: ReadColumn, expected: Expected) -> dict[str, Any]:
    counts = {**read.counts, **infinities(read)}
    rows = sum(counts.values())
    described: dict[str, Any] = {"rows": rows, "distinct": len(counts)}
    if expected.categories is not None and rows:
        new = {c: n for c, n in counts.items() if c not in expected.categories}
        most = sorted(new, key=lambda c: (-new[c], str(c)))[:MAX_NEW]
        described |= {"new_category_share": sum(new.values()) / rows, "new_categories": tuple(_cut(str(c)) for c in most)}
    return described


def _vectors(read: ReadColumn, expected: Expected) -> dict[str, Any]:
    return {"rows": len(read.series) - read.nulls, "distinct": None}  # whole vectors hardly ever repeat, nor do they have a range


_DESCRIBED = {"numerical": _numbers, "embedding": _vectors}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_NAME else f"{text[: MAX_NAME - 1]}…"
