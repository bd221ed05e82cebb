"""Evidently metrics for what its version 0.7 no longer has: columns with nulls, rows with nulls, data stability. Imports Evidently.

``Report([RowsWithNulls(), DataStability()], include_tests=True).run(current, reference)`` works as with Evidently's own. In the Snapshot
of a window they take what is known already (``DescribedRows``), so that nothing is computed twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from evidently import Dataset
from evidently.core.metric_types import BoundTest, CountCalculation, CountMetric, CountValue, MetricCalculationBase, MetricTestResult
from evidently.core.report import Context
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.legacy.renderers.html_widgets import CounterData, counter, table_data
from evidently.legacy.tests.base_test import TestStatus
from evidently.metrics.column_statistics import ValueDriftBoundTest, ValueDriftTest
from evidently.tests import Reference, eq, lte

from config.spec import Column
from config.suite import TestSpec
from monitor.columns import ReadColumn, read_columns
from monitor.quality.describe import ReferenceQuality, describe, describe_reference
from monitor.suites.checks import Subject
from monitor.suites.run import STABILITY, run_tests
from schemas.result import DataQuality, Role, TestResult

LONGEST = 48  # characters of a name in a table; Evidently's pages do not break lines within words


@dataclass(frozen=True, slots=True)
class DescribedRows:
    """A window that is described and tested already: ``quality`` of its ``rows`` rows, and the outcomes of the spec's tests."""

    rows: int
    quality: DataQuality | None
    tests: tuple[TestResult, ...]

    def stability(self) -> list[TestResult]:
        """The outcomes that data stability is made of."""
        return [t for t in self.tests if t.name in STABILITY]


class ColumnsWithNulls(CountMetric):  # type: ignore[misc]  # evidently's types are not followed
    """Number and share of columns that have a null in one row or more.

    Default tests: none with nulls; with a reference, no more than it has (legacy ``TestNumberOfColumnsWithMissingValues``).
    """

    class Config:
        type_alias = "tidemark:metric_v2:ColumnsWithNulls"

    def _default_tests(self, context: Context) -> list[BoundTest]:
        return [eq(0).bind_count(self.get_fingerprint(), is_count=True)]

    def _default_tests_with_reference(self, context: Context) -> list[BoundTest]:
        return [lte(Reference()).bind_count(self.get_fingerprint(), is_count=True)]


class ColumnsWithNullsCalculation(CountCalculation[ColumnsWithNulls]):  # type: ignore[misc]  # as above
    """Counts columns by their nulls."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> Any:
        """The window's count, and the reference's where there is one."""
        known = _described(current_data)
        if known is not None and known.quality is not None:
            names, of = known.quality.columns_with_nulls, [c.name for c in known.quality.columns if c.role != "target"]
            return _known(self, len(names), len(of), known.tests, ("columns_with_nulls",)), None
        return self._count(current_data), None if reference_data is None else self._count(reference_data)

    def _count(self, data: Dataset) -> CountValue:
        frame = data.as_dataframe()
        found = int(frame.isna().any().sum())
        return self.result(found, found / len(frame.columns) if len(frame.columns) else 0.0)

    def display_name(self) -> str:
        """What the page calls it."""
        return "Columns with nulls"


class RowsWithNulls(CountMetric):  # type: ignore[misc]  # as above
    """Number and share of rows that lack a value in one column or more.

    Default tests: none; with a reference, a share at most a tenth above its (legacy ``TestShareOfRowsWithMissingValues``).
    """

    class Config:
        type_alias = "tidemark:metric_v2:RowsWithNulls"

    def _default_tests(self, context: Context) -> list[BoundTest]:
        return [eq(0).bind_count(self.get_fingerprint(), is_count=True)]

    def _default_tests_with_reference(self, context: Context) -> list[BoundTest]:
        return [lte(Reference(relative=0.1)).bind_count(self.get_fingerprint(), is_count=False)]


class RowsWithNullsCalculation(CountCalculation[RowsWithNulls]):  # type: ignore[misc]  # as above
    """Counts rows by their nulls."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> Any:
        """The window's count, and the reference's where there is one."""
        known = _described(current_data)
        if known is not None and known.quality is not None:
            return _known(self, known.quality.rows_with_nulls, known.rows, known.tests, ("rows_with_nulls", "rows_with_nulls_share")), None
        return self._count(current_data), None if reference_data is None else self._count(reference_data)

    def _count(self, data: Dataset) -> CountValue:
        frame = data.as_dataframe()
        found = int(frame.isna().any(axis=1).sum())
        return self.result(found, found / len(frame) if len(frame) else 0.0)

    def display_name(self) -> str:
        """What the page calls it."""
        return "Rows with nulls"


class DataStability(CountMetric):  # type: ignore[misc]  # as above
    """Number and share of failed checks of legacy Evidently's ``DataStabilityTestPreset``, against the reference: columns that came,
    their types, each column's null share, values out of range, new categories, the mean within two standard deviations.

    Default test: none fails. The number of rows is no check: a window is not as large as the reference.
    """

    class Config:
        type_alias = "tidemark:metric_v2:DataStability"

    def _default_tests(self, context: Context) -> list[BoundTest]:
        return [eq(0).bind_count(self.get_fingerprint(), is_count=True)]

    def _default_tests_with_reference(self, context: Context) -> list[BoundTest]:
        return self._default_tests(context)


class DataStabilityCalculation(CountCalculation[DataStability]):  # type: ignore[misc]  # as above
    """Runs the checks, or takes their outcomes."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> Any:
        """The failed checks; the reference has none by itself.

        Raises:
            ValueError: there is no reference.
        """
        known = _described(current_data)
        outcomes = known.stability() if known is not None else stability(current_data, reference_data)
        failed = [t for t in outcomes if t.status != "SUCCESS"]
        result = self.result(len(failed), len(failed) / len(outcomes) if outcomes else 0.0)
        result.widget = [_table(outcomes)]
        if known is not None:
            result.set_tests([_test(self, t) for t in failed] or [_test(self, _passed(outcomes))])
        return result, self.result(0, 0.0) if reference_data is not None else None

    def display_name(self) -> str:
        """What the page calls it."""
        return "Data stability: failed checks"


def stability(current: Dataset, reference: Dataset | None) -> list[TestResult]:
    """The outcomes of the stability checks on two of Evidently's datasets, over the columns that the reference's definition names.

    Raises:
        ValueError: there is no reference, or it has no rows.
    """
    if reference is None or not len(reference.as_dataframe()):
        raise ValueError("Reference data is required for DataStability")
    types = _types(reference)
    roles: dict[str, Role] = dict.fromkeys(types, "feature")
    before = describe_reference(roles, _polars(reference, types), types)
    frame = _polars(current, types)
    read = read_columns(frame, types)
    shares = {name: column.nulls / max(frame.height, 1) if column.raw is not None else 1.0 for name, column in read.items()}
    found = describe(roles, read, frame.height, shares, before.expected)
    return list(run_tests((TestSpec(test="data_stability"),), _subject(found, before, frame.height, read)))


def _subject(found: DataQuality, before: ReferenceQuality, rows: int, read: dict[str, ReadColumn]) -> Subject:
    present = frozenset(name for name, column in read.items() if column.raw is not None)
    return Subject(rows, rows, found, before, 0, 0, 0.0, 1.0, present)


def _types(data: Dataset) -> dict[str, Column]:
    """What the columns are by Evidently's definition and their values."""
    definition, frame = data.data_definition, _polars_any(data)
    types: dict[str, Column] = {}
    for name in frame.columns:
        found = frame[name].dtype
        if name in definition.get_numerical_columns():
            types[name] = Column(type="long" if found.is_integer() else "double")
        elif name in definition.get_categorical_columns():
            plain = "boolean" if found == pl.Boolean else "long" if found.is_integer() else "double" if found.is_float() else "string"
            types[name] = Column(type=plain, kind="categorical")
    return types


def _polars(data: Dataset, types: dict[str, Column]) -> pl.DataFrame:
    frame = _polars_any(data)
    return frame.select([name for name in types if name in frame.columns])


def _polars_any(data: Dataset) -> pl.DataFrame:
    frame: pl.DataFrame = pl.from_pandas(data.as_dataframe(), include_index=False)
    return frame.with_columns(pl.col(pl.Float64, pl.Float32).cast(pl.Float64), pl.selectors.categorical().cast(pl.String))


def _described(data: Dataset) -> DescribedRows | None:
    return getattr(data, "described", None)


def _known(calculation: CountCalculation[Any], found: int, of: int, tests: tuple[TestResult, ...], names: tuple[str, ...]) -> CountValue:
    share = found / of if of else 0.0
    result = calculation.result(found, share)
    title = f"{calculation.display_name()}: {found:,} of {of:,}"
    result.widget = [counter(counters=[CounterData(title, f"{share:.1%}")])]
    result.set_tests([_test(calculation, t) for t in tests if t.name in names])
    return result


def _test(calculation: MetricCalculationBase[Any], outcome: TestResult) -> MetricTestResult:
    name = f"{outcome.name} of {outcome.column}" if outcome.column else outcome.name
    return MetricTestResult(
        id=outcome.name,
        name=name,
        description=outcome.description,
        status=TestStatus[outcome.status],
        metric_config=calculation.to_metric_config(),
        test_config={},
        # as stock ValueDrift does for a verdict of its own: a bound test that is kept for the record and never run
        bound_test=ValueDriftBoundTest(test=ValueDriftTest(), metric_fingerprint=calculation.to_metric().metric_id),
    )


def _passed(outcomes: list[TestResult]) -> TestResult:
    return TestResult("data_stability", "SUCCESS", f"all {len(outcomes)} checks passed")


def _table(outcomes: list[TestResult]) -> BaseWidgetInfo:
    rows = sorted(outcomes, key=lambda t: t.status == "SUCCESS")
    cells = [(t.name, t.column if len(t.column) <= LONGEST else f"{t.column[: LONGEST - 1]}…", t.status, t.description) for t in rows]
    return table_data(title="Data stability", column_names=["Check", "Column", "Status", "What was found"], data=cells)
