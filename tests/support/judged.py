"""Judged windows of a small model, whose names and values are as hostile as users' data may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from config.spec import ModelSpec
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.window import WindowData
from schemas.result import WindowResult

HOSTILE_NAMES = (
    "<!channel> {{ .x }} `b` </script><img src=x onerror=alert(1)>",
    '<b>bold</b> <a href="https://evil.example">click</a>',
    "Århus – ñ",
    "n" * 500,
)
CITIES = ("Århus", "</script><script>alert(2)</script>", "<b>x</b>", "{{ 7*7 }}")
HOUR_MS = 3_600_000
START_MS = 1_750_000 // 3600 * 3600 * 1_000_000  # an hour in 2025
Case = tuple[WindowData, ModelSpec, Path, WindowResult]


def judged_spec(**fields: Any) -> ModelSpec:
    """A spec with a hostile column of each kind, and a plain one."""
    features: dict[str, Any] = {name: {"type": "double"} for name in ("plain", *HOSTILE_NAMES)}
    base = {
        "model": "m",
        "description": "<script>alert(3)</script>",
        "reference": "r.parquet",
        "features": {**features, "city": {"type": "string", "kind": "categorical"}},
        "prediction": {"column": "prediction", "type": "double"},
        "window": {"size": "1h"},
        "min_rows": 50,
    }
    return ModelSpec.model_validate({**base, **fields})


def judged_rows(seed: int, rows: int, shift: float = 0.0) -> pl.DataFrame:
    """Rows of that spec; every number is moved by ``shift`` standard deviations."""
    rng = np.random.default_rng(seed)
    numbers = {name: rng.normal(shift, 1, rows) for name in ("plain", *HOSTILE_NAMES, "prediction")}
    return pl.DataFrame({**numbers, "city": rng.choice(CITIES, rows)})


def judged_window(home: Path, hour: int = 0, shift: float = 0.0, rows: int = 200, spec: ModelSpec | None = None, **about: Any) -> Case:
    """A closed window, judged for real: the one that begins ``hour`` hours after ``START_MS``."""
    spec = spec or judged_spec()
    reference = home / "references" / "r.parquet"
    if not reference.exists():
        reference.parent.mkdir(parents=True, exist_ok=True)
        judged_rows(1, 500).write_parquet(reference)
    profile = load_reference(spec, reference)
    start_ms = START_MS + hour * HOUR_MS
    fields: dict[str, Any] = {
        "model": spec.model,
        "run": "live",
        "run_kind": "live",
        "start_ms": start_ms,
        "end_ms": start_ms + HOUR_MS,
        "spec_digest": spec.digest(profile.fingerprint),
        "source_partition": 0,
        "model_versions": ("<v1> `{{ 1 }}`",),
        "frame": judged_rows(hour + 2, rows, shift),
        "rows": rows,
        "duplicates": 0,
        "exact": True,
        "nulls": {},
    }
    window = WindowData(**{**fields, **about})
    return window, spec, reference, evaluate(window, spec, profile)
