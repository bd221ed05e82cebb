"""Evidently's sections about columns: drift and summary. A column that it cannot take is left out, with the reason; the others stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.metrics import ValueDrift
from evidently.presets import DataDriftPreset, DataSummaryPreset

from config.spec import ModelSpec
from monitor.reports.literal import literal, literal_values
from monitor.values import ValueMisfit, conform, judged_kind
from schemas.result import WindowResult

Metrics = Callable[[list[str]], list[Any]]


class Columns:
    """The columns of a window and its reference, as Evidently takes them. ``left_out`` says which it does not get or take, and why."""

    def __init__(self, spec: ModelSpec, reference: pl.DataFrame, window: pl.DataFrame, result: WindowResult) -> None:
        self._spec = spec
        self._frames = {"the reference": reference, "this window": window}
        self.left_out: dict[str, str] = {c.name: c.reason or c.status for c in result.columns if c.status != "ok"}
        named = [c.name for c in result.columns if c.name not in self.left_out]
        self._names = [n for n in named if self._is_drawn(n) and self._has_values(n)]

    def drift_widgets(self) -> list[BaseWidgetInfo]:
        """Each column's drift with its plots, and the dataset's."""
        return self._widgets(self._drift)

    def summary_widgets(self) -> list[BaseWidgetInfo]:
        """Each column's values and their distribution, and the dataset's counts."""
        return self._widgets(lambda names: [DataSummaryPreset(columns=[literal(n) for n in names])])

    def _is_drawn(self, name: str) -> bool:
        """Text would have Evidently train a classifier, and look for word lists on the network; of vectors it has no picture."""
        column = self._spec.columns.get(name)
        if column is None or judged_kind(column) not in ("numerical", "categorical"):
            self.left_out[name] = "it draws numbers and categories; the verdict above is whole"
        return name not in self.left_out

    def _has_values(self, name: str) -> bool:
        """Stock Evidently aborts a whole report over a column that is all null."""
        for which, frame in self._frames.items():
            try:
                if name not in frame.columns:
                    self.left_out[name] = f"{which} does not have it"
                elif self._prepared(frame, name).drop_nulls().is_empty():
                    self.left_out[name] = f"{which} has no value in it"
            except ValueMisfit as error:
                self.left_out[name] = f"in {which} it {error}"
        return name not in self.left_out

    def _prepared(self, frame: pl.DataFrame, name: str) -> pl.Series:
        """One column of the spec's type, infinities as nulls, booleans as words."""
        series = conform(frame[name], self._spec.columns[name])
        if series.dtype == pl.Boolean:
            return series.cast(pl.String)
        if series.dtype == pl.Float64:
            return series.to_frame().select(pl.when(pl.col(name).is_finite()).then(pl.col(name)))[name]
        return series

    def _widgets(self, metrics: Metrics) -> list[BaseWidgetInfo]:
        """The widgets over all columns; when Evidently fails on that, over those it can take alone."""
        if not self._names:
            return []
        try:
            return self._run(metrics, self._names)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException:  # noqa: BLE001  # Evidently's own errors are BaseException; which column it was, it doesn't always say
            failures = {name: self._failure(metrics, name) for name in self._names}
        self.left_out |= {name: reason for name, reason in failures.items() if reason}
        rest = [name for name, reason in failures.items() if not reason]
        if len(rest) == len(self._names):
            raise ValueError("on all columns together, though on none alone")
        self._names = rest
        return self._run(metrics, rest) if rest else []

    def _failure(self, metrics: Metrics, name: str) -> str:
        try:
            self._run(metrics, [name])
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # noqa: BLE001  # as above
            return f"Evidently fails on it ({error or type(error).__name__})"
        return ""

    def _run(self, metrics: Metrics, names: list[str]) -> list[BaseWidgetInfo]:
        kinds = {literal(name): judged_kind(self._spec.columns[name]) for name in names}
        definition = DataDefinition(
            numerical_columns=[n for n, k in kinds.items() if k == "numerical"],
            categorical_columns=[n for n, k in kinds.items() if k == "categorical"],
            text_columns=[],
            datetime_columns=[],
            unknown_columns=[],
            list_columns=[],
        )
        reference, window = (self._dataset(frame, names, definition) for frame in self._frames.values())
        return list(Report(metrics(names)).run(window, reference).to_snapshot_model().widgets)

    def _dataset(self, frame: pl.DataFrame, names: list[str], definition: DataDefinition) -> Dataset:
        prepared = pl.DataFrame([literal_values(self._prepared(frame, name)).alias(literal(name)) for name in names])
        return Dataset.from_pandas(prepared.to_pandas(), data_definition=definition)

    def _drift(self, names: list[str]) -> list[Any]:
        chosen = self._spec.drift.columns
        features = [n for n in names if n in self._spec.features]
        metrics: list[Any] = []
        if features:
            methods = {literal(n): chosen[n].method for n in features if n in chosen and chosen[n].method}
            thresholds = {literal(n): chosen[n].threshold for n in features if n in chosen and chosen[n].threshold is not None}
            metrics.append(
                DataDriftPreset(
                    columns=[literal(n) for n in features],
                    drift_share=self._spec.drift.share,
                    per_column_method=methods or None,
                    per_column_threshold=thresholds or None,
                )
            )
        for name in (n for n in names if n not in self._spec.features):
            one = chosen.get(name)
            metrics.append(ValueDrift(column=literal(name), method=one.method if one else None, threshold=one.threshold if one else None))
        return metrics
