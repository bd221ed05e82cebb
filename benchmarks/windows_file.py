"""Windows in files that every tool reads: ours and the peers', each from an environment of its own. Needs nothing but polars.

A folder holds ``manifest.json``, a Parquet file a reference, and Parquet files of windows: window i is rows i * n up to (i + 1) * n.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl


@dataclass(frozen=True, slots=True)
class WindowFile:
    """One file of ``count`` windows of ``rows`` rows each, to be held against that reference."""

    file: str
    reference: str
    rows: int
    count: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a folder: the judged columns, and whether each is categories."""

    numbers: list[str]
    categories: list[str]
    files: list[WindowFile]

    @property
    def columns(self) -> list[str]:
        """All judged columns."""
        return [*self.numbers, *self.categories]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """One method's verdicts on the windows of a file, in their order.

    Attributes:
        alarms: by the method's own threshold.
        statistics: larger is more drift: the farthest column's evidence; None where the method has no score that one threshold is set on.
    """

    alarms: list[bool]
    statistics: list[float] | None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it."""
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest)))


def read_manifest(folder: Path) -> Manifest:
    """Read it."""
    plain = json.loads((folder / "manifest.json").read_text())
    return Manifest(plain["numbers"], plain["categories"], [WindowFile(**f) for f in plain["files"]])


def windows(folder: Path, file: WindowFile) -> Iterator[pl.DataFrame]:
    """Each window's rows."""
    frame = pl.read_parquet(folder / file.file)
    return (frame[at * file.rows : (at + 1) * file.rows] for at in range(file.count))


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of windows and each reference as this process reads it."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.parquet"))}


def write_verdicts(out: Path, folder: Path, versions: Mapping[str, str], methods: Mapping[str, Mapping[str, Verdicts]]) -> None:
    """Verdicts by method and file, with the digests of what was judged."""
    plain = {name: {file: asdict(verdicts) for file, verdicts in files.items()} for name, files in methods.items()}
    out.write_text(json.dumps({"digests": digests(folder), "versions": dict(versions), "methods": plain}))


def read_verdicts(out: Path, expected: Mapping[str, str]) -> tuple[dict[str, str], dict[str, dict[str, Verdicts]]]:
    """Versions, and verdicts by method and file.

    Raises:
        ValueError: the tool has judged other windows than those of the ``expected`` digests.
    """
    plain: dict[str, Any] = json.loads(out.read_text())
    if plain["digests"] != dict(expected):
        raise ValueError(f"{out.name}: the tool has read other windows than were written")
    return plain["versions"], {name: {f: Verdicts(**v) for f, v in files.items()} for name, files in plain["methods"].items()}


def farthest(columns: Sequence[Sequence[float]]) -> list[float]:
    """The largest of all columns, of each window; shape of the input (columns, windows)."""
    return [max(values) for values in zip(*columns, strict=True)]
