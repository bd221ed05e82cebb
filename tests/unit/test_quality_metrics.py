"""What Prometheus and a window's page are told of its data and its tests."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitor.metrics import Metrics
from monitor.reports.page import header
from schemas.result import ColumnQuality, DataQuality, TestResult, WindowResult
from tests.support.results import HOSTILE, judged_column, window_result

STREAM = 'model="m",run_kind="live"'
PREFIXES = ("tidemark_test", "tidemark_column_n", "tidemark_column_o", "tidemark_column_m", "tidemark_window_rows_", "tidemark_window_dup")


def described(*columns: ColumnQuality, **changes: object) -> DataQuality:
    """Data with 12 rows with nulls and 3 repeated rows."""
    fields: dict[str, object] = {"rows_with_nulls": 12, "duplicated_rows": 3, "columns_with_nulls": ("x",)}
    fields |= {"constant_columns": (), "duplicated_columns": (), "columns": columns}
    return DataQuality(**(fields | changes))  # type: ignore[arg-type]


def number(name: str) -> ColumnQuality:
    """A column of numbers."""
    return ColumnQuality(name, "feature", "numerical", 388, 0.03, 90, False, (), None, 0.25, 0.0, 9.0, 4.5, 2.0, (1.0, 2.0, 4.0, 6.0, 8.0))


def category(name: str) -> ColumnQuality:
    """A column of categories, one of them new."""
    return ColumnQuality(name, "feature", "categorical", 400, 0.0, 3, False, (HOSTILE,), 0.1)


def with_outcome(status: str, column: str = "x") -> WindowResult:
    """A window with one outcome of this status and one success."""
    tests = (TestResult("null_share", status, "3 % of rows have no value", column), TestResult("duplicated_rows", "SUCCESS", "none"))
    return window_result(judged_column("x", 0.0), quality=described(number("x"), category("c")), tests=tests)


def lines(registry: CollectorRegistry, *prefixes: str) -> list[str]:
    """The exposition's samples that begin with one of the prefixes."""
    return [line for line in generate_latest(registry).decode().splitlines() if line.startswith(prefixes)]


def test_a_window_s_data_and_tests_are_exposed_exactly() -> None:
    """Five counts of the window, per column only the shares and middles that its kind has, each test's outcome as a number."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.observe_result(with_outcome("FAIL"), 1.0, 0.0)
    x, c = (f'column="{name}",model="m",role="feature",run_kind="live"' for name in "xc")
    assert sorted(lines(registry, *PREFIXES)) == sorted(
        [
            f"tidemark_window_rows_with_nulls{{{STREAM}}} 12.0",
            f"tidemark_window_duplicated_rows{{{STREAM}}} 3.0",
            f"tidemark_window_duplicated_columns{{{STREAM}}} 0.0",
            f"tidemark_column_null_share{{{x}}} 0.03",
            f"tidemark_column_null_share{{{c}}} 0.0",
            f"tidemark_column_new_category_share{{{c}}} 0.1",
            f"tidemark_column_out_of_range_share{{{x}}} 0.25",
            f"tidemark_column_mean{{{x}}} 4.5",
            f"tidemark_column_median{{{x}}} 4.0",
            f'tidemark_test_status{{column="x",{STREAM},test="null_share"}} 2.0',
            f'tidemark_test_status{{column="",{STREAM},test="duplicated_rows"}} 0.0',
            f'tidemark_tests_failed_total{{{STREAM},test="null_share"}} 1.0',
            f'tidemark_tests_failed_total{{{STREAM},test="duplicated_rows"}} 0.0',
        ]
    )


def test_outcomes_have_numbers_and_only_failures_count() -> None:
    """Success 0, warning 1, fail 2, error 3; of four windows one failed; a window shown again after a restart is not counted."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for i, status in enumerate(("SUCCESS", "WARNING", "FAIL", "ERROR")):
        metrics.observe_result(with_outcome(status), 1.0, 0.0)
        assert lines(registry, "tidemark_test_status")[0].endswith(f" {i}.0")
    metrics.show_result(with_outcome("FAIL"), 1.0)
    assert lines(registry, "tidemark_test_status")[0].endswith(" 2.0")
    assert lines(registry, "tidemark_tests_failed_total")[0].endswith(" 1.0")


def test_a_small_window_changes_no_gauge_of_data() -> None:
    """After a window with too few rows data and tests are those of the one before; after one that was not described they are gone."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.observe_result(with_outcome("FAIL"), 1.0, 0.0)
    before = lines(registry, *PREFIXES)
    small = window_result(status="insufficient_data", quality=described(number("x")))
    metrics.observe_result(small, 2.0, 0.0)
    assert lines(registry, *PREFIXES) == before
    metrics.observe_result(window_result(status="error"), 3.0, 0.0)
    assert [line for line in lines(registry, *PREFIXES) if "_total" not in line] == []


def test_a_column_that_is_gone_and_a_model_that_is_gone_leave_nothing() -> None:
    """Gauges are those of the last window alone, and a removed model takes its counters along."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.observe_result(with_outcome("FAIL"), 1.0, 0.0)
    metrics.observe_result(window_result(judged_column("x", 0.0), quality=described(category("c"))), 2.0, 0.0)
    assert [line for line in lines(registry, *PREFIXES) if 'column="x"' in line] == []
    metrics.remove_model("m", "live")
    assert lines(registry, *PREFIXES) == []


def test_columns_are_bounded() -> None:
    """A thousand described and tested columns give series to as many as the cap allows, and each refusal is counted."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, max_columns=10)
    names = [f"c{i}" for i in range(1000)]
    tests = tuple(TestResult("null_share", "SUCCESS", "", name) for name in names)
    metrics.observe_result(window_result(quality=described(*map(number, names)), tests=tests), 1.0, 0.0)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    assert {s.labels["column"] for f in families for s in f.samples if s.labels.get("column")} == set(names[:10])
    assert lines(registry, 'tidemark_label_overflow_total{label="column"}') == ['tidemark_label_overflow_total{label="column"} 990.0']


def test_the_page_has_failed_tests_and_the_data() -> None:
    """The page names failed tests first and says how many passed, the rows with nulls and what is new or out of range; names that
    would be HTML are text. A window without tests or description has neither section.
    """
    page = header(with_outcome("FAIL", HOSTILE))
    assert "1 of 2 tests did not pass" in page
    assert "3 % of rows have no value" in page
    assert "12 of 400" in page
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img" not in page
    assert "All 2 tests passed" in header(with_outcome("SUCCESS"))
    plain = header(window_result(judged_column("x", 0.0)))
    assert "Tests" not in plain
    assert "Data quality" not in plain


def test_a_page_of_many_columns_stays_short() -> None:
    """Of 1,000 failed tests and 1,000 columns the page shows 50 each and says how many there are."""
    names = [f"c{i}" for i in range(1000)]
    tests = tuple(TestResult("null_share", "FAIL", "", name) for name in names)
    page = header(window_result(quality=described(*map(number, names)), tests=tests))
    assert "and 950 more" in page
    assert len(page) < 120_000
