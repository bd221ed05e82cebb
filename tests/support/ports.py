"""Free ports for servers that tests start."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Test processes beside one another (pytest-xdist) pick from ports of their own: what one has picked it binds a moment later.
LANE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
LANES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def _first_ephemeral() -> int:
    return int(RANGE_FILE.read_text(encoding="ascii").split()[0]) if RANGE_FILE.is_file() else 32768


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Distinct ports that nothing listens on.

    They lie below the range that the system gives to outgoing connections. A client that keeps trying a stopped server's port inside that
    range can be given this very port as its own, connect to itself, and so keep the server from coming back.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, max(_first_ephemeral(), 21_000))
        if port % LANES == LANE and port not in found and _is_free(port):
            found.append(port)
    return found
