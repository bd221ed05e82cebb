"""The example's model and its emitter, for the small services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from config.settings import Settings
from config.spec import read_spec
from examples.flights import model
from producers.emitter import Emitter
from schemas.event import event_schema
from schemas.store import FileSchemaStore


class Delays:
    """Predicts arrival delays in minutes. UsageError where ``python -m examples.flights`` has not made the model."""

    def __init__(self, settings: Settings) -> None:
        self._model = model.load(settings)
        self._spec = read_spec(settings.specs_dir / "flights.yaml")
        self.version = self._model.version

    def predict(self, rows: Sequence[Mapping[Any, Any]]) -> list[float]:
        """One delay a row."""
        return list(self._model.predict(pd.DataFrame(list(rows), columns=list(self._spec.features))).tolist()) if rows else []

    def predict_matrix(self, columns: Mapping[str, list[Any]]) -> list[float]:
        """The same from whole columns."""
        return self.predict(pd.DataFrame(columns).to_dict("records"))


def open_emitter(settings: Settings, version: str, **more: Any) -> Emitter:
    """An emitter as any service builds it: the schema is the file that Tidemark wrote, here written at once."""
    spec = read_spec(settings.specs_dir / "flights.yaml")
    writer = FileSchemaStore(settings.under_home("schemas")).register(spec.model, event_schema(spec))
    given = {"model": spec.model, "model_version": version, "schema": writer.schema, "topic": settings.predictions_topic}
    return Emitter(**{**given, "bootstrap_servers": settings.brokers, **more})
