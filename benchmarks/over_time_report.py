"""Puts the table of ``benchmarks/results/over_time.json`` into docs/thresholds.md: ``python -m benchmarks.over_time_report``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.false_alarms_report import PAGE
from benchmarks.markdown import between, table
from benchmarks.over_time import OUT

BEGIN, END = "<!-- over time: made by python -m benchmarks.over_time_report -->", "<!-- end of over time -->"
WAYS = {
    "1%, blocks": "1 %",
    "1%, blocks, floor": "1 %, floor (the default)",
    "5%, blocks": "5 %",
    "1%, no time": "1 %, without `reference_time`",
    "Evidently: any column": "Evidently's own: any column",
    "Evidently: half of the columns": "half of the columns",
}
HEAD = ["data, window", "blocks in the reference", "quiet windows", "rows", *WAYS.values()]


def rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row a stretch of quiet time: flagged windows of all, by each way."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in results:
        found.setdefault((line["data"], line["window"]), []).append(line)
    return [_row(lines) for lines in found.values()]


def _row(lines: Sequence[dict[str, Any]]) -> list[str]:
    first, by_way = lines[0], {line["way"]: line for line in lines}
    flagged = [str(round(by_way[way]["flagged"] * first["windows"])) for way in WAYS]
    return [f"{first['data']}, {first['window']}", str(first["blocks"]), str(first["windows"]), f"{first['rows']:,}", *flagged]


def inserted(page: str, results: Sequence[dict[str, Any]]) -> str:
    """The page with the table between its marks."""
    return between(page, BEGIN, END, table(HEAD, rows(results)))


if __name__ == "__main__":
    PAGE.write_text(inserted(PAGE.read_text(encoding="utf-8"), json.loads(OUT.read_text())["results"]), encoding="utf-8")
