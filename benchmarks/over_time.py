"""Quiet windows of real time: how many are flagged? ``make bench-over-time`` writes ``benchmarks/results/over_time.json``.

The first part of each data set's time is the reference, the rest is cut into windows of a day or longer, all from a period in which nothing
is known to have changed. Judged by thresholds that allow for what the reference's blocks differ by (``drift.reference_time``), by those
that do not, each with and without the floor, and by Evidently's own. ``flights``, ``glucose``, ``calls`` and ``weather`` are real;
``credit``, ``cars`` and ``loans`` are synthetic (nannyml), with times of their own.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.many_windows import judged, profile_of
from benchmarks.populations import Population, population
from benchmarks.table import RESULTS, machine
from config.spec import ModelSpec
from config.spec_window import Window
from monitor.calibration.fit import fits
from monitor.statistics.score import Score

OUT = RESULTS / "over_time.json"
RATES = (0.01, 0.05)
ZONE = "America/New_York"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A data set's quiet stretch of time: the reference up to ``split``, the windows from there to ``end``; ``begin`` None is its start."""

    data: str
    time: str
    begin: dt.datetime | None
    split: dt.datetime
    end: dt.datetime
    window: str
    zone: str | None = None

    def rows(self, found: Population) -> pl.DataFrame:
        """All rows of the stretch, their time in UTC."""
        text = found.rows.schema[self.time] == pl.String
        time = pl.col(self.time).str.to_datetime(time_unit="ms", time_zone="UTC") if text else pl.col(self.time)
        rows = found.rows.with_columns(time).sort(self.time, maintain_order=True)
        return rows.filter((pl.col(self.time) >= (self.begin or rows[self.time].min())) & (pl.col(self.time) < self.end))


def _utc(month: int, day: int, year: int = 2013, hour: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, tzinfo=dt.UTC)


# Flights: in New York; after the model's training, before the summer's airports come (docs/flights.md).
STRETCHES = (
    Stretch("flights", "event_time", _utc(2, 11, hour=5), _utc(4, 15, hour=4), _utc(5, 27, hour=4), "1d", ZONE),
    Stretch("flights", "event_time", _utc(2, 11, hour=5), _utc(4, 15, hour=4), _utc(5, 27, hour=4), "7d", ZONE),
    Stretch("glucose", "datetime", _utc(4, 1, 2010), _utc(7, 15, 2010), _utc(10, 1, 2010), "1d"),
    Stretch("glucose", "datetime", _utc(3, 29, 2010), _utc(7, 19, 2010), _utc(10, 4, 2010), "7d"),
    Stretch("calls", "DateTime", _utc(3, 10, 2003), _utc(7, 21, 2003), _utc(10, 20, 2003), "7d"),
    Stretch("weather", "time_hour", _utc(1, 1, hour=5), _utc(9, 2, hour=4), _utc(12, 16, hour=5), "1d", ZONE),
    Stretch("weather", "time_hour", _utc(1, 7, hour=5), _utc(9, 2, hour=4), _utc(12, 16, hour=5), "7d", ZONE),
    Stretch("credit", "timestamp", _utc(5, 2, 2020), _utc(7, 20, 2020), _utc(9, 1, 2020), "1d"),
    Stretch("loans", "timestamp", _utc(1, 1, 2018), _utc(7, 30, 2018), _utc(10, 29, 2018), "1d"),
    Stretch("loans", "timestamp", _utc(1, 1, 2018), _utc(7, 30, 2018), _utc(10, 29, 2018), "7d"),
    Stretch("cars", "timestamp", _utc(1, 25, 2017), _utc(2, 9, 2017), _utc(2, 16, 2017), "6h"),
)


@dataclass(frozen=True, slots=True)
class Flagged:
    """What share of a stretch's quiet windows is flagged by one way of judging them."""

    data: str
    window: str
    blocks: int
    windows: int
    rows: int
    way: str
    flagged: float


def spec_over_time(spec: ModelSpec, stretch: Stretch) -> ModelSpec:
    """The spec with the stretch's windows and its column of times."""
    plain = {"size": stretch.window} | ({"time_zone": stretch.zone} if stretch.zone else {})
    if stretch.window == "7d":
        plain["week_start"] = "monday"
    window = Window.model_validate(plain)
    return spec.model_copy(update={"window": window, "drift": spec.drift.model_copy(update={"reference_time": stretch.time})})


def cut(rows: pl.DataFrame, stretch: Stretch) -> Iterator[pl.DataFrame]:
    """The windows from the split on; those with less than half of the usual rows are left out, as ``min_rows`` would."""
    local = pl.col(stretch.time).dt.convert_time_zone(stretch.zone or "UTC")
    every = "1w" if stretch.window == "7d" else stretch.window
    later = rows.filter(pl.col(stretch.time) >= stretch.split).with_columns(local.dt.truncate(every).alias("_window"))
    parts = [part.drop("_window") for part in later.partition_by("_window", maintain_order=True)]
    usual = float(np.median([p.height for p in parts]))
    return (p for p in parts if p.height >= usual / 2)


def measure(found: Population, stretch: Stretch, draws: int = 2000) -> list[Flagged]:
    """The share of quiet windows that each way flags; ``draws`` are null windows of a calibration at each size."""
    rows = stretch.rows(found)
    reference = rows.filter(pl.col(stretch.time) < stretch.split)
    spec = spec_over_time(found.spec, stretch)
    plain = spec.model_copy(update={"drift": spec.drift.model_copy(update={"reference_time": None})})
    profile = profile_of(plain, reference.select(*plain.columns))
    timed, untimed = fits(spec, reference, RATES, draws=draws), fits(plain, reference, RATES, draws=draws)
    calibrations = [c for c in (*timed, *untimed) for _ in range(2)]
    floors = [False, True] * (len(calibrations) // 2)
    names = [
        f"{c.rate:.0%}, {'blocks' if c.blocks else 'no time'}{', floor' if f else ''}" for c, f in zip(calibrations, floors, strict=True)
    ]
    windows = list(cut(rows, stretch))
    verdicts = [judged(plain, profile, calibrations, window.select(*plain.columns), floors) for window in windows]
    flags = {name: [v[0][at] for v in verdicts] for at, name in enumerate(names)}
    shares = [_share(v[1]) for v in verdicts]
    flags |= {"Evidently: any column": [s > 0 for s in shares], "Evidently: half of the columns": [s >= 0.5 for s in shares]}
    usual = int(np.median([w.height for w in windows]))
    return [
        Flagged(stretch.data, stretch.window, timed[0].blocks, len(windows), usual, way, round(float(np.mean(flagged)), 4))
        for way, flagged in flags.items()
    ]


def _share(scores: Mapping[str, Score]) -> float:
    return float(np.mean([score.drifted for score in scores.values()]))


def show(found: Sequence[Flagged]) -> None:
    """Print a table."""
    table = Table("data", "window", "blocks", "windows", "rows", "way", "flagged")
    for f in found:
        table.add_row(f.data, f.window, str(f.blocks), str(f.windows), f"{f.rows:,}", f.way, f"{100 * f.flagged:.1f} %")
    Console(width=140).print(table)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=OUT, help="Default: benchmarks/results.")
def main(out: Path) -> None:
    """Measure every stretch."""
    found: list[Flagged] = []
    for stretch in STRETCHES:
        part = measure(population(stretch.data), stretch)
        show(part)
        found += part
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"machine": machine("numpy", "polars"), "results": [asdict(f) for f in found]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
