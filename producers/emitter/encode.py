"""A prediction becomes the bytes of one Kafka record: framing header, then Avro."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from .convert import converter_of, frozen, holds_array
from .errors import EmitterError, WrongType
from .ids import time_to_ms, uuid7
from .names import true_name
from .wire import Write, text, timestamp, writer_of

Schema = dict[str, Any]
ID_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_TEXT = converter_of("string")
_MOST_RUNS = 100
_FIELDS = ("event_id", "event_time", "run", "model", "model_version", "prediction", "target", "features")


def read_schema(schema: Schema | str | Path) -> Schema:
    """The schema itself, or the one in an ``.avsc`` file.

    Raises:
        EmitterError: the file is missing, or holds no Avro record with the fields of a prediction event.
    """
    if isinstance(schema, (str, Path)):
        try:
            schema = json.loads(Path(schema).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EmitterError(
                f"schema {schema} cannot be read: {error}. Give the .avsc file that Tidemark wrote for this model"
            ) from error
    names = [f["name"] for f in schema.get("fields", [])] if isinstance(schema, dict) else []
    lacking = [name for name in _FIELDS if name not in names]
    if lacking or not isinstance(schema, dict):
        raise EmitterError(f"the schema has no field {', '.join(lacking)}. Give the .avsc file that Tidemark wrote for this model")
    return schema


def framing_header(schema: Schema, schema_id: int | None = None) -> bytes:
    """What stands before each record: Avro single-object encoding, or the Confluent wire format when a registry's id is given."""
    if schema_id is not None:
        return b"\x00" + schema_id.to_bytes(4, "big")
    return b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


class EventEncoder:
    """Encodes the events of one model. ``columns`` are the features' true names, ``classes`` the labels of its probabilities' classes.

    ``sample_rate`` below 1 is written into each event, so that counts can be scaled up again; 1 is written as null. Threads may share it.
    """

    def __init__(self, schema: Schema, model: str, model_version: str, schema_id: int | None = None, sample_rate: float = 1.0) -> None:
        try:
            fastavro.parse_schema(json.loads(json.dumps(schema)))
            self._header = framing_header(schema, schema_id)
            types = {f["name"]: f["type"] for f in schema["fields"]}
            self._features = _columns(types["features"]["fields"])
            self._classes = _columns(types["probabilities"]["fields"]) if "probabilities" in types else []
            constants = {"model": text(model), "model_version": text(model_version)}
            if "sample_rate" in types:
                constants["sample_rate"] = writer_of(types["sample_rate"])(None if sample_rate == 1 else sample_rate)
            self._prediction, self._target = writer_of(types["prediction"]), writer_of(types["target"])
            parts = {*constants, *_FIELDS, "probabilities"}
            constants |= {f["name"]: writer_of(f["type"])(f["default"]) for f in schema["fields"] if f["name"] not in parts}
        except (fastavro.schema.SchemaParseException, KeyError, TypeError, ValueError, OverflowError) as error:
            raise EmitterError(f"the event schema is not one that Tidemark wrote: {error}") from error
        if sample_rate != 1 and "sample_rate" not in types:
            raise EmitterError("the schema has no field sample_rate, and sampling must say its rate. Write the model's schema anew")
        self._constants = constants
        self._in_order = itemgetter(*types)
        self._runs: dict[str, bytes] = {}
        self.columns = tuple(true for true, _ in self._features)
        self.classes = tuple(true for true, _ in self._classes)
        self._arrays = tuple(true_name(f) for f in types["features"]["fields"] if holds_array(f["type"]))
        self._known = frozenset(self.columns)

    def encode(
        self,
        features: Mapping[str, Any],
        prediction: Any,
        target: Any,
        event_id: Any,
        event_time: Any,
        run: Any,
        now_ms: int,
        probabilities: Mapping[str, Any] | None = None,
    ) -> bytes:
        """One record. A column that ``features`` lacks is null, and so is a class that ``probabilities`` (by label) lacks; what is beyond
        the schema is left out (see ``unknown`` and ``unknown_classes``).

        Raises:
            WrongType: names the first column whose value does not fit.
        """
        if event_id is None:
            event_id = uuid7(now_ms)
        elif not (event_id := _convert("event_id", _TEXT, event_id)):
            raise WrongType("event_id", "is empty: give a string that names this prediction, or nothing")
        parts = {
            **self._constants,
            "event_id": text(event_id),
            "event_time": timestamp(now_ms if event_time is None else time_to_ms(event_time)),
            "run": self._run(run),
            "prediction": _convert("prediction", self._prediction, prediction),
            "target": _convert("target", self._target, target),
            "features": _write_all(self._features, features, "{}"),
        }
        if self._classes:
            parts["probabilities"] = _write_all(self._classes, probabilities or {}, "probability of {}")
        return self._header + b"".join(self._in_order(parts))

    def freeze(self, features: dict[str, Any]) -> None:
        """Replace each array by a copy, for its owner may fill it anew before it is encoded."""
        for name in self._arrays:
            if name in features:
                features[name] = frozen(features[name])

    def unknown(self, features: dict[str, Any]) -> list[str]:
        """Names in ``features`` that the schema does not have."""
        return [] if features.keys() <= self._known else [repr(name)[:80] for name in features if name not in self._known]

    def unknown_classes(self, probabilities: dict[str, Any]) -> list[str]:
        """Class labels in ``probabilities`` that the schema does not have."""
        return [repr(label)[:80] for label in probabilities if label not in self.classes]

    def _run(self, run: Any) -> bytes:
        known = self._runs.get(run) if type(run) is str else None
        if known is not None:
            return known
        if type(run) is not str or not ID_PATTERN.match(run):
            raise WrongType("run", "is not an id: use 1 to 64 of A-Za-z0-9_.-")
        if len(self._runs) >= _MOST_RUNS:
            self._runs.clear()
        return self._runs.setdefault(run, text(run))


def _columns(fields: list[dict[str, Any]]) -> list[tuple[str, Write]]:
    return [(true_name(f), writer_of(f["type"])) for f in fields]


def _write_all(columns: list[tuple[str, Write]], values: Mapping[str, Any], named: str) -> bytes:
    """The values' bytes, in the columns' order; ``named`` says in an error what a value is."""
    get = values.get
    true = ""
    out = []
    try:
        for true, write in columns:  # an error below names the column by true
            out.append(write(get(true)))
    except Exception as error:  # a foreign object's own conversion may raise anything
        raise WrongType(named.format(true), str(error)) from error
    return b"".join(out)


def _convert(column: str, convert: Any, value: Any) -> Any:
    try:
        return convert(value)
    except Exception as error:  # as above
        raise WrongType(column, str(error)) from error
