"""A spec's tests on a window: which there are, and how each came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from config.suite import COLUMN_TESTS, TestName, TestSpec
from monitor.suites.checks import OF_COLUMN, WINDOW_TESTS, Measured, Subject, Unmeasured
from monitor.suites.condition import Condition
from schemas.result import ColumnQuality, TestResult

STABILITY: tuple[TestName, ...] = ("column_count", "column_types", *COLUMN_TESTS)


def run_tests(tests: Sequence[TestSpec], subject: Subject) -> tuple[TestResult, ...]:
    """The outcome of each test, in the spec's order; ``data_stability`` becomes the tests that it is made of.

    ``SUCCESS`` and ``FAIL`` (``WARNING`` where the test is not critical) are verdicts; ``ERROR`` says that nothing could be measured.
    """
    return tuple(result for test, only in _expanded(tests) for result in _run(test, only, subject))


def _expanded(tests: Sequence[TestSpec]) -> Iterator[tuple[TestSpec, frozenset[str]]]:
    """Each test with the columns that it leaves to another one of its name: what the spec bounds itself, the preset does not."""
    own: dict[str, frozenset[str]] = {}
    for test in tests:
        own[test.test] = own.get(test.test, frozenset()) | frozenset(test.columns or ("",))
    for test in tests:
        if test.test != "data_stability":
            yield test, frozenset()
            continue
        for part in STABILITY:
            if "" not in own.get(part, ()):
                yield TestSpec.model_construct(test=part, critical=test.critical), own.get(part, frozenset())


def _run(test: TestSpec, left_out: frozenset[str], subject: Subject) -> Iterator[TestResult]:
    if test.test in WINDOW_TESTS:
        yield _outcome(test, partial(WINDOW_TESTS[test.test], subject))
        return
    for now in _columns(test, subject):
        if now.name not in left_out:
            before = subject.reference.columns[now.name]
            yield _outcome(test, partial(OF_COLUMN[test.test], now, before), now.name)


def _columns(test: TestSpec, subject: Subject) -> list[ColumnQuality]:
    if test.columns:
        return [c for c in subject.data.columns if c.name in test.columns]
    roles = ("feature", "prediction") if test.test == "null_share" else ("feature",)
    return [c for c in subject.data.columns if c.role in roles and c.kind in COLUMN_TESTS[test.test]]


def _outcome(test: TestSpec, measure: Callable[[], Measured], column: str = "") -> TestResult:
    try:
        measured = measure()
    except Unmeasured as error:
        return TestResult(test.test, "ERROR", str(error), column)
    condition = Condition.of_user(test) or measured.default
    assert condition is not None  # a spec bounds what has no default
    failed = "FAIL" if test.critical else "WARNING"
    status = "SUCCESS" if condition.holds(measured.value) else failed
    return TestResult(test.test, status, f"{measured.text}; expected {condition}", column)
