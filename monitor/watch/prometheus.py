"""Reading the view from Prometheus' HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import requests

from config.errors import ServiceUnavailable
from monitor.watch.state import JUDGED_AT, NAMES, SHARE, lag, stream_of, stream_states, window_shares
from monitor.watch.values import FiringAlert, Sample, Stream, View

MAX_POINTS = 1000
SCRAPE_INTERVAL_S = 5.0
_NOW = f'{{__name__=~"{"|".join(NAMES)}"}}'
_RATE = "sum by (model, run_kind) (rate(tidemark_records_total[1m]))"
_UP = 'up{job="tidemark-worker"}'


class PrometheusReader:
    """Reads views from one Prometheus. ``history_s`` is how far back (s of wall clock) the windows of the sparkline reach."""

    def __init__(self, address: str, history_s: float, timeout_s: float = 4.0) -> None:
        self.address = address
        self._history_s = history_s
        self._timeout_s = timeout_s
        self._session = requests.Session()

    def read(self, now_s: float) -> View:
        """The view at ``now_s`` (s since the epoch).

        Raises:
            ServiceUnavailable: Prometheus does not answer, or what answers is not Prometheus; names address, setting, remedy.
        """
        samples = vector(self._query(_NOW, now_s))
        rates = {s: sample.value for sample in vector(self._query(_RATE, now_s)) if (s := stream_of(sample))}
        shares = self._shares(now_s)
        down = tuple(s.labels.get("instance", "") for s in vector(self._query(_UP, now_s)) if s.value == 0)
        states = tuple(s.with_history(rates.get(s.stream), shares.get(s.stream, ())) for s in stream_states(samples))
        return View(f"Prometheus {self.address}", states, *lag(samples), firing(self._get("alerts", {})), down)

    def _shares(self, now_s: float) -> dict[Stream, tuple[float, ...]]:
        step = max(SCRAPE_INTERVAL_S, self._history_s / MAX_POINTS)
        span = {"start": now_s - self._history_s, "end": now_s, "step": step}

        def matrix(name: str) -> dict[Stream, dict[float, float]]:
            return stream_matrix(self._get("query_range", {"query": f"max by (model, run_kind) ({name})", **span}))

        share, judged_at = matrix(SHARE), matrix(JUDGED_AT)
        return {s: window_shares((t, share[s][at]) for at, t in judged_at[s].items() if at in share[s]) for s in share if s in judged_at}

    def _query(self, expression: str, now_s: float) -> Mapping[str, Any]:
        return self._get("query", {"query": expression, "time": now_s})

    def _get(self, path: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            answer = self._session.get(f"{self.address}/api/v1/{path}", params=dict(parameters), timeout=self._timeout_s)
        except requests.RequestException as error:
            raise self._unavailable(f"does not answer ({type(error).__name__})") from error
        try:
            body = answer.json()
        except ValueError as error:
            raise self._unavailable(f"answers with HTTP {answer.status_code} and no JSON: is it Prometheus?") from error
        if not isinstance(body, dict) or body.get("status") != "success" or not isinstance(body.get("data"), dict):
            said = body.get("error", body) if isinstance(body, dict) else body
            raise self._unavailable(f"answers with HTTP {answer.status_code}: {said}")
        data: Mapping[str, Any] = body["data"]
        return data

    def _unavailable(self, what: str) -> ServiceUnavailable:
        remedy = "start it with `make up`, or set TIDEMARK_BIND and TIDEMARK_PROMETHEUS_PORT to where it is"
        return ServiceUnavailable(f"Prometheus at {self.address} {what}", remedy)


def vector(data: Mapping[str, Any]) -> list[Sample]:
    """The samples of an instant query's ``data`` (``resultType`` vector)."""
    return [_sample(entry["metric"], entry["value"][1]) for entry in data["result"]]


def _sample(metric: Mapping[str, str], value: str) -> Sample:
    return Sample(metric.get("__name__", ""), {k: v for k, v in metric.items() if k != "__name__"}, float(value))


def stream_matrix(data: Mapping[str, Any]) -> dict[Stream, dict[float, float]]:
    """Per stream its points (time in s: value) of a range query's ``data`` (``resultType`` matrix)."""
    points: dict[Stream, dict[float, float]] = defaultdict(dict)
    for entry in data["result"]:
        stream = stream_of(_sample(entry["metric"], "0"))
        if stream:
            points[stream] |= {float(at): float(value) for at, value in entry["values"]}
    return dict(points)


def firing(data: Mapping[str, Any]) -> tuple[FiringAlert, ...]:
    """The firing alerts of ``/api/v1/alerts``; those of severity ``none`` (the dead man's switch) always fire and are left out."""
    found = [_alert(a) for a in data["alerts"] if a["state"] == "firing" and a["labels"].get("severity") != "none"]
    return tuple(sorted(found, key=_order))


def _order(alert: FiringAlert) -> tuple[bool, str, str, str]:
    return (alert.severity != "critical", alert.model, alert.run_kind, alert.name)


def _alert(alert: Mapping[str, Any]) -> FiringAlert:
    labels, annotations = alert["labels"], alert.get("annotations", {})
    return FiringAlert(
        name=labels.get("alertname", ""),
        severity=labels.get("severity", ""),
        model=labels.get("model", ""),
        run_kind=labels.get("run_kind", ""),
        summary=annotations.get("summary", ""),
        since=alert.get("activeAt", ""),
    )
