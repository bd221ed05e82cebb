"""What a calibration comes to, as a table for people: thresholds at some window sizes, and what is promised and what is not."""

from __future__ import annotations

from collections.abc import Mapping

from config.spec import ModelSpec
from monitor.calibration.blocks import ENOUGH_BLOCKS, LEAST_BLOCKS
from monitor.calibration.calibration import Calibration
from monitor.calibration.power import Shift
from monitor.changes import number, percent
from monitor.statistics.methods import METHODS

SHOWN_SIZES = (50, 100, 500, 1000, 5000, 10_000, 50_000)
OF_REFERENCE = 10  # windows of up to a tenth of the reference keep the rate


def shown_sizes(calibration: Calibration) -> list[int]:
    """Window sizes of the table: those that the reference supports."""
    return [n for n in SHOWN_SIZES if n <= calibration.rows] or [round(calibration.sizes[-1])]


def table(calibration: Calibration, least: Mapping[str, int | None]) -> list[str]:
    """Lines of text: a column a line."""
    sizes = shown_sizes(calibration)
    head = ["column", "method", "Evidently's", *(f"n = {n:,}" for n in sizes), "rows for power"]
    rows = [head]
    for name, column in calibration.columns.items():
        share = column.values / calibration.rows
        found = [number(float(f"{calibration.threshold(name, n * share):.3g}")) for n in sizes]
        rows.append([name[:40], column.method, number(METHODS[column.method].threshold), *found, _rows(least[name])])
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    return [
        "  ".join(cell.ljust(width) if at < 2 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _rows(least: int | None) -> str:
    return "not found" if least is None else f"{least:,}"


def statements(spec: ModelSpec, calibration: Calibration, least: Mapping[str, int | None], shift: Shift) -> list[str]:
    """Sentences on what is promised, what is not, and how many rows a window should have."""
    return [
        f"Promised: of windows whose rows are drawn as the reference's were, {percent(calibration.rate)} alarm, over all columns together "
        f"and on average over references, up to {calibration.rows // OF_REFERENCE:,} rows a window (a tenth of the reference).",
        _larger(calibration),
        _over_time(spec, calibration),
        *(
            []
            if not spec.drift.floor
            else ["The floor is on: a column drifts only beyond Evidently's own threshold, too, so alarms are rarer than promised."]
        ),
        *(f"Not calibrated: {name}: {reason}." for name, reason in calibration.left_out.items()),
        *_confirmed(calibration),
        _min_rows(spec, least, shift),
    ]


def _larger(calibration: Calibration) -> str:
    top = round(calibration.sizes[-1])
    return f"Not promised: larger windows. Up to {top:,} rows thresholds are measured, beyond they follow from smaller sizes."


def _over_time(spec: ModelSpec, calibration: Calibration) -> str:
    if spec.drift.reference_time is None:
        return (
            "Not promised: the rate over time. Real windows differ more than random rows do; set drift.reference_time to the reference's "
            "column of times, so that they are allowed for."
        )
    if calibration.blocks < LEAST_BLOCKS:
        return f"Not promised: the rate over time. The reference holds {calibration.blocks} whole windows, {LEAST_BLOCKS} are the least."
    if calibration.blocks < ENOUGH_BLOCKS:
        return (
            f"Not promised: the rate over time. Thresholds allow for what {calibration.blocks} independent blocks (whole windows) of the "
            f"reference differ by; below {ENOUGH_BLOCKS} that is known too little."
        )
    return f"Over time: {calibration.blocks} independent blocks of the reference; the rate holds as far as the future varies as they do."


def _confirmed(calibration: Calibration) -> list[str]:
    rare = [name for name, column in calibration.columns.items() if column.rare]
    return [f"Alarms of {', '.join(rare)} are confirmed by a permutation test: few rows decide their scores."] if rare else []


def _min_rows(spec: ModelSpec, least: Mapping[str, int | None], shift: Shift) -> str:
    what = f"a shift of {number(shift.deviations)} standard deviations, or of {percent(shift.mix)} of the rows to another category"
    found = [n for n in least.values() if n is not None]
    lost = [name for name, n in least.items() if n is None]
    tail = f"; not in {', '.join(lost)} at any size" if lost else ""
    if not found:
        return f"No window size finds {what}{' beyond the floor' if spec.drift.floor else ''}."
    return (
        f"Suggested min_rows: {max(found):,}. From there on {what} is found in four windows of five{tail}. The spec has {spec.min_rows:,}."
    )
