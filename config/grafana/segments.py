"""Panels about groups of rows: their shares, the drift of their predictions, and how well the model does in each."""

from __future__ import annotations

from config.grafana.drift import STREAM, WORST, latest, relative_score
from config.grafana.panels import RED, About, Panel, Query, heat_map, lines, rows

SEGMENT = f'{STREAM},segment=~"$segment"'
BY = "run_kind, segment, value"
NAMED = "{{segment}} {{value}} {{run_kind}}"
VISIBLE = 0.02  # of the reference's rows: lines of smaller segments would lie on each other at the bottom


def panels() -> list[Panel]:
    """The row of segments: all of them now, then over time."""
    return [now(), heat(), shares(), performance()]


def now() -> Panel:
    """One line for each segment."""
    text = (
        "The last judged window by segment: share of its rows beside the reference's, drift score of the predictions over its threshold "
        f"(1 is at it, more has drifted; cut at {WORST}), and the leading measure of performance beside the reference's: mae, or accuracy."
    )
    columns = {
        "Value #A": ("rows", "short", False),
        "Value #B": ("share", "percentunit", False),
        "Value #C": ("in the reference", "percentunit", False),
        "Value #D": ("score / threshold", "short", False),
        "Value #E": ("performance", "short", False),
        "Value #F": ("on the reference", "short", False),
    }
    relative = f"max by ({BY}) ({relative_score('tidemark_segment_prediction_drift', SEGMENT, f'{BY}, method')})"
    queries = [latest(f"tidemark_segment_{name}", SEGMENT, BY) for name in ("rows", "share", "reference_share")]
    measures = [latest(f"tidemark_segment_performance{name}", SEGMENT, BY) for name in ("", "_reference")]
    about = About("Segments now", text, "short", width=24, height=12, decimals=2)
    return rows(about, None, columns, *(Query(q) for q in (*queries, relative, *measures)))


def heat() -> Panel:
    """Segments × time, scores relative to thresholds."""
    text = (
        "Drift score of each segment's predictions over its threshold in the last judged window: blue is quiet, yellow is at the threshold "
        f"(1), red has drifted. Of p-values the logarithms are compared. Cut at {WORST}. Segments with too few rows have none."
    )
    about = About("Prediction drift by segment", text, "short", [(1, RED)], width=24, height=11, decimals=2)
    return heat_map(about, Query(relative_score("tidemark_segment_prediction_drift", SEGMENT, f"{BY}, method"), NAMED), 0, 2)


def shares() -> Panel:
    """Share of rows over time."""
    text = (
        "Share of the last judged window's rows in each segment. Dashed: its share of the reference's rows. Segments with less than "
        f"{VISIBLE:.0%} of these are in the table only."
    )
    usual = f"{latest('tidemark_segment_reference_share', SEGMENT, BY)} >= {VISIBLE}"
    share = Query(f"{latest('tidemark_segment_share', SEGMENT, BY)} and {usual}", NAMED)
    before = Query(usual, f"{NAMED} reference")
    return lines(About("Share of rows by segment", text, "percentunit", height=10), share, before, limit="B")


def performance() -> Panel:
    """The leading measure over the reference's."""
    text = (
        "The leading measure in each segment over its value in that segment of the reference: 1 is as before. An error (mae) should not "
        "rise, an accuracy should not fall."
    )
    by = f"{BY}, measure"
    ratio = f"{latest('tidemark_segment_performance', SEGMENT, by)} / {latest('tidemark_segment_performance_reference', SEGMENT, by)}"
    about = About("Performance by segment, relative to the reference", text, "short", height=10)
    return lines(about, Query(ratio, NAMED), minimum=None)
