"""Environments of peers whose packages do not go with ours: made from a lock with hashes, kept below ``var/benchmarks``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from config.errors import UsageError
from config.settings import ROOT, settings


def _uv() -> str:
    """The uv that ``make`` has put into .venv, or the one on PATH."""
    found = shutil.which("uv", path=os.pathsep.join([str(ROOT / ".venv/uv/bin"), str(ROOT / ".venv/bin"), os.environ.get("PATH", "")]))
    if found is None:
        raise UsageError("uv is not there, so a peer's environment cannot be made", "run the benchmark through make: it installs uv")
    return found


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, which is brought to what ``benchmarks/PEER/requirements.txt`` says."""
    folder = settings().under_home("benchmarks", peer)
    lock = ROOT / "benchmarks" / peer / "requirements.txt"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([_uv(), "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    environment = {**os.environ, "VIRTUAL_ENV": str(folder)}
    subprocess.run([_uv(), "pip", "sync", "--quiet", "--require-hashes", str(lock)], check=True, env=environment)
    return python
