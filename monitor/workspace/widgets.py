"""What a snapshot shows when it is opened in Evidently's pages: the verdicts as a table. Its own widgets would hold plots of the rows."""

from __future__ import annotations

from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.legacy.renderers.html_widgets import table_data

from monitor.ranking import ranked
from schemas.result import ColumnResult, WindowResult

LONGEST = 48  # characters of a name; Evidently's pages do not break lines within words
HEADER = ("Column", "Role", "Method", "Score", "Threshold", "Verdict", "What changed")


def verdicts_widget(result: WindowResult) -> BaseWidgetInfo:
    """A table of all columns, those that moved most first."""
    return table_data(title="Verdicts", column_names=list(HEADER), data=[_row(c) for c in ranked(result.columns)])


def _row(column: ColumnResult) -> tuple[str, ...]:
    score = "∞" if column.score is None and column.drifted else _digits(column.score)
    verdict = column.status.replace("_", " ") if column.status != "ok" else "drifted" if column.drifted else "same"
    why = "; ".join(column.changes) or column.reason
    return shortened(column.name), column.role, column.method or "–", score, _digits(column.threshold), verdict, why


def shortened(name: str) -> str:
    """A name for a table or a title, cut after 48 characters."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
