"""What every benchmark prints and writes: pairs of figures with their ratio, whether both sides gave the same answer, and the machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def pair(name: str, ours: Sequence[float], other: Sequence[float], unit: str, equal_answers: bool) -> dict[str, Any]:
    """One line: medians of both, measured in turns, where more is better; ``ratio`` > 1 means that ours is."""
    middle, theirs = statistics.median(ours), statistics.median(other)
    spread = {"ours": [round(min(ours), 1), round(max(ours), 1)], "other": [round(min(other), 1), round(max(other), 1)]}
    line = {"pair": name, "ours": round(middle, 1), "other": round(theirs, 1), "unit": unit, "ratio": round(middle / theirs, 3)}
    return {**line, "equal_answers": equal_answers, "spread": spread}


def machine(*packages: str) -> dict[str, Any]:
    """The machine and the versions of what was measured."""
    cpu = next(
        (ln.split(":")[1].strip() for ln in Path("/proc/cpuinfo").read_text().splitlines() if ln.startswith("model name")), "unknown"
    )
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), **{p: version(p) for p in packages}}


def publish(name: str, lines: list[dict[str, Any]], machine_facts: dict[str, Any]) -> None:
    """Print the table, and write it to ``benchmarks/results/NAME.json``."""
    table = Table("pair", "ours", "other", "unit", "ratio", "same answer", title=f"bench {name}")
    for line in lines:
        table.add_row(line["pair"], f"{line['ours']:,}", f"{line['other']:,}", line["unit"], str(line["ratio"]), str(line["equal_answers"]))
    Console(width=160).print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine_facts, "results": lines}, indent=1) + "\n")
