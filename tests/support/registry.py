"""A real Apicurio registry for tests: its own port, data and process; the jars are shared by all of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import requests

from compose.native import registry
from config.settings import ROOT, Settings
from tests.support.broker import _die_with_parent
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

SHARED_LIBS = ROOT / "var" / "registry" / "libs"


class Registry:
    """One registry under ``home``. ``url`` is what ``TIDEMARK_SCHEMA_REGISTRY_URL`` wants."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, schema_registry_port=free_ports(1)[0])
        self.address = f"http://127.0.0.1:{self.settings.schema_registry_port}"
        self.url = self.address + registry.API
        self.log = home / "registry.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Registry:
        """Start on the same port and data as before, and wait until it answers."""
        call = registry.command(self.settings, registry.fetch(SHARED_LIBS))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                call,
                env={**os.environ, **registry.environment(self.settings)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent if os.name == "posix" else None,  # noqa: PLW1509 - no threads of ours hold locks here
            )
        wait_for(self._answers, "the registry's first answer", 90)
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(errors="replace")[-4000:]
        try:
            return requests.get(self.address + registry.READY_PATH, timeout=2).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        """End it cleanly; a registry that does not run is left alone."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
