"""What is removed from what is kept: the oldest files, by age and by size together. Never a report that is still being made."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)
PENDING_MS = 3_600_000  # a page that waits for longer belongs to a worker that is gone


@dataclass(frozen=True, slots=True)
class Limit:
    """Files below ``folder`` whose name ends in ``suffix`` are kept until they are older than ``max_age_ms`` or together larger than
    ``max_bytes``. ``beside`` are suffixes of files that go with them, and count with them. ``only_in`` names the folders that they lie
    directly in, where there are other files of that suffix; such folders stay when they get empty.
    """

    folder: Path
    suffix: str
    max_age_ms: int
    max_bytes: int
    beside: tuple[str, ...] = ()
    only_in: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    written_ns: int
    size: int


def retain(limit: Limit, now_ns: int, is_pending: Callable[[Path], bool] = lambda _: False) -> int:
    """Remove what is beyond the limit, the oldest first, with folders that get empty; returns how many.

    Args:
        limit: of which files, and how much.
        now_ns: the wall clock, as files' times of writing are.
        is_pending: files that stay, whatever the limit. Asked only of those that would go.
    """
    files = sorted(_files(limit), key=lambda f: (f.written_ns, f.path.name))
    total, removed = sum(f.size for f in files), 0
    for file in files:
        too_old = now_ns - file.written_ns > limit.max_age_ms * 1_000_000
        if not too_old and total <= limit.max_bytes:
            break
        if is_pending(file.path):
            continue
        _remove(file.path, limit)
        total -= file.size
        removed += 1
    if removed:
        text = "%s: %d of %d files removed, older than %.1f h or beyond %d MB together"
        log.info(text, limit.folder, removed, len(files), limit.max_age_ms / 3_600_000, limit.max_bytes // 1_000_000)
    return removed


def report_is_pending(path: Path, now_ns: int) -> bool:
    """True while a report's page waits for its full report."""
    beside = path.with_suffix(".json")
    try:
        text = beside.read_text(encoding="utf-8")
        fresh = now_ns - path.stat().st_mtime_ns < PENDING_MS * 1_000_000
        return fresh and json.loads(text)["state"] == "pending"
    except (FileNotFoundError, ValueError, KeyError):  # without a summary nobody waits for it
        return False


def _files(limit: Limit) -> Iterable[_File]:
    for path in limit.folder.rglob(f"{limit.only_in}/*{limit.suffix}".lstrip("/")):
        try:
            found = path.stat()
            size = found.st_size + sum(p.stat().st_size for s in limit.beside if (p := path.with_suffix(s)).exists())
        except FileNotFoundError:  # another worker removed it meanwhile
            continue
        yield _File(path, found.st_mtime_ns, size)


def _remove(path: Path, limit: Limit) -> None:
    for suffix in (*limit.beside, ""):
        (path.with_suffix(suffix) if suffix else path).unlink(missing_ok=True)
    if limit.only_in:
        return
    try:
        path.parent.rmdir()
    except OSError:  # something is left in it
        log.debug("%s still holds files", path.parent)
