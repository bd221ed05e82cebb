"""Which stack `up` brings up, containers or native processes, and which one the other commands are about."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from compose.docker import engine
from compose.native.supervise import Supervisor
from config.errors import UsageError
from config.settings import Settings

Stack = Literal["native", "docker"]


def memory(settings: Settings) -> Path:
    """The file that is there from the `up` of the containers to their `down`."""
    return settings.under_home("run", "containers")


def current(settings: Settings) -> Stack | None:
    """The stack that is up: containers as remembered, native processes as supervisord answers; None for none."""
    if memory(settings).is_file():
        return "docker"
    return "native" if Supervisor(settings).running() else None


def choose(settings: Settings, wanted: Stack | None) -> Stack:
    """The stack to bring up: the one that is up, else the wanted one, else containers when a Docker engine answers.

    Raises:
        UsageError: another stack than the wanted one is up, or it is to be containers and no engine answers.
    """
    up = current(settings)
    if up is not None and wanted is not None and up != wanted:
        also = f" (or, with its engine gone for good, remove {memory(settings)})" if up == "docker" else ""
        raise UsageError(f"STACK={wanted} cannot start: the {up} stack is up", f"run `make down` first{also}")
    chosen = up or wanted
    if chosen == "docker":
        engine.require()
    return chosen or ("docker" if engine.missing() is None else "native")


def remember(settings: Settings) -> None:
    """Note that containers are being brought up."""
    memory(settings).parent.mkdir(parents=True, exist_ok=True)
    memory(settings).touch()


def forget(settings: Settings) -> None:
    """Note that no containers are up."""
    memory(settings).unlink(missing_ok=True)
