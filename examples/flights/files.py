"""Where the example's files lie below ``TIDEMARK_HOME``, and how they are written: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

ARTEFACT = Path("models/flights.skops")
REFERENCE = Path("references/flights.parquet")
HISTORY = Path("history/flights.parquet")
STAMP = Path("models/flights.stamp.json")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then put it in place in one step: a reader never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        part.chmod(0o644)  # mkstemp makes it private; the worker may run as another user
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
