"""Specs, references and windows of models whose targets are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from config.spec import ModelSpec
from monitor.evaluate import evaluate
from monitor.reference import ReferenceProfile, load_reference
from monitor.window import WindowData
from schemas.result import Performance, WindowResult, decode_result, encode_result


def make_spec(kind: str, target: str, prediction: str = "", **fields: Any) -> ModelSpec:
    """A spec that asks for one kind of performance only; ``target`` and ``prediction`` are types of the wire."""
    outputs = {name: {"column": name, "type": t} for name, t in (("target", target), ("prediction", prediction or target))}
    if kind != "regression":
        outputs = {name: {**o, "kind": "categorical"} for name, o in outputs.items()}
    base: dict[str, Any] = {"model": "m", "reference": "r.parquet", "features": {"x": {"type": "double"}}, **outputs}
    return ModelSpec.model_validate({**base, "window": {"size": "1h"}, "min_rows": 1, "monitors": [f"{kind}_performance"], **fields})


def fit(folder: Path, spec: ModelSpec, rows: pl.DataFrame) -> ReferenceProfile:
    """Write a reference and load it."""
    path = folder / "r.parquet"
    rows.with_columns(x=pl.lit(1.0)).write_parquet(path)
    return load_reference(spec, path)


def window_of(rows: pl.DataFrame) -> WindowData:
    """A closed window of these rows."""
    frame = rows.with_columns(x=pl.lit(1.0))
    nulls = {name: frame[name].null_count() for name in frame.columns}
    return WindowData("m", "live", "live", 0, 3_600_000, "d", 0, ("1",), frame, frame.height, 0, True, nulls)


def judge(spec: ModelSpec, profile: ReferenceProfile, rows: pl.DataFrame) -> Performance:
    """The only performance of a window; its result survives its own encoding."""
    result: WindowResult = evaluate(window_of(rows), spec, profile)
    assert decode_result(encode_result(result)) == result
    (performance,) = result.performance
    return performance


def values(performance: Performance) -> dict[tuple[str, str], float | None]:
    """Value by measure and class."""
    return {(m.name, m.label): m.value for m in performance.measures}


def references(performance: Performance) -> dict[tuple[str, str], float | None]:
    """The reference's value by measure and class."""
    return {(m.name, m.label): m.reference for m in performance.measures}
