"""Verdicts on thousands of windows of a population at once, equal to the worker's: a false-alarm rate of 1 % needs tens of thousands.

A population's columns are coded once (``monitor.calibration.coded``). A reference is then a count of each code, a window an array of row
numbers, and the scores are those functions that calibration judges its null windows by, held against the whole reference in place of the
rest of it. What needs a permutation test goes the worker's way, window by window.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from config.errors import SpecError
from config.spec import ModelSpec
from monitor.calibration import Calibration, batched
from monitor.calibration.judged import RARELY, JudgedColumn, bins_numbers, judged_column
from monitor.calibration.verdict import Thresholds
from monitor.columns import read_columns
from monitor.judging import judge_column
from monitor.reference import ReferenceProfile, load_reference
from monitor.statistics.methods import METHODS
from monitor.statistics.profiles import CategoryProfile, Floats, Ints, NumericProfile
from monitor.statistics.score import Score
from monitor.values import judged_kind

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts on windows, in their order.

    Attributes:
        alarms: whether any column alarms, a row a calibration, shape (calibrations, windows).
        stock: the share of columns beyond Evidently's own thresholds, shape (windows,).
        confirmations: how often a permutation test was asked.
    """

    alarms: Flags
    stock: Floats
    confirmations: int


class Coded:
    """A population's judged columns, coded once for all references."""

    def __init__(self, spec: ModelSpec, rows: pl.DataFrame) -> None:
        self.spec, self.rows = spec, rows
        self.columns: dict[str, JudgedColumn] = {
            name: judged_column(rows[name], judged_kind(column), None) for name, _, column in spec.judged()
        }

    def reference(self, numbers: Ints, profile: ReferenceProfile) -> Reference:
        """A reference of these rows."""
        return Reference(self, numbers, profile)


class Reference:
    """A reference among a population's rows, and everything that windows of other rows are judged by."""

    def __init__(self, coded: Coded, numbers: Ints, profile: ReferenceProfile) -> None:
        self.coded, self.profile = coded, profile
        self._columns = {name: self._counted(name, column, numbers) for name, column in coded.columns.items()}

    def _counted(self, name: str, column: JudgedColumn, numbers: Ints) -> JudgedColumn:
        counts = np.bincount(column.coded.codes[numbers], minlength=column.coded.distinct + 1)[:-1].astype(np.int64)
        method = judged_column(self.coded.rows[name][numbers], judged_kind(self.coded.spec.columns[name]), None).method
        if method not in ("wasserstein", *batched.OF_COUNTS) or bins_numbers(method, len(column.coded.points)) or method != column.method:
            raise SpecError(
                f"{name} is judged by {method}, for which many windows have no form here", "use the worker's way: measure with fast=False"
            )
        return replace(column, coded=replace(column.coded, counts=counts))

    def judge(self, windows: batched.Rows, calibrations: Sequence[Calibration]) -> Judged:
        """Verdicts on windows of row numbers, shape (windows, rows a window), without the floor."""
        rows = windows.shape[1]
        alarms, beyond = np.zeros((len(calibrations), len(windows)), dtype=np.bool_), np.zeros(len(windows))
        asked: list[tuple[int, int, str, float]] = []
        for name, role, _ in self.coded.spec.judged():
            column = self._columns[name]
            found, values, rare = scores(column, windows)
            beyond += found >= METHODS[column.method].threshold
            missing = column.missing[windows].sum(axis=1)
            for at, calibration in enumerate(calibrations):
                fitted = calibration.columns[name]
                by_values = {int(v): fitted.threshold(int(v)) for v in np.unique(values)}
                hits = found >= np.array([by_values[int(v)] for v in values])
                doubtful = hits & (rare | fitted.rare)
                alarms[at] |= hits & ~doubtful
                if role != "target":
                    thresholds = Thresholds(calibration, fitted, rows, floor=False)
                    null_alarms = {int(k): thresholds.nulls_alarm(int(k)) for k in np.unique(missing)}
                    alarms[at] |= np.array([null_alarms[int(k)] for k in missing])
                asked += [(at, int(w), name, float(found[w])) for w in np.flatnonzero(doubtful)]
        asked = [ask for ask in asked if not alarms[ask[0], ask[1]]]
        for at, window, name, score in asked:
            alarms[at, window] = alarms[at, window] or self._confirmed(windows[window], calibrations[at], name, score)
        return Judged(alarms, beyond / len(self._columns), len(asked))

    def _confirmed(self, window: npt.NDArray[np.int32], calibration: Calibration, name: str, score: float) -> bool:
        fitted, column = self.profile.columns[name].fitted, self._columns[name]
        assert isinstance(fitted, NumericProfile | CategoryProfile)
        read = read_columns(self.coded.rows[[name]][window], {name: self.coded.spec.columns[name]})[name]
        method = METHODS[column.method]
        plain = Score(method, score, method.threshold, bool(method.hit(score, method.threshold)))
        thresholds = Thresholds(calibration, calibration.columns[name], len(window), floor=False)
        return thresholds.verdict(plain, fitted, read.sample if isinstance(fitted, NumericProfile) else read.counts).drifted


def scores(column: JudgedColumn, windows: batched.Rows) -> tuple[Floats, Ints, Flags]:
    """Of each window: Evidently's score against the whole reference, usable values, and whether it has a value that the reference hardly
    has and the method counts values. ``column.coded`` has the codes of the population's rows and the counts of the reference's.
    """
    coded = column.coded
    if column.method == "wasserstein":
        parts = batched.slices(len(windows), windows.shape[1])
        values = np.concatenate([(coded.codes[windows[part]] < coded.distinct).sum(axis=1) for part in parts])
        # These are areas against the rest of the reference, N / (N - n) times those against all of it.
        return batched.wasserstein(coded, windows) * (coded.size - values) / coded.size, values, np.zeros(len(windows), dtype=np.bool_)
    found, sizes, rare = np.empty(len(windows)), np.empty(len(windows), dtype=np.int64), np.empty(len(windows), dtype=np.bool_)
    ours, rarely = coded.counts[None, :].astype(np.float64), coded.counts < RARELY
    for part in batched.slices(len(windows), coded.distinct + windows.shape[1]):
        theirs = batched.counted(coded, windows[part])
        with np.errstate(divide="ignore", invalid="ignore"):
            found[part] = batched.OF_COUNTS[column.method](ours, theirs.astype(np.float64))
        sizes[part], rare[part] = theirs.sum(axis=1), theirs[:, rarely].any(axis=1)
    return found, sizes, rare


def profile_of(spec: ModelSpec, reference: pl.DataFrame) -> ReferenceProfile:
    """The reference as the worker loads it from its file, without thresholds."""
    plain = spec.model_copy(update={"drift": spec.drift.model_copy(update={"thresholds": "evidently"})})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.parquet"
        reference.write_parquet(path)
        return load_reference(plain, path)


def judged(
    spec: ModelSpec,
    profile: ReferenceProfile,
    calibrations: Sequence[Calibration],
    frame: pl.DataFrame,
    floors: Sequence[bool] | None = None,
) -> tuple[list[bool], Mapping[str, Score]]:
    """The worker's way on one window: whether any column alarms by each calibration, ``floors`` telling which have one (none without it);
    each column's score by Evidently's thresholds. A column without a usable value has no score, and alarms by its nulls alone.
    """
    read = read_columns(frame, spec.columns)
    alarms, stock = [False] * len(calibrations), {}
    floored = floors or [False] * len(calibrations)
    for name, role, _ in spec.judged():
        fitted = profile.columns[name].fitted
        assert isinstance(fitted, NumericProfile | CategoryProfile)
        if read[name].nulls < frame.height:
            stock[name] = judge_column(read[name], profile.columns[name]).score
        for at, calibration in enumerate(calibrations):
            if name in calibration.columns and not alarms[at]:
                thresholds = Thresholds(calibration, calibration.columns[name], frame.height, floor=floored[at])
                alarms[at] = role != "target" and thresholds.nulls_alarm(read[name].nulls)
                if name in stock and not alarms[at]:
                    values = read[name].sample if isinstance(fitted, NumericProfile) else read[name].counts
                    alarms[at] = thresholds.verdict(stock[name], fitted, values).drifted
    return alarms, stock
