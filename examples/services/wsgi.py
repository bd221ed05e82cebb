"""A WSGI service: ``python -m examples.services.wsgi --port 8000``. The one line is the middleware.

Flask takes it as ``app.wsgi_app = WSGIMiddleware(app.wsgi_app, observer)``, Django around ``get_wsgi_application()``.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import make_server

import click

from config.settings import load_settings
from examples.services.delays import Delays, open_emitter
from producers.emitter import Observer, WSGIMiddleware

settings = load_settings()
delays = Delays(settings)


def service(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """``POST /predict`` with ``[{…}, …]``, a row each; answers their delays."""
    if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != ("POST", "/predict"):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"POST /predict\n"]
    rows = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    body = json.dumps(delays.predict(rows)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


observer = Observer(open_emitter(settings, delays.version))
app = WSGIMiddleware(service, observer)


@click.command()
@click.option("--port", default=8000, show_default=True)
def main(port: int) -> None:
    """Serve on loopback until Ctrl-C or SIGTERM."""
    with make_server("127.0.0.1", port, app) as server:
        # An exception in a signal handler would not do: wsgiref takes one that comes while it answers for the request's.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        try:
            server.serve_forever()
        finally:
            observer.flush(5)


if __name__ == "__main__":
    main()
