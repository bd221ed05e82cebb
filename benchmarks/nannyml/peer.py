"""NannyML's univariate drift detectors with their own default thresholds on windows in files: a window is a chunk.

Runs in an environment of its own (requirements.txt beside this file): ``python -m benchmarks.nannyml.peer FOLDER OUT``. Jensen-Shannon is
NannyML's default, Wasserstein with L-infinity another pair that thresholds can be set for. Its Kolmogorov-Smirnov and chi-square take
longer than both together, and alibi-detect has them. The default threshold is the mean and three standard deviations of the reference's
own chunks. Categories are handed over as numbers, which its methods treat alike and count faster.
"""

from __future__ import annotations

import os

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # before the import: it reports its use otherwise

import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from nannyml import UnivariateDriftCalculator

from benchmarks.windows_file import Manifest, Verdicts, WindowFile, farthest, read_manifest, write_verdicts

WAYS = {
    "NannyML Jensen-Shannon (its default)": ("jensen_shannon", "jensen_shannon"),
    "NannyML Wasserstein, L-infinity": ("wasserstein", "l_infinity"),
}


def coded(manifest: Manifest, *frames: pl.DataFrame) -> list[pd.DataFrame]:
    """The frames with a number in place of each category, the same in all of them."""
    found = []
    codes = {c: {v: i for i, v in enumerate(sorted(set().union(*(f[c].drop_nulls() for f in frames))))} for c in manifest.categories}
    for frame in frames:
        numbers = [pl.col(c).replace_strict(codes[c], default=None, return_dtype=pl.Int64) for c in manifest.categories]
        found.append(frame.with_columns(numbers).to_pandas())
    return found


def judge(manifest: Manifest, reference: pd.DataFrame, rows: pd.DataFrame, file: WindowFile) -> dict[str, Verdicts]:
    """Verdicts of each way on a file's windows."""
    calculator = UnivariateDriftCalculator(
        column_names=manifest.columns,
        treat_as_categorical=manifest.categories,
        continuous_methods=[continuous for continuous, _ in WAYS.values()],
        categorical_methods=[categorical for _, categorical in WAYS.values()],
        chunk_size=file.rows,
    )
    found = calculator.fit(reference).calculate(rows).filter(period="analysis").data
    return {name: _verdicts(manifest, found, *methods) for name, methods in WAYS.items()}


def _verdicts(manifest: Manifest, found: Any, continuous: str, categorical: str) -> Verdicts:
    methods = [(c, continuous) for c in manifest.numbers] + [(c, categorical) for c in manifest.categories]
    alarms = np.any([found[c, m, "alert"].to_numpy(dtype=bool) for c, m in methods], axis=0)
    ratios = [(found[c, m, "value"] / found[c, m, "upper_threshold"]).fillna(0.0).to_numpy(dtype=float).tolist() for c, m in methods]
    return Verdicts(alarms.tolist(), farthest(ratios))


def main() -> None:
    """Judge and write."""
    warnings.simplefilter("ignore")
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    manifest = read_manifest(folder)
    found: dict[str, dict[str, Verdicts]] = {name: {} for name in WAYS}
    for file in manifest.files:
        reference, rows = coded(manifest, *(pl.read_parquet(folder / name) for name in (file.reference, file.file)))
        for name, verdicts in judge(manifest, reference, rows, file).items():
            assert len(verdicts.alarms) == file.count
            found[name][file.file] = verdicts
    write_verdicts(out, folder, {"nannyml": version("nannyml")}, found)


if __name__ == "__main__":
    main()
