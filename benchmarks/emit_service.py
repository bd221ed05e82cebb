"""What a caller of a BentoML service notices of the emitter: part of ``python -m benchmarks.emit``.

Three servers run side by side: the bare service, the same with the one call, and the bare one under ``tidemark wrap``. One caller asks them
in turns, request by request, so all three have the same machine at the same time. ``same answer``: every answer is the bare service's, and
each topic holds an event for every request.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from config.settings import ROOT, Settings
from examples.flights.prepare import prepare
from tests.conftest import create_topic
from tests.support.broker import Broker
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

BLOCKS = 5
ROW = {"dep_delay": 12.0, "sched_hour": 9.0, "distance": 1400.0, "carrier": "UA", "origin": "EWR", "dest": "IAH", "weekday": "Tue"}
SIDES = {
    "bare": ["bentoml", "serve", "examples.services.bento:Delay"],
    "call": ["bentoml", "serve", "benchmarks.served:Called"],
    "wrap": ["tidemark", "wrap", "examples.services.bento:Delay", "--model", "flights", "--path", "/predict"],
}
Count = Callable[[str, str], list[bytes]]


class Server:
    """One of them, and a connection to it that stays open."""

    def __init__(self, side: str, broker: Broker, home: Path) -> None:
        self.topic, self.port = create_topic(broker.bootstrap_servers), free_ports(1)[0]
        names = {"TIDEMARK_HOME": home, "TIDEMARK_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "TIDEMARK_PREDICTIONS_TOPIC": self.topic}
        names |= {"BENTOML_HOME": home / "bentoml", "BENTOML_DO_NOT_TRACK": "True"}
        command = [sys.executable, "-m", *SIDES[side], "--host", "127.0.0.1", "--port", str(self.port)]
        self.log = home / f"{side}.log"
        environment = {**os.environ, **{k: str(v) for k, v in names.items()}}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ready(self) -> bool:
        """Whether it answers by now."""
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return bool(self.ask(b'{"rows": []}')[1] == b"[]")
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return False

    def ask(self, body: bytes) -> tuple[float, bytes]:
        """One request: ms until its answer is read, and the answer."""
        began = time.perf_counter()
        self._connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse().read()
        return (time.perf_counter() - began) * 1000, answer

    def reconnect(self) -> None:
        """A fresh connection: a server closes one that was idle for seconds."""
        self._connection.close()
        self._connection.connect()

    def stop(self) -> None:
        """As a supervisor ends it."""
        self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)


def measure(broker: Broker, home: Path, requests: int, read: Count) -> tuple[dict[str, list[list[float]]], dict[str, bool]]:
    """ms of each request by side, in blocks of equal size, and whether the side's answers and events are right."""
    prepare(Settings(home=home))
    servers = {side: Server(side, broker, home) for side in SIDES}
    try:
        for side, server in servers.items():
            wait_for(server.ready, f"{side} answers", 120)
        turns(servers, requests // 10)
        blocks = [turns(servers, requests // BLOCKS) for _ in range(BLOCKS)]
    finally:
        for server in servers.values():
            server.stop()
    asked = requests // 10 + requests // BLOCKS * BLOCKS
    same = {s: all(b[1][s] for b in blocks) and len(read(broker.bootstrap_servers, servers[s].topic)) == asked for s in ("call", "wrap")}
    return {side: [b[0][side] for b in blocks] for side in SIDES}, same


def turns(servers: dict[str, Server], requests: int) -> tuple[dict[str, list[float]], dict[str, bool]]:
    """Ask all of them in turns, each one first as often as the others; ms by side, and whose answers are the bare one's."""
    for server in servers.values():
        server.reconnect()
    took: dict[str, list[float]] = {side: [] for side in servers}
    same = dict.fromkeys(servers, True)
    sides = list(servers)
    for i in range(requests):
        body = json.dumps({"rows": [{**ROW, "dep_delay": float(i)}]}).encode()
        answers = {}
        for side in sides[i % len(sides) :] + sides[: i % len(sides)]:
            ms, answers[side] = servers[side].ask(body)
            took[side].append(ms)
        for side, answer in answers.items():
            same[side] = same[side] and answer == answers["bare"]
    return took, same


def cuts(blocks: list[list[float]], share: float) -> list[float]:
    """A quantile of each block."""
    return [statistics.quantiles(block, n=1000)[round(share * 1000) - 1] for block in blocks]


def lines(broker: Broker, home: Path, requests: int, read: Count, cheaper: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """The pairs: each way of emitting beside the bare service. ``with_over_without`` is the bound's own ratio."""
    took, same = measure(broker, home, requests, read)
    out = []
    for side, name in (("call", "one call in the service"), ("wrap", "tidemark wrap")):
        for share, word in ((0.5, "p50"), (0.99, "p99")):
            ours, other = cuts(took[side], share), cuts(took["bare"], share)
            line = cheaper(f"{word} of a BentoML request, {name}, beside none", ours, other, "ms", same[side])
            out.append({**line, "with_over_without": round(statistics.median(ours) / statistics.median(other), 3)})
    return out
