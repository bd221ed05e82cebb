"""ASGI middleware: FastAPI, Starlette, BentoML, MLServer and the like emit their predictions without a line in the handlers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict
from typing import Any

from .observer import Exchange, Observer, is_json

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
_SHUTDOWN_S, _FLUSH_S = 5.0, 30.0


class ASGIMiddleware:
    """Passes every message on as it comes, at once, and keeps a copy of JSON bodies for the observer's thread.

    Args:
        app: the service.
        observer: says which requests are predictions, and reads them.
        flush_path: ``POST`` there waits until all events so far have left and answers the counters (503 when 30 s did not suffice); a
            replay through the service asks it. None: no such path.
        close: close the emitter when the service ends; only where nothing else emits with it.
    """

    def __init__(self, app: App, observer: Observer, flush_path: str | None = None, close: bool = False) -> None:
        self._app, self._observer, self._flush_path, self._close = app, observer, flush_path, close

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request, or the service's life."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == self._flush_path and scope["method"] == "POST":
            await self._flush(send)
            return
        headers = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
        exchange = self._observer.exchange(scope["method"], scope["path"], headers)
        if exchange is None:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, _tapped_receive(receive, exchange), self._tapped_send(send, exchange))

    def _tapped_send(self, send: Send, exchange: Exchange) -> Send:
        wanted = False

        async def tapped(message: Message) -> None:
            nonlocal wanted
            await send(message)  # the caller comes first
            if message["type"] == "http.response.start":
                kinds = [value.decode("latin-1") for name, value in message.get("headers", ()) if name.lower() == b"content-type"]
                wanted = 200 <= message["status"] < 300 and is_json(kinds[-1] if kinds else "")
            elif message["type"] == "http.response.body" and wanted:
                exchange.add(exchange.answer, message.get("body", b""))
                if not message.get("more_body", False):
                    wanted = False
                    self._observer.hand_in(exchange)

        return tapped

    async def _live(self, scope: Message, receive: Receive, send: Send) -> None:
        """Start with the service, so that what an earlier process left in the spill is sent; deliver before the service ends."""

        async def around(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._observer.emitter.start()
            elif message["type"] == "lifespan.shutdown.complete":
                await asyncio.to_thread(self._end)
            await send(message)

        await self._app(scope, receive, around)

    def _end(self) -> None:
        self._observer.flush(_SHUTDOWN_S)
        if self._close:
            self._observer.emitter.close(_SHUTDOWN_S)

    async def _flush(self, send: Send) -> None:
        through = await asyncio.to_thread(self._observer.flush, _FLUSH_S)
        body = json.dumps({**asdict(self._observer.emitter.counters()), "requests": self._observer.counts}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if through else 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _tapped_receive(receive: Receive, exchange: Exchange) -> Receive:
    async def tapped() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            exchange.add(exchange.request, message.get("body", b""))
        return message

    return tapped
