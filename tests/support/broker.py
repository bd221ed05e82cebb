"""A real Kafka broker for tests: its own ports, data folder and process; the jars are shared by all of them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from pathlib import Path

from compose.native import kafka
from config.errors import ServiceUnavailable
from config.settings import ROOT, Settings
from tests.support.ports import free_ports

PR_SET_PDEATHSIG = 1
SHARED_LIBS = ROOT / "var" / "kafka" / "libs"


def _die_with_parent() -> None:
    """In the child, before Java: the kernel kills it when the test process ends, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Broker:
    """One broker under ``home``. Start it from the main thread: the kernel ends it together with the thread that started it.

    Attributes:
        settings: settings of an installation whose home and Kafka ports are this broker's.
    """

    def __init__(self, home: Path) -> None:
        port, controller = free_ports(2)
        self.settings = Settings(home=home, kafka_port=port, kafka_controller_port=controller, bootstrap_servers="")
        self.log = home / "kafka.log"
        self._process: subprocess.Popen[bytes] | None = None
        link = kafka.libs(self.settings)
        link.parent.mkdir(parents=True, exist_ok=True)
        SHARED_LIBS.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(SHARED_LIBS)

    @property
    def bootstrap_servers(self) -> str:
        """``host:port`` for clients."""
        return self.settings.brokers

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> Broker:
        """Start on the same ports and data as before, and wait until it answers."""
        kafka.prepare(self.settings)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                kafka.command(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent if os.name == "posix" else None,  # noqa: PLW1509 - no threads of ours hold locks here
            )
        try:
            kafka.wait_ready(self.bootstrap_servers, alive=lambda: self.pid is not None)
        except ServiceUnavailable as error:
            self.kill()
            raise AssertionError(f"{error}\n{self.log.read_text(errors='replace')[-4000:]}") from error
        return self

    def stop(self, timeout_s: float = 30.0) -> None:
        """End it cleanly (SIGTERM); killed when that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
