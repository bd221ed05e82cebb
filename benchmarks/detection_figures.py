"""Figures of `bench-detection` from verdicts: false-alarm rate, threshold at an equal rate, power, delay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.detection_judges import TIDEMARK
from benchmarks.detection_sources import RUN, Plan
from benchmarks.windows_file import Verdicts

Flags = npt.NDArray[np.bool_]
CLEARLY = 2.0  # standard errors that a better power is beyond


def null_threshold(statistics: Sequence[float], rate: float) -> float:
    """What a share ``rate`` of the quiet windows' statistics is greater than; of equal ones as few as there are above it.

    Raises:
        ValueError: there are no windows.
    """
    if not len(statistics):
        raise ValueError("a threshold needs quiet windows")
    ordered = np.sort(np.asarray(statistics, dtype=np.float64))
    above = round(rate * len(ordered))
    return float(ordered[max(len(ordered) - above - 1, 0)])


def delays(alarms: Flags) -> npt.NDArray[np.int64]:
    """Windows from the change up to and with the first alarm of each run, shape (runs,); one more than there are where none alarms.

    Args:
        alarms: shape (runs, windows of a run).
    """
    waited: npt.NDArray[np.int64] = np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1, alarms.shape[1] + 1)
    return waited


@dataclass(frozen=True, slots=True)
class Outcome:
    """One method's alarms on all windows of one size, references one after the other, shape (references, windows of a file)."""

    alarms: Flags
    equal: Flags | None
    equal_rate: float | None


def outcomes(verdicts: Mapping[str, Sequence[Verdicts]], plan: Plan) -> dict[str, Outcome]:
    """Of each method, by its own threshold, and by one that is set on the first half of the quiet windows such that it alarms as often
    there as Tidemark does in all quiet windows. ``verdicts`` by method, one a reference.
    """
    ours = np.array([v.alarms for v in verdicts[TIDEMARK]])
    rate = float(ours[:, : plan.quiet].mean())
    found = {}
    for name, parts in verdicts.items():
        alarms = np.array([v.alarms for v in parts])
        scored = [v.statistics for v in parts if v.statistics is not None]
        if len(scored) < len(parts):
            found[name] = Outcome(alarms, alarms if name == TIDEMARK else None, rate if name == TIDEMARK else None)
            continue
        statistics = np.array(scored)
        equal = statistics > null_threshold(statistics[:, : plan.nulls].ravel().tolist(), rate)
        found[name] = Outcome(alarms, equal, float(equal[:, plan.nulls : plan.quiet].mean()))
    return found


def rates(found: Mapping[str, Outcome], plan: Plan) -> dict[str, dict[str, float | None]]:
    """False-alarm rates by method, in the quiet windows that nothing was set by."""
    return {
        name: {"false_alarms": _share(o.alarms[:, plan.nulls : plan.quiet]), "false_alarms_equal": _rounded(o.equal_rate)}
        for name, o in found.items()
    }


def cell(found: Mapping[str, Outcome], plan: Plan, at: int, rows: int) -> dict[str, dict[str, Any]]:
    """Power and delay of each method on the drift number ``at``; ``_equal`` at Tidemark's false-alarm rate, None without a score."""
    return {
        name: _figures(_runs(o.alarms, plan, at), rows, "") | _figures(_runs(o.equal, plan, at), rows, "_equal")
        for name, o in found.items()
    }


def _runs(alarms: Flags | None, plan: Plan, at: int) -> Flags | None:
    if alarms is None:
        return None
    start = plan.quiet + at * plan.runs * RUN
    return alarms[:, start : start + plan.runs * RUN].reshape(-1, RUN)


def _figures(runs: Flags | None, rows: int, suffix: str) -> dict[str, Any]:
    if runs is None:
        return {f"power{suffix}": None, f"delay_windows{suffix}": None, f"delay_rows{suffix}": None, f"found{suffix}": None}
    waited = delays(runs)
    found = waited <= runs.shape[1]
    delay = float(np.minimum(waited, runs.shape[1]).mean())  # a run without an alarm counts as its length: the delay is at least that
    return {
        f"power{suffix}": _share(runs),
        f"delay_windows{suffix}": _rounded(delay),
        f"delay_rows{suffix}": round(delay * rows),
        f"found{suffix}": _share(found),
    }


def better(figures: Mapping[str, Mapping[str, Any]], windows: int) -> list[str]:
    """Methods whose power at the equal rate is beyond Tidemark's by two standard errors of the difference, the best one first."""
    ours = float(figures[TIDEMARK]["power_equal"])
    others = {name: float(f["power_equal"]) for name, f in figures.items() if name != TIDEMARK and f["power_equal"] is not None}
    clearly = {name: p for name, p in others.items() if p - ours > CLEARLY * np.sqrt((p * (1 - p) + ours * (1 - ours)) / windows)}
    return sorted(clearly, key=lambda name: -clearly[name])


def _share(flags: Flags) -> float:
    return round(float(flags.mean()), 5)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
