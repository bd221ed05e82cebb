"""How a record says which schema it was written with: Avro single-object encoding (no server needed) or the Confluent wire format."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.event import Schema

SINGLE_OBJECT_MAGIC = b"\xc3\x01"
SINGLE_OBJECT_HEADER = 10  # magic, then the CRC-64-AVRO fingerprint, little endian
CONFLUENT_MAGIC = b"\x00"
CONFLUENT_HEADER = 5  # magic, then the registry's id, big endian


def schema_fingerprint(schema: Schema) -> bytes:
    """CRC-64-AVRO of the schema's parsing canonical form, 8 bytes little endian (Avro 1.11 specification, "Schema Fingerprints")."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


@dataclass(frozen=True)
class WriterSchema:
    """A schema as records name it: ``header`` is the exact bytes before each record's body."""

    schema: Schema
    header: bytes

    @classmethod
    def single_object(cls, schema: Schema) -> WriterSchema:
        """The schema under its fingerprint."""
        return cls(schema, SINGLE_OBJECT_MAGIC + schema_fingerprint(schema))

    @classmethod
    def confluent(cls, schema: Schema, schema_id: int) -> WriterSchema:
        """The schema under a registry's id."""
        return cls(schema, CONFLUENT_MAGIC + schema_id.to_bytes(4, "big"))

    @property
    def schema_id(self) -> int | None:
        """The registry's id; None under a fingerprint."""
        return int.from_bytes(self.header[1:], "big") if self.header[:1] == CONFLUENT_MAGIC else None

    @cached_property
    def parsed(self) -> Any:
        """The schema as fastavro wants it."""
        return fastavro.parse_schema(json.loads(json.dumps(self.schema)))

    @property
    def name(self) -> str:
        """The full name of the record type."""
        return str(self.schema["name"])

    def encode(self, record: dict[str, Any]) -> bytes:
        """Header and body of one record.

        Raises:
            ValueError, TypeError: a value does not fit its field (fastavro's own message).
        """
        out = io.BytesIO()
        out.write(self.header)
        fastavro.schemaless_writer(out, self.parsed, record)
        return out.getvalue()


def header_of(value: bytes) -> bytes | None:
    """The framing header of a record value, or None when it has neither framing."""
    if value[:2] == SINGLE_OBJECT_MAGIC and len(value) > SINGLE_OBJECT_HEADER:
        return value[:SINGLE_OBJECT_HEADER]
    if value[:1] == CONFLUENT_MAGIC and len(value) > CONFLUENT_HEADER:
        return value[:CONFLUENT_HEADER]
    return None


def named(header: bytes) -> str:
    """How a person calls the schema of a header."""
    if header[:1] == CONFLUENT_MAGIC:
        return f"schema {int.from_bytes(header[1:], 'big')} of a registry (TIDEMARK_SCHEMA_REGISTRY_URL)"
    return f"schema {header[len(SINGLE_OBJECT_MAGIC) :].hex()}"
