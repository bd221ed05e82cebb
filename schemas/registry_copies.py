"""What a registry has said, as files: asked only while the registry does not answer, so that a restart then needs none."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from schemas.event import Schema

logger = logging.getLogger(__name__)


class RegistryCopies:
    """Copies of one registry's answers below ``folder``. Ids are the registry's own, so each address has a folder of its own.

    A copy is a convenience: one that cannot be read or written is as if it were not there.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder / hashlib.sha256(url.encode()).hexdigest()[:12]

    def keep(self, schema_id: int, schema: Schema, subject: str = "", fingerprint: str = "") -> None:
        """Note what an id names, and for a registered schema the id of its fingerprint under a subject."""
        self._write(f"{schema_id}.avsc", schema)
        if subject:
            self._write(_name(subject, fingerprint), {"id": schema_id, "subject": subject})

    def schema_of(self, schema_id: int) -> Schema | None:
        """The schema that an id named when the registry last said so."""
        schema = self._read(f"{schema_id}.avsc")
        return schema if isinstance(schema, dict) and "fields" in schema else None

    def id_of(self, subject: str, fingerprint: str) -> int | None:
        """The id that a schema was given under a subject."""
        told = self._read(_name(subject, fingerprint))
        return told["id"] if isinstance(told, dict) and isinstance(told.get("id"), int) else None

    def _write(self, name: str, content: Any) -> None:
        path = self._folder / name
        if self._read(name) == content:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".part", delete=False, encoding="utf-8") as part:
                json.dump(content, part, ensure_ascii=False)
            Path(part.name).replace(path)
        except OSError as error:  # a read-only home: the registry itself is there
            logger.warning("what the schema registry said cannot be kept for when it is down: %s", error)

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self._folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


def _name(subject: str, fingerprint: str) -> str:
    return f"{hashlib.sha256(subject.encode()).hexdigest()[:12]}-{fingerprint}.json"
