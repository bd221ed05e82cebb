"""What the worker asks an evaluation process, and what it gets back. Importing this imports no statistics."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from config.spec import ModelSpec
from monitor.window import WindowData

_NO_ROWS = pl.DataFrame()


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
    """Judge a window. The answer is its WindowResult, or a text: why there is none.

    The rows go as an Arrow stream: polars pickles a frame in three times the time. ``given_up`` is put on the columns with a slow method
    in place of a verdict.
    """

    spec: ModelSpec
    path: Path
    window: WindowData
    rows: bytes
    given_up: str = ""

    @classmethod
    def of(cls, spec: ModelSpec, path: Path, window: WindowData, given_up: str = "") -> Judge:
        """The task of judging a window."""
        out = io.BytesIO()
        window.frame.write_ipc_stream(out)
        return cls(spec, path, replace(window, frame=_NO_ROWS), out.getvalue(), given_up)

    def data(self) -> WindowData:
        """The window with its rows."""
        return replace(self.window, frame=pl.read_ipc_stream(io.BytesIO(self.rows)))
