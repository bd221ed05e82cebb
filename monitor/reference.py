"""The reference dataset of a model: read once, checked against the spec, fitted per column, shared between threads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import polars as pl

from config.errors import ReferenceDataError
from config.spec import Column, Kind, ModelSpec
from monitor.calibration import Calibration, fit
from monitor.calibration.blocks import epoch_ms
from monitor.calibration.fit import Progress
from monitor.domain import spaced
from monitor.embeddings import EmbeddingProfile, common_length, fit_vectors, vectors
from monitor.performance.measures import NotUsable
from monitor.performance.profile import PerformanceProfile, fit_performance
from monitor.quality.describe import ReferenceQuality, describe_reference, described_columns, wanted
from monitor.segments.profile import UNJUDGED, SegmentedColumn, fit_segments
from monitor.statistics.methods import METHODS, Method, chosen_method
from monitor.statistics.profiles import CategoryProfile, NumericProfile, fit_counts, fit_numbers
from monitor.text import TextProfile, fit_texts
from monitor.values import ValueMisfit, category_counts, conform, judged_kind, numbers

MIN_ROWS = 2


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column of the reference.

    Attributes:
        fitted: what the fast statistics need.
        nulls: rows without a value (null, NaN; infinities are not counted).
        method: the method that the spec names, None for Evidently's default.
        threshold: the spec's threshold, None for the method's own; in the method's unit.
        raw: the values in row order, only for a method without a fast form.
    """

    name: str
    kind: Kind
    fitted: NumericProfile | CategoryProfile | TextProfile | EmbeddingProfile
    rows: int
    nulls: int
    method: Method | None
    threshold: float | None
    raw: pl.Series | None

    @property
    def slow(self) -> bool:
        """True when its method takes up to seconds a window."""
        return self.method is not None and not self.method.fast


@dataclass(frozen=True, slots=True)
class ReferenceProfile:
    """A fitted reference dataset. Immutable: its arrays are read-only, so that threads share it.

    Attributes:
        fingerprint: 16 hex digits over names, types and values of the spec's columns in row order; the same for the same values,
            however the Parquet file encodes them.
        columns: the judged columns by name.
        quality: the dataset described, where the spec asks for data quality or for tests.
        types: the columns that were read, by name: the spec's, and those of its class probabilities.
        performance: the model's own measures on the reference, one for each kind that the spec asks for.
        classified: rows for the domain classifier, where the spec asks for one.
        calibration: where the spec asks for calibrated thresholds.
        segments: the spec's segment columns.
        time: the column with the time of each row that ``calibration`` was made with.
    """

    path: Path
    fingerprint: str
    rows: int
    columns: Mapping[str, ColumnProfile]
    types: Mapping[str, Column]
    quality: ReferenceQuality | None = None
    performance: tuple[PerformanceProfile, ...] = ()
    classified: pl.DataFrame | None = None
    calibration: Calibration | None = None
    time: str | None = None
    segments: tuple[SegmentedColumn, ...] = ()

    @property
    def slow(self) -> bool:
        """True when judging a window takes up to seconds: a method without a fast form, or the domain classifier."""
        return self.classified is not None or any(column.slow for column in self.columns.values())

    def frame(self) -> pl.DataFrame:
        """The spec's columns of the reference, read again from the file, for full reports.

        Raises:
            ReferenceDataError: the file is gone, or is no longer the one that was fitted.
        """
        frame = _read(self.path, self.types)
        if (found := _fingerprint(_with_time(self.path, frame, self.time))) != self.fingerprint:
            raise ReferenceDataError(
                f"reference {self.path} has changed since it was loaded (fingerprint {found}, was {self.fingerprint})",
                "reload the spec, so that windows are judged by the new reference",
            )
        return frame


def load_reference(spec: ModelSpec, path: Path, progress: Progress | None = None) -> ReferenceProfile:
    """Read a model's reference dataset and fit the columns that the spec judges, and its thresholds where they are calibrated.

    ``progress`` is told how many of how many steps of the latter are done.

    Raises:
        ReferenceDataError: the file is missing or no Parquet, lacks a column of the spec, holds another type, has fewer than 2 rows,
            a judged column has no usable value, or class probabilities are none.
        SpecError: the spec names an unknown drift method, or one that is not for its column, or thresholds cannot be calibrated.
    """
    kinds = {name: judged_kind(column) for name, _, column in spec.judged()}
    methods = {name: _method(spec, name, kind) for name, kind in kinds.items()}
    types = {**spec.columns, **spec.probability_columns}
    frame = _read(path, types)
    calibrate = spec.drift.thresholds == "calibrated"
    time = spec.drift.reference_time if calibrate else None
    timed = _with_time(path, frame, time)
    columns = {name: _fit(path, spec, frame[name], kind, methods[name]) for name, kind in kinds.items()}
    performance = _performance(path, spec, frame)
    quality = describe_reference(described_columns(spec), frame, spec.columns) if wanted(spec) else None
    calibration = fit(spec, timed, seed=spec.drift.seed, progress=progress) if calibrate else None
    return ReferenceProfile(
        path,
        _fingerprint(timed),
        frame.height,
        MappingProxyType(columns),
        MappingProxyType(types),
        performance=performance,
        quality=quality,
        classified=spaced(frame.select(list(spec.classified))) if spec.drift.domain_classifier else None,
        calibration=calibration,
        time=time,
        segments=_segments(path, spec, frame, columns.get(spec.prediction.column), performance, calibration) if spec.segments else (),
    )


def fit_rows(spec: ModelSpec, path: Path, frame: pl.DataFrame) -> tuple[ReferenceProfile, Mapping[str, str]]:
    """A window's rows, under the spec's names, fitted as a reference; with each judged column that cannot be one, and why.

    It has no fingerprint, which would take as long as all of its statistics: a closed window is named by its run and time.

    Raises:
        SpecError: the spec names an unknown drift method, or one that is not for its column.
    """
    columns, unusable = {}, {}
    for name, _, column in spec.judged():
        try:
            if name not in frame.columns:
                raise ReferenceDataError(f"{path} lacks column {name!r}: no event of that window carried it")
            kind = judged_kind(column)
            columns[name] = _fit(path, spec, _conform(path, frame[name], column), kind, _method(spec, name, kind))
        except ReferenceDataError as error:
            unusable[name] = error.message
    return ReferenceProfile(path, "", frame.height, MappingProxyType(columns), MappingProxyType(dict(spec.columns))), unusable


def _segments(
    path: Path,
    spec: ModelSpec,
    frame: pl.DataFrame,
    prediction: ColumnProfile | None,
    performance: tuple[PerformanceProfile, ...],
    calibration: Calibration | None,
) -> tuple[SegmentedColumn, ...]:
    """Segments, their predictions fitted as ``prediction`` is where the spec judges it; by the method of a calibrated threshold."""
    if prediction is None:
        return fit_segments(spec, frame, performance, None)
    if prediction.slow or prediction.kind == "text":
        return fit_segments(spec, frame, performance, None, UNJUDGED)
    calibrated = calibration.columns.get(prediction.name) if calibration else None
    method = METHODS[calibrated.method] if calibrated else prediction.method
    return fit_segments(spec, frame, performance, lambda series: _fit(path, spec, series, prediction.kind, method))


def _performance(path: Path, spec: ModelSpec, frame: pl.DataFrame) -> tuple[PerformanceProfile, ...]:
    try:
        return fit_performance(spec, frame)
    except NotUsable as error:
        raise ReferenceDataError(
            f"{path}: the model's performance cannot be measured: {error}",
            "correct the reference's target, prediction and probabilities, or take the monitor out of the spec",
        ) from error


def _method(spec: ModelSpec, name: str, kind: Kind) -> Method | None:
    chosen = spec.drift.columns.get(name)
    return chosen_method(name, chosen.method, kind) if chosen and chosen.method else None


def _fit(path: Path, spec: ModelSpec, series: pl.Series, kind: Kind, method: Method | None) -> ColumnProfile:
    fitted = _fitted(path, series, kind, method)
    if not fitted.size:
        raise ReferenceDataError(
            f"{path}: column {series.name!r} holds no usable value: all {len(series)} rows are null or not finite",
            "fill the column in the reference, or take it out of the spec",
        )
    chosen = spec.drift.columns.get(series.name)
    raw = series if method and not method.fast and kind != "embedding" else None
    return ColumnProfile(series.name, kind, fitted, len(series), null_count(series), method, chosen.threshold if chosen else None, raw)


def _fitted(
    path: Path, series: pl.Series, kind: Kind, method: Method | None
) -> NumericProfile | CategoryProfile | TextProfile | EmbeddingProfile:
    if kind == "embedding":
        return _fitted_vectors(path, series, method)
    if kind == "text" and series.null_count() < len(series):
        return fit_texts(series.drop_nulls())
    if kind == "numerical" and len(values := numbers(series)):
        return fit_numbers(values)
    return fit_counts(category_counts(series))


def _fitted_vectors(path: Path, series: pl.Series, method: Method | None) -> EmbeddingProfile:
    found = vectors(series, length) if (length := common_length(series)) else None
    if found is None or not len(found.matrix):
        raise ReferenceDataError(
            f"{path}: column {series.name!r} holds no usable vector in {len(series)} rows",
            "fill the column in the reference with arrays of numbers, or take it out of the spec",
        )
    if found.other_length:
        raise ReferenceDataError(
            f"{path}: column {series.name!r} holds vectors of several lengths: most have {length} numbers, {found.other_length} have not",
            "write one model's vectors: those of two cannot be compared",
        )
    return fit_vectors(found.matrix, method)


def null_count(series: pl.Series) -> int:
    """Nulls and NaN of a conformed column; of vectors, those that are null as a whole."""
    return series.null_count() + (int(series.is_nan().sum()) if series.dtype == pl.Float64 else 0)


def _read(path: Path, columns: Mapping[str, Column]) -> pl.DataFrame:
    present = _schema(path)
    missing = [name for name in columns if name not in present]
    if missing:
        names = ", ".join(map(repr, missing))
        raise ReferenceDataError(
            f"{path} lacks column {names} of the spec; it has {', '.join(map(repr, present))}",
            "write the reference with these columns, or take them out of the spec",
        )
    try:
        frame = pl.read_parquet(path, columns=list(columns), glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ReferenceDataError(f"{path} cannot be read: {error}", "write it again as a Parquet file") from error
    if frame.height < MIN_ROWS:
        raise ReferenceDataError(
            f"{path} has {frame.height} rows: a reference needs at least {MIN_ROWS}", "write it with the held-out rows"
        )
    return pl.DataFrame([_conform(path, frame[name], column) for name, column in columns.items()])


def _with_time(path: Path, frame: pl.DataFrame, time: str | None) -> pl.DataFrame:
    """The frame and the time of its rows, ms since the epoch, under its name; as it is where it has that column already, or needs none."""
    if time is None or time in frame.columns:
        return frame
    if time not in _schema(path):
        raise ReferenceDataError(
            f"{path} lacks column {time!r}, the spec's drift.reference_time", "write the reference with it, or take reference_time out"
        )
    series = pl.read_parquet(path, columns=[time], glob=False)[time]
    try:
        return frame.with_columns(epoch_ms(series).alias(time))
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise ReferenceDataError(
            f"{path}: column {time!r}, the spec's drift.reference_time, holds {series.dtype}, not times", "name a column with times"
        ) from error


def _schema(path: Path) -> list[str]:
    try:
        return list(pl.read_parquet_schema(path))
    except FileNotFoundError as error:
        remedy = "make the reference dataset, or correct reference in the spec (a path below TIDEMARK_HOME)"
        raise ReferenceDataError(f"no reference dataset at {path}", remedy) from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ReferenceDataError(f"{path} is no Parquet file that can be read: {error}", "write it again as a Parquet file") from error


def _conform(path: Path, series: pl.Series, column: Column) -> pl.Series:
    try:
        return conform(series, column)
    except ValueMisfit as error:
        remedy = "write the column with the spec's type, or correct its type in the spec"
        raise ReferenceDataError(f"{path}: column {series.name!r} {error}", remedy) from error


def _fingerprint(frame: pl.DataFrame) -> str:
    digest = hashlib.sha256(f"{frame.height}".encode())
    for series in frame.iter_columns():
        digest.update(f"\0{len(series.name.encode())}\0{series.name}\0{series.dtype}\0".encode())
        for part in _content(series):
            digest.update(part)
    return digest.hexdigest()[:16]


def _content(series: pl.Series) -> list[bytes]:
    """The values as bytes with one meaning: validity, then values with nulls and NaN alike, -0.0 as 0.0; text with its lengths."""
    if series.dtype == pl.Float64:
        series = series.fill_nan(None)
    valid = series.is_not_null().to_numpy().tobytes()
    if series.dtype == pl.String:
        text = series.fill_null("")
        return [valid, text.str.len_bytes().to_numpy().tobytes(), "".join(text.to_list()).encode()]
    if isinstance(series.dtype, pl.List):
        return [valid, series.list.len().fill_null(0).to_numpy().tobytes(), *_content(series.drop_nulls().explode(empty_as_null=False))]
    whole = series.cast(pl.Int8) if series.dtype == pl.Boolean else series
    return [valid, (whole.fill_null(0).to_numpy() + 0).tobytes()]  # numpy makes 0.0 of -0.0 + 0; polars leaves such sums out
