"""A value of the user's becomes a value of its Avro type, or is refused. NumPy's and pandas' scalars are taken without importing either."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from fastavro.validation import validate

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


_SIMPLE: dict[str, Converter] = {
    "double": _double,
    "float": _double,
    "long": _long,
    "boolean": _boolean,
    "string": _string,
}


def converter_of(avro_type: Any) -> Converter:
    """The converter of one Avro type. It returns what fastavro writes, None for null, and raises (any error) what does not fit."""
    nullable = isinstance(avro_type, list) and "null" in avro_type
    others = [t for t in avro_type if t != "null"] if isinstance(avro_type, list) else [avro_type]
    simple = _SIMPLE.get(others[0]) if len(others) == 1 and isinstance(others[0], str) else None
    convert = simple or _checked(avro_type)
    return convert if nullable else _not_null(convert)


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
