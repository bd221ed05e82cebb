"""Bringing the containers up and down, and looking at them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compose.docker import engine
from config.settings import Settings

WAIT_S = 900  # the first time images are pulled before, but the example is trained within it
EVERY_PROFILE = ("--profile", "*")
REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Container:
    """What Compose says of one container; ``health`` is empty where none is asked for, ``exit_code`` 0 while it runs."""

    service: str
    state: str
    health: str
    exit_code: int

    @property
    def well(self) -> bool:
        """It runs and is healthy, or has ended as it should."""
        return self.exit_code == 0 if self.state == "exited" else self.state == "running" and self.health in ("", "healthy")


def containers(listing: str) -> list[Container]:
    """The containers in the output of ``docker compose ps --format json``: an object a line, or (before 2.21) one array."""
    rows: list[dict[str, Any]] = []
    for line in listing.splitlines():
        found = json.loads(line) if line.strip() else []
        rows += found if isinstance(found, list) else [found]
    return [Container(r["Service"], r["State"], r.get("Health") or "", int(r.get("ExitCode") or 0)) for r in rows]


def look(settings: Settings) -> list[Container]:
    """Every container of ours, also those that have ended."""
    return containers(engine.compose(settings, *EVERY_PROFILE, "ps", "--all", "--format", "json", capture=True))


def up(settings: Settings, only: Sequence[str], replay: bool) -> None:
    """Build, start and wait until all is healthy; then start the replay, unless it ran before.

    Raises:
        TidemarkError: Compose failed.
    """
    services = [name for name in only if name != REPLAY]
    if services or not only:
        engine.compose(settings, "up", "--detach", "--build", "--wait", "--wait-timeout", str(WAIT_S), *services)
    wanted = REPLAY in only or (replay and not only)
    if wanted and not any(c.service == REPLAY for c in look(settings)):
        engine.compose(settings, "--profile", REPLAY, "up", "--detach", *([] if REPLAY in only else ["--no-deps"]), REPLAY)


def down(settings: Settings) -> None:
    """Remove the containers and their network; the volumes stay."""
    engine.compose(settings, *EVERY_PROFILE, "down", "--remove-orphans")


def status(settings: Settings) -> bool:
    """Print Compose's table; true when containers are there and all are well."""
    engine.compose(settings, *EVERY_PROFILE, "ps", "--all")
    found = look(settings)
    return bool(found) and all(c.well for c in found)


def logs(settings: Settings, service: str | None, follow: bool, lines: int) -> None:
    """Print the last lines of one service's log, or of all."""
    options = ["--tail", str(lines), *(["--follow"] if follow else [])]
    engine.compose(settings, *EVERY_PROFILE, "logs", *options, *([service] if service else []))


def run(settings: Settings, arguments: Sequence[str], terminal: bool) -> None:
    """Run ``tidemark ARGUMENTS`` where the containers' data and broker are: in the prediction service's container."""
    engine.compose(settings, "exec", *([] if terminal else ["--no-TTY"]), "service", "tidemark", *arguments)
