"""Schemas in a registry that speaks Confluent's REST API (Confluent, Apicurio below ``/apis/ccompat/v7``, Redpanda, Karapace).

Three calls, so ``requests`` does: confluent_kafka's client would bring four packages for them.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from config.errors import SchemaError, ServiceUnavailable, SettingsError
from config.settings import Settings
from schemas.event import Schema
from schemas.framing import CONFLUENT_HEADER, CONFLUENT_MAGIC, WriterSchema, schema_fingerprint
from schemas.registry_copies import RegistryCopies
from schemas.store import FileSchemaStore, refuse_breaking

logger = logging.getLogger(__name__)
TIMEOUT_S = (2.0, 5.0)  # to connect, and between two bytes of an answer
RETRY_S = 60.0  # that a reader waits for a registry that is down before it gives up; the worker's stall alert comes later
PAUSE_S = (0.5, 5.0)  # first and longest pause between two tries
UNKNOWN_S = 10.0  # that an id stays unknown before the registry is asked again
MOST_UNKNOWN = 1000  # ids; damaged bytes may name any
_CONTENT = "application/vnd.schemaregistry.v1+json"
_SUBJECT_UNKNOWN, _VERSION_UNKNOWN, _SCHEMA_UNKNOWN = 40401, 40402, 40403


def open_registry(settings: Settings, files: FileSchemaStore) -> RegistrySchemaStore:
    """The registry of these settings.

    Raises:
        SettingsError: its address is none, or the file with the password cannot be read.
    """
    url = settings.schema_registry_url.rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        text = f"TIDEMARK_SCHEMA_REGISTRY_URL={url!r} is no address"
        raise SettingsError(text, "write http://HOST:PORT, for Apicurio http://HOST:PORT/apis/ccompat/v7")
    return RegistrySchemaStore(url, files, _credentials(settings))


def _credentials(settings: Settings) -> tuple[str, str] | None:
    path = settings.schema_registry_password_file
    if path is None:
        return (settings.schema_registry_user, "") if settings.schema_registry_user else None
    try:
        return settings.schema_registry_user, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        text = f"TIDEMARK_SCHEMA_REGISTRY_PASSWORD_FILE={path} cannot be read: {error}"
        raise SettingsError(text, "name a readable file that holds the password and nothing else") from error


class RegistrySchemaStore:
    """Schemas by the registry's ids; records have the Confluent wire format.

    The registry's word goes first. What it said before is kept (in memory for this process, in files for the next), so that one that is
    down stops nobody who has asked it once. Headers with a fingerprint are looked up in ``files``, as without a registry.
    """

    def __init__(
        self,
        url: str,
        files: FileSchemaStore,
        credentials: tuple[str, str] | None = None,
        retry_s: float = RETRY_S,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self._files = files
        self._copies = RegistryCopies(files.folder / "registry", url)
        self._session = requests.Session()
        self._session.auth = credentials
        self._retry_s, self._pause, self._clock = retry_s, pause, clock
        self._found: dict[bytes, WriterSchema] = {}
        self._unknown: dict[bytes, float] = {}

    def register(self, subject: str, schema: Schema) -> WriterSchema:
        """The schema's id under a subject. While the registry is down, the id that it gave for the same schema before.

        Raises:
            SchemaError: events of an earlier version of the subject could not be read with it, or the registry refuses it.
            ServiceUnavailable: the registry does not answer, and this schema has not been registered from here before.
        """
        self._files.keep(schema)
        fingerprint = schema_fingerprint(schema).hex()
        try:
            schema_id = self._register(subject, schema)
        except ServiceUnavailable as error:
            known = self._copies.id_of(subject, fingerprint)
            if known is None:
                raise
            logger.warning("%s; schema %d of %s is known from before", error.message, known, subject)
            return WriterSchema.confluent(schema, known)
        self._copies.keep(schema_id, schema, subject, fingerprint)
        return WriterSchema.confluent(schema, schema_id)

    def find(self, header: bytes) -> WriterSchema | None:
        """The schema of an id, or of a fingerprint. Waits while the registry is down and has not told this id before.

        Raises:
            ServiceUnavailable: it stays down for ``retry_s``.
            SchemaError: the registry refuses to answer, or what it has under this id is no Avro record.
        """
        if header[:1] != CONFLUENT_MAGIC or len(header) != CONFLUENT_HEADER:
            return self._files.find(header)
        if header in self._found:
            return self._found[header]
        if self._clock() < self._unknown.get(header, -1.0):
            return None
        schema = self._fetched(int.from_bytes(header[1:], "big"))
        if schema is None:
            if len(self._unknown) >= MOST_UNKNOWN:
                self._unknown.clear()
            self._unknown[header] = self._clock() + UNKNOWN_S
            return None
        return self._found.setdefault(header, WriterSchema(schema, header))

    def _fetched(self, schema_id: int) -> Schema | None:
        deadline, pause_s = self._clock() + self._retry_s, PAUSE_S[0]
        while True:
            try:
                told = self._ask("GET", f"/schemas/ids/{schema_id}", missing=(_SCHEMA_UNKNOWN,))
            except ServiceUnavailable as error:
                copy = self._copies.schema_of(schema_id)
                if copy is not None:
                    logger.warning("%s; schema %d is known from before", error.message, schema_id)
                    return copy
                if self._clock() + pause_s > deadline:
                    text = f"schema {schema_id} is needed to read records, and for {self._retry_s:g} s {error.message}"
                    raise ServiceUnavailable(text, error.remedy) from error
                logger.warning("%s; schema %d is asked for again in %g s", error.message, schema_id, pause_s)
                self._pause(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S[1])
                continue
            schema = None if told is None else self._avro(schema_id, told)
            if schema is not None:
                self._copies.keep(schema_id, schema)
            return schema

    def _register(self, subject: str, schema: Schema) -> int:
        """The id. A schema that the subject has already is not held against the others: a service may go back a version."""
        path = f"/subjects/{quote(subject, safe='')}"
        body = {"schema": json.dumps(schema, ensure_ascii=False)}
        told = self._ask("POST", path, body, missing=(_SUBJECT_UNKNOWN, _SCHEMA_UNKNOWN))
        if told is None:
            versions = self._ask("GET", f"{path}/versions", missing=(_SUBJECT_UNKNOWN,)) or []
            older = [self._avro(v, self._ask("GET", f"{path}/versions/{int(v)}")) for v in versions]
            refuse_breaking(subject, older, schema, f"delete subject {subject} in the registry")
            told = self._ask("POST", f"{path}/versions", body)
        try:
            return int(told["id"])
        except (KeyError, TypeError, ValueError) as error:
            raise ServiceUnavailable(f"{self.url} answered without an id: {told!r:.200}", _REMEDY) from error

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None, missing: tuple[int, ...] = ()) -> Any:
        """The answer's JSON; None for an error code of ``missing``."""
        data = None if body is None else json.dumps(body).encode()
        try:
            headers = {"Content-Type": _CONTENT, "Accept": f"{_CONTENT}, application/json"}
            response = self._session.request(method, self.url + path, data=data, headers=headers, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            raise ServiceUnavailable(f"the schema registry at {self.url} does not answer: {_reason(error)}", _REMEDY) from error
        told = _json(response)
        code = told.get("error_code") if isinstance(told, dict) else None
        if response.ok and told is not None:
            return told
        if response.status_code == 404 and code in missing:
            return None
        raise self._refusal(method, path, response, told)

    def _refusal(self, method: str, path: str, response: requests.Response, told: Any) -> SchemaError | ServiceUnavailable:
        said = told.get("message", "") if isinstance(told, dict) else response.text[:200].strip()
        text = f"the schema registry at {self.url} answered {response.status_code} to {method} {path}: {said or 'nothing'}"
        if response.status_code in (401, 403):
            return SchemaError(text, "set TIDEMARK_SCHEMA_REGISTRY_USER and TIDEMARK_SCHEMA_REGISTRY_PASSWORD_FILE to one who may do this")
        if response.status_code in (409, 422):
            return SchemaError(
                text, "see the subject's compatibility rule in the registry; keep old column types, and give new ones new names"
            )
        if response.status_code in (404, 405) or response.ok:
            return SchemaError(text, "correct TIDEMARK_SCHEMA_REGISTRY_URL: Confluent's API of Apicurio lies below /apis/ccompat/v7")
        return ServiceUnavailable(text, _REMEDY)

    def _avro(self, name: Any, told: Any) -> Schema:
        try:
            schema = json.loads(told["schema"])
            if told.get("schemaType", "AVRO") == "AVRO" and schema["type"] == "record" and isinstance(schema["fields"], list):
                return dict(schema)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SchemaError(f"what {self.url} has as {name} is no Avro record: {error!r}", "look at it in the registry") from error
        raise SchemaError(f"what {self.url} has as {name} is no Avro record", "look at it in the registry")


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except requests.JSONDecodeError:
        return None


def _reason(error: requests.RequestException) -> str:
    """The innermost reason: requests wraps what the system said several times."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return str(inner) or type(inner).__name__


_REMEDY = "start it, or correct TIDEMARK_SCHEMA_REGISTRY_URL; unset, schemas are kept as files"
