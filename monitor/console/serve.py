"""Starting the console: Streamlit's server with this installation's address, without anything that goes out."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

from config.errors import ServiceUnavailable
from config.settings import Settings

PAGE = Path(__file__).parent / "page.py"


def prometheus_address(settings: Settings) -> str:
    """Where the console asks: ``prometheus_url``, or the Prometheus of this installation."""
    host = "127.0.0.1" if settings.bind in {"0.0.0.0", "::"} else settings.bind
    return settings.prometheus_url.rstrip("/") or f"http://{host}:{settings.prometheus_port}"


def options(settings: Settings) -> dict[str, Any]:
    """Streamlit's options: our address, no usage statistics, no questions, nothing of the machine shown to a reader."""
    return {
        "server.address": settings.bind,
        "server.port": settings.console_port,
        "server.headless": True,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "browser.serverAddress": "127.0.0.1",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "type",
        "global.developmentMode": False,
        "theme.base": "light",
    }


def _require_free(settings: Settings) -> None:
    with socket.socket(socket.AF_INET6 if ":" in settings.bind else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, settings.console_port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is taken by another process" if taken else f"cannot be listened on ({error.strerror or error})"
            raise ServiceUnavailable(
                f"port {settings.console_port} on {settings.bind} for the console {why}",
                "stop that process, or set TIDEMARK_CONSOLE_PORT to a free port (and TIDEMARK_BIND to an address of this machine)",
            ) from error


def serve_console(settings: Settings) -> None:
    """Serve the pages until a signal ends the process.

    Raises:
        ServiceUnavailable: the address cannot be listened on; names port and setting.
    """
    _require_free(settings)
    from streamlit.web import bootstrap  # noqa: PLC0415 - half a second

    flags = {name.replace(".", "_"): value for name, value in options(settings).items()}
    bootstrap.load_config_options(flags)
    bootstrap.run(str(PAGE), False, [], flags)
