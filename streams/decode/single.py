"""One record at a time: control records, and why a record that the columnar reader refuses is none."""

from __future__ import annotations

import io
from typing import Any

import fastavro

from config.errors import InvalidEvent
from streams.decode.blocks import blocks, number
from streams.decode.layout import Scalar

_WIDTHS = {"double": 8, "float": 4, "boolean": 1}


def plain(schema: Any) -> Any:
    """The schema as fastavro wants it, without logical types: times stay whole milliseconds, of any year."""
    return fastavro.parse_schema(_without_logical_types(schema))


def read_body(schema: Any, body: bytes) -> dict[str, Any]:
    """The fields of one record of a schema that fastavro has parsed.

    Raises:
        InvalidEvent: the bytes are no record of this schema, or go on behind its end.
    """
    source = io.BytesIO(body)
    try:
        record: dict[str, Any] = fastavro.schemaless_reader(source, schema, None)
    except (EOFError, IndexError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise InvalidEvent("undecodable", f"not a record of its schema: {type(error).__name__}: {error}") from error
    if source.tell() != len(body):
        raise InvalidEvent("undecodable", f"{len(body) - source.tell()} bytes behind the end of the record")
    return record


def fault(scalars: list[Scalar], body: bytes) -> str:
    """What is wrong with a record's body, naming the field; empty when it is a whole record.

    Says no wherever Avro 1.11 does. fastavro is laxer: to it a union's branch of -1 is the last one, any byte but 0 is true, a number may
    have any number of bytes, and the size of an array's block may be wrong. Such bytes come from corruption, so they are no values.
    """
    at = 0
    for scalar in scalars:
        try:
            at = _step(scalar, body, at)
        except (ValueError, IndexError) as error:
            text = "the record ends within it" if isinstance(error, IndexError) else str(error)
            return f"field {scalar.name!r}: {text}"
    return f"{len(body) - at} bytes behind the end of the record" if at < len(body) else ""


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _without_logical_types(v) for k, v in node.items() if k != "logicalType"}
    return [_without_logical_types(n) for n in node] if isinstance(node, list) else node


def _step(scalar: Scalar, body: bytes, at: int) -> int:
    """Where the value ends that begins at ``at``; IndexError where the body ends before it, ValueError for what is no value."""
    if scalar.value_branch is not None:
        branch, at = number(body, at)
        if branch not in (0, 1):
            raise ValueError(f"a union of two has no branch {branch}")
        if branch != scalar.value_branch:
            return at
    if scalar.kind in ("int", "long"):
        value, at = number(body, at)
        if scalar.kind == "int" and not -(2**31) <= value < 2**31:
            raise ValueError(f"{value} does not fit into 32 bits")
        return at
    if scalar.kind == "string":
        return _text(body, at)
    if scalar.kind == "doubles":
        return blocks(body, at)[1]
    end = at + _WIDTHS[scalar.kind]
    if end > len(body):
        raise IndexError
    if scalar.kind == "boolean" and body[at] > 1:
        raise ValueError(f"a boolean is 0 or 1, not {body[at]}")
    return end


def _text(body: bytes, at: int) -> int:
    length, at = number(body, at)
    if length < 0:
        raise ValueError(f"a string has {length} bytes")
    if at + length > len(body):
        raise IndexError
    body[at : at + length].decode()  # UnicodeDecodeError is a ValueError
    return at + length
