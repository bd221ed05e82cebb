"""A window described against the reference, and the reference described once in the same terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from config.spec import Column, ModelSpec
from monitor.columns import ReadColumn, read_columns
from monitor.quality.column import Expected, describe_column
from monitor.quality.table import duplicated_columns, duplicated_rows, rows_with_nulls
from monitor.window import WindowData
from schemas.result import ColumnQuality, DataQuality, Role


@dataclass(frozen=True, slots=True)
class ReferenceQuality:
    """The reference dataset described, and what a window's columns are held against, by name. Shared between threads."""

    rows: int
    data: DataQuality
    columns: Mapping[str, ColumnQuality]
    expected: Mapping[str, Expected]


def wanted(spec: ModelSpec) -> bool:
    """True when the spec asks for something that needs windows described."""
    return "data_quality" in spec.monitors or bool(spec.tests)


def described_columns(spec: ModelSpec) -> dict[str, Role]:
    """The columns that are described: features, prediction, target."""
    roles: dict[str, Role] = dict.fromkeys(spec.features, "feature")
    roles[spec.prediction.column] = "prediction"
    if spec.target:
        roles[spec.target.column] = "target"
    return roles


def describe_window(window: WindowData, spec: ModelSpec, read: Mapping[str, ReadColumn], reference: ReferenceQuality) -> DataQuality:
    """Describe a window's columns and rows. Null shares are of all its rows where it holds a sample; the rest is of the sample."""
    shares = {name: _null_share(window, name, read[name]) for name in read}
    return describe(described_columns(spec), read, window.frame.height, shares, reference.expected)


def describe_reference(roles: Mapping[str, Role], frame: pl.DataFrame, types: Mapping[str, Column]) -> ReferenceQuality:
    """Describe a reference dataset of one row or more; it has all the columns, of these types."""
    read = read_columns(frame, types)
    shares = {name: column.nulls / frame.height for name, column in read.items()}
    data = describe(roles, read, frame.height, shares, {})
    columns = {c.name: c for c in data.columns}
    return ReferenceQuality(frame.height, data, columns, {name: _expected(read[name], columns[name]) for name in roles})


def _expected(read: ReadColumn, described: ColumnQuality) -> Expected:
    if read.kind == "categorical":
        return Expected(categories=frozenset(read.counts))
    return Expected(minimum=described.minimum, maximum=described.maximum)


def _null_share(window: WindowData, name: str, read: ReadColumn) -> float:
    """Nulls over all rows of the window. It counts its nulls as the rows come; NaN is counted in the rows it holds."""
    height = window.frame.height
    if read.raw is None:
        return 1.0 if window.rows else 0.0
    if not height:
        return 0.0
    if window.exact or name not in window.nulls:
        return read.nulls / height
    return min(window.nulls[name] / window.rows + (read.nulls - read.raw.null_count()) / height, 1.0)


def describe(
    roles: Mapping[str, Role],
    read: Mapping[str, ReadColumn],
    height: int,
    null_shares: Mapping[str, float],
    expected: Mapping[str, Expected],
) -> DataQuality:
    """Describe the columns of ``roles`` in ``height`` rows, null shares given; ``expected`` holds what is known of the reference's."""
    nothing = Expected()
    columns = tuple(
        describe_column(name, role, read[name], height, null_shares[name], expected.get(name, nothing)) for name, role in roles.items()
    )
    known = [c for c in columns if c.role != "target"]
    return DataQuality(
        rows_with_nulls=rows_with_nulls(read, known, height),
        duplicated_rows=duplicated_rows(read, known, height),
        columns_with_nulls=tuple(c.name for c in known if c.null_share > 0),
        constant_columns=tuple(c.name for c in known if c.constant),
        duplicated_columns=duplicated_columns(read, known) if height else (),
        columns=columns,
    )
