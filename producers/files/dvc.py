"""Files behind a DVC pointer: found in the work tree or in the local cache; nothing is downloaded.

A ``.dvc`` file is YAML whose ``outs`` name a path beside it and its MD5; caches keep a file as ``files/md5/<2 digits>/<30 digits>`` (DVC 3)
or ``<2 digits>/<30 digits>`` (DVC 2). See https://dvc.org/doc/user-guide/project-structure/dvc-files and .../internal-files.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from config.errors import UsageError


def located(path: Path) -> Path:
    """The file itself: ``path``, or what it points at when it is a ``.dvc`` file, or has one beside it and is not there.

    Raises:
        UsageError: there is no such file, or the pointer's file is neither in the work tree nor in the local cache.
    """
    if path.suffix == ".dvc" and path.is_file():
        return _followed(path)
    if path.exists():
        if not path.is_file():
            raise UsageError(f"{path} is a folder, not a file", "name one CSV or Parquet file")
        return path
    pointer = path.with_name(f"{path.name}.dvc")
    if pointer.is_file():
        return _followed(pointer)
    raise UsageError(f"no file {path}", "correct the path; a relative one starts where the command is run")


def _followed(pointer: Path) -> Path:
    out = _out(pointer)
    work = pointer.parent / str(out.get("wdir", ".")) / str(out["path"])
    if work.is_file():
        return work
    md5 = str(out.get("md5", ""))
    for cache in _caches(pointer.parent):
        for kept in (cache / "files" / "md5" / md5[:2] / md5[2:], cache / md5[:2] / md5[2:]):
            if md5 and kept.is_file():
                return kept
    raise UsageError(f"{pointer} points at {work.name} (md5 {md5 or 'unknown'}), which is not here", f"dvc pull {pointer}")


def _out(pointer: Path) -> dict[str, Any]:
    try:
        told = yaml.safe_load(pointer.read_text(encoding="utf-8"))
        outs = told["outs"]
        if len(outs) != 1 or not outs[0]["path"]:
            raise UsageError(f"{pointer} has {len(outs)} outputs, one file is read", "name a pointer of one file")
        return {"wdir": told.get("wdir", "."), **outs[0]}
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, IndexError) as error:
        raise UsageError(f"{pointer} is no DVC pointer: {type(error).__name__}: {error}", "name the CSV or Parquet file itself") from error


def _caches(folder: Path) -> Iterator[Path]:
    for above in (folder.resolve(), *folder.resolve().parents):
        if (above / ".dvc").is_dir():
            yield from _configured(above / ".dvc")
            yield above / ".dvc" / "cache"
            return


def _configured(home: Path) -> Iterator[Path]:
    for name in ("config.local", "config"):
        config = configparser.ConfigParser(interpolation=None)
        try:
            config.read(home / name, encoding="utf-8")
        except configparser.Error:
            continue  # DVC itself would refuse it; the default cache may still hold the file
        if directory := config.get("cache", "dir", fallback=""):
            yield (home / directory).resolve()
