"""A closed window always becomes a result, under the user's own column names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from config.settings import Settings
from streams.judge import ClosedWindow, Judge
from streams.windows.rows import HeldRows
from streams.windows.state import StreamId, WindowId, WindowState

SPEC = """
model: m
reference: references/m.parquet
features: {prediction: {type: double}, "a b": {type: string, kind: categorical}}
prediction: {column: "ŷ", type: double}
target: {column: "@id", type: double}
window: {size: 10s}
min_rows: 10
"""


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Judge]:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "m.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "references").mkdir()
    rng = np.random.default_rng(0)
    columns = {
        "prediction": rng.normal(size=500),
        "a b": rng.choice(["x", "y"], 500),
        "ŷ": rng.normal(size=500),
        "@id": rng.normal(size=500),
    }
    pl.DataFrame(columns).write_parquet(tmp_path / "references" / "m.parquet")
    made = Judge(Settings(home=tmp_path, specs_dir=tmp_path / "specs", slack_webhook_file=None))
    made.load()
    yield made
    made.evaluator.close()


def closed(judge: Judge) -> ClosedWindow:
    binding = judge.catalogue.current("m")
    assert binding is not None
    rows = HeldRows(100)
    n = 40
    ids = [f"e{i:02}" for i in range(n)]
    numbers = np.linspace(-1, 1, n)
    columns = {
        "@id": ids,
        "@version": ["1"] * n,
        "@prediction": numbers,
        "@target": numbers * 2,
        "f:prediction": numbers * 3,
        "f:a b": ["x"] * n,
    }
    rows.add(pl.DataFrame(columns))
    state = WindowState(WindowId(StreamId("m", "r1", 7), 0, 10_000, binding.digest), rows, {"1"})
    return ClosedWindow.of(state)


def test_columns_have_their_true_names(judge: Judge) -> None:
    """A feature called prediction, a target called @id and names with spaces come out as themselves, each with its own values."""
    data, (result,) = judge.judge(closed(judge), 3)
    assert sorted(data.frame.columns) == ["@id", "a b", "prediction", "ŷ"]
    assert data.frame["prediction"][0] == -3
    assert data.frame["@id"][0] == -2
    assert data.frame["ŷ"][0] == -1
    assert result.status == "ok"
    assert result.key == f"m|r1@7|0|10000|{result.spec_digest}|reference"
    assert result.source_partition == 3


def test_a_window_that_cannot_be_judged_is_a_result(judge: Judge) -> None:
    """With its reference gone, the window's result has status error and the reason; nothing is raised."""
    window = closed(judge)
    binding = judge.catalogue[window.id.digest]
    again = Judge(judge.settings)
    again.catalogue.add(binding, current=False)
    judge.reference_path(binding).unlink()
    again.prepare()
    _, (result,) = again.judge(window, 0)
    again.evaluator.close()
    assert result.status == "error"
    assert "no reference dataset" in result.reason
    assert result.rows == 40
    assert not result.drifted
