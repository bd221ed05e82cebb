"""Puts the table of ``benchmarks/results/false_alarms.json`` into docs/thresholds.md, between two marks:
``python -m benchmarks.false_alarms_report``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.false_alarms import OUT
from benchmarks.markdown import between, table
from config.settings import ROOT

PAGE = ROOT / "docs" / "thresholds.md"
BEGIN, END = "<!-- false alarms: made by python -m benchmarks.false_alarms_report -->", "<!-- end of false alarms -->"
HEAD = ["data", "n", "windows", "at 1 %", "at 5 %", "Evidently's own: any column", "half of the columns"]


def rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row a data set and window size; measured rates with their standard errors."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for cell in results:
        found.setdefault((cell["data"], cell["window_rows"]), []).append(cell)
    return [_row(cells) for cells in found.values()]


def _row(cells: Sequence[dict[str, Any]]) -> list[str]:
    first = cells[0]
    larger = "" if 10 * first["window_rows"] <= first["reference_rows"] else " (> N/10)"
    measured = [f"{100 * c['measured']:.2f} ± {100 * c['standard_error']:.2f} %" for c in sorted(cells, key=lambda c: c["configured"])]
    stock = [f"{100 * first[figure]:.1f} %" for figure in ("stock", "stock_dataset")]
    windows = f"{first['references']} × {first['windows'] // first['references']:,}"
    return [f"{first['data']}, {first['columns']} columns", f"{first['window_rows']:,}{larger}", windows, *measured, *stock]


def inserted(page: str, results: Sequence[dict[str, Any]]) -> str:
    """The page with the table between its marks."""
    return between(page, BEGIN, END, table(HEAD, rows(results)))


if __name__ == "__main__":
    PAGE.write_text(inserted(PAGE.read_text(encoding="utf-8"), json.loads(OUT.read_text())["results"]), encoding="utf-8")
