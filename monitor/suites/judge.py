"""The part of judging a window that is about its data: the description, and the tests of the spec on it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from config.spec import ModelSpec
from monitor.columns import DATA_ERRORS, ReadColumn
from monitor.quality.describe import ReferenceQuality, describe_window
from monitor.suites.checks import Subject
from monitor.suites.run import run_tests
from monitor.window import WindowData
from schemas.result import ColumnResult, DataQuality, TestResult

log = logging.getLogger(__name__)


def judge_quality(
    window: WindowData, spec: ModelSpec, read: Mapping[str, ReadColumn], reference: ReferenceQuality | None, columns: Sequence[ColumnResult]
) -> tuple[DataQuality | None, tuple[TestResult, ...]]:
    """The window's data described (where the spec monitors ``data_quality``), and its tests.

    A window below ``min_rows`` is described all the same, and not tested: few rows say nothing of shares and means.
    """
    if reference is None:
        return None, ()
    enough = window.rows >= spec.min_rows
    try:
        found = describe_window(window, spec, read, reference)
    except DATA_ERRORS as error:  # the verdicts on the columns stand
        log.exception("the data of a window of %s cannot be described", window.model)
        reason = f"the window cannot be described: {error or type(error).__name__}"
        return None, tuple(TestResult(t.test, "ERROR", reason) for t in spec.tests) if enough else ()
    tests = run_tests(spec.tests, _subject(window, spec, found, read, reference, columns)) if enough else ()
    return found if "data_quality" in spec.monitors else None, tests


def _subject(
    window: WindowData,
    spec: ModelSpec,
    found: DataQuality,
    read: Mapping[str, ReadColumn],
    reference: ReferenceQuality,
    columns: Sequence[ColumnResult],
) -> Subject:
    features = [c for c in columns if c.role == "feature" and c.status == "ok"]
    drifted = sum(c.drifted for c in features)
    return Subject(
        window_rows=window.rows,
        rows=window.frame.height,
        data=found,
        reference=reference,
        judged_features=len(features),
        drifted_features=drifted,
        drift_share=drifted / len(features) if features else 0.0,
        share_threshold=spec.drift.share,
        present=frozenset(name for name, column in read.items() if column.raw is not None),
    )
