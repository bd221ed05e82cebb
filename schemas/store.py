"""Where schemas are kept so that a reader finds the writer's: files below ``TIDEMARK_HOME/schemas``, or ``schemas.registry``."""

from __future__ import annotations

import fcntl
import json
import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from config.errors import SchemaError, ServiceUnavailable
from config.settings import Settings
from schemas.control import CONTROL_SCHEMA
from schemas.event import Schema
from schemas.evolution import changes
from schemas.framing import SINGLE_OBJECT_MAGIC, WriterSchema

logger = logging.getLogger(__name__)


class SchemaStore(Protocol):
    """Registers writers' schemas and finds them by the header of a record."""

    def register(self, subject: str, schema: Schema) -> WriterSchema:
        """Keep a schema and say how records name it. The same schema again is the same answer.

        Raises:
            SchemaError: events of an earlier schema of this subject could not be read with it.
        """

    def find(self, header: bytes) -> WriterSchema | None:
        """The schema that a record's header names, or None when it is unknown."""


def subject_of(topic: str, model: str) -> str:
    """The name under which the versions of a model's event schema stand together."""
    return f"{topic}-{model}"


def open_store(settings: Settings) -> SchemaStore:
    """The registry that ``schema_registry_url`` names, else files.

    Raises:
        SettingsError: a setting of the registry cannot be used.
    """
    files = FileSchemaStore(settings.under_home("schemas"))
    if not settings.schema_registry_url:
        return files
    from schemas.registry import open_registry  # noqa: PLC0415 - an HTTP client that installations without a registry do not need

    return open_registry(settings, files)


def register_for_service(settings: Settings, subject: str, schema: Schema) -> WriterSchema:
    """``register`` for a prediction service, which starts whether a registry answers or not: without one, records name their schema by its
    fingerprint, as without ``schema_registry_url``; readers that share ``TIDEMARK_HOME`` know both.

    Raises:
        SchemaError: events of an earlier schema of this subject could not be read with it.
    """
    try:
        return open_store(settings).register(subject, schema)
    except ServiceUnavailable as error:
        logger.warning("%s; until the next start events name their schema by fingerprint", error.message)
        return FileSchemaStore(settings.under_home("schemas")).register(subject, schema)


def refuse_breaking(subject: str, old: Iterable[Schema], new: Schema, forget: str) -> None:
    """Make sure that events of every older schema can be read with a new one.

    Raises:
        SchemaError: naming each field that breaks, what it was and what it is.
    """
    breaking = dict.fromkeys(str(change) for schema in old for change in changes(schema, new) if change.breaks)
    if breaking:
        remedy = f"give the column another name, or its old type back in the spec. Or, when nobody reads older events any more: {forget}"
        raise SchemaError(f"the schema of {subject} cannot read its older events: column {'; column '.join(breaking)}", remedy)


class FileSchemaStore:
    """Schemas as ``<fingerprint>.avsc`` files, and a list of fingerprints a subject. A file is written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def register(self, subject: str, schema: Schema) -> WriterSchema:
        """Write the schema's file unless it stands there.

        Raises:
            SchemaError: it breaks the rules of evolution, or an earlier file cannot be read.
        """
        writer = self.keep(schema)
        versions = self.folder / "subjects" / f"{quote(subject, safe='')}.json"
        with _locked(versions):
            known = self._versions(versions)
            name = writer.header[2:].hex()
            if name not in known:
                refuse_breaking(subject, self._schemas(known), schema, f"delete {versions}")
                _write(versions, [*known, name])
        return writer

    def keep(self, schema: Schema) -> WriterSchema:
        """Write the schema's file unless it stands there, under no subject."""
        writer = WriterSchema.single_object(schema)
        path = self._path(writer.header)
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(path, schema)
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

    def path_of(self, writer: WriterSchema) -> Path:
        """The file that holds a schema."""
        return self._path(WriterSchema.single_object(writer.schema).header)

    def _path(self, header: bytes) -> Path:
        return self.folder / f"{header[2:].hex()}.avsc"

    def _schemas(self, names: list[str]) -> Iterator[Schema]:
        """The schemas of these fingerprints; one whose file is gone binds nobody."""
        for name in names:
            if writer := self.find(SINGLE_OBJECT_MAGIC + bytes.fromhex(name)):
                yield writer.schema

    @staticmethod
    def _versions(path: Path) -> list[str]:
        try:
            return [bytes.fromhex(name).hex() for name in json.loads(path.read_text(encoding="utf-8"))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise SchemaError(f"{path} cannot be read: {error}", "delete it: the model's next schema begins its history anew") from error


def _write(path: Path, content: Any) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as part:
        json.dump(content, part, indent=1, ensure_ascii=False)
    Path(part.name).chmod(0o644)
    Path(part.name).replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among the processes that change the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


CONTROL = WriterSchema.single_object(CONTROL_SCHEMA)
