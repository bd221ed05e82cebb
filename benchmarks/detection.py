"""Who finds which drift: Tidemark, Evidently, PSI, NannyML and alibi-detect on the same windows. ``make bench-detection``.

Windows are written once; each peer reads them in an environment of its own and returns verdicts with the digests of what it has read.
Besides each tool's defaults, every method that gives a score gets the threshold with which it alarms as often in quiet windows as Tidemark.
Writes ``benchmarks/results/detection.json``; ``python -m benchmarks.detection_report`` makes docs/detection.md of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.detection_figures import better, cell, outcomes, rates
from benchmarks.detection_judges import by_engine, by_psi
from benchmarks.detection_sources import RUN, Plan, Source, injected, streams, write_windows
from benchmarks.environments import python_of
from benchmarks.table import RESULTS, machine
from benchmarks.windows_file import Manifest, Verdicts, digests, read_verdicts
from config.errors import TidemarkError
from config.settings import ROOT

PEERS = ("nannyml", "alibi")
DATA_SETS = ("flights", "people", "cars")
OUT = RESULTS / "detection.json"
PEER_TIMEOUT_S = 3600


def peer_verdicts(peer: str, folder: Path, expected: dict[str, str]) -> tuple[dict[str, str], dict[str, dict[str, Verdicts]]]:
    """Run a peer's judge on a folder in its own environment.

    Raises:
        TidemarkError: it has failed, or judged other windows.
    """
    out = folder / f"{peer}.json"
    command = [str(python_of(peer)), "-m", f"benchmarks.{peer}.peer", str(folder), str(out)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=PEER_TIMEOUT_S, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TidemarkError(f"{peer} has failed: {done.stderr[-2000:]}", f"run it by hand: {' '.join(command)}")
    try:
        return read_verdicts(out, expected)
    except ValueError as error:
        raise TidemarkError(str(error), "nothing can be compared") from error


def all_verdicts(source: Source, manifest: Manifest, folder: Path) -> tuple[dict[str, str], dict[str, dict[str, Verdicts]]]:
    """Verdicts of every method, by method and file; and the peers' versions."""
    versions: dict[str, str] = {}
    found: dict[str, dict[str, Verdicts]] = {}
    expected = digests(folder)
    for file in manifest.files:
        for name, verdicts in (by_engine(source.spec, folder, file) | by_psi(manifest, folder, file)).items():
            found.setdefault(name, {})[file.file] = verdicts
    _tell(f"{source.name}: judged by our engine")
    for peer in PEERS:
        told, theirs = peer_verdicts(peer, folder, expected)
        versions |= told
        found |= theirs
        _tell(f"{source.name}: judged by {peer}")
    return versions, found


def measure(source: Source, plan: Plan) -> tuple[dict[str, str], list[dict[str, Any]], list[dict[str, Any]]]:
    """The peers' versions, false-alarm rates (a line a size), and drifts (a line a drift and size)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = write_windows(source, plan, folder)
        _tell(f"{source.name}: {sum(f.count for f in manifest.files):,} windows written")
        versions, found = all_verdicts(source, manifest, folder)
    nulls, lines = [], []
    for n in plan.sizes:
        files = [f.file for f in manifest.files if f.rows == n]
        outcome = outcomes({method: [verdicts[f] for f in files] for method, verdicts in found.items()}, plan)
        nulls.append({"data": source.name, "rows": n, "windows": plan.references * plan.nulls, "methods": rates(outcome, plan)})
        for at, drift in enumerate(source.cells):
            windows = plan.references * plan.runs * RUN
            figures = cell(outcome, plan, at, n)
            what = {"data": source.name, "rows": n, "kind": drift.kind, "grade": drift.grade, "column": drift.column, "windows": windows}
            lines.append(what | {"better": better(figures, windows), "methods": figures})
    return versions, nulls, lines


def _tell(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {text}")


@click.command()
@click.option("--data", "names", multiple=True, default=(*DATA_SETS, "streams"), show_default=True)
@click.option("--references", default=5, show_default=True)
@click.option("--rows", default=10_000, show_default=True, help="Rows of a reference.")
@click.option("--size", "sizes", multiple=True, type=int, default=(200, 1000), show_default=True)
@click.option("--nulls", default=200, show_default=True, help="Quiet windows for each reference: to set thresholds, and to measure.")
@click.option("--runs", default=2, show_default=True, help=f"Runs of {RUN} drifted windows for each reference and drift.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT, help="Default: benchmarks/results.")
def main(names: Sequence[str], references: int, rows: int, sizes: tuple[int, ...], nulls: int, runs: int, out: Path) -> None:
    """Measure; the results are written after each data set, and those of other data sets that are in the file already stay."""
    plan = Plan(references, rows, sizes, nulls, runs)
    results: dict[str, Any] = {
        "machine": machine("evidently", "numpy", "polars", "scipy"),
        "reference_rows": rows,
        "references": references,
    }
    before = json.loads(out.read_text()) if out.exists() else {"peers": {}, "nulls": [], "drifts": []}
    chosen = {*names, *(("sea", "hyperplane") if "streams" in names else ())}
    results |= {"peers": before["peers"]} | {part: [x for x in before[part] if x["data"] not in chosen] for part in ("nulls", "drifts")}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for source in streams(Path(folder), plan) if name == "streams" else [injected(name)]:
                versions, quiet, drifted = measure(source, plan)
                results["peers"] |= versions
                results["nulls"] += quiet
                results["drifts"] += drifted
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
