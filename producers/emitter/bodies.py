"""A request's and its answer's JSON become predictions: one row of features and one prediction each.

Read without being told: a row or a list of rows, by itself or under one name (``rows``, ``instances``, MLflow's ``dataframe_records`` and
``dataframe_split``), and the Open Inference Protocol's V2 JSON (MLServer, Triton, KServe). Anything else takes a function of the user's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_ANSWERS = ("predictions", "prediction", "outputs", "results", "result", "y")
_CHANCES = ("probabilities", "predict_proba")


class Unreadable(ValueError):
    """The bodies hold no predictions that can be told; the message says why."""


class Prediction(NamedTuple):
    """One row of a request and what the model answered. ``probabilities`` by class label, where the answer has them."""

    features: Mapping[str, Any]
    prediction: Any
    probabilities: Mapping[Any, Any] | None = None


def read_json(request: Any, answer: Any, columns: Sequence[str] = ()) -> list[Prediction]:
    """The predictions of one exchange. ``columns`` name the columns of a matrix that comes without names, in order.

    Raises:
        Unreadable: the shapes are none of the known ones, or rows and predictions differ in number.
    """
    if _is_v2(request, answer):
        return _read_v2(request, answer, columns)
    rows, many = _rows(request, columns)
    answers = _answers(answer, many)
    if len(rows) != len(answers):
        raise Unreadable(f"{len(rows)} rows and {len(answers)} predictions")
    return [_prediction(row, one) for row, one in zip(rows, answers, strict=True)]


def _rows(request: Any, columns: Sequence[str]) -> tuple[list[Mapping[str, Any]], bool]:
    """The rows, and whether they came as a list."""
    if isinstance(request, Mapping) and len(request) == 1:
        ((name, only),) = request.items()
        if name == "dataframe_split" and isinstance(only, Mapping):
            names = only.get("columns", columns)
            return [dict(zip(names, row, strict=True)) for row in only.get("data", [])], True
        if isinstance(only, Mapping) or _are_rows(only):
            request = only
    if isinstance(request, Mapping):
        return [request], False
    if _are_rows(request):
        return [row if isinstance(row, Mapping) else _named(row, columns) for row in request], True
    raise Unreadable(f"the request is {type(request).__name__}: neither a row nor a list of rows")


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, (Mapping, list)) for row in value)


def _named(row: Sequence[Any], columns: Sequence[str]) -> Mapping[str, Any]:
    if len(row) != len(columns):
        raise Unreadable(f"a row without names has {len(row)} values, the schema has {len(columns)} columns")
    return dict(zip(columns, row, strict=True))


def _answers(answer: Any, many: bool) -> list[Any]:
    if isinstance(answer, Mapping):
        name = next((n for n in _ANSWERS if n in answer), None)
        if name is None:
            raise Unreadable(f"the answer has none of {', '.join(_ANSWERS)}")
        chances = next((answer[n] for n in _CHANCES if n in answer), None)
        listed = answer[name] if isinstance(answer[name], list) else [answer[name]]
        if chances is None:
            return listed
        given = chances if isinstance(chances, list) else [chances]
        if len(given) != len(listed):
            raise Unreadable(f"{len(listed)} predictions and {len(given)} rows of probabilities")
        return [{"prediction": one, "probabilities": row} for one, row in zip(listed, given, strict=True)]
    if isinstance(answer, list):
        return answer
    if many:
        raise Unreadable(f"the answer to a list of rows is {type(answer).__name__}")
    return [answer]


def _prediction(row: Mapping[str, Any], one: Any) -> Prediction:
    if not isinstance(one, Mapping):
        return Prediction(row, one)
    name = next((n for n in _ANSWERS if n in one), None)
    if name is None:
        raise Unreadable(f"a prediction has none of {', '.join(_ANSWERS)}")
    chances = next((one[n] for n in _CHANCES if isinstance(one.get(n), Mapping)), None)
    return Prediction(row, one[name], chances)


def _is_v2(request: Any, answer: Any) -> bool:
    def tensors(body: Any, name: str) -> bool:
        listed = body.get(name) if isinstance(body, Mapping) else None
        return isinstance(listed, list) and bool(listed) and all(isinstance(t, Mapping) and "shape" in t for t in listed)

    return tensors(request, "inputs") and tensors(answer, "outputs")


def _read_v2(request: Mapping[str, Any], answer: Mapping[str, Any], columns: Sequence[str]) -> list[Prediction]:
    """A tensor a column (shape [n] or [n, 1]), or one of shape [n, columns]; the prediction is ``predict``, or the first output."""
    inputs, outputs = request["inputs"], answer["outputs"]
    if len(inputs) == 1 and _width(inputs[0]) > 1:
        rows: list[Mapping[str, Any]] = [_named(row, columns) for row in _matrix(inputs[0])]
    else:
        values = {str(t["name"]): [row[0] if len(row) == 1 else row for row in _matrix(t)] for t in inputs}
        rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    predicted = next((t for t in outputs if t.get("name") in ("predict", *_ANSWERS)), outputs[0])
    answers = [row[0] for row in _matrix(predicted)]
    if len(rows) != len(answers):
        raise Unreadable(f"{len(rows)} rows and {len(answers)} predictions")
    return [Prediction(row, one) for row, one in zip(rows, answers, strict=True)]


def _width(tensor: Mapping[str, Any]) -> int:
    shape = tensor["shape"]
    if not 1 <= len(shape) <= 2:
        raise Unreadable(f"tensor {tensor.get('name')!r} has shape {shape}")
    return int(shape[1]) if len(shape) == 2 else 1


def _matrix(tensor: Mapping[str, Any]) -> list[list[Any]]:
    """The rows of a tensor, whose data may come flat or nested."""
    width, data = _width(tensor), tensor.get("data")
    if not isinstance(data, list):
        raise Unreadable(f"tensor {tensor.get('name')!r} has no data: only JSON data is read")
    flat = [value for row in data for value in row] if data and isinstance(data[0], list) else data
    if len(flat) != int(tensor["shape"][0]) * width:
        raise Unreadable(f"tensor {tensor.get('name')!r} has {len(flat)} values for shape {tensor['shape']}")
    return [flat[i : i + width] for i in range(0, len(flat), width)]
