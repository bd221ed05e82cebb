"""A model with segments: a reference and windows in which one group can be moved away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from config.spec import ModelSpec
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.window import WindowData
from schemas.result import SegmentResult, WindowResult, decode_result, encode_result

CARRIERS = ("AA", "</b> ü", "'; --", "ZZ")
SHARES = (0.5, 0.3, 0.17, 0.03)


def segmented_spec(**fields: Any) -> ModelSpec:
    """A regression whose rows are grouped by a text and by a flag."""
    base: dict[str, Any] = {
        "model": "m",
        "reference": "r.parquet",
        "features": {
            "x": {"type": "double"},
            "carrier": {"type": "string", "kind": "categorical"},
            "night": {"type": "boolean"},
        },
        "prediction": {"column": "p", "type": "double"},
        "target": {"column": "y", "type": "double"},
        "window": {"size": "1h"},
        "min_rows": 100,
        "segments": ["carrier", "night"],
        "monitors": ["data_drift", "prediction_drift", "regression_performance"],
    }
    return ModelSpec.model_validate({**base, **fields})


def segmented_rows(seed: int, rows: int, moved: str = "", shift: float = 0.0) -> pl.DataFrame:
    """Rows of that model; the predictions of the carrier ``moved`` are ``shift`` greater, its targets not."""
    rng = np.random.default_rng(seed)
    carrier = rng.choice(CARRIERS, rows, p=SHARES)
    x = rng.normal(size=rows)
    prediction = 10 + 3 * x + shift * (carrier == moved)
    return pl.DataFrame(
        {"x": x, "carrier": carrier, "night": rng.random(rows) < 0.25, "p": prediction, "y": 10 + 3 * x + rng.normal(size=rows)}
    )


def closed_window(frame: pl.DataFrame) -> WindowData:
    """A closed window of these rows."""
    nulls = {name: frame[name].null_count() for name in frame.columns}
    return WindowData("m", "live", "live", 0, 3_600_000, "d", 0, ("1",), frame, frame.height, 0, True, nulls)


def judge(folder: Path, spec: ModelSpec, reference: pl.DataFrame, frame: pl.DataFrame) -> WindowResult:
    """A window's result against a reference; it survives its own encoding."""
    reference.write_parquet(folder / "r.parquet")
    result = evaluate(closed_window(frame), spec, load_reference(spec, folder / "r.parquet"))
    assert decode_result(encode_result(result)) == result
    return result


def segment(result: WindowResult, column: str, value: str) -> SegmentResult:
    """The only result of one segment."""
    (found,) = [s for s in result.segments if (s.segment, s.value) == (column, value)]
    return found
