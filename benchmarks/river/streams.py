"""river's SEA and Hyperplane streams with a change at a known row. Runs in an environment of its own (requirements.txt beside this file):
``python -m benchmarks.river.streams FOLDER QUIET RUNS RUN_ROWS``.

Writes, for each generator, ``NAME-quiet.parquet`` with QUIET rows before the change, and for each grade ``NAME-GRADE.parquet`` with RUNS
runs of RUN_ROWS rows after it, one below the other. In both streams the features keep their distribution: what changes is the label's rule.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from river.datasets import synth

NOISE = 0.1  # of SEA's labels
THRESHOLDS = {1: 9, 2: 7, 3: 9.5}  # of SEA's variants; 8 before the change
MAGNITUDES = (0.0001, 0.001, 0.01)  # of a weight's change a row


def frame(rows: Iterator[tuple[dict[int, float], Any]], count: int) -> pl.DataFrame:
    """Columns x0, x1, …, and the label y as text."""
    taken = list(islice(rows, count))
    features = {f"x{i}": [x[i] for x, _ in taken] for i in taken[0][0]}
    return pl.DataFrame({**features, "y": [str(int(y)) for _, y in taken]})


def sea(folder: Path, quiet: int, runs: int, run_rows: int) -> None:
    """Abrupt: the label's threshold moves."""
    frame(iter(synth.SEA(0, NOISE, seed=1)), quiet).write_parquet(folder / "sea-quiet.parquet")
    for variant, threshold in THRESHOLDS.items():
        rows = iter(synth.SEA(variant, NOISE, seed=10 + variant))
        frame(rows, runs * run_rows).write_parquet(folder / f"sea-threshold 8 to {threshold:g}.parquet")


def hyperplane(folder: Path, quiet: int, runs: int, run_rows: int) -> None:
    """Gradual: two of ten weights move with each row, from the same weights in each run."""
    stream = synth.Hyperplane(seed=1, n_features=10, n_drift_features=2, mag_change=0.0)
    rows = iter(stream)
    frame(rows, quiet).write_parquet(folder / "hyperplane-quiet.parquet")
    weights = list(stream._weights)
    for magnitude in MAGNITUDES:
        stream.mag_change = magnitude
        parts = []
        for _ in range(runs):
            stream._weights, stream._change_direction = list(weights), [1] * 2 + [0] * 8
            parts.append(frame(rows, run_rows))
        pl.concat(parts).write_parquet(folder / f"hyperplane-{magnitude:g} a row.parquet")


if __name__ == "__main__":
    sea(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
    hyperplane(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
