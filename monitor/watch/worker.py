"""Reading the view from the worker's own /metrics, for when there is no Prometheus. What needs the past is kept from poll to poll."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import requests
from prometheus_client.parser import text_string_to_metric_families

from config.errors import ServiceUnavailable
from monitor.watch.state import RECORDS, lag, stream_of, stream_states, window_shares
from monitor.watch.values import Sample, Stream, StreamState, View

KEPT_WINDOWS = 100


class WorkerReader:
    """Reads views from one worker; ``address`` is ``http://host:port``."""

    def __init__(self, address: str, timeout_s: float = 4.0) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._polls = Polls()

    def read(self, now_s: float) -> View:
        """The view at ``now_s`` (s on any clock that does not jump).

        Raises:
            ServiceUnavailable: the worker does not answer; names address, setting, remedy.
        """
        remedy = "start it with `make up`, or set TIDEMARK_BIND and TIDEMARK_WORKER_METRICS_PORT to where it is"
        try:
            answer = requests.get(f"{self.address}/metrics", timeout=self._timeout_s)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise ServiceUnavailable(f"the worker at {self.address} does not answer ({type(error).__name__})", remedy) from error
        try:
            samples = parse(answer.content.decode("utf-8"))
        except ValueError as error:
            raise ServiceUnavailable(f"what answers at {self.address} is not the worker: {error}", remedy) from error
        return View(f"worker {self.address}", self._polls.add(samples, now_s), *lag(samples), alerts=None)


def parse(exposition: str) -> list[Sample]:
    """The samples of an exposition in Prometheus' text format.

    Raises:
        ValueError: the text is no exposition.
    """
    return [Sample(s.name, s.labels, float(s.value)) for family in text_string_to_metric_families(exposition) for s in family.samples]


class Polls:
    """What successive polls tell: rates from the counters of the last two, and the shares of the windows seen since the first."""

    def __init__(self) -> None:
        self._records: dict[Stream, float] = {}
        self._polled_at_s: float | None = None
        self._windows: dict[Stream, deque[tuple[float, float]]] = {}

    def add(self, samples: Sequence[Sample], now_s: float) -> tuple[StreamState, ...]:
        """Take a poll made at ``now_s`` and return the states with rates (events/s) and history."""
        records = {stream: s.value for s in samples if s.name == RECORDS and (stream := stream_of(s))}
        states = tuple(s.with_history(self._rate(s.stream, records, now_s), self._shares(s)) for s in stream_states(samples))
        self._records, self._polled_at_s = records, now_s
        return states

    def _rate(self, stream: Stream, records: dict[Stream, float], now_s: float) -> float | None:
        if self._polled_at_s is None or now_s <= self._polled_at_s or stream not in records:
            return None
        before = self._records.get(stream, 0.0)
        grown = records[stream] - before if records[stream] >= before else records[stream]  # less: the worker has begun anew
        return grown / (now_s - self._polled_at_s)

    def _shares(self, state: StreamState) -> tuple[float, ...]:
        windows = self._windows.setdefault(state.stream, deque(maxlen=KEPT_WINDOWS))
        if state.judged_at_s is not None and state.share is not None and (not windows or windows[-1][0] != state.judged_at_s):
            windows.append((state.judged_at_s, state.share))
        return window_shares(windows)
