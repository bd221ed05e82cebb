"""Runs the page server with uvicorn."""

from __future__ import annotations

import errno
import socket

import uvicorn

from config.errors import ServiceUnavailable
from config.settings import Settings
from monitor.pages.app import create_app


def _listen(bind: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((bind, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        why = "is taken by another process" if error.errno == errno.EADDRINUSE else f"cannot be listened on ({error.strerror or error})"
        raise ServiceUnavailable(
            f"port {port} on {bind} for the pages {why}", "stop that process, or set TIDEMARK_PAGES_PORT (and TIDEMARK_BIND)"
        ) from error
    return listener


def serve_pages(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        ServiceUnavailable: the port is taken; names port and setting.
    """
    with _listen(settings.bind, settings.pages_port) as listener:
        config = uvicorn.Config(
            create_app(settings), log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
        )
        uvicorn.Server(config).run(sockets=[listener])
