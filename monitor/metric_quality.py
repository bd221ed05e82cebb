"""Gauges of a window's data and of its tests, drawn at scrape time. Part of ``monitor.metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from schemas.result import ColumnQuality, DataQuality, WindowResult

STREAM = ("model", "run_kind")
Stream = tuple[str, str]
COLUMN = (*STREAM, "column", "role")
TEST = (*STREAM, "test", "column")
SEVERITY = {"SUCCESS": 0.0, "WARNING": 1.0, "FAIL": 2.0, "ERROR": 3.0}
MEDIAN = 2  # its place among the quantiles of a result

# name, help, value of the last window that was not too small: few, since each is one series a stream
_OF_WINDOW: tuple[tuple[str, str, Callable[[DataQuality], float]], ...] = (
    ("tidemark_window_rows_with_nulls", "Judged rows that lack a value in a feature or the prediction", lambda q: q.rows_with_nulls),
    ("tidemark_window_duplicated_rows", "Judged rows equal to an earlier one", lambda q: q.duplicated_rows),
    ("tidemark_window_columns_with_nulls", "Columns that lack a value in one row or more", lambda q: len(q.columns_with_nulls)),
    ("tidemark_window_constant_columns", "Columns with one value or none", lambda q: len(q.constant_columns)),
    ("tidemark_window_duplicated_columns", "Columns equal to an earlier one", lambda q: len(q.duplicated_columns)),
)
# The same of a column: five at most, since a worker shows 150 columns
_OF_COLUMN: tuple[tuple[str, str, Callable[[ColumnQuality], float | None]], ...] = (
    ("tidemark_column_null_share", "Share of rows without a value", lambda c: c.null_share),
    ("tidemark_column_new_category_share", "Share of values that the reference never had", lambda c: c.new_category_share),
    ("tidemark_column_out_of_range_share", "Share of values beyond the reference's range", lambda c: c.out_of_range_share),
    ("tidemark_column_mean", "Mean, in the column's unit", lambda c: c.mean),
    ("tidemark_column_median", "Median, in the column's unit", lambda c: c.quantiles[MEDIAN] if c.quantiles else None),
)


def columns_of(result: WindowResult) -> list[str]:
    """Names of the columns that gauges of a result are about, judged ones first."""
    described = result.quality.columns if result.quality else ()
    return list(
        dict.fromkeys([*(c.name for c in result.columns), *(c.name for c in described), *(t.column for t in result.tests if t.column)])
    )


def quality_families(windows: Mapping[Stream, WindowResult], admits: Callable[[Stream, str], bool]) -> Iterator[Metric]:
    """All families, those of columns only where the column has a place under the cap."""
    described = {stream: result.quality for stream, result in windows.items() if result.quality}
    for name, text, of_window in _OF_WINDOW:
        family = GaugeMetricFamily(name, text, labels=STREAM)
        for stream, quality in described.items():
            family.add_metric(stream, float(of_window(quality)))
        yield family
    for name, text, of_column in _OF_COLUMN:
        family = GaugeMetricFamily(name, text, labels=COLUMN)
        for stream, quality in described.items():
            for column in quality.columns:
                if (value := of_column(column)) is not None and admits(stream, column.name):
                    family.add_metric((*stream, column.name, column.role), value)
        yield family
    yield _tests(windows, admits)


def _tests(windows: Mapping[Stream, WindowResult], admits: Callable[[Stream, str], bool]) -> Metric:
    family = GaugeMetricFamily("tidemark_test_status", "Outcome of a test: 0 success, 1 warning, 2 fail, 3 error", labels=TEST)
    for stream, result in windows.items():
        for test in result.tests:
            if not test.column or admits(stream, test.column):
                family.add_metric((*stream, test.name, test.column), SEVERITY[test.status])
    return family
