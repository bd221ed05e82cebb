"""What ``tidemark init`` is told. Whatever is left out is guessed from the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from config.spec import AvroType, Kind

TYPES: dict[str, tuple[AvroType, Kind]] = {
    "double": ("double", "numerical"),
    "long": ("long", "numerical"),
    "boolean": ("boolean", "categorical"),
    "string": ("string", "categorical"),
    "categorical": ("string", "categorical"),
    "timestamp": ("timestamp", "numerical"),
    "text": ("string", "text"),
    "embedding": ("doubles", "embedding"),
}


@dataclass(frozen=True, slots=True)
class InitOptions:
    """``time`` is one column or a date and a time of day; ``types`` column → a key of ``TYPES``; ``drop`` are columns to leave out."""

    data: Path
    time: tuple[str, ...] = ()
    time_format: str | None = None
    time_zone: str = "UTC"
    prediction: str | None = None
    target: str | None = None
    probabilities: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    types: dict[str, str] = field(default_factory=dict)
    nulls: tuple[str, ...] = ()
    encoding: str | None = None
    delimiter: str | None = None
    model: str | None = None
    artefact: Path | None = None
    reference_until: str | None = None
    window: str | None = None
