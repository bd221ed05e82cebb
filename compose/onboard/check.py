"""``tidemark check``: looks at everything, changes nothing, and prints one table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compose.onboard.console import console_for
from compose.onboard.model_rows import model_rows, spec_rows
from compose.onboard.part_rows import part_rows
from compose.onboard.rows import Row
from config.settings import Settings
from config.spec import ModelSpec

_COLOURS = {"right": "green", "look": "yellow", "wrong": "red"}


def run_check(settings: Settings, model: str | None) -> bool:
    """True when nothing is wrong.

    Raises:
        UsageError: there is no spec, or none of this model.
    """
    rows, specs = spec_rows(settings, model)
    digests = {}
    for spec, _ in specs.values():
        of_model, digests[spec.model] = model_rows(settings, spec)
        rows += of_model
    rows += part_rows(settings, digests)
    console = console_for()
    console.print(_table(rows))
    wrong = [row for row in rows if row.state == "wrong"]
    console.print()
    if wrong:
        thing = "thing is" if len(wrong) == 1 else "things are"
        console.print(
            f"{len(wrong)} {thing} wrong; mend the first and check again: {wrong[0].remedy}", highlight=False, markup=False, soft_wrap=True
        )
        return False
    _tell_next(console, [spec for spec, _ in specs.values()], reload=any(row.what == "worker" and row.state == "look" for row in rows))
    return True


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("what", "is", "found", "to do"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(Text(row.what), Text(row.state, _COLOURS[row.state]), Text(row.found), Text(row.remedy))
    return table


def _tell_next(console: Console, specs: list[ModelSpec], reload: bool) -> None:
    spec = next((s for s in specs if s.data is not None), specs[0])
    console.print("nothing is wrong\n", highlight=False, markup=False)
    steps = ["tidemark reload"] if reload else []  # to a worker that does not know the model its events are dead letters
    for word, step in zip(
        ("next:", "then:", "then:"), [*steps, f"tidemark replay {spec.model} --speed max", "tidemark watch"], strict=False
    ):
        console.print(f"{word} {step}", highlight=False, markup=False)
