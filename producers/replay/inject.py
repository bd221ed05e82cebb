"""Drift on purpose, for drills: ``dep_delay*2 from 2013-06-01``. The same text changes the same rows of a file, every time.

COLUMN*K  COLUMN/K  COLUMN+K  COLUMN-K  COLUMN=VALUE  COLUMN=null   [for P %]  [from T]  [until T]
"""

from __future__ import annotations

import datetime as dt
import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from config.errors import UsageError
from config.spec import AvroType, ModelSpec
from producers.replay.options import to_ms
from producers.replay.sort import PLACE, TIME
from schemas.dtypes import DTYPES

GRAMMAR = "write COLUMN*K, COLUMN/K, COLUMN+K, COLUMN-K, COLUMN=VALUE or COLUMN=null, then, as needed, for P %, from T, until T"
_NUMBERS: tuple[AvroType, ...] = ("double", "long", "timestamp")
_MOMENT = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:?\d\d)?)?"
_TAIL = re.compile(
    rf"(?P<value>.*?)(?:\s+for\s+(?P<share>\d+(?:\.\d+)?)\s*%)?(?:\s+from\s+(?P<start>{_MOMENT}))?(?:\s+until\s+(?P<end>{_MOMENT}))?\s*\Z",
    re.S,
)
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Injection:
    """One change: rows with ``start_ms <= event time < end_ms`` (original times, ms since the epoch, UTC), ``share`` of them by lot."""

    text: str
    column: str
    operator: Literal["*", "/", "+", "-", "="]
    value: float | int | bool | str | None
    type: AvroType
    share: float = 1.0
    start_ms: int | None = None
    end_ms: int | None = None

    def rows(self, frame: pl.DataFrame) -> pl.Series:
        """Which rows it changes. The lot falls by the row's number in the file and the text, so it is the same in every replay."""
        times = frame[TIME].to_numpy()
        chosen = np.ones(len(times), dtype=np.bool_)
        if self.start_ms is not None:
            chosen &= times >= self.start_ms
        if self.end_ms is not None:
            chosen &= times < self.end_ms
        if self.share < 1:
            chosen &= _lots(frame[PLACE].to_numpy(), zlib.crc32(self.text.encode())) < self.share
        return pl.Series(chosen)

    def apply(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """The frame with the change, and how many rows it is in. Nulls stay null, but for ``=``."""
        chosen = self.rows(frame)
        changed = pl.when(chosen).then(self._changed()).otherwise(pl.col(self.column)).alias(self.column)
        return frame.with_columns(changed), int(chosen.sum())

    def _changed(self) -> pl.Expr:
        column = pl.col(self.column)
        if self.operator == "=":
            return pl.lit(self.value, dtype=DTYPES[self.type])
        if self.type == "doubles":
            return column.list.eval(self._result(pl.element()))
        result = self._result(column.cast(pl.Float64) if self.operator in "*/" else column)
        return result if self.type == "double" else result.round().cast(DTYPES[self.type], strict=False)

    def _result(self, number: pl.Expr) -> pl.Expr:
        made: dict[str, Callable[[pl.Expr, Any], pl.Expr]] = {
            "*": lambda a, b: a * b,
            "/": lambda a, b: a / b,
            "+": lambda a, b: a + b,
            "-": lambda a, b: a - b,
        }
        return made[self.operator](number, self.value)


def parse(text: str, spec: ModelSpec) -> Injection:
    """The change that a text describes; a time without a zone is local to the model's windows.

    Raises:
        UsageError: there is no such column, or the change does not fit its type; names the text, and what can be written.
    """
    types = {name: column.type for name, column in {**spec.columns, **spec.probability_columns}.items()}
    name = next((n for n in sorted(types, key=len, reverse=True) if _begins(text.strip(), n)), None)
    if name is None:
        named = re.split(r"[*/+=-]", text)[0].strip()
        what = f"no column {named!r}; there is {', '.join(types)}" if named != text.strip() else "no change"
        raise UsageError(f"--inject {text!r}: {what}", GRAMMAR)
    rest = text.strip()[len(name) :].lstrip()
    found = _TAIL.match(rest[1:])
    assert found is not None  # everything of it is optional
    share = float(found["share"] or 100) / 100
    if not 0 < share <= 1:
        raise UsageError(f"--inject {text!r}: {found['share']} % is not above 0 and up to 100", GRAMMAR)
    start, end = (_moment(found[part], spec) for part in ("start", "end"))
    if start is not None and end is not None and start >= end:
        raise UsageError(f"--inject {text!r}: {found['start']} is not before {found['end']}", "until is exclusive: give a later one")
    value = _value(text, name, types[name], rest[0], found["value"].strip())
    return Injection(text, name, rest[0], value, types[name], share, start, end)  # type: ignore[arg-type]


def _begins(text: str, name: str) -> bool:
    """Whether a text is a column's name and an operator. Names may hold operators: the longest name that fits is meant."""
    return text.startswith(name) and text[len(name) :].lstrip()[:1] in ("*", "/", "+", "-", "=")


def _moment(text: str | None, spec: ModelSpec) -> int | None:
    return None if text is None else to_ms(dt.datetime.fromisoformat(text), spec.window.time_zone)


def _value(text: str, name: str, avro_type: AvroType, operator: str, written: str) -> float | int | bool | str | None:
    if operator != "=":
        allowed = (*_NUMBERS, "doubles")
        if avro_type not in allowed:
            raise UsageError(f"--inject {text!r}: column {name!r} is {avro_type}, {operator} is for numbers", f"{name}=VALUE sets a value")
        number = _number(text, written)
        if operator == "/" and number == 0:
            raise UsageError(f"--inject {text!r}: nothing can be divided by 0", GRAMMAR)
        return number
    if written == "null":
        return None
    if avro_type == "string":
        return written[1:-1] if len(written) > 1 and written[0] == written[-1] and written[0] in "'\"" else written
    if avro_type == "boolean":
        if written.lower() not in _BOOLEANS:
            raise UsageError(
                f"--inject {text!r}: column {name!r} is boolean, {written!r} is not", f"{name}=true, {name}=false or {name}=null"
            )
        return _BOOLEANS[written.lower()]
    if avro_type == "doubles":
        raise UsageError(f"--inject {text!r}: column {name!r} is a vector", f"{name}*K, {name}+K or {name}=null")
    number = _number(text, written)
    if avro_type == "double":
        return number
    if number != int(number):
        raise UsageError(f"--inject {text!r}: column {name!r} is {avro_type}, {written} is no whole number", f"{name}={round(number)}")
    return int(number)


def _number(text: str, written: str) -> float:
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"--inject {text!r}: {written!r} is no number", GRAMMAR)
    return number


def _lots(places: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    """A number in [0, 1) for each row: the finaliser of splitmix64 (Steele, Lea and Flood, 2014), which spreads neighbours evenly."""
    z = places.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).astype(np.float64) / 2.0**64
