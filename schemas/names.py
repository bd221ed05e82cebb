"""Column names on the wire: Avro allows ``[A-Za-z_][A-Za-z0-9_]*`` only, users' columns have any name."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*\Z")
_ESCAPED = re.compile(r"__([0-9A-F]{2,6})_")


def mangle(name: str) -> str:
    """The Avro name of a column: each forbidden character becomes ``__HEX_``. Reversible, so two columns never meet.

    An underscore that is not between two plain characters is escaped too, since ``__`` starts an escape.
    """
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
