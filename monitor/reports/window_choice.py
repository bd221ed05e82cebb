"""Which archived window a user means by ``MODEL WINDOW [--run RUN]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from config.errors import TidemarkError, UsageError
from monitor.reports.archive import samples_of
from monitor.reports.page import utc

SHOWN = 10  # windows named in an error
_NAME = re.compile(r"(-?\d+)-(-?\d+)\.parquet\Z")


@dataclass(frozen=True, slots=True)
class Archived:
    """A sample by what its path says. ``run`` is the name of its folder; start and end in s since the epoch."""

    path: Path
    run_kind: str
    run: str
    start_s: int
    end_s: int

    def __str__(self) -> str:
        return f"{utc(self.start_s * 1000)} ({'live' if self.run_kind == 'live' else f'run {self.run}'})"


def parse_window(text: str) -> int | None:
    """The start that a user wrote, in s since the epoch: ISO time (UTC unless it says otherwise) or the number; None for ``last``.

    Raises:
        UsageError: the text is neither.
    """
    if text == "last":
        return None
    if re.fullmatch(r"-?\d{5,12}", text):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        remedy = "write the window's start as 2013-06-24T04:00 (UTC), as s since the epoch, or write last"
        raise UsageError(f"WINDOW {text!r} is no time", remedy) from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def archived(home: Path, model: str, run: str | None = None) -> list[Archived]:
    """The model's archived windows, of one run where it is given, by start."""
    found = []
    for path in samples_of(home, model):
        match = _NAME.search(path.name)
        if match and run in (None, path.parent.name):
            found.append(Archived(path, path.parent.parent.name, path.parent.name, int(match[1]), int(match[2])))
    return sorted(found, key=lambda a: (a.start_s, a.run_kind, a.run))


def choose(home: Path, model: str, start_s: int | None, run: str | None) -> Archived:
    """The window that starts at ``start_s`` (None: the latest). Where several runs have it: the live one, else the one written last.

    Raises:
        TidemarkError: there is none; names those that there are.
    """
    windows = archived(home, model, run)
    if start_s is None and run is None:
        windows = [w for w in windows if w.run_kind == "live"] or windows
    wanted = [w for w in windows if start_s in (None, w.start_s)]
    if not wanted:
        raise _missing(home, model, start_s, run, windows)
    if start_s is None:
        latest_s = max(w.start_s for w in wanted)
        wanted = [w for w in wanted if w.start_s == latest_s]
    return max(wanted, key=lambda w: (w.run_kind == "live", w.path.stat().st_mtime_ns))


def _missing(home: Path, model: str, start_s: int | None, run: str | None, windows: list[Archived]) -> TidemarkError:
    of = f"model {model!r}" + (f" in run {run!r}" if run else "")
    if not windows:
        others = sorted({a.run for a in archived(home, model)})
        models = sorted(p.name for p in (home / "archive").glob("*") if p.is_dir())
        known = f"runs with windows: {', '.join(others)}" if others else f"models with windows: {', '.join(models) or 'none'}"
        remedy = "check the name; windows are kept while TIDEMARK_ARCHIVE is on, for TIDEMARK_ARCHIVE_MAX_AGE"
        return TidemarkError(f"no window of {of} is in the archive ({known})", remedy)
    assert start_s is not None
    nearest = sorted(windows, key=lambda w: abs(w.start_s - start_s))[:SHOWN]
    names = ", ".join(str(w) for w in sorted(nearest, key=lambda w: w.start_s))
    more = f"; the {SHOWN} nearest of {len(windows)}" if len(windows) > SHOWN else ""
    text = f"no window of {of} in the archive starts at {utc(start_s * 1000)} UTC"
    return TidemarkError(text, f"name one that is there{more}: {names}")
