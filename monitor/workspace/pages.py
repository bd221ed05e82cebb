"""Evidently's own pages over the workspace: the command ``tidemark ui``."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import NoReturn

import click

from config.errors import TidemarkError
from config.settings import Settings


def open_pages(installation: Settings) -> NoReturn:
    """Become ``evidently ui``, with its telemetry off.

    Raises:
        TidemarkError: the workspace is empty, or the program is not there.
    """
    folder = installation.under_home("workspace")
    if not any(folder.glob("*/metadata.json")):
        remedy = "run the worker with TIDEMARK_WORKSPACE=on (the default) until a window has closed"
        raise TidemarkError(f"no window is in the workspace {folder} yet", remedy)
    program = shutil.which("evidently", path=os.pathsep.join((sysconfig.get_path("scripts"), str(Path(sys.executable).parent))))
    if program is None:
        raise TidemarkError("the program evidently is not installed beside Python", "install Tidemark with its dependencies: make up")
    host, port = installation.bind, str(installation.evidently_port)
    click.echo(f"Evidently's pages will be on http://{host}:{port}; Ctrl-C ends them", err=True)
    arguments = ["ui", "--workspace", str(folder), "--host", host, "--port", port]
    os.execve(program, [program, *arguments], {**os.environ, "DO_NOT_TRACK": "1"})
