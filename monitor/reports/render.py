"""The full report of a window: Evidently's HTML with our part above it. Runs in the report process only, since it imports Evidently."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from pathlib import Path

import polars as pl
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift
from evidently.presets import DataDriftPreset

from config.errors import TidemarkError
from config.spec import ModelSpec
from monitor.reports.page import header
from monitor.values import ValueMisfit, conform, judged_kind
from monitor.window import WindowData
from schemas.result import WindowResult

# Evidently writes its data as two lines of one JSON text each; see `_escape_data`.
_DATA_LINE = re.compile(r"^(\s*var (?:additional_graphs_)?metric_[0-9a-f]{32} = )(.*)(;\s*)$", re.MULTILINE)


def full_report(window: WindowData, spec: ModelSpec, reference_path: Path, result: WindowResult) -> str:
    """The report's HTML.

    Raises:
        TidemarkError: Evidently can take no column of this window, or writes its page in another way than the pinned version does.
    """
    reference = _read_reference(reference_path, reference_path.stat().st_mtime_ns)
    names = [c.name for c in result.columns]
    left_out: dict[str, str] = {c.name: c.reason or c.status for c in result.columns if c.status != "ok"}
    columns = _usable_columns(names, spec, (reference, window.frame), left_out)
    html = _evidently_html(columns, spec, reference, window.frame, left_out)
    notes = tuple(f"Evidently's part below leaves out {name}: {reason}" for name, reason in left_out.items())
    top = header(result, notes)
    return _escape_data(html).replace("<body>", f"<body>\n{top}", 1)


@lru_cache(maxsize=8)
def _read_reference(path: Path, mtime_ns: int) -> pl.DataFrame:  # a changed file is another entry
    return pl.read_parquet(path)


def _prepared(frame: pl.DataFrame, name: str, spec: ModelSpec) -> pl.Series:
    """One column as Evidently takes it: of the spec's type, infinities as nulls, booleans as words."""
    column = spec.columns[name]
    series = conform(frame[name], column)
    if series.dtype == pl.Boolean:
        return series.cast(pl.String)
    if series.dtype == pl.Float64:
        return series.to_frame().select(pl.when(pl.col(name).is_finite()).then(pl.col(name)))[name]
    return series


def _usable_columns(names: list[str], spec: ModelSpec, frames: tuple[pl.DataFrame, ...], left_out: dict[str, str]) -> list[str]:
    """The columns that both frames hold with values; stock Evidently aborts a whole report over one that is all null."""
    for name in names:
        for frame, which in zip(frames, ("the reference", "this window"), strict=True):
            if name in left_out:
                break
            try:
                if name not in frame.columns:
                    left_out[name] = f"{which} does not have it"
                elif _prepared(frame, name, spec).drop_nulls().is_empty():
                    left_out[name] = f"{which} has no value in it"
            except ValueMisfit as error:
                left_out[name] = f"in {which} it {error}"
    return [n for n in names if n not in left_out]


def _evidently_html(columns: list[str], spec: ModelSpec, reference: pl.DataFrame, window: pl.DataFrame, left_out: dict[str, str]) -> str:
    """The page over all columns; when Evidently fails on that, over those it can take alone."""
    try:
        return _run(columns, spec, reference, window)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # noqa: BLE001  # Evidently's own errors are BaseException; which column it was, it doesn't always say
        for name in columns:
            reason = _failure(name, spec, reference, window)
            if reason:
                left_out[name] = reason
        rest = [n for n in columns if n not in left_out]
        if not rest:
            raise TidemarkError("Evidently can draw no column of this window", "see the verdicts above") from None
        return _run(rest, spec, reference, window)


def _failure(name: str, spec: ModelSpec, reference: pl.DataFrame, window: pl.DataFrame) -> str:
    try:
        _run([name], spec, reference, window)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001  # as above
        return f"Evidently fails on it ({error or type(error).__name__})"
    return ""


def _run(columns: list[str], spec: ModelSpec, reference: pl.DataFrame, window: pl.DataFrame) -> str:
    if not columns:
        raise TidemarkError("no column of this window can be drawn", "see the verdicts above")
    kinds = {name: judged_kind(spec.columns[name]) for name in columns}
    definition = DataDefinition(
        numerical_columns=[n for n, k in kinds.items() if k == "numerical"],
        categorical_columns=[n for n, k in kinds.items() if k == "categorical"],
        text_columns=[],
        datetime_columns=[],
        unknown_columns=[],
        list_columns=[],
    )

    def dataset(frame: pl.DataFrame) -> Dataset:
        prepared = pl.DataFrame([_prepared(frame, name, spec).alias(name) for name in columns])
        return Dataset.from_pandas(prepared.to_pandas(), data_definition=definition)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snapshot = Report(_metrics(columns, spec)).run(dataset(window), dataset(reference))
        return str(snapshot.get_html_str(as_iframe=False))


def _metrics(columns: list[str], spec: ModelSpec) -> list[object]:
    chosen = spec.drift.columns
    features = [n for n in columns if n in spec.features]
    outputs = [n for n in columns if n not in spec.features]
    metrics: list[object] = []
    if features:
        methods = {n: chosen[n].method for n in features if n in chosen and chosen[n].method}
        thresholds = {n: chosen[n].threshold for n in features if n in chosen and chosen[n].threshold is not None}
        preset = DataDriftPreset(
            columns=features, drift_share=spec.drift.share, per_column_method=methods or None, per_column_threshold=thresholds or None
        )
        metrics.append(preset)
    for name in outputs:
        one = chosen.get(name)
        metrics.append(ValueDrift(column=name, method=one.method if one else None, threshold=one.threshold if one else None))
    return metrics


def _escape_data(html: str) -> str:
    r"""Evidently's page with ``<`` written ``\u003c`` in its data: a column named ``</script>`` would end the script and run as HTML.

    JSON texts hold no raw line break, so the data are exactly the first two lines that assign them, whatever the names in them.
    """
    escaped, found = _DATA_LINE.subn(lambda m: m[1] + m[2].replace("<", "\\u003c") + m[3], html, count=2)
    if found != 2:
        raise TidemarkError("Evidently writes its page in another way than this version of Tidemark knows", "install the pinned evidently")
    return escaped
