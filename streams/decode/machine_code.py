"""Compiles ``walk.c``, once for a machine, where there is a C compiler.

``python -m streams.decode.machine_code FOLDER`` does it ahead, for an image: nothing but the standard library is imported.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).with_name("walk.c")
FLAGS = ("-std=c11", "-O3", "-ffreestanding", "-nostdlib", "-fPIC", "-shared")
COMPILERS = ("cc", "gcc", "clang")
LIMIT_S = 60.0


def folders() -> list[Path]:
    """Where compiled code is kept: beside the source as Python keeps its own, else in the user's cache. Nobody else writes there."""
    beside = [SOURCE.parent / "__pycache__"]
    try:
        cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a container's user may be a bare number, without a home
        return beside
    return [*beside, Path(cached) / "tidemark"]


def library_file(places: Sequence[Path]) -> Path:
    """The compiled library in the first of the places that has it or takes it. Its name tells source, flags and machine.

    Raises:
        OSError: there is no compiler, it fails, or no place can be read or written; says which.
    """
    made_of = (SOURCE.read_text(), *FLAGS, sys.platform, platform.machine())
    name = f"walk-{hashlib.sha256(chr(0).join(made_of).encode()).hexdigest()[:16]}.so"
    problems = []
    for attempt in (_kept, _compiled):
        for place in places:
            try:
                if found := attempt(place / name):
                    return found
            except OSError as error:  # of this place: another may do
                problems.append(str(error))
    raise OSError("; ".join(dict.fromkeys(problems)))


def _kept(target: Path) -> Path | None:
    return target if target.is_file() else None


def _compiled(target: Path) -> Path:
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise OSError("there is no C compiler: install one (Debian: gcc)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        try:
            subprocess.run([compiler, *FLAGS, "-o", str(made), str(SOURCE)], check=True, capture_output=True, text=True, timeout=LIMIT_S)
        except subprocess.CalledProcessError as error:
            raise OSError(f"{compiler} failed on {SOURCE.name}: {error.stderr.strip()}") from error
        except subprocess.TimeoutExpired as error:
            raise OSError(f"{compiler} took longer than {LIMIT_S:g} s") from error
        return made.replace(target)  # at once: another worker may be starting


if __name__ == "__main__":
    try:
        library_file([Path(sys.argv[1])])
    except OSError as error:
        sys.stderr.write(f"nothing is compiled, batches will be decoded by NumPy: {error}\n")
