"""Reads the predictions out of requests and their answers, in a thread of its own: the service only hands over bytes that it has anyway."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from .bodies import Prediction, Unreadable, read_json
from .emitter import Emitter
from .logs import RateLimitedLog
from .marks import NAMES, marks
from .metrics import request_counter

READ, NOT_JSON, UNREADABLE, TOO_LARGE, BUSY = "read", "not_json", "unreadable", "too_large", "busy"
Read = Callable[[Any, Any], Iterable[Prediction]]
_MOST_WAITING_BYTES = 64 << 20


@dataclass(eq=False, slots=True)
class Exchange:
    """The bodies of one request and its answer, as far as they fit into ``limit`` bytes each."""

    limit: int
    headers: dict[str, str] = field(default_factory=dict)
    request: bytearray = field(default_factory=bytearray)
    answer: bytearray = field(default_factory=bytearray)
    outcome: str = READ

    def add(self, body: bytearray, chunk: bytes) -> None:
        """Keep a piece of a body; nothing once one is too large."""
        if self.outcome != READ:
            return
        if len(body) + len(chunk) > self.limit:
            self.outcome = TOO_LARGE
            self.request, self.answer = bytearray(), bytearray()
        else:
            body += chunk


class Observer:
    """What the middlewares share. ``counts`` says what became of the exchanges; rows that were read are in the emitter's counters.

    Args:
        emitter: emits what is read.
        paths: request paths that are predictions; None: every POST with JSON in and out.
        read: ``(request, answer) -> predictions``, both parsed JSON; None reads the usual shapes (see ``bodies``).
        max_body_bytes: larger bodies are let pass and not read.
        trust_headers: callers may give run, event times, ids and targets in ``X-Tidemark-`` headers, as replays do.
    """

    def __init__(
        self,
        emitter: Emitter,
        *,
        paths: Collection[str] | None = None,
        read: Read | None = None,
        max_body_bytes: int = 1_000_000,
        trust_headers: bool = False,
    ) -> None:
        self.emitter = emitter
        self._paths = None if paths is None else frozenset([paths] if isinstance(paths, str) else paths)
        self._read = read or (lambda request, answer: read_json(request, answer, emitter.columns))
        self._limit, self._trust = max_body_bytes, trust_headers
        self._log = RateLimitedLog()
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[Exchange] = deque()
        self._waiting_bytes = self._open = 0
        self._counts: Counter[str] = Counter()
        self._thread: threading.Thread | None = None
        self._metric: Any = None

    def exchange(self, method: str, path: str, headers: Iterable[tuple[str, str]] = ()) -> Exchange | None:
        """What is to be filled with the bodies, or None for a request that is no prediction."""
        if method != "POST" or (self._paths is not None and path not in self._paths):
            return None
        kept = {name: value for name, value in headers if name in NAMES} if self._trust else {}
        return Exchange(self._limit, kept)

    def hand_in(self, exchange: Exchange) -> None:
        """Take an answered exchange. Never blocks, never raises: what does not fit into 64 MiB of waiting bodies is counted as busy."""
        if os.getpid() != self._pid:  # forked since: the thread is the parent's
            self._fresh()
        size = len(exchange.request) + len(exchange.answer)
        with self._lock:
            if self._waiting_bytes + size > _MOST_WAITING_BYTES:
                self._counts[BUSY] += 1
                return
            if self._thread is None and not self._start():
                self._counts[BUSY] += 1
                return
            self._waiting_bytes += size
            self._open += 1
            self._waiting.append(exchange)
            self._changed.notify_all()

    def _start(self) -> bool:
        thread = threading.Thread(target=self._run, name="tidemark-observer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started: the process is ending, or at its limit
            return False
        self._thread = thread
        return True

    @property
    def counts(self) -> dict[str, int]:
        """Exchanges by outcome: ``read``, ``not_json``, ``unreadable``, ``too_large``, ``busy``."""
        with self._lock:
            return {outcome: self._counts[outcome] for outcome in (READ, NOT_JSON, UNREADABLE, TOO_LARGE, BUSY)}

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all exchanges so far are read and their events delivered or dropped; False when ``timeout_s`` ran out."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            through = self._changed.wait_for(lambda: self._open == 0, timeout_s)
        return through and self.emitter.flush(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while True:
            with self._lock:
                self._changed.wait_for(lambda: bool(self._waiting))
                exchange = self._waiting.popleft()
                self._waiting_bytes -= len(exchange.request) + len(exchange.answer)
            outcome = self._outcome(exchange)
            with self._lock:
                self._counts[outcome] += 1
                self._open -= 1
                self._changed.notify_all()
            if self._metric is None:
                self._metric = request_counter(self.emitter.model, self.emitter.registry)
            self._metric(outcome)

    def _outcome(self, exchange: Exchange) -> str:
        if exchange.outcome != READ:
            return exchange.outcome
        try:
            request, answer = json.loads(exchange.request), json.loads(exchange.answer)
        except (ValueError, RecursionError):
            return NOT_JSON
        try:
            predictions = list(self._read(request, answer))
            given = list(marks(exchange.headers, len(predictions)))
            for one, more in zip(predictions, given, strict=True):
                self.emitter.emit(one.features, one.prediction, probabilities=one.probabilities, **more)
        except Exception as error:  # noqa: BLE001 - the user's function, and any body that a caller may send
            text = str(error) if isinstance(error, Unreadable) else type(error).__name__
            self._log.warn(UNREADABLE, f"no predictions read from a request and its answer: {text}")
            return UNREADABLE
        return READ


def is_json(content_type: str) -> bool:
    """True for ``application/json`` and its kin."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")
