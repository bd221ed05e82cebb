"""Measured false-alarm rates: windows drawn from the same rows as the reference, disjoint from it, judged as the worker judges them.

python -m benchmarks.false_alarms POPULATION.parquet SPEC.yaml --rows 10000 --references 25 --windows 400
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import polars as pl

from config.spec import ModelSpec, read_spec
from monitor.calibration import Calibration, fit
from monitor.calibration.verdict import Thresholds
from monitor.columns import read_columns
from monitor.judging import judge_column
from monitor.reference import ReferenceProfile, load_reference
from monitor.statistics.profiles import CategoryProfile, NumericProfile


@dataclass(frozen=True, slots=True)
class Rate:
    """The measured rate of one configured one at one window size. ``stock`` is the share of the same windows in which Evidently's own
    thresholds flag any column.
    """

    configured: float
    window_rows: int
    reference_rows: int
    windows: int
    measured: float
    stock: float


def measure(
    spec: ModelSpec,
    population: pl.DataFrame,
    reference_rows: int,
    sizes: Sequence[int],
    rates: Sequence[float],
    references: int,
    windows: int,
    seed: int = 1,
    draws: int = 2000,
) -> list[Rate]:
    """False-alarm rates on exchangeable data: each reference is a random choice of the population's rows, each window one of the others.

    Args:
        population: columns of the spec, of its types.
        reference_rows: of each reference.
        references: how many; the rate is an average over them.
        windows: of each size for each reference.
        draws: null windows of a calibration at each size.
    """
    alarms = np.zeros((len(rates), len(sizes)))
    stock = np.zeros(len(sizes))
    for number in range(references):
        random = np.random.default_rng([seed, number])
        order = random.permutation(population.height)
        reference, rest = population[order[:reference_rows]], order[reference_rows:]
        profile = _profile(spec, reference)
        calibrations = [fit(spec, reference, rate=rate, seed=number, draws=draws) for rate in rates]
        for at, n in enumerate(sizes):
            for _ in range(windows):
                frame = population[random.choice(rest, n, replace=False, shuffle=False)]
                flags, plain = judged(spec, profile, calibrations, frame)
                alarms[:, at] += flags
                stock[at] += plain
    total = references * windows
    return [
        Rate(rate, n, reference_rows, total, float(alarms[row, at]) / total, float(stock[at]) / total)
        for row, rate in enumerate(rates)
        for at, n in enumerate(sizes)
    ]


def _profile(spec: ModelSpec, reference: pl.DataFrame) -> ReferenceProfile:
    plain = spec.model_copy(update={"drift": spec.drift.model_copy(update={"thresholds": "evidently"})})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.parquet"
        reference.write_parquet(path)
        return load_reference(plain, path)


def judged(spec: ModelSpec, profile: ReferenceProfile, calibrations: Sequence[Calibration], frame: pl.DataFrame) -> tuple[list[bool], bool]:
    """Whether any column of a window alarms by each calibration, without the floor; and whether any does by Evidently's thresholds."""
    read = read_columns(frame, spec.columns)
    alarms, plain = [False] * len(calibrations), False
    for name, role, _ in spec.judged():
        fitted, score = profile.columns[name].fitted, judge_column(read[name], profile.columns[name]).score
        plain |= score.drifted
        for at, calibration in enumerate(calibrations):
            if name in calibration.columns and not alarms[at]:
                thresholds = Thresholds(calibration, calibration.columns[name], frame.height, floor=False)
                assert isinstance(fitted, NumericProfile | CategoryProfile)
                values = read[name].sample if isinstance(fitted, NumericProfile) else read[name].counts
                alarms[at] = thresholds.verdict(score, fitted, values).drifted or (
                    role != "target" and thresholds.nulls_alarm(read[name].nulls)
                )
    return alarms, plain


@click.command()
@click.argument("population", type=click.Path(exists=True, path_type=Path))
@click.argument("spec", type=click.Path(exists=True, path_type=Path))
@click.option("--rows", default=10_000, show_default=True, help="Rows of a reference.")
@click.option("--references", default=25, show_default=True)
@click.option("--windows", default=400, show_default=True, help="Of each size, for each reference.")
@click.option("--size", "sizes", multiple=True, type=int, default=(50, 100, 500, 1000), show_default=True)
@click.option("--rate", "rates", multiple=True, type=float, default=(0.01, 0.05), show_default=True)
def main(population: Path, spec: Path, rows: int, references: int, windows: int, sizes: tuple[int, ...], rates: tuple[float, ...]) -> None:
    """Measure and print one JSON object a cell."""
    for cell in measure(read_spec(spec), pl.read_parquet(population), rows, sizes, rates, references, windows):
        click.echo(json.dumps(asdict(cell)))


if __name__ == "__main__":
    main()
