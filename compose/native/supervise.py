"""supervisord: its configuration from the table of services, starting it, talking to it, and ending everything it started."""

from __future__ import annotations

import hashlib
import os
import shlex
import tempfile
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport  # type: ignore[import-untyped]

from compose.native import debian
from compose.services import Service, program
from config.errors import TidemarkError
from config.settings import Settings

MARK = "TIDEMARK_STACK"  # in the environment of all that supervisord starts: so `down` finds what outlived a killed supervisord
LONGEST_SOCKET_PATH = 100  # the system's limit is 107 bytes, and supervisord adds a suffix while it binds
STOP_WAIT_S = 30


@dataclass(frozen=True, slots=True)
class State:
    """What supervisord says of one program; ``since`` is the start as seconds since the epoch, 0 when it does not run."""

    name: str
    state: str
    pid: int
    since: float
    detail: str


def run_dir(settings: Settings) -> Path:
    """Where the generated configuration and the logs are."""
    return settings.under_home("run")


def log_file(settings: Settings, name: str) -> Path:
    """The log of one service (standard output and error together)."""
    return run_dir(settings) / "logs" / f"{name}.log"


def socket_path(settings: Settings) -> Path:
    """supervisord's socket: below home, or in the folder for temporary files when that path is too long for a socket."""
    path = run_dir(settings) / "supervisor.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    return Path(tempfile.gettempdir()) / f"tidemark-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.sock"


def _escaped(text: object) -> str:
    return str(text).replace("%", "%%")


def _environment(values: dict[str, str]) -> str:
    quoted = (f'{k}="{v}"' for k, v in values.items())
    return _escaped(",".join(quoted))


def _section(service: Service, settings: Settings) -> str:
    lines = [
        f"[program:{service.name}]",
        f"command={_escaped(shlex.join(service.command))}",
        f"directory={_escaped(service.directory)}",
        f"stdout_logfile={_escaped(log_file(settings, service.name))}",
        f"autorestart={'false' if service.one_shot else 'true'}",
        f"startsecs={0 if service.one_shot else 1}",
    ]
    if service.environment:
        lines.append(f"environment={_environment(service.environment)}")
    common = "autostart=false redirect_stderr=true stopasgroup=true killasgroup=true startretries=5 stdout_logfile_maxbytes=20MB"
    return "\n".join([*lines, f"stopwaitsecs={STOP_WAIT_S}", *common.split()])


def render(table: list[Service], settings: Settings) -> str:
    """The text of supervisord.conf. Nothing starts by itself: `up` starts each service when those it needs are ready."""
    run = run_dir(settings)
    socket = _escaped(socket_path(settings))
    head = f"""\
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
logfile={_escaped(run / "logs" / "supervisord.log")}
pidfile={_escaped(run / "supervisord.pid")}
childlogdir={_escaped(run / "logs")}
environment={_environment({MARK: str(settings.home)})}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}
"""
    return "\n\n".join([head, *(_section(s, settings) for s in table)]) + "\n"


def config_file(settings: Settings) -> Path:
    """The generated supervisord.conf."""
    return run_dir(settings) / "supervisord.conf"


class Supervisor:
    """A running (or not running) supervisord of this installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def _rpc(self) -> Any:
        """A client for one call: a connection that once failed stays broken."""
        transport = SupervisorTransport(None, None, f"unix://{socket_path(self._settings)}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def running(self) -> bool:
        """True when it answers."""
        try:
            return cast(str, self._rpc.getState()["statename"]) == "RUNNING"
        except (OSError, xmlrpc.client.Error):
            return False

    def launch(self, text: str) -> None:
        """Write the configuration and start it as a daemon; returns when it answers.

        Raises:
            TidemarkError: it does not start.
        """
        config = config_file(self._settings)
        (config.parent / "logs").mkdir(parents=True, exist_ok=True)
        config.write_text(text, encoding="utf-8")
        remedy = f"see {config.parent / 'logs' / 'supervisord.log'}"
        debian.run([program("supervisord"), "-c", str(config)], "starting supervisord", remedy)
        deadline = time.monotonic() + 20
        while not self.running():
            if time.monotonic() > deadline:
                raise TidemarkError("supervisord does not answer within 20 s", remedy)
            time.sleep(0.05)

    def states(self) -> dict[str, State]:
        """Every program's state by name."""
        rows: list[dict[str, Any]] = self._rpc.getAllProcessInfo()
        return {
            r["name"]: State(r["name"], r["statename"], r["pid"], r["start"] if r["pid"] else 0, r["spawnerr"] or r["description"])
            for r in rows
        }

    def start(self, name: str) -> None:
        """Start one program; nothing happens when it runs already.

        Raises:
            TidemarkError: its program cannot be executed.
        """
        try:
            self._rpc.startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise TidemarkError(f"{name} cannot be started: {fault.faultString}", f"see `tidemark logs {name}`") from fault

    def shutdown(self) -> None:
        """Stop every program and supervisord itself, and wait until nothing of it is left."""
        if self.running():
            pid = int(self._rpc.getPID())
            self._rpc.shutdown()
            try:
                psutil.Process(pid).wait(STOP_WAIT_S * 2)
            except psutil.NoSuchProcess:
                pass
            except psutil.TimeoutExpired:
                psutil.Process(pid).kill()


def leftovers(settings: Settings) -> list[psutil.Process]:
    """Processes that this installation's supervisord started and that still run, whoever their parent is now."""
    mine = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in mine and process.environ().get(MARK) == str(settings.home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found


def sweep(settings: Settings) -> int:
    """End what is left over (SIGTERM, then SIGKILL) and return how many that were.

    Raises:
        TidemarkError: a process survives.
    """
    found = leftovers(settings)
    for process in found:
        if process.is_running():
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=STOP_WAIT_S)
    for process in alive:
        process.kill()
    _, alive = psutil.wait_procs(alive, timeout=10)
    if alive:
        raise TidemarkError(f"process {alive[0].pid} does not end", f"kill -9 {alive[0].pid}")
    for path in (run_dir(settings) / "supervisord.pid", socket_path(settings)):
        path.unlink(missing_ok=True)
    return len(found)
