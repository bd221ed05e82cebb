"""Where views come from: Prometheus, or the worker itself while Prometheus does not answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from config.errors import ServiceUnavailable
from config.settings import Settings
from monitor.watch.prometheus import PrometheusReader
from monitor.watch.values import View
from monitor.watch.worker import WorkerReader


class Reader(Protocol):
    """Something that views are read from."""

    def read(self, now_s: float) -> View:
        """The view at ``now_s``, s since the epoch."""


class FirstThatAnswers:
    """Asks Prometheus, which knows the past and the alerts; while it does not answer, the worker."""

    def __init__(self, prometheus: Reader, worker: Reader) -> None:
        self._prometheus = prometheus
        self._worker = worker

    def read(self, now_s: float) -> View:
        """The view at ``now_s`` (s since the epoch).

        Raises:
            ServiceUnavailable: neither answers; names both addresses and what to set.
        """
        try:
            return self._prometheus.read(now_s)
        except ServiceUnavailable as no_prometheus:
            try:
                view = self._worker.read(now_s)
            except ServiceUnavailable as no_worker:
                raise _neither(no_prometheus, no_worker) from no_worker
            return replace(view, note=f"{no_prometheus.message}: no alerts, and history begins now")


def _neither(no_prometheus: ServiceUnavailable, no_worker: ServiceUnavailable) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"nothing to watch: {no_prometheus.message}; {no_worker.message}",
        "run `make up`; if the stack is elsewhere, set TIDEMARK_BIND, TIDEMARK_PROMETHEUS_PORT and TIDEMARK_WORKER_METRICS_PORT",
    )


def open_source(settings: Settings, history_s: float) -> FirstThatAnswers:
    """The source of this installation; ``history_s`` is how far back (s) the sparklines reach."""
    return FirstThatAnswers(
        PrometheusReader(f"http://{settings.bind}:{settings.prometheus_port}", history_s),
        WorkerReader(f"http://{settings.bind}:{settings.worker_metrics_port}"),
    )
