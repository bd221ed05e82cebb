"""Where the windows of `bench-detection` come from: public data with injected drifts, and river's streams with a known change."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.linear_model import LogisticRegression

from benchmarks.drifts import Drift, drifts
from benchmarks.environments import python_of
from benchmarks.populations import CATEGORY, NUMBER, population, spec_of
from benchmarks.windows_file import Manifest, WindowFile, write_manifest
from config.settings import ROOT
from config.spec import ModelSpec
from monitor.values import judged_kind

RUN = 20  # drifted windows in a row, from the change on
TRAINING = 5000  # rows of a stream that its model learns from
Rows = npt.NDArray[np.int64]
Maker = Callable[[pl.DataFrame, int, int, np.random.Generator], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Cell:
    """One graded drift. ``window(quiet, run, step, random)`` is the window ``step`` windows after the change in that run; ``quiet`` is a
    window of as many rows without drift.
    """

    kind: str
    grade: str
    column: str
    window: Maker


@dataclass(frozen=True, slots=True)
class Source:
    """A data set: quiet rows of one law, and its drifts."""

    name: str
    spec: ModelSpec
    rows: pl.DataFrame
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Plan:
    """Windows for each reference: ``nulls`` quiet ones to set thresholds by and as many to measure, ``runs`` runs of each drift."""

    references: int
    reference_rows: int
    sizes: tuple[int, ...]
    nulls: int
    runs: int

    @property
    def quiet(self) -> int:
        """Quiet windows of a file."""
        return 2 * self.nulls


def injected(name: str) -> Source:
    """A public data set with injected drifts."""
    found = population(name)
    rows = found.rows.select(*found.spec.columns)
    return Source(name, found.spec, rows, [_injected(drift) for drift in drifts(name, rows)])


def _injected(drift: Drift) -> Cell:
    return Cell(drift.kind, drift.grade, drift.column, lambda quiet, run, step, random: drift.apply(quiet, random))


def streams(folder: Path, plan: Plan) -> list[Source]:
    """SEA and Hyperplane, made by river in its own environment below ``folder``. Added: the prediction of a logistic regression that has
    learned from the first rows before the change.
    """
    run_rows, runs = RUN * max(plan.sizes), plan.references * plan.runs
    arguments = [str(folder), str(TRAINING + plan.reference_rows + 200_000), str(runs), str(run_rows)]
    subprocess.run([str(python_of("river")), "-m", "benchmarks.river.streams", *arguments], check=True, cwd=ROOT)
    return [_stream(folder, name, run_rows) for name in ("sea", "hyperplane")]


def _stream(folder: Path, name: str, run_rows: int) -> Source:
    quiet = pl.read_parquet(folder / f"{name}-quiet.parquet")
    names = [c for c in quiet.columns if c != "y"]
    model = LogisticRegression(max_iter=1000).fit(quiet[:TRAINING].select(names).to_numpy(), quiet["y"][:TRAINING].to_list())

    def predicted(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(prediction=pl.Series(model.predict(frame.select(names).to_numpy()).tolist(), dtype=pl.String))

    features = dict.fromkeys(names, NUMBER)
    spec = spec_of(name, features, {"column": "prediction", **CATEGORY}, {"column": "y", **CATEGORY})
    cells = []
    for path in sorted(folder.glob(f"{name}-*.parquet")):
        grade = path.stem.removeprefix(f"{name}-")
        if grade != "quiet":
            cells.append(_after(predicted(pl.read_parquet(path)), grade, run_rows))
    return Source(name, spec, predicted(quiet[TRAINING:]).select(*spec.columns), cells)


def _after(rows: pl.DataFrame, grade: str, run_rows: int) -> Cell:
    def window(quiet: pl.DataFrame, run: int, step: int, random: np.random.Generator) -> pl.DataFrame:
        return rows[run * run_rows + step * quiet.height :][: quiet.height].select(quiet.columns)

    return Cell("the label's rule", grade, "y", window)


def write_windows(source: Source, plan: Plan, folder: Path, seed: int = 1) -> Manifest:
    """Write references and windows: quiet ones to set thresholds by, quiet ones to measure, then run after run of each drift."""
    kinds = {name: judged_kind(column) for name, _, column in source.spec.judged()}
    files = []
    for number in range(plan.references):
        random = np.random.default_rng([seed, number])
        order = random.permutation(source.rows.height)
        reference = f"reference{number}.parquet"
        source.rows[order[: plan.reference_rows]].write_parquet(folder / reference)
        for n in plan.sizes:
            parts = _windows(source, plan, order[plan.reference_rows :], n, number, random)
            file = WindowFile(f"windows{number}-{n}.parquet", reference, n, len(parts))
            pl.concat(parts).write_parquet(folder / file.file)
            files.append(file)
    names = {kind: [name for name, k in kinds.items() if k == kind] for kind in ("numerical", "categorical")}
    manifest = Manifest(names["numerical"], names["categorical"], files)
    write_manifest(folder, manifest)
    return manifest


def _windows(source: Source, plan: Plan, rest: Rows, n: int, number: int, random: np.random.Generator) -> list[pl.DataFrame]:
    def quiet() -> pl.DataFrame:
        return source.rows[random.choice(rest, n, replace=False)]

    found = [quiet() for _ in range(plan.quiet)]
    for cell in source.cells:
        for run in range(number * plan.runs, (number + 1) * plan.runs):
            found += [cell.window(quiet(), run, step, random) for step in range(RUN)]
    return found
