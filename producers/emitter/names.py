"""Column names on the wire: a copy of ``schemas/names.py``, for this folder stands alone. A test holds the two equal."""

from __future__ import annotations

import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*\Z")
_ESCAPED = re.compile(r"__([0-9A-F]{2,6})_")


def mangle(name: str) -> str:
    """The Avro name of a column: each character that Avro forbids becomes ``__HEX_``."""
    if _PLAIN.match(name):
        return name
    out = []
    for i, char in enumerate(name):
        plain = char.isascii() and char.isalnum() and not (i == 0 and char.isdigit())
        between = char == "_" and 0 < i < len(name) - 1 and "_" not in (name[i - 1], name[i + 1])
        between = between and name[i - 1].isascii() and name[i - 1].isalnum() and name[i + 1].isascii() and name[i + 1].isalnum()
        out.append(char if plain or between else f"__{ord(char):02X}_")
    return "".join(out) or "__"


def unmangle(name: str) -> str:
    """The column name that ``mangle`` was given."""
    return "" if name == "__" else _ESCAPED.sub(lambda m: chr(int(m[1], 16)), name)


def true_name(field: dict[str, Any]) -> str:
    """The user's name of a column: the field's ``doc`` where it mangles to the field's name (else it is prose), or the name read back."""
    doc, name = field.get("doc"), str(field["name"])
    return doc if isinstance(doc, str) and mangle(doc) == name else unmangle(name)
