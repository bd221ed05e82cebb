"""CPU and memory of the service on BentoML's ``/metrics``: Prometheus' client leaves its own ``process_*`` out in multiprocess mode."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import psutil

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class ProcessMetrics:
    """ASGI middleware that sets ``process_cpu_seconds_total`` and ``process_resident_memory_bytes`` before each scrape is answered.

    They are those of the worker that answers; the service has one.
    """

    def __init__(self, app: App) -> None:
        from prometheus_client import Counter, Gauge  # noqa: PLC0415 - late: BentoML has set the multiprocess mode by now

        self._app = app
        self._process = psutil.Process()
        self._counted_s = 0.0
        # Without a registry: in multiprocess mode values go through files, and the default one holds these names, unused.
        self._cpu = Counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", registry=None)
        memory = "Resident memory size in bytes."
        self._memory = Gauge("process_resident_memory_bytes", memory, registry=None, multiprocess_mode="livesum")

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
        """Pass the request on; a scrape finds new values."""
        if scope["type"] == "http" and scope["path"] == "/metrics":
            self._refresh()
        await self._app(scope, receive, send)

    def _refresh(self) -> None:
        now_s = time.process_time()
        self._cpu.inc(now_s - self._counted_s)
        self._counted_s = now_s
        self._memory.set(self._process.memory_info().rss)
