"""Whether Docker and Compose are there, and running Compose with this installation's settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from compose.native.monitoring import webhook
from config.errors import TidemarkError, UsageError
from config.settings import Settings

HERE = Path(__file__).parent
COMPOSE_FILE = HERE.with_name("docker-compose.yml")
OWN_BROKER_FILE = HERE / "own-broker.yml"
ANSWER_S = 15.0  # an engine that is starting, or a virtual machine that sleeps, takes its time
REMEDY = "start or install Docker with its Compose plugin, or run without it: make up STACK=native"
LOOPBACK = ("localhost", "127.", "[::1]")


def _fails(command: Sequence[str]) -> str | None:
    """Why a command fails; None when it ends with 0."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return "the program docker is not installed"
    except subprocess.TimeoutExpired:
        return f"no answer within {ANSWER_S:g} s"
    said = (done.stderr or done.stdout).strip().splitlines()
    return (said[-1] if said else f"ended with {done.returncode}") if done.returncode else None


def missing() -> str | None:
    """What of Docker does not answer and why, engine first, then the Compose plugin; None when the containers can be started."""
    for command in (("docker", "info"), ("docker", "compose", "version")):
        why = _fails(command)
        if why is not None:
            return f"`{' '.join(command)}` fails: {why}"
    return None


def require() -> None:
    """Make sure that containers can be started.

    Raises:
        UsageError: they cannot; says what does not answer.
    """
    why = missing()
    if why is not None:
        raise UsageError(f"the containers need a Docker engine: {why}", REMEDY)


def check(settings: Settings) -> None:
    """Refuse settings that cannot hold in containers.

    Raises:
        UsageError: the bind address is not 127.0.0.1, or the brokers' address is this machine's loopback.
        SettingsError: the webhook file cannot be used.
    """
    if settings.bind != "127.0.0.1":
        raise UsageError(
            f"TIDEMARK_BIND={settings.bind!r}: the containers' ports are published on 127.0.0.1 only (published ports pass by firewalls)",
            "unset it, or run natively: make up STACK=native",
        )
    if any(b.strip().startswith(LOOPBACK) for b in settings.bootstrap_servers.split(",")):
        raise UsageError(
            f"TIDEMARK_BOOTSTRAP_SERVERS={settings.bootstrap_servers!r}: inside a container that is the container itself",
            "name the brokers by an address that other machines reach, too, or unset it to start Kafka in a container",
        )
    webhook(settings)


def environment(settings: Settings) -> dict[str, str]:
    """What Compose fills into its file: this process's environment, and every setting that was given, from wherever it came.

    The user id of the webhook file's owner goes along, so that the one container that reads it may.
    """
    values = settings.model_dump(mode="json", include=settings.model_fields_set, exclude_none=True)  # as text that can be read back
    given = {f"TIDEMARK_{name.upper()}": str(value) for name, value in values.items()}
    given["TIDEMARK_PUBLIC_URL"] = settings.public_url.rstrip("/")
    file = settings.slack_webhook_file
    if file is not None and (owner := file.stat().st_uid):
        given.setdefault("TIDEMARK_UID", str(owner))
    return {**os.environ, **given}


def compose_arguments(settings: Settings) -> list[str]:
    """The files that the project consists of, as options of Compose."""
    files = [COMPOSE_FILE, *([OWN_BROKER_FILE] if settings.bootstrap_servers else [])]
    return [argument for file in files for argument in ("--file", str(file))]


def compose(settings: Settings, *arguments: str, capture: bool = False) -> str:
    """Run ``docker compose`` with this installation's files and settings; what it writes is shown, or returned when captured.

    Raises:
        TidemarkError: it failed; it has said why itself.
    """
    command = ["docker", "compose", *compose_arguments(settings), *arguments]
    try:
        done = subprocess.run(command, env=environment(settings), stdout=subprocess.PIPE if capture else None, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError("the containers need a Docker engine: the program docker is not installed", REMEDY) from error
    if done.returncode:
        raise TidemarkError(
            f"`docker compose {' '.join(arguments)}` ended with {done.returncode}", "see what it says above, and `make logs`"
        )
    return done.stdout or ""
