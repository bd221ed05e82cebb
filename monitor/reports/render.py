"""The full report of a window: Evidently's plots, section by section, our part above. Evidently is imported: in its own process."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import polars as pl
from evidently.core.metric_types import render_widgets
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.legacy.renderers.html_widgets import group_widget

from config.errors import TidemarkError
from config.spec import ModelSpec
from monitor.performance.measures import NotKnown, NotUsable
from monitor.performance.profile import performance_kinds
from monitor.reports.columns import Columns
from monitor.reports.page import header
from monitor.reports.performance import performance_widgets
from monitor.window import WindowData
from schemas.result import PerformanceKind, WindowResult

# Evidently writes its data as two lines of one JSON text each; see `_escape_data`.
_DATA_LINE = re.compile(r"^(\s*var (?:additional_graphs_)?metric_[0-9a-f]{32} = )(.*)(;\s*)$", re.MULTILINE)
_TITLES: dict[PerformanceKind, str] = {
    "regression": "Regression performance",
    "classification": "Classification performance",
    "prob_classification": "Classification performance, from probabilities",
}
Section = Callable[[], list[BaseWidgetInfo]]


def full_report(
    window: WindowData,
    spec: ModelSpec,
    reference_path: Path,
    result: WindowResult,
    compared: tuple[WindowResult, ...] = (),
    on_section: Callable[[str], None] = lambda _: None,
) -> str:
    """The report's HTML: data drift, data quality and performance, as the spec's monitors ask. A section that Evidently fails on is left
    out, with a note; ``on_section`` is called with the title of each before it is made.

    Raises:
        TidemarkError: Evidently can draw nothing of this window, or writes its page in another way than the pinned version does.
    """
    reference = _read_reference(reference_path, reference_path.stat().st_mtime_ns)
    columns = Columns(spec, reference, window.frame, result)
    notes: list[str] = []
    groups = []
    for title, section in _sections(columns, spec, reference, window):
        on_section(title)
        widgets = _made(title, section, notes)
        if widgets:
            groups.append(group_widget(title=title, widgets=widgets))
    notes[:0] = [f"Evidently's part below leaves out {name}: {reason}" for name, reason in columns.left_out.items()]
    if not groups:
        raise TidemarkError("; ".join(notes) or "no column of this window can be drawn", "see the verdicts above")
    return _escape_data(render_widgets(groups)).replace("<body>", f"<body>\n{header(result, tuple(notes), compared)}", 1)


@lru_cache(maxsize=8)
def _read_reference(path: Path, mtime_ns: int) -> pl.DataFrame:  # a changed file is another entry
    return pl.read_parquet(path, glob=False)


def _sections(columns: Columns, spec: ModelSpec, reference: pl.DataFrame, window: WindowData) -> Iterator[tuple[str, Section]]:
    yield "Data drift", columns.drift_widgets
    if "data_quality" in spec.monitors:
        yield "Data quality", columns.summary_widgets
    for kind in performance_kinds(spec):
        yield _TITLES[kind], lambda kind=kind: performance_widgets(kind, spec, reference, window.frame)  # type: ignore[misc]


def _made(title: str, section: Section, notes: list[str]) -> list[BaseWidgetInfo]:
    """A section's widgets; none, and a note, when there is nothing to draw or Evidently fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return section()
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except (NotKnown, NotUsable) as error:
        notes.append(f"{title}: {error}")
    except BaseException as error:  # noqa: BLE001  # Evidently's own errors are BaseException
        notes.append(f"{title} is left out: Evidently fails on it ({error or type(error).__name__})")
    return []


def _escape_data(html: str) -> str:
    r"""Evidently's page with ``<`` written ``\u003c`` in its data: a column named ``</script>`` would end the script and run as HTML.

    JSON texts hold no raw line break, so the data are exactly the first two lines that assign them, whatever the names in them.
    """
    escaped, found = _DATA_LINE.subn(lambda m: m[1] + m[2].replace("<", "\\u003c") + m[3], html, count=2)
    if found != 2:
        raise TidemarkError("Evidently writes its page in another way than this version of Tidemark knows", "install the pinned evidently")
    return escaped
