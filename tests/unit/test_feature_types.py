"""Columns of any name and type go through both producers and the worker's decoder, and come back true."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from config.settings import Settings
from config.spec import Column, ModelSpec
from monitor.values import conform
from producers.emitter.encode import EventEncoder
from producers.replay.encode import EventEncoder as ReplayEncoder
from producers.replay.options import ReplayOptions
from schemas.event import event_schema, feature_names
from schemas.store import FileSchemaStore
from streams.decode.decoder import Decoder
from streams.windows.batch import RawBatch
from tests.support.replayed import read_rows

NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.text("a_A9 é()", min_size=1, max_size=8)
MOMENT = dt.datetime(2024, 2, 29, 12, 30, 0, 250_000, tzinfo=dt.UTC)


def spec(features: dict[str, Any]) -> ModelSpec:
    """A model with these features."""
    fixed = {"model": "m", "reference": "r.parquet", "prediction": {"column": "the prediction", "type": "double"}}
    return ModelSpec.model_validate({**fixed, "features": features, "window": {"size": "1h"}})


def decoded(home: Path, model: ModelSpec, values: list[bytes]) -> pl.DataFrame:
    """What the worker reads."""
    store = FileSchemaStore(home)
    store.keep(event_schema(model))
    n = len(values)
    batch = Decoder(store, 100_000).decode(RawBatch(0, values, [b"m"] * n, np.arange(n), np.zeros(n, dtype=np.int64)))
    assert batch.invalid == []
    return batch.events[0].frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("schemas")


@settings(max_examples=60, deadline=None)
@given(names=st.lists(NAME, min_size=1, max_size=8, unique=True).filter(lambda names: "the prediction" not in names))
def test_any_names_come_back_true(folder: Path, names: list[str]) -> None:
    """Spaces, accents, parentheses, leading digits, names that differ in one such character only: each value under its own name."""
    model = spec({name: {"type": "double"} for name in names})
    assert feature_names(event_schema(model)) == names
    row = {name: float(i) for i, name in enumerate(names)}
    frame = decoded(folder, model, [EventEncoder(event_schema(model), "m", "1").encode(row, 0.5, None, "e", 1, "live", 0)])
    assert {name: frame["f:" + name][0] for name in names} == row


def test_a_timestamp_is_one_number_by_every_way(tmp_path: Path) -> None:
    """Emitted as a datetime or as ms, replayed from a file with a zone of its own: ms since the epoch, nulls kept."""
    model = spec({"ordered at": {"type": "timestamp"}, "shop": {"type": "string", "kind": "categorical"}})
    times = pl.Series([MOMENT, MOMENT]).dt.cast_time_unit("ms")
    ordered = pl.Series("ordered at", [MOMENT, None], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone("Asia/Kolkata")
    shop = pl.Series("shop", ["a", "b"], dtype=pl.Categorical)
    frame = pl.DataFrame([times.alias("event_time"), ordered, shop, pl.Series("the prediction", [1.0, 2.0])])
    frame.write_parquet(tmp_path / "h.parquet")
    rows = read_rows(Settings(home=tmp_path), model, ReplayOptions(data=tmp_path / "h.parquet"))
    store = FileSchemaStore(tmp_path / "s")
    replayed = ReplayEncoder(model, store.register("m", event_schema(model)), "live", "1").encode(rows, 0, 2)
    emitter = EventEncoder(event_schema(model), "m", "1")
    emitted = [emitter.encode({"ordered at": v, "shop": "a"}, 1.0, None, f"e{i}", 1, "live", 0) for i, v in enumerate((MOMENT, 7, None))]
    found = decoded(tmp_path / "s", model, [*replayed, *emitted])
    ms = int(MOMENT.timestamp() * 1000)
    assert found["f:ordered at"].to_list() == [ms, None, ms, 7, None]
    assert found["f:shop"].to_list() == ["a", "b", "a", "a", "a"]


@pytest.mark.parametrize(
    ("dtype", "value", "ms"),
    [
        (pl.Datetime("ns", "America/New_York"), dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC), 1_704_085_200_000),
        (pl.Datetime("us"), dt.datetime(2024, 1, 1, 5), 1_704_085_200_000),  # noqa: DTZ001 - without a zone it is UTC
        (pl.Date, dt.date(2024, 1, 1), 1_704_067_200_000),
        (pl.Int64, 1_704_067_200_000, 1_704_067_200_000),
    ],
)
def test_a_reference_s_timestamps_are_judged_in_ms(dtype: Any, value: Any, ms: int) -> None:
    """Whatever unit and zone Parquet has them in, they are what events hold."""
    series = conform(pl.Series("t", [value, None], dtype=dtype), Column(type="timestamp"))
    assert (series.dtype, series.to_list()) == (pl.Int64, [ms, None])


def test_a_timestamp_is_a_numerical_feature() -> None:
    """As a category or as an output it is refused, with what to write instead."""
    with pytest.raises(ValidationError, match=r"a timestamp column is judged as a number .* leave kind out"):
        spec({"t": {"type": "timestamp", "kind": "categorical"}})
    with pytest.raises(ValidationError, match="set type: long for a prediction or target"):
        ModelSpec.model_validate(
            {**spec({"x": {"type": "double"}}).model_dump(), "window": {"size": "1h"}, "prediction": {"column": "p", "type": "timestamp"}}
        )
