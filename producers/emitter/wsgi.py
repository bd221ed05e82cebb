"""WSGI middleware: Flask, Django, Bottle and the like emit their predictions without a line in the handlers (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .observer import Exchange, Observer, is_json

Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]


class WSGIMiddleware:
    """Copies JSON bodies while the service reads the request and the server sends the answer; it reads nothing by itself.

    A request whose body the service did not read to its end is counted as ``not_json``.
    """

    def __init__(self, app: App, observer: Observer) -> None:
        self._app, self._observer = app, observer

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """One request."""
        headers = ((key[5:].replace("_", "-").lower(), value) for key, value in environ.items() if key.startswith("HTTP_X_TIDEMARK_"))
        exchange = self._observer.exchange(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), headers)
        if exchange is None:
            return self._app(environ, start_response)
        tap = _Answer(exchange, self._observer, start_response)
        tap.parts = self._app({**environ, "wsgi.input": _Input(environ["wsgi.input"], exchange)}, tap.start)
        if tap.started and not tap.wanted:
            return tap.parts  # as the service made it: a server may send a file in a way of its own
        return tap


class _Input:
    """The request's body, copied as it is read."""

    def __init__(self, source: Any, exchange: Exchange) -> None:
        self._source, self._exchange = source, exchange

    def read(self, *size: int) -> bytes:
        return self._kept(self._source.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._kept(self._source.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._kept(line) for line in self._source.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return map(self._kept, self._source)

    def __getattr__(self, name: str) -> Any:  # what a server's own stream has besides
        return getattr(self._source, name)

    def _kept(self, data: bytes) -> bytes:
        self._exchange.add(self._exchange.request, data)
        return data


class _Answer:
    """The answer's parts, copied as the server takes them; handed in when the server closes it."""

    def __init__(self, exchange: Exchange, observer: Observer, start_response: Any) -> None:
        self._exchange, self._observer, self._start_response = exchange, observer, start_response
        self.parts: Iterable[bytes] = ()
        self.started = self.wanted = self._through = False

    def start(self, status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
        """The service's ``start_response``."""
        self.started = True
        kind = next((value for name, value in headers if name.lower() == "content-type"), "")
        self.wanted = status.startswith("2") and is_json(kind)
        write = self._start_response(status, headers, *error)

        def kept(data: bytes) -> None:
            write(data)
            self._keep(data)

        return kept

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            yield part
            self._keep(part)
        self._through = True

    def close(self) -> None:
        """The server is done with this answer."""
        try:
            close = getattr(self.parts, "close", None)
            if close is not None:
                close()
        finally:
            if self.wanted and self._through:
                self._observer.hand_in(self._exchange)

    def _keep(self, part: bytes) -> None:
        if self.wanted:
            self._exchange.add(self._exchange.answer, part)
