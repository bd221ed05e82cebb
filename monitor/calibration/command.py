"""``tidemark fit``: calibrates a spec's thresholds, keeps them with the reference's profile, and says what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from config.settings import Settings
from config.spec import ModelSpec, read_spec
from monitor.calibration import Calibration
from monitor.calibration.plot import page
from monitor.calibration.power import Shift, least_rows
from monitor.calibration.report import statements, table
from monitor.profile_store import stored_reference


@dataclass(frozen=True, slots=True)
class Fitted:
    """What ``tidemark fit`` came to."""

    calibration: Calibration
    table: list[str]
    statements: list[str]
    plot: Path


def named_spec(settings: Settings, name: str) -> ModelSpec:
    """The spec of a model of this name, or the file of this path.

    Raises:
        SpecError: there is none, or it is wrong.
    """
    return read_spec(Path(name) if name.endswith((".yaml", ".yml")) else settings.specs_dir / f"{name}.yaml")


def fit_spec(settings: Settings, name: str, shift: Shift) -> Fitted:
    """Calibrate, or take what is kept of the same spec, reference and code; write the plot.

    Raises:
        SpecError, ReferenceDataError: as ``load_reference``.
    """
    spec = named_spec(settings, name)
    wanted = spec.model_copy(update={"drift": spec.drift.model_copy(update={"thresholds": "calibrated"})})
    with click.progressbar(length=100, label=f"Calibrating {spec.model}", show_pos=False) as bar:
        profile = stored_reference(
            wanted, settings.under_home(str(spec.reference)), lambda done, steps: bar.update(100 * done // steps - bar.pos)
        )
        bar.update(100 - bar.pos)
    assert profile.calibration is not None
    least = least_rows(profile, profile.calibration, profile.frame(), shift, spec.drift.floor)
    lines = table(profile.calibration, least)
    said = statements(spec, profile.calibration, least, shift)
    if spec.drift.thresholds != "calibrated":
        said.append("The spec has thresholds: evidently. Set drift.thresholds: calibrated to judge windows by these.")
    plot = settings.under_home("calibration", f"{spec.model}.html")
    plot.parent.mkdir(parents=True, exist_ok=True)
    plot.write_text(page(spec.model, profile.calibration, lines, said), encoding="utf-8")
    return Fitted(profile.calibration, lines, said, plot)


def run(settings: Settings, name: str, shift: Shift) -> None:
    """The command."""
    fitted = fit_spec(settings, name, shift)
    click.echo()
    for line in (*fitted.table, "", *(f"- {s}" for s in fitted.statements), "", f"Plot: {fitted.plot}"):
        click.echo(line)
