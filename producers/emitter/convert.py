"""A value of the user's becomes a value of its Avro type, or is refused. NumPy's and pandas' scalars are taken without importing either."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from datetime import datetime
from numbers import Integral, Real
from typing import Any

from fastavro.validation import validate

from .errors import WrongType
from .ids import time_to_ms

Converter = Callable[[Any], Any]
_MISSING_TYPES = frozenset({"NAType", "NaTType"})  # pandas.NA and pandas.NaT


def _double(value: Any) -> Any:
    if type(value) is float:
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    return _null(value, "a number")


def _long(value: Any) -> Any:
    if isinstance(value, bool):
        return _null(value, "a whole number")
    if isinstance(value, Integral):
        number = int(value)
    elif isinstance(value, Real) and float(value).is_integer():
        number = int(float(value))  # JSON and pandas turn whole numbers into floats
    else:
        return _null(value, "a whole number", nan_is_null=True)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{number} does not fit into 64 bits")
    return number


def _boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    return _null(value, "true or false", nan_is_null=True)


def _string(value: Any) -> Any:
    if isinstance(value, str):
        if not value.isascii():
            value.encode()  # a lone surrogate raises here, where the column's name is known
        return value
    return _null(value, "a string", nan_is_null=True)


def _null(value: Any, wanted: str, *, nan_is_null: bool = False) -> Any:
    """None for what counts as null, else an error. Not-a-number is a value of a double, and pandas' null elsewhere."""
    if value is None or type(value).__name__ in _MISSING_TYPES:
        return None
    if nan_is_null and isinstance(value, float) and math.isnan(value):
        return None
    raise ValueError(f"is {type(value).__name__}, not {wanted}")


def _timestamp(value: Any) -> Any:
    """Whole ms since the epoch: of those, of an aware datetime, or of its ISO 8601 text, for JSON has no times."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if (moment := getattr(value, "item", None)) is not None and type(value).__name__ == "datetime64":
        return value.astype("datetime64[ms]").astype("int64").item() if moment() is not None else None  # UTC by definition
    if type(value).__name__ in _MISSING_TYPES or not isinstance(value, datetime):
        return _long(value)
    try:
        return time_to_ms(value)
    except WrongType as error:
        raise ValueError(str(error).partition(": ")[2]) from error


def _doubles(value: Any) -> list[float] | None:
    """A list, a tuple or an array of one dimension, of NumPy, pandas or another library with ``tolist``."""
    if (shape := getattr(value, "shape", None)) is not None and len(shape) != 1:
        raise ValueError(f"has {len(shape)} dimensions, not 1")
    if not isinstance(value, (list, tuple)):
        if shape is None and not isinstance(value, array):
            return _null(value, "an array of numbers")  # type: ignore[no-any-return]
        value = value.tolist()
    return list(value) if set(map(type, value)) <= {float} else [_item(i, v) for i, v in enumerate(value)]


def _item(place: int, value: Any) -> float:
    try:
        number: float | None = _double(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"item {place} {error}") from error
    if number is None:
        raise ValueError(f"item {place} is missing, and an array has no nulls: leave the whole array out")
    return number


def frozen(value: Any) -> Any:
    """A copy of an array that its owner may fill anew before it is encoded; anything else as it is."""
    try:
        if isinstance(value, (list, tuple)):
            return tuple(value)
        return value.copy() if hasattr(value, "shape") else value[:] if isinstance(value, array) else value
    except Exception:  # noqa: BLE001 - a foreign object's copy may raise anything; whether it is an array is found when it is encoded
        return value


_SIMPLE: dict[str, Converter] = {
    "double": _double,
    "float": _double,
    "long": _long,
    "boolean": _boolean,
    "string": _string,
}
_LOGICAL: dict[str, Converter] = {"timestamp-millis": _timestamp}


def converter_of(avro_type: Any) -> Converter:
    """The converter of one Avro type. It returns a value of that type, None for null, and raises (any error) what does not fit."""
    nullable = isinstance(avro_type, list) and "null" in avro_type
    if holds_array(avro_type):
        return _doubles if nullable else _not_null(_doubles)
    others = _types(avro_type)
    simple = _simple(others[0]) if len(others) == 1 else None
    convert = simple or _checked(avro_type)
    return convert if nullable else _not_null(convert)


def _simple(avro_type: Any) -> Converter | None:
    if isinstance(avro_type, dict) and avro_type.get("type") == "long":
        return _LOGICAL.get(avro_type.get("logicalType", ""))
    return _SIMPLE.get(avro_type) if isinstance(avro_type, str) else None


def _types(avro_type: Any) -> list[Any]:
    """The types of a union but null, or the type itself."""
    return [t for t in avro_type if t != "null"] if isinstance(avro_type, list) else [avro_type]


def holds_array(avro_type: Any) -> bool:
    """True for an array of doubles, nullable or not."""
    value, *more = [*_types(avro_type), None]
    return len(more) == 1 and isinstance(value, dict) and value.get("type") == "array" and value.get("items") == "double"


def _checked(avro_type: Any) -> Converter:
    def check(value: Any) -> Any:
        if value is not None and not validate(value, avro_type, raise_errors=False):
            raise ValueError(f"{type(value).__name__} does not fit {avro_type}")
        return value

    return check


def _not_null(convert: Converter) -> Converter:
    def check(value: Any) -> Any:
        converted = convert(value)
        if converted is None:
            raise ValueError("is missing, and the schema allows no null here")
        return converted

    return check
