"""Writes reference, spec and schema: each beside its place first, and into place only when all of them are whole and checked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from config.errors import TidemarkError, UsageError
from config.settings import Settings
from config.spec import ModelSpec
from producers.files.read import read_batches
from producers.onboard.plan import Plan
from schemas.dtypes import DTYPES

REFERENCE_ROWS = 100_000
_SEED = 9  # of the choice among more rows; any would do, a fixed one gives the same reference again
_INLINE = 4  # mappings of so few plain values stand on one line


@dataclass(frozen=True, slots=True)
class Staged:
    """What is written and not yet in place. ``notes`` tell what the reference's rows changed in the plan."""

    spec: ModelSpec
    reference_part: Path
    reference: Path
    spec_part: Path
    spec_path: Path
    rows: int
    notes: tuple[str, ...]

    def commit(self) -> None:
        """Put both in place; the spec last, so that a spec never names a reference that is not there."""
        self.reference_part.replace(self.reference)
        self.spec_part.replace(self.spec_path)


@contextmanager
def staged(plan: Plan, settings: Settings, force: bool = False) -> Iterator[Staged]:
    """Write reference and spec beside their places; what is not committed is removed at the end.

    Raises:
        UsageError: there is a spec of this model already (and no ``force``), or the reference's rows cannot be used.
        TidemarkError: a folder cannot be written.
    """
    spec_path = settings.specs_dir / f"{plan.spec.model}.yaml"
    if spec_path.exists() and not force:
        raise UsageError(f"there is a spec already: {spec_path}", "give --model another name, or replace it with --force")
    reference = settings.under_home(str(plan.spec.reference))
    frame = _reference(plan, settings)
    spec, notes = _without_empty(plan.spec, frame)
    parts: list[Path] = []
    try:
        for path in (reference, spec_path):
            path.parent.mkdir(parents=True, exist_ok=True)
            parts.append(_beside(path))
        frame.select([*spec.columns, *spec.probability_columns]).write_parquet(parts[0])
        parts[1].write_text(spec_text(spec), encoding="utf-8")
        for part in parts:
            part.chmod(0o644)  # mkstemp makes it private; the worker may run as another user
        yield Staged(spec, parts[0], reference, parts[1], spec_path, frame.height, notes)
    except OSError as error:
        raise TidemarkError(f"{error.filename or reference} cannot be written: {error.strerror}", "free or allow it") from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    return Path(name)


def _reference(plan: Plan, settings: Settings) -> pl.DataFrame:
    """The rows before the end of the reference, in the file's order; of more than ``REFERENCE_ROWS``, that many drawn evenly."""
    spec = plan.spec
    predicts = spec.artefact is not None and not any(g.role == "prediction" and g.why != "by --artefact" for g in plan.guesses)
    columns = {**spec.columns, **spec.probability_columns}
    types = {name: c.type for name, c in columns.items() if not (predicts and name == spec.prediction.column)}
    total = int(np.searchsorted(plan.extent.times_ms, plan.until_ms))
    draw = np.random.default_rng(_SEED)
    parts = []
    for batch in read_batches(plan.data, types, settings.home):
        before = batch.times_ms < plan.until_ms
        if total > REFERENCE_ROWS:
            before &= pl.Series(draw.random(len(before)) < REFERENCE_ROWS / total)
        parts.append(batch.frame.filter(before))
    frame = pl.concat(parts)
    return _predicted(frame, spec, settings) if predicts else frame


def _predicted(frame: pl.DataFrame, spec: ModelSpec, settings: Settings) -> pl.DataFrame:
    from producers.artefact import load_artefact  # noqa: PLC0415 - scikit-learn takes seconds to import

    made = pl.Series(spec.prediction.column, load_artefact(settings, spec).predict(frame.select(list(spec.features)).to_pandas()))
    try:
        return frame.with_columns(made.cast(DTYPES[spec.prediction.type], strict=True))
    except pl.exceptions.PolarsError as error:
        raise UsageError(
            f"the model of --artefact predicts {made.dtype}, not {spec.prediction.type}", "name the target's column with --target"
        ) from error


def _without_empty(spec: ModelSpec, frame: pl.DataFrame) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec without features that have no value in the reference: nothing can be compared with them."""
    empty = [name for name in spec.features if not _has_value(frame[name])]
    if len(empty) == len(spec.features):
        raise UsageError("no feature has a value before the end of the reference", "give a later --reference-until")
    outputs = [o for o in (spec.prediction, spec.target) if o]
    for output in outputs:
        if not _has_value(frame[output.column]):
            remedy = "give a later --reference-until, or another column"
            raise UsageError(f"column {output.column!r} has no value before the end of the reference", remedy)
    left = {name: column for name, column in spec.features.items() if name not in empty}
    notes = tuple(f"{name!r} is left out: it has no value before the end of the reference" for name in empty)
    segments = tuple(name for name in spec.segments if name in left)
    return (spec.model_copy(update={"features": left, "segments": segments}), notes) if empty else (spec, ())


def _has_value(series: pl.Series) -> bool:
    known = series.drop_nulls()
    return bool(known.is_finite().any()) if known.dtype == pl.Float64 else len(known) > 0


class _Dumper(yaml.SafeDumper):
    """YAML as a person would write it: in the order given, small mappings and lists on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _mapping(dumper: _Dumper, data: dict[Any, Any]) -> yaml.Node:
    small = len(data) <= _INLINE and not any(isinstance(v, dict) for v in data.values()) and {"type", "kind", "size"} & data.keys()
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=bool(small))


def _sequence(dumper: _Dumper, data: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=not any(isinstance(v, dict) for v in data))


_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(list, _sequence)


def spec_text(spec: ModelSpec) -> str:
    """The spec as the text of its file; what stands at its default is left out, except the drift rule, which people change first."""
    fields = spec.model_dump(mode="json", exclude_defaults=True)
    order = [name for name in ModelSpec.model_fields if name in fields]
    written = {name: fields[name] for name in order} | {"drift": {"share": spec.drift.share, "thresholds": spec.drift.thresholds}}
    text = yaml.dump(written, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
    return f"# Written by tidemark init; change it as you like, then run: tidemark check {spec.model}\n{text}"
