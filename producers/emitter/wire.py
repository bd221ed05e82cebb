"""A value of the user's becomes its bytes on the wire, one function a column, made once from the column's Avro type.

The bytes are those of fastavro's writer (a property test holds them equal) in a third of its time: an Avro record is its fields'
encodings one after the other (Avro 1.11 specification, "Binary Encoding"), so no record has to be built first. Types beyond these few go
through fastavro itself. The functions may be called from several threads.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import fastavro

from .convert import Converter, converter_of, holds_array

Write = Callable[[Any], bytes]
_CACHED_VALUES = 4096  # per column: carriers, airports, weekdays repeat
_CACHED_BYTES = 64
_END = b"\x00"  # of an array: a block of no items
_pack_doubles = struct.pack


def varint(value: int) -> bytes:
    """A whole number of 64 bits: zigzag, seven bits a byte, the lowest first."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def timestamp(ms: int) -> bytes:
    """``varint`` of a time of now: from 1987 to 2039 it has six bytes."""
    if not 1 << 39 <= ms < 1 << 41:
        return varint(ms)
    z = ms << 1
    return bytes((z & 127 | 128, z >> 7 & 127 | 128, z >> 14 & 127 | 128, z >> 21 & 127 | 128, z >> 28 & 127 | 128, z >> 35))


_LENGTHS = [varint(n) for n in range(1024)]


def text(value: str) -> bytes:
    """A string: its length in bytes, then UTF-8. UnicodeEncodeError for a lone surrogate."""
    raw = value.encode()
    return (_LENGTHS[len(raw)] if len(raw) < 1024 else varint(len(raw))) + raw


def writer_of(avro_type: Any) -> Write:
    """The function of one Avro type, nullable or not. It raises (any error) what does not fit the type."""
    nullable = isinstance(avro_type, list) and "null" in avro_type and len(avro_type) == 2
    kind = avro_type[1 - avro_type.index("null")] if nullable else avro_type
    prefix, null = (varint(avro_type.index(kind)), varint(avro_type.index("null"))) if nullable else (b"", b"")
    convert = converter_of(avro_type)
    if holds_array(avro_type) and (nullable or not isinstance(avro_type, list)):
        return _array(convert, prefix, null)
    if isinstance(kind, dict) and kind.get("logicalType") == "timestamp-millis" and kind.get("type") == "long":
        kind = "long"  # on the wire it is one
    make = _MAKERS.get(kind) if isinstance(kind, str) else None
    return make(convert, prefix, null) if make else _foreign(convert, avro_type)


def _double(convert: Converter, prefix: bytes, null: bytes) -> Write:
    pack = struct.Struct(f"<{len(prefix)}sd").pack

    def write(value: Any) -> bytes:
        if type(value) is float:
            return pack(prefix, value)
        if value is None and null:
            return null
        converted = convert(value)
        return null if converted is None else pack(prefix, converted)

    return write


def _long(convert: Converter, prefix: bytes, null: bytes) -> Write:
    return _cached(convert, null, int, lambda value: prefix + varint(value))


def _string(convert: Converter, prefix: bytes, null: bytes) -> Write:
    return _cached(convert, null, str, lambda value: prefix + text(value))


def _cached(convert: Converter, null: bytes, plain: type, encode: Write) -> Write:
    """Keeps the bytes of short values. Only of exactly the ``plain`` type: True equals 1, and foreign objects may hash as they like."""
    known: dict[Any, bytes] = {}

    def write(value: Any) -> bytes:
        if value is None and null:
            return null
        if type(value) is not plain:
            converted = convert(value)
            return null if converted is None else encode(converted)
        found = known.get(value)
        if found is None:
            found = encode(convert(value))
            if len(found) <= _CACHED_BYTES:
                if len(known) >= _CACHED_VALUES:
                    known.clear()
                known[value] = found
        return found

    return write


def _boolean(convert: Converter, prefix: bytes, null: bytes) -> Write:
    false, true = prefix + b"\x00", prefix + b"\x01"

    def write(value: Any) -> bytes:
        converted = convert(value)
        return null if converted is None else true if converted else false

    return write


def _array(convert: Converter, prefix: bytes, null: bytes) -> Write:
    """An array of doubles: one block with all items, their count first."""

    def write(value: Any) -> bytes:
        items = convert(value)
        if items is None:
            return null
        if not items:
            return prefix + _END
        return b"".join((prefix, varint(len(items)), _pack_doubles(f"<{len(items)}d", *items), _END))

    return write


def _foreign(convert: Converter, avro_type: Any) -> Write:
    parsed = fastavro.parse_schema(json.loads(json.dumps(avro_type)))

    def write(value: Any) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, convert(value))
        return out.getvalue()

    return write


_MAKERS: dict[str, Callable[[Converter, bytes, bytes], Write]] = {
    "double": _double,
    "long": _long,
    "boolean": _boolean,
    "string": _string,
}
