"""Predictions in bulk, for rows that have none."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from config.errors import UsageError
from config.settings import Settings
from config.spec import ModelSpec
from producers.replay.source import Rows
from schemas.dtypes import DTYPES

CHUNK = 50_000  # rows a call: bounds what the model's own encoding takes
FROM_DATA = "from-data"


def with_predictions(settings: Settings, spec: ModelSpec, rows: Rows) -> tuple[Rows, str]:
    """The rows with their predictions, and the model version: the data's own column, otherwise the spec's artefact predicts.

    Raises:
        UsageError: there is neither, or the predictions do not fit the spec's type.
        TidemarkError: the model fails on these rows.
    """
    if spec.prediction.column in rows.frame.columns:
        return rows, FROM_DATA
    from producers.artefact import load_artefact  # noqa: PLC0415 - scikit-learn takes seconds to import; data with predictions need none

    artefact = load_artefact(settings, spec)
    features = rows.frame.select(spec.features.keys())
    parts = [artefact.predict(features.slice(start, CHUNK).to_pandas()) for start in range(0, len(rows), CHUNK)]
    series = pl.concat([pl.Series(spec.prediction.column, part) for part in parts])
    try:
        series = series.cast(DTYPES[spec.prediction.type], strict=True)
    except pl.exceptions.PolarsError as error:
        raise UsageError(
            f"model {spec.model!r} predicts {series.dtype}, its spec says {spec.prediction.type}", "correct prediction.type in the spec"
        ) from error
    return replace(rows, frame=rows.frame.with_columns(series)), artefact.version
