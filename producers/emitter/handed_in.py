"""What a service hands in, copied as it is at the moment of the call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .errors import EmitterError, WrongType


def known_columns(redact: Collection[str], columns: tuple[str, ...]) -> tuple[str, ...]:
    """``redact`` as a tuple of names; EmitterError for one that is no column, whose values would get out."""
    names = (redact,) if isinstance(redact, str) else tuple(redact)
    if unknown := [name for name in names if name not in columns]:
        raise EmitterError(
            f"redact names {', '.join(map(repr, unknown))}, which the schema does not have. Its columns: {', '.join(columns)}"
        )
    return names


def copied(values: object, name: str) -> dict[Any, Any] | WrongType:
    """The values as they are now; the delivery thread reads them later. What cannot be read is handed on as an error, to be counted."""
    try:
        if isinstance(values, Mapping):
            return dict(values)
        return WrongType(name, f"is {type(values).__name__}, not a mapping of {_KEYS[name]}")
    except Exception as error:  # noqa: BLE001 - a foreign mapping may raise anything, and the service must not see it
        return WrongType(name, f"cannot be read: {type(error).__name__}")


_KEYS = {"features": "column to value", "probabilities": "class label to probability"}


def by_label(probabilities: dict[Any, Any] | WrongType) -> dict[str, Any] | WrongType:
    """Labels as text: a model's own classes may be numbers or booleans, of NumPy too."""
    if isinstance(probabilities, WrongType):
        return probabilities
    try:
        return {_label(key): value for key, value in probabilities.items()}
    except Exception as error:  # noqa: BLE001 - as above
        return WrongType("probabilities", f"has a class label that is no text: {type(error).__name__}")


def _label(key: Any) -> str:
    whole = isinstance(key, float) and key.is_integer()
    return str(int(key)) if whole else str(key)
