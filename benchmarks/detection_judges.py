"""What judges the windows of a folder in our environment: Tidemark, Evidently as our engine gives it, and rules on PSI."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.many_windows import judged, profile_of
from benchmarks.psi import psi_column
from benchmarks.stock import check_stock
from benchmarks.windows_file import Manifest, Verdicts, WindowFile, farthest, windows
from config.spec import ModelSpec
from monitor.calibration.fit import fits

TIDEMARK = "Tidemark, rate 5 %, no floor"
TIDEMARK_1 = "Tidemark, rate 1 %, no floor"
TIDEMARK_FLOOR = "Tidemark, rate 1 %, floor (its default)"
EVIDENTLY = "Evidently: any column"
EVIDENTLY_HALF = "Evidently: half of the columns (its default)"
PSI_SIZED = "PSI sized by chi-square, rate 5 %"
PSI_10 = "PSI > 0.1"
PSI_25 = "PSI > 0.25"
RATE = 0.05
STOCK_CHECKS = 5  # windows of each file that stock Evidently judges, too, evenly spaced


def by_engine(spec: ModelSpec, folder: Path, file: WindowFile) -> dict[str, Verdicts]:
    """Tidemark and Evidently by the worker's code, window by window.

    Raises:
        TidemarkError: stock Evidently differs from our engine on one of the windows checked.
    """
    reference = pl.read_parquet(folder / file.reference)
    profile = profile_of(spec, reference)
    five, one = fits(spec, reference, [RATE, 0.01])
    alarms: list[list[bool]] = []
    ratios: list[list[float]] = []
    checked = set(np.linspace(0, file.count - 1, STOCK_CHECKS).astype(int).tolist())
    for at, window in enumerate(windows(folder, file)):
        flags, stock = judged(spec, profile, [five, one, one], window, floors=[False, False, True])
        alarms.append(flags)
        ratios.append([s.score / s.threshold for s in stock.values()])
        if at in checked:
            check_stock(spec, reference, window, stock)
    found = {name: Verdicts([a[at] for a in alarms], None) for at, name in enumerate((TIDEMARK, TIDEMARK_1, TIDEMARK_FLOOR))}
    half = (len(profile.columns) + 1) // 2
    return found | {
        EVIDENTLY: _ratios([max(r) for r in ratios], 1.0),
        EVIDENTLY_HALF: _ratios([sorted(r)[-half] for r in ratios], 1.0),
    }


def by_psi(manifest: Manifest, folder: Path, file: WindowFile) -> dict[str, Verdicts]:
    """The rules on PSI: any column beyond its limit."""
    reference, rows = pl.read_parquet(folder / file.reference), pl.read_parquet(folder / file.file)
    plain, sized = [], []
    for name in manifest.columns:
        column = psi_column(reference[name], name in manifest.categories)
        scores, values = column.psi(rows[name], file.count)
        plain.append(scores.tolist())
        sized.append((scores / column.limit(values, RATE / len(manifest.columns))).tolist())
    return {
        PSI_SIZED: _ratios(farthest(sized), 1.0),
        PSI_10: _ratios(farthest(plain), 0.1),
        PSI_25: _ratios(farthest(plain), 0.25),
    }


def _ratios(statistics: Iterable[float], limit: float) -> Verdicts:
    values = [float(s) for s in statistics]
    return Verdicts([s >= limit for s in values], values)
