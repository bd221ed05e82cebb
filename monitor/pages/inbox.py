"""Slack's side of an incoming webhook: payloads are checked as Slack checks them and kept as JSON lines."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.reports.paths import write_atomically

MAX_BODY_BYTES = 1_000_000
MAX_TEXT = 40_000  # Slack's documented limits: characters of a message's text,
MAX_ATTACHMENTS = 100  # attachments of a message,
MAX_BLOCKS = 50  # blocks of a message


class RefusedPayload(Exception):
    """A payload that Slack would refuse; the text is Slack's word for it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message and when it arrived (aware, UTC)."""

    received_at: datetime
    payload: Mapping[str, Any]


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, dict) for v in value)


def check(body: bytes) -> dict[str, Any]:
    """The payload of a webhook request.

    Raises:
        RefusedPayload: ``invalid_payload``, ``no_text``, ``msg_too_long``, ``too_many_attachments`` or ``invalid_blocks``, as Slack says.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedPayload("invalid_payload") from error
    if not isinstance(payload, dict):
        raise RefusedPayload("invalid_payload")
    text, attachments, blocks = payload.get("text") or "", payload.get("attachments") or [], payload.get("blocks") or []
    if not isinstance(text, str) or not _is_list_of_objects(attachments) or not _is_list_of_objects(blocks):
        raise RefusedPayload("invalid_payload")
    if len(attachments) > MAX_ATTACHMENTS:
        raise RefusedPayload("too_many_attachments")
    if len(blocks) > MAX_BLOCKS:
        raise RefusedPayload("invalid_blocks")
    texts = [text, *(str(a.get(k) or "") for a in attachments for k in ("pretext", "title", "text", "fallback"))]
    if max(map(len, texts)) > MAX_TEXT:
        raise RefusedPayload("msg_too_long")
    if not any(texts) and not blocks and not any(a.get("fields") for a in attachments):
        raise RefusedPayload("no_text")
    return payload


class Inbox:
    """Messages in a file of JSON lines; the latest ``keep`` are kept. Safe for threads of one process."""

    def __init__(self, path: Path, keep: int = 500) -> None:
        self._path = path
        self._keep = keep
        self._lock = threading.Lock()

    def add(self, payload: Mapping[str, Any], received_at: datetime) -> None:
        """Keep a message.

        Raises:
            OSError: it cannot be written; whoever sent it should send it again.
        """
        line = json.dumps({"received_at": received_at.isoformat(), "payload": payload})
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            torn = self._path.is_file() and self._path.read_bytes()[-1:] not in (b"", b"\n")
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{chr(10) if torn else ''}{line}\n")  # a line that a crash cut short ends here
            lines = self._path.read_text(encoding="utf-8").splitlines()
            if len(lines) > self._keep + self._keep // 5:
                write_atomically(self._path, "\n".join(lines[-self._keep :]) + "\n")

    def latest(self, limit: int = 100) -> list[Message]:
        """The latest messages, newest first. A line that a crash cut short is passed over."""
        with self._lock:
            text = self._path.read_text(encoding="utf-8") if self._path.is_file() else ""
        messages = (_message(line) for line in reversed(text.splitlines()[-limit:]))
        return [m for m in messages if m is not None]


def _message(line: str) -> Message | None:
    try:
        fields = json.loads(line)
        return Message(datetime.fromisoformat(fields["received_at"]).astimezone(UTC), fields["payload"])
    except (ValueError, KeyError, TypeError):
        return None
