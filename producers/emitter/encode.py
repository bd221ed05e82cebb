"""A prediction becomes the bytes of one Kafka record: framing header, then Avro."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from .convert import Converter, converter_of, frozen, holds_array
from .errors import EmitterError, WrongType
from .ids import time_to_ms, uuid7
from .names import true_name

Schema = dict[str, Any]
ID_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_TEXT = converter_of("string")
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
    """Encodes the events of one model. ``columns`` are the features' true names, ``classes`` the labels of its probabilities' classes."""

    def __init__(self, schema: Schema, model: str, model_version: str, schema_id: int | None = None) -> None:
        try:
            self._parsed = fastavro.parse_schema(json.loads(json.dumps(schema)))
            self._header = framing_header(schema, schema_id)
            types = {f["name"]: f["type"] for f in schema["fields"]}
            fields = types["features"]["fields"]
            classes = types["probabilities"]["fields"] if "probabilities" in types else None
        except (fastavro.schema.SchemaParseException, KeyError, TypeError, ValueError, OverflowError) as error:
            raise EmitterError(f"the event schema is not one that Tidemark wrote: {error}") from error
        self._features = [(true_name(f), f["name"], converter_of(f["type"])) for f in fields]
        self._classes = None if classes is None else [(true_name(f), f["name"], converter_of(f["type"])) for f in classes]
        self.classes = tuple(true for true, _, _ in self._classes or ())
        self._prediction, self._target = converter_of(types["prediction"]), converter_of(types["target"])
        self._fixed = {"model": model, "model_version": model_version}
        self.columns = tuple(true for true, _, _ in self._features)
        self._arrays = tuple(true_name(f) for f in fields if holds_array(f["type"]))
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
        if type(run) is not str or not ID_PATTERN.match(run):
            raise WrongType("run", "is not an id: use 1 to 64 of A-Za-z0-9_.-")
        record = {
            "event_id": event_id,
            "event_time": now_ms if event_time is None else time_to_ms(event_time),
            "run": run,
            **self._fixed,
            "prediction": _convert("prediction", self._prediction, prediction),
            "target": _convert("target", self._target, target),
            "features": _convert_all(self._features, features, "{}"),
        }
        if self._classes is not None:
            record["probabilities"] = _convert_all(self._classes, probabilities or {}, "probability of {}")
        out = io.BytesIO()
        out.write(self._header)
        fastavro.schemaless_writer(out, self._parsed, record)
        return out.getvalue()

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


def _convert_all(fields: list[tuple[str, str, Converter]], values: Mapping[str, Any], named: str) -> dict[str, Any]:
    """The values by Avro name; ``named`` says in an error what a value is."""
    get, out, true = values.get, {}, ""
    try:
        for true, name, convert in fields:  # an error below names the column by true
            out[name] = convert(get(true))
    except Exception as error:  # a foreign object's own conversion may raise anything
        raise WrongType(named.format(true), str(error)) from error
    return out


def _convert(column: str, convert: Any, value: Any) -> Any:
    try:
        return convert(value)
    except Exception as error:  # as above
        raise WrongType(column, str(error)) from error
