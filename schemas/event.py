"""The prediction event: one Avro record a prediction, its features typed from the model's spec."""

from __future__ import annotations

from typing import Any

from config.spec import AvroType, ModelSpec
from schemas.names import mangle, unmangle

LIVE_RUN = "live"
NAMESPACE = "tidemark"
EVENT_NAME = f"{NAMESPACE}.PredictionEvent"
TIMESTAMP = {"type": "long", "logicalType": "timestamp-millis"}

Schema = dict[str, Any]


_ON_THE_WIRE: dict[AvroType, Schema] = {"doubles": {"type": "array", "items": "double"}, "timestamp": TIMESTAMP}


def _nullable(avro_type: AvroType, true_name: str | None = None) -> dict[str, Any]:
    field: dict[str, Any] = {"type": ["null", _ON_THE_WIRE.get(avro_type, avro_type)], "default": None}
    return field if true_name is None else {**field, "doc": true_name}


def event_schema(spec: ModelSpec) -> Schema:
    """The Avro schema of a model's prediction event.

    ``event_id`` is the first field, so that a record's id can be read from its own bytes whatever follows. Features are nullable, in the
    spec's order; ``doc`` keeps a name that Avro forbids. ``probabilities`` is there only where the spec has classes: a nullable double a
    class, named by its label. ``sample_rate`` is the share (0 to 1) of predictions that the service emits, null for all of them.
    """
    features = [{"name": mangle(name), **_nullable(column.type, name)} for name, column in spec.features.items()]
    target = spec.target.type if spec.target else "double"
    classes = [{"name": mangle(label), **_nullable("double", label)} for label in spec.probabilities]
    record = {"type": "record", "name": f"{NAMESPACE}.Probabilities", "fields": classes}
    # With a default, as all that an older schema may lack: its events can be read with this one.
    probabilities = {"name": "probabilities", "type": record, "default": {c["name"]: None for c in classes}}
    return {
        "type": "record",
        "name": EVENT_NAME,
        "fields": [
            {"name": "event_id", "type": "string"},
            {"name": "event_time", "type": TIMESTAMP},
            {"name": "run", "type": "string"},
            {"name": "model", "type": "string"},
            {"name": "model_version", "type": "string"},
            {"name": "prediction", **_nullable(spec.prediction.type)},
            {"name": "target", **_nullable(target)},
            {"name": "sample_rate", **_nullable("double")},
            *([probabilities] if classes else []),
            {"name": "features", "type": {"type": "record", "name": f"{NAMESPACE}.Features", "fields": features}},
        ],
    }


def feature_names(schema: Schema) -> list[str]:
    """The true names of the features of an event schema, in its order."""
    record = next(f for f in schema["fields"] if f["name"] == "features")["type"]
    return [unmangle(f["name"]) for f in record["fields"]]
