"""Measured false-alarm rates: windows drawn from the same rows as the reference, disjoint from it.

``make bench-false-alarms`` measures three public data sets and writes ``benchmarks/results/false_alarms.json``;
``python -m benchmarks.false_alarms --population FILE.parquet --spec SPEC.yaml`` measures yours.

References of more than 1,000 rows are judged many windows at once (``many_windows``); of each reference and size some windows are judged
the worker's way, too, and one of each reference by stock Evidently; the run fails where they differ. Results of other data sets that are in
the file already stay.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.many_windows import Coded, Reference, judged, profile_of
from benchmarks.populations import population
from benchmarks.table import RESULTS, machine
from config.errors import TidemarkError
from config.spec import ModelSpec, read_spec
from monitor.calibration import Calibration
from monitor.calibration.fit import fits
from monitor.reference import ReferenceProfile
from monitor.statistics.methods import SMALL_REFERENCE_ROWS

MOST_AT_ONCE = 4_000_000  # row numbers in memory
CHECKED = 3  # windows of each reference and size that are judged the worker's way, too
DATA_SETS = ("flights", "employment", "credit")
OUT = RESULTS / "false_alarms.json"


@dataclass(frozen=True, slots=True)
class Rate:
    """The measured rate of one configured one at one window size.

    Attributes:
        standard_error: of ``measured``, from the spread between references.
        stock: the share of the same windows in which Evidently's own thresholds flag any column.
        stock_dataset: in which they flag half of the columns or more, Evidently's own dataset drift.
        checked: windows that were judged the worker's way, too, with the same outcome.
    """

    configured: float
    window_rows: int
    reference_rows: int
    references: int
    windows: int
    measured: float
    standard_error: float
    stock: float
    stock_dataset: float
    checked: int


@dataclass(slots=True)
class _Counts:
    """Alarms by reference, shape (references, rates, sizes) or (references, sizes)."""

    alarms: npt.NDArray[np.int64]
    stock: npt.NDArray[np.int64]
    stock_dataset: npt.NDArray[np.int64]
    checked: npt.NDArray[np.int64]


def measure(
    spec: ModelSpec,
    population: pl.DataFrame,
    reference_rows: int,
    sizes: Sequence[int],
    rates: Sequence[float],
    references: int,
    windows: int | Sequence[int],
    seed: int = 1,
    draws: int = 2000,
    stock_checks: bool = False,
) -> list[Rate]:
    """False-alarm rates on exchangeable data: each reference is a random choice of the population's rows, each window one of the others.

    Args:
        population: columns of the spec, of its types.
        reference_rows: of each reference.
        references: how many; the rate is an average over them.
        windows: for each reference, of all sizes alike or of each size.
        draws: null windows of a calibration at each size.
        stock_checks: hold one window of each reference, of one size after the other, against stock Evidently.

    Raises:
        TidemarkError: windows at once and one by one, or we and stock Evidently, do not agree.
    """
    counts = [windows] * len(sizes) if isinstance(windows, int) else list(windows)
    shape = (references, len(sizes))
    found = _Counts(*(np.zeros(s, dtype=np.int64) for s in ((references, len(rates), len(sizes)), shape, shape, shape)))
    coded = Coded(spec, population) if reference_rows > SMALL_REFERENCE_ROWS else None
    for number in range(references):
        random = np.random.default_rng([seed, number])
        order = random.permutation(population.height)
        reference, rest = population[order[:reference_rows]], order[reference_rows:]
        profile = profile_of(spec, reference)
        calibrations = fits(spec, reference, rates, seed=number, draws=draws)
        many = coded.reference(order[:reference_rows], profile) if coded else None
        judge = _Windows(spec, population, reference, profile, calibrations, many)
        for at, (n, wanted) in enumerate(zip(sizes, counts, strict=True)):
            for chosen in _drawn(rest, n, wanted, random):
                alarms, share = judge.verdicts(chosen)
                found.alarms[number, :, at] += alarms.sum(axis=1)
                found.stock[number, at] += np.count_nonzero(share)
                found.stock_dataset[number, at] += np.count_nonzero(share >= 0.5)
                found.checked[number, at] += judge.check(chosen[:CHECKED], alarms[:, :CHECKED], share[:CHECKED])
            if stock_checks and at == number % len(sizes):
                judge.check_stock(chosen[0])
    return [_rate(found, at, row, rate, n, reference_rows, counts[at]) for row, rate in enumerate(rates) for at, n in enumerate(sizes)]


def _drawn(rest: npt.NDArray[np.int64], n: int, windows: int, random: np.random.Generator) -> list[npt.NDArray[np.int32]]:
    """Row numbers of windows, each without repetition, in parts that fit in memory."""
    step = max(1, MOST_AT_ONCE // n)
    parts = [min(step, windows - start) for start in range(0, windows, step)]
    return [np.stack([random.choice(rest, n, replace=False, shuffle=False) for _ in range(part)]).astype(np.int32) for part in parts]


def _rate(found: _Counts, at: int, row: int, rate: float, n: int, reference_rows: int, windows: int) -> Rate:
    references = len(found.stock)
    by_reference = found.alarms[:, row, at] / windows
    error = float(by_reference.std(ddof=1) / np.sqrt(references)) if references > 1 else float("nan")
    total = references * windows
    stock, dataset = float(found.stock[:, at].sum()) / total, float(found.stock_dataset[:, at].sum()) / total
    checked = int(found.checked[:, at].sum())
    return Rate(rate, n, reference_rows, references, total, float(by_reference.mean()), error, stock, dataset, checked)


@dataclass(frozen=True, slots=True)
class _Windows:
    """What judges the windows against one reference."""

    spec: ModelSpec
    population: pl.DataFrame
    reference: pl.DataFrame
    profile: ReferenceProfile
    calibrations: list[Calibration]
    many: Reference | None

    def verdicts(self, chosen: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Whether any column alarms, shape (calibrations, windows); and the share of columns beyond Evidently's thresholds."""
        if self.many:
            found = self.many.judge(chosen, self.calibrations)
            return found.alarms, found.stock
        return self._one_by_one(chosen)

    def _one_by_one(self, chosen: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        found = [judged(self.spec, self.profile, self.calibrations, self.population[window]) for window in chosen]
        alarms = np.array([flags for flags, _ in found]).T
        return alarms, np.array([np.mean([score.drifted for score in scores.values()]) for _, scores in found])

    def check(self, chosen: npt.NDArray[np.int32], alarms: npt.NDArray[np.bool_], share: npt.NDArray[np.float64]) -> int:
        """How many windows were judged a second time, with the same outcome."""
        if not self.many:
            return 0
        again, again_share = self._one_by_one(chosen)
        if not (np.array_equal(again, alarms) and np.allclose(again_share, share)):
            raise TidemarkError(
                f"many windows at once give {alarms} and {share}, the worker's way gives {again} and {again_share}",
                "nothing can be published: mend benchmarks/many_windows.py",
            )
        return len(chosen)

    def check_stock(self, chosen: npt.NDArray[np.int32]) -> None:
        """Hold Evidently's scores and verdicts on a window against those of stock Evidently."""
        from benchmarks.stock import check_stock  # noqa: PLC0415  # evidently takes seconds to import

        window = self.population[chosen]
        check_stock(self.spec, self.reference, window, judged(self.spec, self.profile, [], window)[1])


def windows_for(n: int, reference_rows: int, references: int, scale: float) -> int:
    """Windows for each reference: 40,000 in all, a fourth of that where the window is larger than a tenth of the reference."""
    wanted = 40_000 if 10 * n <= reference_rows else 10_000
    return max(round(wanted * scale / references), 2)


def show(name: str, cells: Sequence[Rate]) -> None:
    """Print a table."""
    table = Table("n", "of windows", "configured", "measured", "± s.e.", "Evidently: any column", "half of the columns", title=name)
    for c in cells:
        figures = (c.configured, c.measured, c.standard_error, c.stock, c.stock_dataset)
        table.add_row(f"{c.window_rows:,}", f"{c.windows:,}", *(f"{100 * figure:.2f} %" for figure in figures))
    Console(width=140).print(table)


@click.command()
@click.option("--data", "names", multiple=True, default=DATA_SETS, show_default=True)
@click.option("--population", "given", type=click.Path(exists=True, path_type=Path), help="Your rows in place of the public ones.")
@click.option("--spec", type=click.Path(exists=True, path_type=Path), help="The spec of your rows.")
@click.option("--rows", default=10_000, show_default=True, help="Rows of a reference.")
@click.option("--references", default=25, show_default=True)
@click.option("--scale", default=1.0, show_default=True, help="Share of the 40,000 windows a cell (10,000 where n > N/10).")
@click.option("--size", "sizes", multiple=True, type=int, default=(50, 100, 500, 1000, 2000, 5000), show_default=True)
@click.option("--rate", "rates", multiple=True, type=float, default=(0.01, 0.05), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=False, help="Default: benchmarks/results.")
def main(
    names: tuple[str, ...],
    given: Path | None,
    spec: Path | None,
    rows: int,
    references: int,
    scale: float,
    sizes: tuple[int, ...],
    rates: tuple[float, ...],
    out: Path,
) -> None:
    """Measure, print a table a data set, write the results after each of them."""
    if (given is None) != (spec is None):
        raise click.UsageError("--population and --spec go together")
    chosen = [given.stem] if given else names
    results = [r for r in json.loads(out.read_text())["results"] if r["data"] not in chosen] if out.exists() else []
    for name in chosen:
        start = time.monotonic()
        data = (read_spec(spec), pl.read_parquet(given)) if given and spec else _public(name)
        windows = [windows_for(n, rows, references, scale) for n in sizes]
        cells = measure(*data, rows, sizes, rates, references, windows, stock_checks=True)
        show(f"{name}: {data[1].height:,} rows, {len(list(data[0].judged()))} columns, references of {rows:,}", cells)
        results += [{"data": name, "columns": len(list(data[0].judged())), **asdict(cell)} for cell in cells]
        facts = machine("numpy", "polars", "scipy", "evidently")
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"machine": facts, "results": results}, indent=1) + "\n")
        click.echo(f"{name}: {time.monotonic() - start:.0f} s")


def _public(name: str) -> tuple[ModelSpec, pl.DataFrame]:
    found = population(name)
    return found.spec, found.rows


if __name__ == "__main__":
    main()
