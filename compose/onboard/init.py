"""``tidemark init``: plans, checks with the monitor's own eyes, writes, and tells."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compose.onboard.console import console_for
from config.errors import UsageError
from config.settings import Settings
from config.spec import ModelSpec, read_spec
from monitor.reference import load_reference
from producers.onboard import InitOptions, Plan, plan, staged
from producers.onboard.roles import Guess
from schemas.event import event_schema
from schemas.store import FileSchemaStore, open_store, subject_of

SHOWN = 40  # columns in the table; the rest are counted
_COLOURS = {"given": "green", "sure": "green", "likely": "yellow", "a guess": "red"}


def run_init(settings: Settings, options: InitOptions, force: bool) -> None:
    """Do it all, or nothing.

    Raises:
        TidemarkError: what stands in the way; nothing is then written.
    """
    console = console_for()
    found = plan(options, settings)
    with staged(found, settings, force) as made:
        if read_spec(made.spec_part) != made.spec:
            raise UsageError(f"the spec of {found.spec.model!r} does not read back as it was", "report this, with the columns' names")
        load_reference(made.spec, made.reference_part)
        schema = event_schema(made.spec)
        open_store(settings).register(subject_of(settings.predictions_topic, made.spec.model), schema)
        files = FileSchemaStore(settings.under_home("schemas"))
        schema_path = files.path_of(files.keep(schema))  # a registry has it too; an emitter reads the file
        made.commit()
    _tell_columns(console, found, made.spec)
    if made.spec.target is None:
        console.print("  no target: name the column of what really happened with --target, and the model's errors are measured too")
    for line in (*found.notes, *made.notes):
        console.print(f"  {line}", highlight=False, markup=False)
    console.print()
    for what, where in (
        ("spec", made.spec_path),
        ("reference", f"{made.reference} ({made.rows:,} rows)"),
        ("schema", schema_path),
    ):
        console.print(f"wrote {what:9} {where}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"\nnext: tidemark check {shlex.quote(made.spec.model)}", highlight=False, markup=False)


def _tell_columns(console: Console, found: Plan, spec: ModelSpec) -> None:
    data = found.data
    how = f"CSV, {data.encoding}, parted by {data.delimiter!r}" + (", decimal comma" if data.decimal == "," else "")
    console.print(
        f"{data.path.name}: {len(found.extent.times_ms):,} rows, {how if data.format == 'csv' else 'Parquet'}",
        highlight=False,
        markup=False,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("column", "role", "type", "how sure", "why"):
        table.add_column(heading, overflow="fold")
    outputs = [g for g in found.guesses if g.role in ("time", "prediction", "target", "probability")]
    rest = [g for g in found.guesses if g.role not in ("time", "prediction", "target", "probability")]
    for guess in (*outputs, *rest[: SHOWN - len(outputs)]):
        table.add_row(*_row(guess, spec))
    console.print(table)
    if (more := len(outputs) + len(rest) - SHOWN) > 0:
        left_out = sum(g.role == "left out" for g in rest)
        console.print(f"  and {more:,} more columns ({left_out:,} of all are left out); the spec lists every feature", highlight=False)


def _row(guess: Guess, spec: ModelSpec) -> list[Text]:
    column = guess.column
    kind = "" if column is None else column.type if column.kind in ("numerical", "embedding") else f"{column.type}, {column.kind}"
    role = "left out" if guess.role == "feature" and guess.name not in spec.features else guess.role
    texts = (Text(guess.name), Text(role, "dim" if role == "left out" else ""), Text(kind))
    return [*texts, Text(guess.surety, _COLOURS[guess.surety]), Text(guess.why, "dim")]
