"""Serves a registry to Prometheus."""

from __future__ import annotations

import errno
import threading
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from config.errors import ServiceUnavailable


@dataclass(frozen=True, slots=True)
class MetricsServer:
    """A running /metrics server. ``port`` is the one it listens on."""

    server: WSGIServer
    thread: threading.Thread

    @property
    def port(self) -> int:
        return int(self.server.server_port)

    def close(self) -> None:
        """Stop answering and free the port."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def serve(metrics_registry: CollectorRegistry, bind: str, port: int) -> MetricsServer:
    """Serve a registry at ``http://bind:port/metrics`` from a daemon thread; port 0 takes a free one.

    Raises:
        ServiceUnavailable: the address cannot be listened on; names port and setting.
    """
    try:
        return MetricsServer(*start_http_server(port, bind, metrics_registry))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is taken by another process" if taken else f"cannot be listened on ({error.strerror or error})"
        raise ServiceUnavailable(
            f"port {port} on {bind} for the worker's metrics {why}",
            "stop that process, or set TIDEMARK_WORKER_METRICS_PORT to a free port (and TIDEMARK_BIND to an address of this machine)",
        ) from error
