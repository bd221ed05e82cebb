"""A replay's rows without a broker."""

from __future__ import annotations

from config.settings import Settings
from config.spec import ModelSpec
from producers.replay.history import history
from producers.replay.options import ReplayOptions
from producers.replay.source import Rows


def read_rows(settings: Settings, spec: ModelSpec, options: ReplayOptions) -> Rows:
    """All rows that a replay sends through the service, in order; they have a prediction only where the data has it."""
    wanted = ReplayOptions(**{**{name: getattr(options, name) for name in ReplayOptions.__slots__}, "via": "service"})
    with history(settings, spec, wanted) as found:
        (rows,) = found.chunks()
        return rows
