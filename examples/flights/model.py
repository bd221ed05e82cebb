"""The example's model as a service uses it."""

from __future__ import annotations

from config.settings import Settings
from config.spec import read_spec
from producers.artefact import Artefact, load_artefact

FlightModel = Artefact


def load(settings: Settings) -> FlightModel:
    """The trained model: ``.version`` and ``.predict(frame)``, which takes a pandas frame with the spec's feature columns.

    Raises:
        SpecError: the spec ``flights.yaml`` is missing or wrong.
        UsageError: the artefact is missing or unreadable; ``python -m examples.flights`` makes it.
    """
    return load_artefact(settings, read_spec(settings.specs_dir / "flights.yaml"))
