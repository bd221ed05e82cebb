"""Stored reference profiles: the same as fitted ones, and never those of another dataset, spec or code."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from config.errors import ReferenceDataError
from config.spec import ModelSpec
from monitor import profile_store
from monitor.evaluate import evaluate
from monitor.profile_store import stored_reference
from monitor.reference import ReferenceProfile, load_reference
from monitor.window import WindowData

SPEC = {
    "model": "m",
    "reference": "m.parquet",
    "features": {
        "x": {"type": "double"},
        "n": {"type": "long"},
        "flag": {"type": "boolean"},
        "colour": {"type": "string", "kind": "categorical"},
    },
    "prediction": {"column": "y", "type": "double"},
    "window": {"size": "10s"},
    "monitors": ["data_drift", "prediction_drift", "data_quality"],
    "drift": {"columns": {"x": {"method": "ks"}}},
}


def frame(rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    colours = pl.Series(rng.choice(["rot", "grün"], rows), dtype=pl.String)
    numbers = {"x": rng.normal(size=rows), "n": rng.integers(0, 99, rows), "flag": rng.random(rows) < 0.5}
    return pl.DataFrame({**numbers, "colour": colours, "y": rng.normal(size=rows)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    frame(2000, 0).write_parquet(tmp_path / "m.parquet")
    return tmp_path / "m.parquet"


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The references that were fitted, not read from the store."""
    seen: list[Path] = []

    def load(spec: ModelSpec, path: Path, progress: object = None) -> ReferenceProfile:
        seen.append(path)
        return load_reference(spec, path)

    monkeypatch.setattr(profile_store, "load_reference", load)
    return seen


def test_a_stored_profile_judges_as_the_fitted_one(path: Path, fitted: list[Path]) -> None:
    """The second load fits nothing, and windows have the very same results by it; its arrays cannot be written to."""
    spec = ModelSpec.model_validate(SPEC)
    first, second = stored_reference(spec, path), stored_reference(spec, path)
    assert fitted == [path]
    window = WindowData("m", "live", "live", 0, 10_000, "d", 0, ("1",), frame(500, 1), 500, 0, True, {})
    assert evaluate(window, spec, second) == evaluate(window, spec, first) == evaluate(window, spec, load_reference(spec, path))
    with pytest.raises(ValueError, match="read-only"):
        second.columns["x"].fitted.shares[0] = 1.0  # type: ignore[union-attr]
    with pytest.raises(TypeError):
        second.columns["x"] = first.columns["x"]  # type: ignore[index]


def test_another_dataset_or_spec_is_fitted(path: Path, fitted: list[Path]) -> None:
    """A dataset that was written again, and a spec that judges otherwise, are fitted anew."""
    spec = ModelSpec.model_validate(SPEC)
    old = stored_reference(spec, path).fingerprint
    frame(2000, 7).write_parquet(path)
    os.utime(path, ns=(0, 0))
    assert stored_reference(spec, path).fingerprint != old
    other = ModelSpec.model_validate({**SPEC, "drift": {}})
    assert stored_reference(other, path).columns["x"].method is None
    assert len(fitted) == 3


@pytest.mark.parametrize("harm", ["cut", "junk", "empty"])
def test_a_harmed_file_is_made_anew(path: Path, fitted: list[Path], harm: str) -> None:
    """A stored profile that is cut short, empty or not a profile costs a fit, not an error, and is whole again afterwards."""
    spec = ModelSpec.model_validate(SPEC)
    stored_reference(spec, path)
    (stored,) = path.parent.glob("*.profile")
    whole = stored.read_bytes()
    stored.write_bytes({"cut": whole[: len(whole) // 3], "junk": whole[:49] + b"\xff" * 200, "empty": b""}[harm])
    assert stored_reference(spec, path).rows == 2000
    stored_reference(spec, path)
    assert len(fitted) == 2


def test_a_missing_dataset_is_named(tmp_path: Path) -> None:
    """Without a dataset the error is that of a reference that is not there."""
    with pytest.raises(ReferenceDataError, match="no reference dataset"):
        stored_reference(ModelSpec.model_validate(SPEC), tmp_path / "gone.parquet")
