"""The performance of a window: its measures beside the reference's, or why there are none. Nothing in it takes the window down."""

from __future__ import annotations

from collections.abc import Iterable

from config.spec import ModelSpec
from monitor.changes import number
from monitor.performance.measures import Key, NotKnown, NotUsable, Scored
from monitor.performance.profile import Known, PerformanceProfile, known_rows, measure
from monitor.window import WindowData
from schemas.result import Measure, Performance, PerformanceKind

# What a change is told by; all other measures are in the result too.
LEADING: dict[PerformanceKind, tuple[str, ...]] = {
    "regression": ("mae", "rmse", "me"),
    "classification": ("accuracy", "precision", "recall", "f1"),
    "prob_classification": ("roc_auc", "log_loss", "accuracy"),
}


def judge_performance(window: WindowData, spec: ModelSpec, profiles: Iterable[PerformanceProfile]) -> tuple[Performance, ...]:
    """How well the model did, one entry for each kind that the spec asks for.

    ``insufficient_data`` where no target is known yet, or fewer than ``spec.min_rows``; ``error`` where the values are none that can be
    measured. The rows are those of the window's sample.
    """
    return tuple(_judge(window, spec, profile) for profile in profiles)


def _judge(window: WindowData, spec: ModelSpec, profile: PerformanceProfile) -> Performance:
    rows = 0
    try:
        known = known_rows(profile.kind, spec, window.frame)
        rows = known.rows
        wanted = min(spec.min_rows, spec.max_rows)  # a window holds no more rows than that
        if rows < wanted:
            return Performance(
                profile.kind, rows, "insufficient_data", f"the target of {rows:,} rows is known, the spec wants at least {wanted:,}"
            )
        return _performance(profile, known, measure(profile, spec, known, "window"))
    except NotKnown as error:
        return Performance(profile.kind, rows, "insufficient_data", str(error))
    except NotUsable as error:
        return Performance(profile.kind, rows, "error", str(error))


def _performance(profile: PerformanceProfile, known: Known, scored: Scored) -> Performance:
    before = profile.reference.values if profile.reference else {}
    keys: list[Key] = [*scored.values, *(key for key in before if key not in scored.values)]
    measures = tuple(Measure(name, scored.values.get((name, label)), before.get((name, label)), label) for name, label in keys)
    return Performance(
        kind=profile.kind,
        rows=scored.rows,
        status="ok",
        reason="; ".join((*known.notes, *scored.notes)),
        measures=measures,
        classes=scored.classes,
        confusion=scored.confusion,
        changes=_changes(profile.kind, {(m.name, m.label): m for m in measures}),
    )


def _changes(kind: PerformanceKind, measures: dict[Key, Measure]) -> tuple[str, ...]:
    """From–to texts of the leading measures, where they differ in four digits."""
    leading = [measures[(name, "")] for name in LEADING[kind] if (name, "") in measures]
    pairs = [(m.name, number(m.reference), number(m.value)) for m in leading if m.reference is not None and m.value is not None]
    return tuple(f"{name} {before} → {after}" for name, before, after in pairs if before != after)
