"""The fast feeder writes the very bytes that the events' encoder writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from config.spec import ModelSpec
from producers.replay.encode import EventEncoder
from producers.replay.source import Rows
from schemas.event import event_schema
from schemas.framing import WriterSchema
from tests.support.feed import Template

SPEC = ModelSpec.model_validate(
    {
        "model": "m",
        "reference": Path("r.parquet"),
        "features": {"x": {"type": "double"}, "colour": {"type": "string", "kind": "categorical"}},
        "prediction": {"column": "y", "type": "double"},
        "window": {"size": "10s"},
    }
)
WRITER = WriterSchema.single_object(event_schema(SPEC))
ROWS = pl.DataFrame({"x": [1.5, 2.5, -0.0], "colour": ["red", "two", "red"], "y": [0.1, 0.2, 0.3]})


def test_values_are_those_of_the_encoder() -> None:
    """Under any number and time a template's events are byte for byte the encoder's, with the columns' values repeated."""
    numbers = np.arange(987_654_318, 987_654_328)
    times = np.array([2**34, 2**34 + 1, 10**12, 1_700_000_000_123, 2**40 - 1, 2**40, 2**41 - 1, 1_356_998_400_000, 63, 64]) | 2**34
    rows = Rows("e", ROWS[[i % 3 for i in range(10)]], times, numbers)
    assert Template(SPEC, WRITER, ROWS, "r").values(int(numbers[0]), times) == EventEncoder(SPEC, WRITER, "r", "1").encode(rows, 0, 10)


def test_rows_of_different_lengths_are_refused() -> None:
    """Rows whose encodings differ in length cannot be a template, and are said to be so."""
    with pytest.raises(ValueError, match="one length"):
        Template(SPEC, WRITER, ROWS.with_columns(pl.Series("colour", ["red", "green", "red"])))
