"""Predictions in bulk, for rows that have none."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from config.errors import UsageError
from config.settings import Settings
from config.spec import ModelSpec
from schemas.dtypes import DTYPES

CHUNK = 50_000  # rows a call: bounds what the model's own encoding takes
FROM_DATA = "from-data"


class Predictor:
    """Adds the prediction to rows. ``version`` is the model's, or says that the data has the predictions."""

    def __init__(self, settings: Settings, spec: ModelSpec, columns: Iterable[str]) -> None:
        """``columns`` are those that the data has: with the prediction among them no model is loaded.

        Raises:
            UsageError: there is neither a prediction nor a usable artefact.
        """
        self._spec = spec
        self._artefact = None
        if spec.prediction.column not in columns:
            from producers.artefact import load_artefact  # noqa: PLC0415 - scikit-learn takes seconds to import

            self._artefact = load_artefact(settings, spec)
        self.version = FROM_DATA if self._artefact is None else self._artefact.version

    def add(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with their predictions.

        Raises:
            UsageError: the predictions do not fit the spec's type.
            TidemarkError: the model fails on these rows.
        """
        if self._artefact is None or not frame.height:
            return frame
        spec = self._spec
        features = frame.select(spec.features.keys())
        parts = [self._artefact.predict(features.slice(start, CHUNK).to_pandas()) for start in range(0, frame.height, CHUNK)]
        series = pl.concat([pl.Series(spec.prediction.column, part) for part in parts])
        try:
            series = series.cast(DTYPES[spec.prediction.type], strict=True)
        except pl.exceptions.PolarsError as error:
            text = f"model {spec.model!r} predicts {series.dtype}, its spec says {spec.prediction.type}"
            raise UsageError(text, "correct prediction.type in the spec") from error
        return frame.with_columns(series)
