"""Specs and settings: what is wrong is named with field, value and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.durations import parse_ms, show_ms
from config.errors import SettingsError, SpecError
from config.settings import ROOT, load_settings
from config.spec import ModelSpec, read_spec

GOOD: dict[str, Any] = {
    "model": "m",
    "reference": "r.parquet",
    "features": {"x": {"type": "double"}},
    "prediction": {"column": "p", "type": "double"},
    "window": {"size": "1h"},
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"windw": 1}, "windw"),
        ({"model": "no spaces"}, "'no spaces'"),
        ({"window": {"size": "1 fortnight"}}, "1 fortnight"),
        ({"window": {"size": "1h", "time_zone": "Mars/Base"}}, "Mars/Base"),
        ({"window": {"size": "1d", "time_zone": "UTC", "week_start": "monday"}}, "week_start"),
        ({"drift": {"columns": {"y": {"threshold": 1}}}}, "'y'"),
        ({"monitors": ["target_drift"]}, "target_drift needs a target"),
        ({"features": {"x": {"type": "string"}}}, "kind: categorical"),
        ({"features": {"p": {"type": "double"}}}, "'p'"),
        ({"features": {"a\0b": {"type": "double"}}}, "'a\\x00b' has a null character"),
        ({"min_rows": 0}, "min_rows"),
        ({"features": {}}, "features"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """One message with the field or value, the file, and what to do."""
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    assert said in str(caught.value)
    assert "remedy" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", ""])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    """A list, broken YAML and an empty file are spec errors, not tracebacks."""
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(SpecError):
        read_spec(path)


def test_the_digest_follows_what_is_judged() -> None:
    """Another threshold or reference is another digest; another description is not."""
    spec = ModelSpec.model_validate(GOOD)
    assert spec.digest("r") == ModelSpec.model_validate({**GOOD, "description": "new"}).digest("r")
    assert spec.digest("r") != ModelSpec.model_validate({**GOOD, "min_rows": 5}).digest("r")
    assert spec.digest("r") != spec.digest("other")


def test_the_example_is_a_good_spec() -> None:
    """config/models/flights.yaml reads; its windows are New York weeks from Monday."""
    spec = read_spec(ROOT / "config" / "models" / "flights.yaml")
    assert spec.window.week_start == "monday"
    assert spec.window.time_zone == "America/New_York"
    assert [role for _, role, _ in spec.judged()] == ["feature"] * 7 + ["prediction", "target"]


@pytest.mark.parametrize(
    ("name", "value"), [("KAFKA_PORT", "many"), ("PARTITIONS", "0"), ("CUT_INTERVAL", "-1"), ("WORKER_METRICS_PORT", "70000")]
)
def test_a_wrong_setting_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The message has the environment variable and its value."""
    monkeypatch.setenv(f"TIDEMARK_{name}", value)
    with pytest.raises(SettingsError, match=f"TIDEMARK_{name}='{value}'"):
        load_settings()


@pytest.mark.parametrize(("text", "ms"), [("90s", 90_000), ("15m", 900_000), ("1.5h", 5_400_000), ("7d", 604_800_000), (2, 2000)])
def test_durations(text: str | int, ms: int) -> None:
    """Durations read as people write them, and show in their largest whole unit."""
    assert parse_ms(text) == ms
    assert parse_ms(show_ms(ms)) == ms
