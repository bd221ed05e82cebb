"""The door to Evidently: its own statistics where no fast form exists, and a real Snapshot of a window's verdicts. Import it late:
``import evidently`` takes seconds and 270 MB, which judging a window with the fast statistics does not need.
"""

from __future__ import annotations

import threading
import warnings
from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from evidently import DataDefinition, Report
from evidently.core.datasets import DatasetStats, PandasDataset
from evidently.core.metric_types import MetricTestResult
from evidently.core.report import Context, Snapshot
from evidently.legacy.calculations.stattests.registry import get_stattest
from evidently.legacy.core import ColumnType
from evidently.legacy.metrics.data_drift.embedding_drift_methods import (
    DistanceDriftMethod,
    DriftMethod,
    MMDDriftMethod,
    ModelDriftMethod,
    RatioDriftMethod,
)
from evidently.legacy.tests.base_test import TestStatus
from evidently.metrics import DriftedColumnsCount, ValueDrift
from evidently.metrics.column_statistics import (
    DriftedColumnCalculation,
    ValueDriftBoundTest,
    ValueDriftCalculation,
    ValueDriftTest,
)

from config.spec import Kind, ModelSpec
from monitor.reference import ReferenceProfile
from monitor.statistics.methods import Method
from monitor.statistics.profiles import Floats
from monitor.statistics.score import Score, verdict
from monitor.suites.evidently_metrics import ColumnsWithNulls, DataStability, DescribedRows, RowsWithNulls
from monitor.values import judged_kind, usable
from monitor.window import WindowData
from schemas.result import ColumnResult, DataQuality, TestResult

COLUMN_TYPES: dict[Kind, ColumnType] = {
    "numerical": ColumnType.Numerical,
    "categorical": ColumnType.Categorical,
    "text": ColumnType.Text,
}
EMBEDDING_METHODS: dict[str, type[DriftMethod]] = {
    "ratio": RatioDriftMethod,
    "distance": DistanceDriftMethod,
    "model": ModelDriftMethod,
    "mmd": MMDDriftMethod,
}
_RANDOM_STATE = threading.Lock()  # Evidently's permutation tests seed and use NumPy's global random state


def stock_score(method: Method, reference: pl.Series, window: pl.Series, kind: Kind, threshold: float | None = None) -> Score:
    """The verdict by Evidently's own function, nulls and infinities dropped from both as Evidently does.

    NumPy's global random state is the same after the call as before it, and the score does not depend on it.

    Raises:
        ValueError: Evidently refuses or fails, or its score is not a number; the message says why.
    """
    column_type = COLUMN_TYPES[kind]
    test = get_stattest(None, None, column_type, method.name)
    first, second = usable(reference).to_pandas(), usable(window).to_pandas()
    with _as_evidently_does(method):
        found = test(first, second, column_type, threshold)
    plain = verdict(method, float(found.drift_score), found.actual_threshold)
    return replace(plain, drifted=bool(found.drifted))  # a percentile method decides by more than score and threshold


def stock_embedding_score(method: Method, reference: Floats, window: Floats) -> float:
    """The score by Evidently's own embedding drift method; matrices of shape (rows, length).

    Raises:
        ValueError: Evidently fails; the message says why.
    """
    names = [f"c{i}" for i in range(reference.shape[1])]
    found = EMBEDDING_METHODS[method.name]()
    with _as_evidently_does(method):
        return float(found(pd.DataFrame(window, columns=names), pd.DataFrame(reference, columns=names))[0])


@contextmanager
def _as_evidently_does(method: Method) -> Iterator[None]:
    """Evidently seeds and uses NumPy's global random state: a fixed one inside, the old one after; whatever fails is a ValueError."""
    with _RANDOM_STATE:
        before = np.random.get_state()
        np.random.seed(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # Evidently's own errors are BaseException where a metric or a column is not found
            raise ValueError(f"{method.display_name}: {error or type(error).__name__}") from error
        finally:
            np.random.set_state(before)


class ScoredDataset(PandasDataset):  # type: ignore[misc]  # evidently's types are not followed
    """A window whose columns are judged already. A Report asks for nothing else, so the rows themselves are not copied into pandas."""

    def __init__(self, definition: DataDefinition, verdicts: Mapping[str, ColumnResult], described: DescribedRows) -> None:
        rows = described.rows
        self._data = pd.DataFrame(index=range(rows))
        self._data_definition = definition
        self._dataset_stats = DatasetStats(rows, len(verdicts), {})
        self._metadata: dict[str, Any] = {}
        self._tags: list[str] = []
        self.verdicts = verdicts
        self.described = described


class ScoredDriftCalculation(ValueDriftCalculation, ABC):  # type: ignore[misc]  # evidently's types are not followed
    """Evidently's ``ValueDrift`` with the score taken from the dataset: ids, names, tests and texts are Evidently's.

    A subclass of a calculation takes its metric over for the whole process, stock reports included, unless ABC is among its bases.
    """

    def calculate(self, context: Context, current_data: ScoredDataset, reference_data: Any) -> Any:
        """The metric's result and, where the user set no test, Evidently's default test of it."""
        verdict = current_data.verdicts[self.metric.column]
        if self.metric.method is None:
            self.resolve_parameter("method", verdict.method)
        if self.metric.threshold is None:
            self.resolve_parameter("threshold", verdict.threshold)
        result = self.result(verdict.score)
        result.widget = []
        if self.metric.tests is None and context.configuration.include_tests:
            result.set_tests([self._test(verdict)])
        return result

    def _test(self, verdict: ColumnResult) -> MetricTestResult:
        return MetricTestResult(
            id="drift",
            name=f"Value Drift for column {verdict.name}",
            description=f"Drift score is {verdict.score:0.2f}. The drift detection method is {verdict.method}. "
            f"The drift threshold is {verdict.threshold:0.2f}.",
            status=TestStatus.FAIL if verdict.drifted else TestStatus.SUCCESS,
            metric_config=self.to_metric_config(),
            test_config={},
            bound_test=ValueDriftBoundTest(test=ValueDriftTest(), metric_fingerprint=self.to_metric().metric_id),
        )


class ScoredValueDrift(ValueDrift):  # type: ignore[misc]  # evidently's types are not followed
    """``ValueDrift`` on a :class:`ScoredDataset`; stored and read back as Evidently's own metric."""

    class Config:
        type_alias = "evidently:metric_v2:ValueDrift"

    def to_calculation(self) -> ScoredDriftCalculation:
        """The calculation, under the id that Evidently's own metric has."""
        stock = ValueDrift(column=self.column, method=self.method, threshold=self.threshold, nbinsx=self.nbinsx, tests=self.tests)
        return ScoredDriftCalculation(stock.get_metric_id(), stock)


class ScoredCountCalculation(DriftedColumnCalculation, ABC):  # type: ignore[misc]  # evidently's types are not followed
    """Evidently's ``DriftedColumnsCount`` counted from the dataset's verdicts."""

    def calculate(self, context: Context, current_data: ScoredDataset, reference_data: Any) -> Any:
        """Number and share of drifted columns among those that the metric names."""
        drifted = [current_data.verdicts[name].drifted for name in self.metric.columns]
        result = self.result(sum(drifted), sum(drifted) / len(drifted))
        result.widget = []
        return result, None


class ScoredColumnsCount(DriftedColumnsCount):  # type: ignore[misc]  # evidently's types are not followed
    """``DriftedColumnsCount`` on a :class:`ScoredDataset`; stored and read back as Evidently's own metric."""

    class Config:
        type_alias = "evidently:metric_v2:DriftedColumnsCount"

    def to_calculation(self) -> ScoredCountCalculation:
        """The calculation, under the id that Evidently's own metric has."""
        stock = DriftedColumnsCount(columns=self.columns, drift_share=self.drift_share, tests=self.tests)
        return ScoredCountCalculation(stock.get_metric_id(), stock)


def data_definition(spec: ModelSpec, lengths: Mapping[str, int] | None = None) -> DataDefinition:
    """What the spec's columns are to Evidently: never guessed, since guessed types turn categories into text.

    Embeddings are lists; of those that ``lengths`` gives the length of, each component is a column of its own, as :func:`expanded` makes
    them, and Evidently's ``EmbeddingsDrift`` finds them by the embedding's name.
    """
    kinds = {name: judged_kind(column) for name, column in spec.columns.items()}
    embeddings = {name: components(name, length) for name, length in (lengths or {}).items()}
    return DataDefinition(
        numerical_columns=[*(n for n, kind in kinds.items() if kind == "numerical"), *(c for names in embeddings.values() for c in names)],
        categorical_columns=[name for name, kind in kinds.items() if kind == "categorical"],
        text_columns=[name for name, kind in kinds.items() if kind == "text"],
        datetime_columns=[],
        unknown_columns=[],
        list_columns=[name for name, kind in kinds.items() if kind == "embedding" and name not in embeddings],
        embeddings=embeddings or None,
    )


def components(name: str, length: int) -> list[str]:
    """The names of an embedding's components as columns."""
    return [f"{name}[{i}]" for i in range(length)]


def expanded(frame: pl.DataFrame, lengths: Mapping[str, int]) -> pl.DataFrame:
    """The frame with each embedding as columns, one a component; of a vector of another length than ``lengths`` says all are null."""
    for name, length in lengths.items():
        alike = pl.when(pl.col(name).list.len() == length).then(pl.col(name))
        parts = [alike.list.get(i, null_on_oob=True).alias(part) for i, part in enumerate(components(name, length))]
        frame = frame.with_columns(parts).drop(name)
    return frame


def evidently_snapshot(
    window: WindowData,
    spec: ModelSpec,
    profile: ReferenceProfile,
    columns: Sequence[ColumnResult],
    quality: DataQuality | None = None,
    tests: tuple[TestResult, ...] = (),
) -> Snapshot:
    """A real Evidently Snapshot of a window's verdicts, for a workspace that ``evidently ui`` opens; its time is the window's end.

    Columns that could not be judged are left out. ``Snapshot.dict()`` is what stock ``ValueDrift`` metrics would give, and our own
    metrics of nulls and data stability where the result has ``quality`` and ``tests``.
    """
    return scored_snapshot(
        DescribedRows(window.frame.height, quality, tests),
        spec,
        columns,
        timestamp=datetime.fromtimestamp(window.end_ms / 1000, UTC),
        metadata={"model": window.model, "run": window.run, "spec_digest": window.spec_digest, "reference": profile.fingerprint},
        name=f"{window.model} {window.run}",
    )


def scored_snapshot(described: DescribedRows, spec: ModelSpec, columns: Sequence[ColumnResult], **about: Any) -> Snapshot:
    """A Snapshot of the columns that could be judged, and of the data; ``about`` is what ``Report.run`` is told besides."""
    scored = {c.name: c for c in columns if c.status == "ok" and c.score is not None}
    metrics: list[Any] = [_metric(spec, column) for column in scored.values()]
    features = [c.name for c in scored.values() if c.role == "feature"]
    if features:
        metrics.insert(0, ScoredColumnsCount(columns=features, drift_share=spec.drift.share))
    if described.quality is not None:
        metrics += [ColumnsWithNulls(tests=[]), RowsWithNulls(tests=[])]
    if described.stability():
        metrics.append(DataStability(tests=[]))
    return Report(metrics, include_tests=True).run(ScoredDataset(data_definition(spec), scored, described), None, **about)


def _metric(spec: ModelSpec, column: ColumnResult) -> ScoredValueDrift:
    # Evidently knows the names of methods for numbers and categories only; the others are named by their result.
    chosen = spec.drift.columns.get(column.name) if column.kind in ("numerical", "categorical") else None
    return ScoredValueDrift(column=column.name, method=chosen.method if chosen else None, threshold=chosen.threshold if chosen else None)
