"""Predictions are read out of the bodies that services exchange; what cannot be told is said to be so."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given

from producers.emitter import Prediction, Unreadable, read_json
from producers.emitter.marks import marks
from tests.unit.test_emitter_dead_broker import JSON_LIKE

ROW, OTHER = {"x": 1.5, "carrier": "UA"}, {"x": 2.5, "carrier": "AA"}
CHANCES = [{"no": 0.25, "yes": 0.75}, {"no": 1.0, "yes": 0.0}]


def tensor(name: str, shape: list[int], data: list[Any], datatype: str = "FP64") -> dict[str, Any]:
    """A tensor of the Open Inference Protocol."""
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


@pytest.mark.parametrize(
    ("request_", "answer", "wanted"),
    [
        (ROW, 3.5, [(ROW, 3.5, None)]),
        (ROW, {"prediction": "yes"}, [(ROW, "yes", None)]),
        ({"features": ROW}, [3.5], [(ROW, 3.5, None)]),
        ({"rows": [ROW, OTHER]}, [1.0, 2.0], [(ROW, 1.0, None), (OTHER, 2.0, None)]),
        ([ROW, OTHER], {"predictions": [1.0, 2.0]}, [(ROW, 1.0, None), (OTHER, 2.0, None)]),
        ({"instances": [[1.5, "UA"], [2.5, "AA"]]}, {"predictions": [1, 2]}, [(ROW, 1, None), (OTHER, 2, None)]),
        ({"dataframe_records": [ROW]}, {"predictions": [1]}, [(ROW, 1, None)]),
        (
            {"dataframe_split": {"columns": ["carrier", "x"], "data": [["UA", 1.5]]}},
            {"predictions": [1]},
            [(ROW, 1, None)],
        ),
        (
            {"rows": [ROW, OTHER]},
            {"predictions": ["yes", "no"], "probabilities": CHANCES},
            [(ROW, "yes", CHANCES[0]), (OTHER, "no", CHANCES[1])],
        ),
        ([ROW], [{"prediction": "yes", "probabilities": CHANCES[0]}], [(ROW, "yes", CHANCES[0])]),
        (
            {"inputs": [tensor("x", [2], [1.5, 2.5]), tensor("carrier", [2, 1], ["UA", "AA"], "BYTES")]},
            {"outputs": [tensor("predict", [2, 1], [[1.0], [2.0]])]},
            [(ROW, 1.0, None), (OTHER, 2.0, None)],
        ),
        (
            {"inputs": [tensor("input-0", [2, 2], [1.5, "UA", 2.5, "AA"])]},
            {"outputs": [tensor("other", [2], [9, 9]), tensor("predict", [2], [1.0, 2.0])]},
            [(ROW, 1.0, None), (OTHER, 2.0, None)],
        ),
        ([], [], []),
    ],
)
def test_the_usual_shapes_are_read(request_: Any, answer: Any, wanted: list[tuple[Any, ...]]) -> None:
    """A row, a list of rows, by itself or under a name, MLflow's frames, the V2 protocol; with probabilities where they are."""
    assert read_json(request_, answer, ["x", "carrier"]) == [Prediction(*one) for one in wanted]


@pytest.mark.parametrize(
    ("request_", "answer", "why"),
    [
        ({"rows": [ROW, OTHER]}, [1.0], "2 rows and 1 predictions"),
        ({"rows": [ROW, OTHER]}, 1.0, "the answer to a list of rows is float"),
        (ROW, {"status": "ok"}, "has none of predictions"),
        ([ROW], [{"status": "ok"}], "has none of predictions"),
        ("text", 1.0, "the request is str"),
        ([[1.5]], [1.0], "1 values, the schema has 2 columns"),
        ({"inputs": [tensor("x", [3], [1.5])]}, {"outputs": [tensor("y", [3], [1, 2, 3])]}, "1 values for shape"),
        ({"inputs": [tensor("x", [1, 2, 3], [1.5])]}, {"outputs": [tensor("y", [1], [1])]}, "has shape"),
        ([ROW], {"predictions": [1], "probabilities": CHANCES}, "1 predictions and 2 rows"),
    ],
)
def test_what_cannot_be_told_says_why(request_: Any, answer: Any, why: str) -> None:
    """A shape that is none of the known ones is refused with the reason."""
    with pytest.raises(Unreadable, match=why):
        read_json(request_, answer, ["x", "carrier"])


@given(JSON_LIKE, JSON_LIKE)
def test_any_json_is_read_or_refused(request_: Any, answer: Any) -> None:
    """Whatever two JSON bodies hold, the answer is predictions or a plain refusal."""
    try:
        found = read_json(request_, answer, ["x"])
    except (Unreadable, ValueError, TypeError, KeyError):
        return
    assert all(isinstance(one, Prediction) for one in found)


def test_marks_are_per_row() -> None:
    """Headers give run, times, ids and targets of each row; an empty target is an unknown one."""
    headers = {"x-tidemark-run": "r-1", "x-tidemark-event-times": "1, 2", "x-tidemark-event-ids": "a,b", "x-tidemark-targets": "0.5,"}
    assert list(marks(headers, 2)) == [
        {"run": "r-1", "event_time": 1, "event_id": "a", "target": 0.5},
        {"run": "r-1", "event_time": 2, "event_id": "b", "target": None},
    ]
    assert list(marks({}, 2)) == [{}, {}]


@pytest.mark.parametrize(
    "headers", [{"x-tidemark-event-ids": "a"}, {"x-tidemark-event-times": "1,x"}, {"x-tidemark-targets": f"{math.inf},1"}]
)
def test_wrong_marks_are_refused(headers: dict[str, str]) -> None:
    """A header that has not one readable value per row makes the exchange unreadable; no row gets another one's id."""
    with pytest.raises(Unreadable, match=next(iter(headers))):
        list(marks(headers, 2))
