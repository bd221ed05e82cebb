"""The columns that a calibration is about: coded, with the method that Evidently judges them by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from config.spec import Kind, ModelSpec
from monitor.calibration.batched import OF_COUNTS, OF_NUMBERS
from monitor.calibration.coded import CodedColumn, coded_categories, coded_numbers
from monitor.statistics.discrete import FEW_FOR_BINS, sturges_edges
from monitor.statistics.methods import METHODS, chosen_method, default_method
from monitor.statistics.profiles import sample
from monitor.values import judged_kind

BINNED = ("jensenshannon", "psi", "kl_div")
RARELY = 10  # rows: a value seen less often in the reference is rare
HEAVY = 0.2  # of all distance from the median, in the ten rows that lie furthest out: a score that few rows decide


@dataclass(frozen=True, slots=True)
class JudgedColumn:
    """A coded column of the reference, its method and its rows without a value (null or NaN; True in ``missing``)."""

    coded: CodedColumn
    method: str
    missing: np.ndarray
    rare: bool

    @property
    def nulls(self) -> int:
        """Rows without a value."""
        return int(np.count_nonzero(self.missing))

    def binned(self, n: int) -> CodedColumn:
        """The column as the method sees it in a window of n rows: bins in place of values where it bins numbers."""
        if not bins_numbers(self.method, len(self.coded.points)):
            return replace(self.coded, points=self.coded.points if self.method in OF_NUMBERS else np.empty(0))
        ends = sample(self.coded.points.astype(np.int64) if self.coded.integral else self.coded.points)
        total = self.coded.distinct if self.method == "hellinger" else self.coded.size + round(n * self.coded.size / len(self.missing))
        edges = sturges_edges(ends, ends, total)
        bins = np.clip(edges.searchsorted(self.coded.points, "right") - 1, 0, len(edges) - 2)
        codes = np.append(bins, len(edges) - 1).astype(np.int32)[self.coded.codes]
        counts = np.bincount(bins, self.coded.counts, len(edges) - 1).astype(np.int64)
        return CodedColumn(codes, counts, np.empty(0), False)


def bins_numbers(method: str, distinct: int) -> bool:
    """True where the method counts numbers in bins; ``distinct`` is 0 for categories."""
    return distinct > 0 and method not in OF_NUMBERS and (distinct > FEW_FOR_BINS or method == "hellinger")


def judged_columns(spec: ModelSpec, frame: pl.DataFrame) -> tuple[dict[str, JudgedColumn], dict[str, str]]:
    """The columns that can be calibrated, by name, and why the others cannot.

    Raises:
        SpecError: the spec names an unknown drift method, or one that is not for its column.
    """
    columns: dict[str, JudgedColumn] = {}
    left_out: dict[str, str] = {}
    for name, _, column in spec.judged():
        kind = judged_kind(column)
        chosen = spec.drift.columns.get(name)
        if kind in ("text", "embedding"):
            left_out[name] = f"{kind} columns keep Evidently's threshold"
        elif chosen and chosen.threshold is not None:
            left_out[name] = f"the spec sets its threshold, {chosen.threshold:g}"
        else:
            found = judged_column(frame[name], kind, chosen_method(name, chosen.method, kind).name if chosen and chosen.method else None)
            if found.method in OF_COUNTS or found.method in OF_NUMBERS:
                columns[name] = found
            else:
                left_out[name] = f"{METHODS[found.method].display_name} has no form that thousands of windows can be judged by"
    return columns, left_out


def judged_column(series: pl.Series, kind: Kind, method: str | None) -> JudgedColumn:
    """A conformed column of the reference, coded; Evidently's default method without another."""
    coded = coded_numbers(series) if kind == "numerical" else coded_categories(series)
    missing = series.is_null()
    if series.dtype == pl.Float64:
        missing = missing | series.is_nan().fill_null(False)
    name = method or default_method(kind, coded.size, coded.distinct).name
    return JudgedColumn(coded, name, missing.to_numpy(), _rare(coded, name))


def _rare(coded: CodedColumn, method: str) -> bool:
    if method in OF_COUNTS:
        if bins_numbers(method, len(coded.points)):
            return False
        return bool((coded.counts < RARELY).any())
    centre = np.repeat(coded.points, coded.counts)[coded.size // 2]
    distance = np.repeat(np.abs(coded.points - centre), coded.counts)
    far = np.sort(distance)[-RARELY:].sum()
    return bool(far > HEAVY * distance.sum()) if method in ("wasserstein", "ed", "t_test") else False
