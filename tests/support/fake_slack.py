"""Slack's side of an incoming webhook: checks payloads against Slack's limits, and can refuse or be overloaded."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from monitor.pages.inbox import RefusedPayload, check

WORDS = {200: "ok", 429: "rate_limited", 500: "internal_error"}


class FakeSlack:
    """Answers with ``status``. ``payloads``: what it accepted; ``answers``: every status given; ``refused``: payloads over a limit."""

    def __init__(self) -> None:
        self.status = 200
        self.payloads: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.refused: list[str] = []
        slack = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, word = slack._take(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "1")
                self.end_headers()
                self.wfile.write(word.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/T0/B0/x"
        self._lock = threading.Lock()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _take(self, body: bytes) -> tuple[int, str]:
        with self._lock:
            status = self.status
            try:
                payload = check(body)
            except RefusedPayload as refusal:
                self.refused.append(f"{refusal}: {json.dumps(body.decode())[:500]}")
                return 400, str(refusal)
            self.answers.append(status)
            if status == 200:
                self.payloads.append(payload)
            return status, WORDS[status]

    def titles(self) -> list[str]:
        """Titles of accepted messages, oldest first."""
        with self._lock:
            return [a["title"] for p in self.payloads for a in p["attachments"]]

    def text(self, title: str) -> str:
        """The text of the first accepted message whose title holds these words."""
        with self._lock:
            return str(next(a["text"] for p in self.payloads for a in p["attachments"] if title in a["title"]))

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
