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
    cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return [SOURCE.parent / "__pycache__", Path(cached) / "tidemark"]


def library_file(places: Sequence[Path]) -> Path:
    """The compiled library in the first of the places that has it or takes it. Its name tells source, flags and machine.

    Raises:
        OSError: there is no compiler, it fails, or nowhere can be written; says which.
    """
    made_of = (SOURCE.read_text(), *FLAGS, sys.platform, platform.machine())
    name = f"walk-{hashlib.sha256(chr(0).join(made_of).encode()).hexdigest()[:16]}.so"
    for place in places:
        if (place / name).is_file():
            return place / name
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise OSError("there is no C compiler: install one (Debian: gcc)")
    problems = []
    for place in places:
        try:
            return _compiled(compiler, place / name)
        except OSError as error:
            problems.append(str(error))
    raise OSError("; ".join(problems))


def _compiled(compiler: str, target: Path) -> Path:
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
