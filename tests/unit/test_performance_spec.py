"""What a spec says of performance and probabilities: a wrong one is refused with the field and the remedy."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from config.spec import ModelSpec
from schemas.event import event_schema

LABEL = {"type": "string", "kind": "categorical"}
GOOD: dict[str, Any] = {
    "model": "m",
    "reference": "r.parquet",
    "features": {"x": {"type": "double"}},
    "prediction": {"column": "p", **LABEL},
    "target": {"column": "t", **LABEL},
    "window": {"size": "1h"},
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"monitors": ["regression_performance"]}, "needs a numerical target and prediction"),
        (
            {
                "monitors": ["regression_performance"],
                "target": {"column": "t", "type": "boolean"},
                "prediction": {"column": "p", "type": "double"},
            },
            "needs a numerical target and prediction",
        ),
        ({"monitors": ["classification_performance"], "target": {"column": "t", "type": "long"}}, "target is long, prediction is string"),
        (
            {"monitors": ["classification_performance"]} | {n: {"column": n[0], "type": "double"} for n in ("target", "prediction")},
            "set kind: categorical for target and prediction",
        ),
        ({"monitors": ["classification_performance"], "target": None}, "needs a target"),
        ({"monitors": ["prob_classification_performance"], "probabilities": {"a": "pa"}}, "set probabilities, with two classes or more"),
        ({"probabilities": {"a": "x", "b": "pb"}}, "'x' is a feature and an output"),
        ({"probabilities": {"a": "q", "b": "q"}}, "'q'"),
        ({"probabilities": {"a": "pa", "b": "pb"}, "positive_class": "c"}, "positive_class 'c' is none of probabilities: a, b"),
        (
            {"probabilities": {"no": "pa", True: "pb"}, "target": {"column": "t", "type": "boolean"}},
            "its classes are True and False, not no",
        ),
    ],
)
def test_a_wrong_spec_is_refused(change: dict[str, Any], said: str) -> None:
    """The message names what is wrong and what to do."""
    with pytest.raises(ValidationError, match="(?s)" + said):
        ModelSpec.model_validate({**GOOD, **change})


def test_yaml_s_numbers_and_booleans_are_labels() -> None:
    """``1`` and ``true`` as labels are text; on the wire each class is a nullable double of its own, named reversibly."""
    spec = ModelSpec.model_validate({**GOOD, "probabilities": {1: "p1", "é b": "p2"}, "positive_class": 1})
    assert (list(spec.probabilities), spec.positive_class) == (["1", "é b"], "1")
    field = next(f for f in event_schema(spec)["fields"] if f["name"] == "probabilities")
    assert [f["doc"] for f in field["type"]["fields"]] == ["1", "é b"]
    assert {str(f["type"]) for f in field["type"]["fields"]} == {"['null', 'double']"}


def test_a_spec_without_probabilities_keeps_its_schema_and_digest() -> None:
    """The new fields change neither the event schema of a model without classes nor the name of its spec."""
    spec = ModelSpec.model_validate(GOOD)
    assert [f["name"] for f in event_schema(spec)["fields"]][-3:] == ["target", "sample_rate", "features"]
    assert spec.digest("ref") == ModelSpec.model_validate({**GOOD, "probabilities": {}, "positive_class": None}).digest("ref")
