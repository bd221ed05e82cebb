"""The service of ``examples.services.bento`` with the one line that emits: what ``benchmarks.emit_service`` measures beside it."""

from __future__ import annotations

from typing import Any

import bentoml

from config.settings import load_settings
from examples.services.delays import Delays, open_emitter


@bentoml.service(name="delay", workers=1)
class Called:
    """Predicts how late a flight arrives, in minutes, and emits it."""

    def __init__(self) -> None:
        settings = load_settings()
        self._delays = Delays(settings)
        self._emitter = open_emitter(settings, self._delays.version)

    @bentoml.api
    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        """One delay a row."""
        found = self._delays.predict(list(rows))
        for row, delay in zip(rows, found, strict=True):
            self._emitter.emit(row, delay)
        return found

    @bentoml.on_shutdown
    def close(self) -> None:
        """Deliver what is pending."""
        self._emitter.close()
