"""What the worker asks an evaluation process, and what it gets back. Importing this imports no statistics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.spec import ModelSpec
from monitor.window import Baseline, WindowData


@dataclass(frozen=True, slots=True)
class Load:
    """Read and fit a spec's reference. The answer is :class:`Loaded`, or the TidemarkError that came of it."""

    spec: ModelSpec
    path: Path


@dataclass(frozen=True, slots=True)
class Loaded:
    """A reference that is ready: its fingerprint, and whether judging by the spec takes a slow method."""

    fingerprint: str
    slow: bool


@dataclass(frozen=True, slots=True)
class Judge:
    """Judge a window. The answer are its WindowResults: against the reference, then against each of ``baselines``.

    ``given_up``, unless empty, is put on the columns with a slow method in place of a verdict.
    """

    spec: ModelSpec
    path: Path
    window: WindowData
    given_up: str = ""
    baselines: tuple[Baseline, ...] = ()
