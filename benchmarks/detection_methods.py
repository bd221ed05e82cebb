"""Another calibrated method on columns with long tails: Kolmogorov-Smirnov on all numbers of the flights, beside Evidently's default
methods, on the same windows. ``make bench-detection-methods`` writes ``benchmarks/results/detection_methods.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click
import numpy as np

from benchmarks.detection_sources import Cell, Source, injected
from benchmarks.many_windows import judged, profile_of
from benchmarks.table import RESULTS, machine
from config.spec import ColumnDrift, ModelSpec
from monitor.calibration.fit import fits
from monitor.values import judged_kind

OUT = RESULTS / "detection_methods.json"
RATE = 0.05
METHODS = ("default", "ks")
KINDS = ("mean shift", "scale", "category mix", "unit change")
QUIET = Cell("no drift", "", "", lambda quiet, run, step, random: quiet)


def with_method(spec: ModelSpec, method: str) -> ModelSpec:
    """The spec with that method on all numbers; ``default`` leaves it as it is."""
    if method == "default":
        return spec
    columns = {name: ColumnDrift(method=method) for name, _, column in spec.judged() if judged_kind(column) == "numerical"}
    return spec.model_copy(update={"drift": spec.drift.model_copy(update={"columns": columns})})


@dataclass(frozen=True, slots=True)
class Share:
    """The share of windows that alarm."""

    rows: int
    kind: str
    grade: str
    method: str
    windows: int
    alarms: float


def measure(source: Source, reference_rows: int, sizes: Sequence[int], references: int, windows: int, draws: int = 2000) -> list[Share]:
    """The share of alarms of each drift and of quiet windows (four times as many), by each method at a rate of 5 % without the floor."""
    cells = [QUIET, *(cell for cell in source.cells if cell.kind in KINDS)]
    hits: dict[tuple[int, str, str, str], list[bool]] = {}
    for number in range(references):
        random = np.random.default_rng([7, number])
        order = random.permutation(source.rows.height)
        reference, rest = source.rows[order[:reference_rows]], order[reference_rows:]
        specs = {method: with_method(source.spec, method) for method in METHODS}
        made = {m: (spec, profile_of(spec, reference), fits(spec, reference, [RATE], draws=draws)) for m, spec in specs.items()}
        for n in sizes:
            for cell in cells:
                for _ in range(windows * (4 if cell is QUIET else 1)):
                    window = cell.window(source.rows[random.choice(rest, n, replace=False)], 0, 0, random)
                    for method, parts in made.items():
                        hits.setdefault((n, cell.kind, cell.grade, method), []).append(judged(*parts, window)[0][0])
    return [Share(*key, len(found), round(float(np.mean(found)), 4)) for key, found in hits.items()]


@click.command()
@click.option("--references", default=2, show_default=True)
@click.option("--windows", default=25, show_default=True, help="Of each drift, size and reference.")
def main(references: int, windows: int) -> None:
    """Measure and write."""
    found = measure(injected("flights"), 10_000, (200, 1000), references, windows)
    lines: list[dict[str, Any]] = [
        {"rows": s.rows, "kind": s.kind, "grade": s.grade, "method": s.method, "windows": s.windows, "alarms": s.alarms} for s in found
    ]
    OUT.write_text(
        json.dumps({"machine": machine("numpy", "polars", "scipy"), "references": references, "results": lines}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
