"""What ``tidemark check`` looks at for one model: spec, reference, schema, history."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from compose.onboard.rows import Row, tried
from config.durations import show_ms
from config.errors import SchemaError, UsageError
from config.settings import Settings
from config.spec import ModelSpec, read_spec
from monitor.reference import load_reference
from producers.files import column_names, read_batches
from schemas.event import event_schema
from schemas.framing import WriterSchema
from schemas.store import FileSchemaStore

_FIRST_ROWS = 1_000


def spec_rows(settings: Settings, model: str | None) -> tuple[list[Row], dict[str, tuple[ModelSpec, Path]]]:
    """A row for each spec file (or the model's own), and the specs that are right, with their files.

    Raises:
        UsageError: there is no spec, or none of this model.
    """
    rows: list[Row] = []
    found: dict[str, tuple[ModelSpec, Path]] = {}
    paths = sorted(settings.specs_dir.glob("*.yaml"))
    for path in paths:
        row = tried(f"spec {path.name}", lambda at=path: _read(at, found))  # type: ignore[misc]
        if row.state == "wrong" or model in (None, _model_of(path, found)):
            rows.append(row)
    if not paths:
        raise UsageError(f"no model spec (*.yaml) in {settings.specs_dir}", "tidemark init --data FILE writes one")
    if model is not None and model not in found:
        if any(row.state == "wrong" for row in rows):
            return rows, {}
        raise UsageError(f"no model {model!r}; there is {', '.join(sorted(found))}", "name one of these, or run tidemark init")
    return rows, {name: known for name, known in found.items() if model in (None, name)}


def _model_of(path: Path, found: dict[str, tuple[ModelSpec, Path]]) -> str | None:
    return next((name for name, (_, at) in found.items() if at == path), None)


def _read(path: Path, found: dict[str, tuple[ModelSpec, Path]]) -> str:
    spec = read_spec(path)
    if spec.model in found:
        raise UsageError(f"model {spec.model!r} is described by {found[spec.model][1].name} too", "keep one file a model")
    found[spec.model] = (spec, path)
    return f"{len(spec.features):,} features, windows of {show_ms(spec.window.size)}, {', '.join(spec.monitors)}"


def model_rows(settings: Settings, spec: ModelSpec) -> tuple[list[Row], str | None]:
    """Reference, schema and history of a model; and the digest of its spec, None where the reference cannot be read."""
    digests: list[str] = []
    rows = [
        tried(f"{spec.model}: reference", lambda: _reference(settings, spec, digests)),
        tried(f"{spec.model}: schema", lambda: _schema(settings, spec)),
    ]
    if spec.data is not None:
        rows.append(tried(f"{spec.model}: history", lambda: _history(settings, spec)))
    return rows, digests[0] if digests else None


def _reference(settings: Settings, spec: ModelSpec, digests: list[str]) -> Row | str:
    found = load_reference(spec, settings.under_home(str(spec.reference)))
    digests.append(spec.digest(found.fingerprint))
    if found.rows < spec.min_rows:
        return Row(f"{spec.model}: reference", "look", f"{found.rows:,} rows", "a reference of some thousand rows judges better")
    return f"{found.rows:,} rows, fingerprint {found.fingerprint}"


def _schema(settings: Settings, spec: ModelSpec) -> Row | str:
    writer, files = WriterSchema.single_object(event_schema(spec)), FileSchemaStore(settings.under_home("schemas"))
    if files.find(writer.header) is None:
        return Row(f"{spec.model}: schema", "look", "not written yet", "replay writes it; an emitter needs the file before: tidemark init")
    try:
        writer.encode(_empty_event(spec))
    except (ValueError, TypeError) as error:
        raise SchemaError(f"the schema takes no event: {error}", "report this, with the columns' names") from error
    return f"{files.path_of(writer)}"


def _empty_event(spec: ModelSpec) -> dict[str, object]:
    ids = {"event_id": "check", "event_time": 0, "run": "check", "model": spec.model, "model_version": "check"}
    classes: dict[str, object] = {"probabilities": {}} if spec.probabilities else {}
    return {**ids, "prediction": None, "target": None, **classes, "features": {}}


def _history(settings: Settings, spec: ModelSpec) -> str:
    """The first rows are read as replay reads them."""
    assert spec.data is not None  # asked before
    names = column_names(spec.data, settings.home)
    wanted = {**spec.columns, **spec.probability_columns}
    optional = {
        spec.target.column if spec.target else "",
        *spec.probabilities.values(),
        *([spec.prediction.column] if spec.artefact else []),
    }
    types = {name: column.type for name, column in wanted.items() if name in names or name not in optional}
    first = next(read_batches(spec.data, types, settings.home, _FIRST_ROWS), None)
    if first is None:
        raise UsageError(f"{spec.data.path} has no rows", "name another file as data.path in the spec")
    start = pl.Series([first.times_ms[0]], dtype=pl.Datetime("ms", "UTC"))[0]
    return f"{settings.home / spec.data.path}, first row {start.replace(tzinfo=None).isoformat(timespec='seconds')} UTC"
