"""alibi-detect's TabularDrift (Kolmogorov-Smirnov and chi-square tests, Bonferroni) on windows in files, with p_val 0.01.

Runs in an environment of its own (requirements.txt beside this file): ``python -m benchmarks.alibi.peer FOLDER OUT``. It takes numbers
only: a category becomes a code, a missing one a code of its own; a missing number becomes the reference's median, as a model's input would.
"""

from __future__ import annotations

import math
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from alibi_detect.cd import TabularDrift

from benchmarks.windows_file import Manifest, Verdicts, read_manifest, windows, write_verdicts

P_VALUE = 0.01
SMALLEST = 1e-300


class Matrix:
    """Rows as alibi-detect takes them, coded as the reference is."""

    def __init__(self, manifest: Manifest, reference: pl.DataFrame, everything: pl.DataFrame) -> None:
        self.manifest = manifest
        self.medians = {c: reference[c].fill_nan(None).median() for c in manifest.numbers}
        self.codes = {c: {v: i for i, v in enumerate(sorted({*everything[c].drop_nulls(), *reference[c].drop_nulls()}))} for c in
                      manifest.categories}  # fmt: skip

    def of(self, frame: pl.DataFrame) -> Any:
        """Shape (rows, columns)."""
        numbers = [frame[c].fill_nan(None).fill_null(self.medians[c]).to_numpy() for c in self.manifest.numbers]
        categories = [
            frame[c].replace_strict(self.codes[c], default=len(self.codes[c]), return_dtype=pl.Int64).to_numpy()
            for c in self.manifest.categories
        ]
        return np.column_stack([np.asarray(values, dtype=np.float64) for values in (*numbers, *categories)])


def main() -> None:
    """Judge and write."""
    warnings.simplefilter("ignore")
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    manifest = read_manifest(folder)
    found = {}
    for file in manifest.files:
        reference = pl.read_parquet(folder / file.reference)
        matrix = Matrix(manifest, reference, pl.read_parquet(folder / file.file))
        first = len(manifest.numbers)
        categories = {first + i: None for i in range(len(manifest.categories))}
        detector = TabularDrift(matrix.of(reference), p_val=P_VALUE, categories_per_feature=categories)
        answers = [detector.predict(matrix.of(window))["data"] for window in windows(folder, file)]
        smallest = [max(float(np.nanmin(a["p_val"])), SMALLEST) for a in answers]
        found[file.file] = Verdicts([bool(a["is_drift"]) for a in answers], [-math.log(p) for p in smallest])
    write_verdicts(out, folder, {"alibi-detect": version("alibi-detect")}, {"alibi-detect TabularDrift, p 0.01": found})


if __name__ == "__main__":
    main()
