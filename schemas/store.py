"""Where schemas are kept so that a reader finds the writer's: files below ``TIDEMARK_HOME/schemas``, named by fingerprint."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Protocol

from config.errors import SchemaError
from schemas.control import CONTROL_SCHEMA
from schemas.event import Schema
from schemas.framing import SINGLE_OBJECT_MAGIC, WriterSchema


class SchemaStore(Protocol):
    """Registers writers' schemas and finds them by the header of a record."""

    def register(self, subject: str, schema: Schema) -> WriterSchema:
        """Keep a schema and say how records name it. The same schema again is the same answer."""

    def find(self, header: bytes) -> WriterSchema | None:
        """The schema that a record's header names, or None when it is unknown."""


class FileSchemaStore:
    """Schemas as ``<fingerprint>.avsc`` files. A file is written whole or not at all, and never changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def register(self, subject: str, schema: Schema) -> WriterSchema:
        """Write the schema's file unless it stands there. ``subject`` is for registries; files are named by fingerprint."""
        writer = WriterSchema.single_object(schema)
        path = self._path(writer.header)
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".part", delete=False, encoding="utf-8") as part:
                json.dump(schema, part, indent=1, ensure_ascii=False)
            Path(part.name).replace(path)
        return writer

    def find(self, header: bytes) -> WriterSchema | None:
        """Look the fingerprint up.

        Raises:
            SchemaError: the file is there and cannot be read.
        """
        if header[:2] != SINGLE_OBJECT_MAGIC:
            return None
        if header == CONTROL.header:
            return CONTROL
        path = self._path(header)
        try:
            schema: Schema = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SchemaError(f"schema file {path} cannot be read: {error}", "restore it from version control or another worker") from error
        return WriterSchema(schema, header)

    def _path(self, header: bytes) -> Path:
        return self.folder / f"{header[2:].hex()}.avsc"


CONTROL = WriterSchema.single_object(CONTROL_SCHEMA)
