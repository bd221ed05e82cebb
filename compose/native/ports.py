"""Who holds a port that a service of ours needs."""

from __future__ import annotations

import socket

import psutil

from compose.services import Service
from config.errors import UsageError
from config.settings import Settings


def is_free(host: str, port: int) -> bool:
    """True when a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def holder(port: int) -> str:
    """Name and process id of what listens on a TCP port, as far as this user may see it."""
    try:
        pids = [c.pid for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port]
    except psutil.AccessDenied:
        pids = []
    for pid in pids:
        if pid is not None:
            try:
                return f"{psutil.Process(pid).name()} (pid {pid})"
            except psutil.NoSuchProcess:
                continue
    return "a process of another user"


def require_free(wanted: list[Service], settings: Settings) -> None:
    """Check every port of services that are about to start.

    Raises:
        UsageError: naming each taken port, its setting, and the process that holds it.
    """
    pairs = [(s.port_setting, s.port(settings)) for s in wanted if s.port_setting]
    if any(s.name == "kafka" for s in wanted):
        pairs.append(("kafka_controller_port", settings.kafka_controller_port))
    twice = {port for _, port in pairs if [p for _, p in pairs].count(port) > 1}
    lines = [f"port {port} is wanted by TIDEMARK_{name.upper()} and by another setting" for name, port in pairs if port in twice]
    lines += [
        f"port {port} (TIDEMARK_{name.upper()}) is taken by {holder(port)}" for name, port in pairs if not is_free(settings.bind, port)
    ]
    if lines:
        raise UsageError("\n".join(lines), "stop that process, or set the variable named above to a free port")
