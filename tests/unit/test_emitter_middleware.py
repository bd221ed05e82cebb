"""The middlewares beside a service: it gets and sends the very same messages, and what it predicted is emitted."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from producers.emitter import ASGIMiddleware, Emitter, Observer, WSGIMiddleware
from tests.support.waiting import wait_for
from tests.unit.test_emitter_dead_broker import emitter

JSON = [(b"content-type", b"application/json")]
BODY = json.dumps({"rows": [{"a double": 1.5}, {"a double": 2.5}]}).encode()
ANSWER = b"[1.0, 2.0]"


@pytest.fixture
def made() -> Iterator[Emitter]:
    """An emitter without a broker: what is read is pending there."""
    one = emitter()
    yield one
    one.close(0)


def outcomes(observer: Observer, count: int = 1) -> dict[str, int]:
    """What became of the exchanges, once they are through."""
    return wait_for(lambda: c if sum((c := observer.counts).values()) == count else None, "the exchanges are read", 10) or {}


def asgi(
    middleware: ASGIMiddleware, pieces: list[bytes], path: str = "/predict", headers: Iterable[tuple[bytes, bytes]] = JSON
) -> list[dict[str, Any]]:
    """Play one request; the messages that the server got."""
    sent: list[Any] = []
    left = [{"type": "http.request", "body": p, "more_body": i < len(pieces) - 1} for i, p in enumerate(pieces)]

    async def receive() -> Any:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers)}
    asyncio.run(middleware(scope, receive, send))
    return sent


def answering(parts: list[bytes], status: int = 200, kind: bytes = b"application/json", read: bool = True) -> Any:
    """A service that reads the body and answers in these parts."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = read
        while more:
            more = (await receive()).get("more_body", False)
        await send({"type": "http.response.start", "status": status, "headers": [(b"Content-Type", kind)]})
        for i, part in enumerate(parts):
            await send({"type": "http.response.body", "body": part, "more_body": i < len(parts) - 1})

    return app


def test_asgi_bodies_in_pieces_are_read_and_pass_unchanged(made: Emitter) -> None:
    """A request and an answer in several pieces: the server gets exactly what the service sent, and each row is an event."""
    observer = Observer(made)
    app = answering([ANSWER[:4], ANSWER[4:]])
    with_it = asgi(ASGIMiddleware(app, observer), [BODY[:7], BODY[7:]])
    assert with_it == asgi(app, [BODY[:7], BODY[7:]])
    assert outcomes(observer)["read"] == 1
    assert made.counters().emitted == 2


@pytest.mark.parametrize(
    ("app", "pieces", "outcome"),
    [
        (answering([ANSWER]), [BODY[:-3]], "not_json"),
        (answering([ANSWER], read=False), [BODY], "not_json"),
        (answering([b"[1.0]"]), [BODY], "unreadable"),
        (answering([b"[1.0," + b" " * 5000 + b"2.0]"]), [BODY], "too_large"),
        (answering([ANSWER]), [BODY, b" " * 5000], "too_large"),
        (answering([b"[" * 4000]), [BODY], "not_json"),
    ],
)
def test_what_cannot_be_read_is_counted_and_passes(made: Emitter, app: Any, pieces: list[bytes], outcome: str) -> None:
    """Broken, unread, oversized or senseless bodies change nothing for the service and are counted by their reason."""
    observer = Observer(made, max_body_bytes=4500)
    assert asgi(ASGIMiddleware(app, observer), pieces) == asgi(app, pieces)
    assert {k: v for k, v in outcomes(observer).items() if v} == {outcome: 1}
    assert made.counters().emitted == 0


def test_no_prediction_is_no_exchange(made: Emitter) -> None:
    """Errors, other media types, other paths and other scopes are passed on and not looked at."""
    observer = Observer(made, paths=["/predict"])
    for app, path in [
        (answering([ANSWER], status=500), "/predict"),
        (answering([b"data: 1"], kind=b"text/event-stream"), "/predict"),
        (answering([ANSWER]), "/other"),
    ]:
        assert asgi(ASGIMiddleware(app, observer), [BODY], path) == asgi(app, [BODY], path)
    assert observer.flush(1)
    assert sum(observer.counts.values()) == 0


def test_a_streamed_answer_is_not_held_back(made: Emitter) -> None:
    """Each part of an answer is with the server before the service makes the next one."""
    observer = Observer(made)
    seen: list[int] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": JSON})
        for i in range(3):
            await send({"type": "http.response.body", "body": b"%d" % i, "more_body": i < 2})
            seen.append(len(sent))

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(ASGIMiddleware(app, observer)({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send))
    assert seen == [2, 3, 4]


def test_an_error_of_the_service_stays_its_own(made: Emitter) -> None:
    """What the service raises, the server gets; nothing is emitted."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    observer = Observer(made)
    with pytest.raises(ZeroDivisionError):
        asgi(ASGIMiddleware(app, observer), [BODY])
    assert sum(observer.counts.values()) == 0


def test_headers_are_taken_only_when_trusted(made: Emitter) -> None:
    """A caller cannot name ids, times or runs unless the service says so; then a wrong header makes the exchange unreadable."""
    headers = [*JSON, (b"X-Tidemark-Event-Ids", b"only-one")]
    for trust, outcome in [(False, "read"), (True, "unreadable")]:
        observer = Observer(made, trust_headers=trust)
        asgi(ASGIMiddleware(answering([ANSWER]), observer), [BODY], headers=headers)
        assert outcomes(observer)[outcome] == 1


def test_the_users_own_reader_may_fail(made: Emitter) -> None:
    """A reading function that raises is counted, and the next exchange is read."""
    bad = Observer(made, read=lambda request, answer: request["no such name"])
    asgi(ASGIMiddleware(answering([ANSWER]), bad), [BODY])
    asgi(ASGIMiddleware(answering([ANSWER]), bad), [BODY])
    assert outcomes(bad, 2)["unreadable"] == 2


def test_requests_are_counted_in_prometheus() -> None:
    """What became of the requests stands in Prometheus beside the emitter's own counters."""
    registry = CollectorRegistry()
    with emitter(metrics=True, registry=registry) as made:
        observer = Observer(made)
        asgi(ASGIMiddleware(answering([ANSWER]), observer), [BODY])
        asgi(ASGIMiddleware(answering([b"[1.0]"]), observer), [BODY])
        assert outcomes(observer, 2)["read"] == 1

        def counted(outcome: str) -> float | None:
            return registry.get_sample_value("tidemark_emitter_requests_total", {"model": "m", "outcome": outcome})

        wait_for(lambda: (counted("read"), counted("unreadable")) == (1, 1), "both are counted", 10)
        made.close(0)


def test_a_burst_is_bounded(made: Emitter) -> None:
    """While the reading thread is held up, more than 64 MiB of bodies are not kept: they are counted as busy, and nobody waits."""
    gate = threading.Event()

    def held(request: Any, answer: Any) -> list[Any]:
        gate.wait(20)
        return []

    observer = Observer(made, read=held, max_body_bytes=30 << 20)
    middleware = ASGIMiddleware(answering([ANSWER]), observer)
    big = b'"' + b"x" * (20 << 20) + b'"'
    for _ in range(6):
        asgi(middleware, [big])
    assert observer.counts["busy"] in (2, 3)  # the first may be in the thread's hands by now, no longer waiting
    gate.set()
    assert outcomes(observer, 6)["read"] >= 3


def wsgi(app: Any, body: bytes = BODY, **environ: Any) -> tuple[str, bytes]:
    """Play one request as a server does; the status and the answer."""
    given = {"REQUEST_METHOD": "POST", "PATH_INFO": "/predict", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    started: list[str] = []
    written: list[bytes] = []

    def start(status: str, headers: Any, error: Any = None) -> Any:
        started.append(status)
        return written.append

    parts = app({**given, **environ}, start)
    try:
        answer = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return started[-1], b"".join(written) + answer


def flat(way: str, kind: str = "application/json") -> Any:
    """A WSGI service that reads its body in one of the ways of PEP 3333."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        source = environ["wsgi.input"]
        body = {
            "read": lambda: source.read(int(environ["CONTENT_LENGTH"])),
            "lines": lambda: b"".join(source),
            "readline": lambda: b"".join(iter(source.readline, b"")),
            "readlines": lambda: b"".join(source.readlines()),
            "generator": source.read,
            "write": source.read,
        }[way]()
        assert body == BODY
        write = start_response("200 OK", [("Content-Type", kind)])
        if way == "write":
            write(ANSWER[:3])
            return [ANSWER[3:]]
        return [ANSWER[:3], ANSWER[3:]]

    def lazy(environ: Any, start_response: Any) -> Iterable[bytes]:
        yield from app(environ, start_response)

    return lazy if way == "generator" else app


@pytest.mark.parametrize("way", ["read", "lines", "readline", "readlines", "generator", "write"])
def test_wsgi_passes_on_and_reads(made: Emitter, way: str) -> None:
    """However a service reads its body and gives its answer, both are the same with the middleware, and its rows are events."""
    observer = Observer(made)
    assert wsgi(WSGIMiddleware(flat(way), observer)) == wsgi(flat(way)) == ("200 OK", ANSWER)
    assert outcomes(observer)["read"] == 1
    assert made.counters().emitted == 2


def test_wsgi_gives_other_answers_back_as_they_are(made: Emitter) -> None:
    """An answer that is not JSON is the very object that the service made, so a server may send a file in its own way; it is closed."""
    closed: list[bool] = []

    class File(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    answer = File([b"x"])

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "image/png")])
        return answer

    observer = Observer(made)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "wsgi.input": io.BytesIO(b"")}
    assert WSGIMiddleware(app, observer)(environ, lambda *_: None) is answer
    assert wsgi(WSGIMiddleware(app, observer)) == ("200 OK", b"x")
    assert closed == [True]
    assert sum(observer.counts.values()) == 0


def test_wsgi_a_broken_off_answer_is_no_prediction(made: Emitter) -> None:
    """When the caller goes away in the middle, the answer is closed and nothing is emitted."""
    observer = Observer(made)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "CONTENT_LENGTH": str(len(BODY)), "wsgi.input": io.BytesIO(BODY)}
    parts: Any = WSGIMiddleware(flat("read"), observer)(environ, lambda *_: None)
    next(iter(parts))
    parts.close()
    assert observer.flush(1)
    assert sum(observer.counts.values()) == 0
