"""Asking Prometheus over its HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/). No Streamlit here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests

from config.errors import ServiceUnavailable, TidemarkError
from monitor.console.board import Annotation, Panel, Target
from monitor.console.query import Span, fill, label_values, legend

AT_ONCE = 4  # questions: Prometheus answers more of them no sooner on a small machine


class QueryError(TidemarkError):
    """Prometheus answers, but not to this expression."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, labels, the refId of its query, and its points ``(ms since the epoch, value)`` in order of time.

    Values may be NaN and infinite.
    """

    name: str
    labels: Mapping[str, str]
    ref: str
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a panel shows: its series, or why there are none."""

    series: tuple[Series, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """An annotation's mark at a time, ms since the epoch."""

    at_ms: float
    text: str
    color: str


class Prometheus:
    """One Prometheus server. Used by several threads at a time."""

    def __init__(self, address: str, timeout_s: float = 10.0) -> None:
        self.address = address
        self._timeout_s = timeout_s

    def options(self, query: str, variables: Mapping[str, str], span: Span) -> list[str]:
        """The values of a variable's ``label_values`` query within the span, sorted.

        Raises:
            ServiceUnavailable: no answer; names address and remedy.
            QueryError: Prometheus refuses the query.
        """
        series, label = label_values(query)
        start, end = span.bounds()
        parameters: dict[str, Any] = {"start": start, "end": end + span.step_s()}
        if series:
            parameters["match[]"] = fill(series, variables, span)
        values: list[str] = self._get(f"label/{label}/values", parameters)
        return sorted((v for v in values if v), key=str.casefold)

    def answers(self, panels: Sequence[Panel], variables: Mapping[str, str], span: Span) -> list[Answer]:
        """One answer for each panel; a panel whose query fails gets the error's text.

        Raises:
            ServiceUnavailable: no answer at all; names address and remedy.
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda panel: self._answer(panel, variables, span), panels))

    def _answer(self, panel: Panel, variables: Mapping[str, str], span: Span) -> Answer:
        try:
            return Answer(tuple(s for t in panel.targets for s in self._series(panel, t, variables, span)))
        except QueryError as error:
            return Answer(error=error.message)
        except KeyError as error:
            return Answer(error=f"no variable {error.args[0]!r} on this dashboard")

    def _series(self, panel: Panel, target: Target, variables: Mapping[str, str], span: Span) -> list[Series]:
        expression = fill(target.expression, variables, span, panel.max_points)
        if target.instant:
            data = self._get("query", {"query": expression, "time": span.end_s})
            found = [(entry["metric"], [entry["value"]]) for entry in _vector(data)]
        else:
            found = self._range(expression, span, panel.max_points)
        return [Series(legend(target.legend, metric), metric, target.ref, _points(values)) for metric, values in found]

    def _range(self, expression: str, span: Span, points: int = 0) -> list[tuple[dict[str, str], list[Any]]]:
        start, end = span.bounds(points)
        data = self._get("query_range", {"query": expression, "start": start, "end": end, "step": span.step_s(points)})
        return [(entry["metric"], entry["values"]) for entry in data["result"]]

    def marks(self, annotations: Sequence[Annotation], variables: Mapping[str, str], span: Span) -> list[Mark]:
        """The marks of annotations; of points that follow each other the first one.

        Raises:
            ServiceUnavailable: no answer; names address and remedy.
            QueryError: Prometheus refuses an expression.
        """
        return [mark for annotation in annotations for mark in self._marks(annotation, variables, span)]

    def _marks(self, annotation: Annotation, variables: Mapping[str, str], span: Span) -> list[Mark]:
        step_ms, (start, _) = span.step_s() * 1000, span.bounds()
        found = []
        for metric, values in self._range(fill(annotation.expression, variables, span), span):
            times = [value if annotation.timed else at for at, value in _points(values)]
            fresh = [t for before, t in zip([-math.inf, *times], times, strict=False) if t - before > step_ms and t >= start * 1000]
            found += [Mark(t, legend(annotation.text, metric), annotation.color) for t in fresh]
        return found

    def _get(self, path: str, parameters: Mapping[str, Any]) -> Any:
        try:
            answer = requests.get(f"{self.address}/api/v1/{path}", params=dict(parameters), timeout=self._timeout_s)
        except requests.RequestException as error:
            raise self._unavailable(f"does not answer ({type(error).__name__})") from error
        try:
            body = answer.json()
        except ValueError as error:
            raise self._unavailable(f"answers with HTTP {answer.status_code} and no JSON: is it Prometheus?") from error
        if not isinstance(body, dict) or "status" not in body:
            raise self._unavailable(f"answers with HTTP {answer.status_code} and unknown JSON: is it Prometheus?")
        if body["status"] != "success":
            raise QueryError(f"Prometheus: {body.get('error', body)}", "correct the expression in config/grafana and build it again")
        return body["data"]

    def _unavailable(self, what: str) -> ServiceUnavailable:
        remedy = "start it with `make up`, or set TIDEMARK_PROMETHEUS_URL (or TIDEMARK_PROMETHEUS_PORT) to where it is"
        return ServiceUnavailable(f"Prometheus at {self.address} {what}", remedy)


def _vector(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if data["resultType"] == "scalar":
        return [{"metric": {}, "value": data["result"]}]
    found: list[Mapping[str, Any]] = data["result"]
    return found


def _points(values: Sequence[Sequence[Any]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(at) * 1000, float(value)) for at, value in values)
