"""docker-compose.yml as the real Compose renders it (which needs no engine), and the Dockerfile's commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from config.settings import ROOT

COMPOSE_FILE = ROOT / "compose" / "docker-compose.yml"
OWN_BROKER_FILE = ROOT / "compose" / "docker" / "own-broker.yml"
DOCKERFILE = ROOT / "compose" / "Dockerfile"
EVERY_PROFILE = ("--profile", "*")


def tool(name: str) -> str:
    """A program of this Python environment."""
    return str(Path(sys.executable).with_name(name))


def compose(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The real Compose on our file, with no other TIDEMARK_* or COMPOSE_* variables than these."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TIDEMARK_", "COMPOSE_"))}
    command = [tool("docker-compose"), "--env-file", os.devnull, "--file", str(COMPOSE_FILE), *arguments]
    return subprocess.run(command, env={**kept, **variables}, capture_output=True, text=True, timeout=60, check=False)


def rendered(*arguments: str, **variables: str) -> dict[str, Any]:
    """The whole project as Compose would hand it to an engine, every profile included."""
    done = compose(*arguments, *EVERY_PROFILE, "config", "--format", "json", **variables)
    assert done.returncode == 0, done.stderr
    project: dict[str, Any] = json.loads(done.stdout)
    return project


def run_instructions() -> dict[str, list[str]]:
    """Per stage of the Dockerfile the shell commands of its RUN instructions, without their mounts; the last stage is ''."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    stage = ""
    for line in text.splitlines():
        if line.startswith("FROM "):
            stage = line.split(" AS ")[1] if " AS " in line else ""
            found[stage] = []
        elif line.startswith("RUN "):
            found[stage].append(re.sub(r"--mount=\S+\s+", "", line.removeprefix("RUN ")).strip())
    return found
