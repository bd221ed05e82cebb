"""A BentoML service that knows nothing of Tidemark: ``tidemark wrap examples.services.bento:Delay --model flights`` makes it emit."""

from __future__ import annotations

from typing import Any

import bentoml

from config.settings import load_settings
from examples.services.delays import Delays


@bentoml.service(name="delay", workers=1)
class Delay:
    """Predicts how late a flight arrives, in minutes."""

    def __init__(self) -> None:
        self._delays = Delays(load_settings())

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        """One delay a row."""
        return self._delays.predict(list(rows))
